"""Models, plans, keys and cubes go to threads and processes, and come back the same."""

from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.forecasts import ForecastCube, ForecastPlan, PlanKeys, PredictionStore, run_plan
from marketsim.models import Model

PLAN = ForecastPlan(60, 90, 1, 1, (1, 3))


def forecast(model: Model, bars: ms.Bars, folder: Path) -> ForecastCube:
    return run_plan(bars, model, PLAN, store=PredictionStore(folder), progress=False)


def executor(kind: str) -> Executor:
    if kind == "threads":
        return ThreadPoolExecutor(2)
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(kind))


@pytest.mark.parametrize("kind", ["threads", "spawn", "fork"])
def test_forecasts_are_made_in_workers(kind: str, tmp_path: Path) -> None:
    bars = [ms.read_bars(random_bars(90, i).frame, symbol=f"S{i}") for i in range(3)]
    models = [ms.load_model(name) for name in ("ewma", "range", "climatology")]
    jobs = [(model, one) for model in models for one in bars]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of a process with threads
        with executor(kind) as pool:
            waiting = [pool.submit(forecast, model, one, tmp_path) for model, one in jobs]
            made = [one.result(timeout=120) for one in waiting]
    store = PredictionStore(tmp_path, require_complete=True)
    for (model, one), cube in zip(jobs, made, strict=True):
        alone = run_plan(one, model, PLAN, store=store, progress=False)  # kept by the workers
        np.testing.assert_array_equal(cube.records, alone.records)
        fresh = run_plan(one, model, PLAN, store=None, progress=False)
        np.testing.assert_array_equal(cube.records, fresh.records)


def test_plans_keys_and_cubes_pickle() -> None:
    bars, model = random_bars(90), ms.load_model("ewma")
    cube = run_plan(bars, model, PLAN, store=None, progress=False)
    _ = cube.distribution
    keys = PlanKeys.of(bars, model, PLAN)
    for one in (PLAN, cube, keys, model.traits, model.identity):
        copy = ForkingPickler.loads(ForkingPickler.dumps(one))
        assert type(copy) is type(one)
    copy = ForkingPickler.loads(ForkingPickler.dumps(cube))
    np.testing.assert_array_equal(copy.point("p10", 3), cube.point("p10", 3))
