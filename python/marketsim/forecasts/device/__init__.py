"""Make, hold and slice forecasts on a device."""
