"""Forecasts on a device: made there, kept there, sliced there."""
