"""Forecasts of several horizons: made, stored, read, and the same whichever others are wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from market import random_bars
from store_cases import NotingModel, SampledModel

import marketsim as ms
from marketsim.bars import close_moves
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, MemoryStore, PredictionStore, held, run_plan
from marketsim.forecasts.plan import ReturnTable
from marketsim.models import EwmaModel, PersistenceModel

PLAN = ForecastPlan(60, 90, 1, 1, (1, 2, 5))


def test_each_horizon_is_the_models_own(tmp_path: Path) -> None:
    bars, model = random_bars(90), PersistenceModel()
    store = PredictionStore(tmp_path)
    cube = run_plan(bars, model, PLAN, store=store, progress=False)
    assert cube.records.shape == (30, 3, 4, cube.schema.width)
    returns = close_moves(bars)
    for row in (60, 75, 89):
        alone = model.predict(returns[:, : row - 1], horizon=5)
        for i, h in enumerate(PLAN.horizons):
            expected = alone.quantile(model.levels)[:, h - 1].astype(np.float32)
            np.testing.assert_array_equal(cube.records[row - 60, i, :, 2:], expected)
            decoded = cube.at(h).quantile(model.levels)[row - 60]
            np.testing.assert_array_equal(decoded.astype(np.float32), expected)
    assert held(bars, model, PLAN, store).all()
    again = store.cube(bars, model, 60, 90, horizons=(1, 2, 5))
    np.testing.assert_array_equal(again.records, cube.records)
    # The first horizon alone is the plan of a walk-forward run.
    one = store.cube(bars, model, 60, 90)
    np.testing.assert_array_equal(one.records[:, 0], cube.records[:, 0])
    part = cube.slice(70, 80)
    np.testing.assert_array_equal(part.point("mean", 5), cube.point("mean", 5)[10:20])
    with pytest.raises(ArgumentError, match="horizon must be one of the cube's 1, 2, 5: got 3"):
        cube.at(3)


def test_only_what_is_missing_is_made() -> None:
    bars, store = random_bars(90), MemoryStore()
    one, model = ForecastPlan(60, 90, 1, 1), NotingModel()
    run_plan(bars, model, one, store=store, progress=False)
    assert model.made == 30 * 4
    run_plan(bars, model, PLAN, store=store, progress=False)
    assert model.made == 2 * 30 * 4  # horizons 2 and 5 in one go, 1 was there
    run_plan(bars, model, PLAN, store=store, progress=False)
    assert model.made == 2 * 30 * 4


def test_seeds_do_not_depend_on_the_horizons() -> None:
    bars = random_bars(90)
    model = SampledModel()
    first = run_plan(bars, model, ForecastPlan(60, 90, 1, 1), store=None, progress=False)
    both = run_plan(bars, model, ForecastPlan(60, 90, 1, 1, (1,)), store=None, progress=False)
    np.testing.assert_array_equal(first.records, both.records)


@pytest.mark.parametrize("horizons", [(), (0,), (2, 1), (1, 1), (1.5,), (70_000,)])
def test_horizons_that_cannot_be(horizons) -> None:
    with pytest.raises(ArgumentError, match="horizons must be"):
        ForecastPlan(60, 90, 1, 1, horizons)


def test_moves_against_the_close_before() -> None:
    bars, store = random_bars(90), MemoryStore()
    plan = ForecastPlan(60, 90, 1, 1)
    own = run_plan(ReturnTable.of(bars, "own"), EwmaModel(), plan, store=store, progress=False)
    table = ReturnTable.of(bars, "close")
    close = run_plan(bars, EwmaModel(), plan, store=store, progress=False)
    assert close.schema.targets == "close"
    assert close.schema.text == own.schema.text + ";close"
    assert store.hits == 0  # keys tell the two apart
    assert (own.records != close.records).any()
    moves = np.log(bars.high[1:] / bars.close[:-1])
    alone = EwmaModel().predict([moves[:88]]).quantiles[0, 0]
    np.testing.assert_array_equal(close.records[-1, 0, 1, 2:], alone.astype(np.float32))
    only_own = ms.model_from(np.sort, levels=(0.1, 0.5, 0.9), rows=3, targets=("own",))
    with pytest.raises(ArgumentError, match=r"own returns \(trait targets\)"):
        run_plan(table, only_own, plan, store=None, progress=False)
