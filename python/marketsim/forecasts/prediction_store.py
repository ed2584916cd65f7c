"""Former import path of `marketsim.forecasts.store.disk`."""

from marketsim.forecasts.store.disk import PredictionStore

__all__ = ["PredictionStore"]
