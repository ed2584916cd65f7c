"""Forecasts: planned, made once, kept, and handed to the simulations as one cube."""

from marketsim.forecasts.cube import ForecastCube, target_index
from marketsim.forecasts.device.cube import DeviceCube
from marketsim.forecasts.device.run import run_plans_on
from marketsim.forecasts.keys import Flag, PlanKeys, RecordKeys, SeriesId
from marketsim.forecasts.location import (
    StoreLike,
    default_store_path,
    open_store,
    user_cache_folder,
)
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.prediction_store import PredictionStore
from marketsim.forecasts.run import cost_of, held, run_plan, run_plans
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store import ForecastStore, MemoryStore

__all__ = [
    "DeviceCube",
    "Flag",
    "ForecastCube",
    "ForecastPlan",
    "ForecastStore",
    "MemoryStore",
    "PlanKeys",
    "PredictionStore",
    "RecordKeys",
    "ReturnTable",
    "Schema",
    "SeriesId",
    "StoreLike",
    "cost_of",
    "default_store_path",
    "held",
    "open_store",
    "run_plan",
    "run_plans",
    "run_plans_on",
    "target_index",
    "user_cache_folder",
]
