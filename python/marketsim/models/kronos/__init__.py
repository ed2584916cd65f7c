"""Kronos: forecasts of whole bars, token by token."""
