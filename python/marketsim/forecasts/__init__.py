"""Plan, make and store forecasts; simulations read slices of one cube of them."""

from importlib import import_module
from types import ModuleType

from marketsim.forecasts.cube import ForecastCube, target_index
from marketsim.forecasts.device.cube import DeviceCube
from marketsim.forecasts.device.run import run_plans_on
from marketsim.forecasts.keys import Flag, RecordKeys, SeriesId
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.plan_keys import PlanKeys
from marketsim.forecasts.run import cost_of, held, run_plan, run_plans
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store.base import ForecastStore, MemoryStore
from marketsim.forecasts.store.disk import PredictionStore
from marketsim.forecasts.store.location import (
    StoreLike,
    default_store_path,
    open_store,
    user_cache_folder,
)

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

# Former names of modules that moved to `marketsim.forecasts.store`.
_MOVED = {"collect": "gc", "export": "export", "inventory": "inspect", "maintenance": "maintain"}


def __getattr__(name: str) -> ModuleType:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.store.{_MOVED[name]}")
