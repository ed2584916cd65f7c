"""Models of the package chronos-forecasting, by its own pipelines."""
