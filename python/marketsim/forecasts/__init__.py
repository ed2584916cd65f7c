"""Forecasts: planned, made once, kept, and handed to the simulations as one cube."""

from marketsim.forecasts.cube import ForecastCube, target_index
from marketsim.forecasts.plan import ForecastPlan
from marketsim.forecasts.run import run_plan
from marketsim.forecasts.store import ForecastStore, MemoryStore, SeriesId

__all__ = [
    "ForecastCube",
    "ForecastPlan",
    "ForecastStore",
    "MemoryStore",
    "SeriesId",
    "run_plan",
    "target_index",
]
