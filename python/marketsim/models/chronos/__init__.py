"""Models of the package chronos-forecasting, run by its own pipelines."""
