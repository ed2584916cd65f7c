"""The old import path of `marketsim.forecasts.store.disk`, for programs written against it."""

from marketsim.forecasts.store.disk import PredictionStore

__all__ = ["PredictionStore"]
