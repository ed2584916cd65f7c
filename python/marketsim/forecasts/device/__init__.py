"""Forecasts made, kept and sliced on a device."""
