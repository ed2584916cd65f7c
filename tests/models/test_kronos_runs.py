"""Kronos in runs: whole bars and their timestamps in, candles as moves against the close out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from kronos_cases import load_pair, write_pair
from market import random_bars, random_frame

import marketsim as ms
from marketsim.bars import TARGETS
from marketsim.forecasts import ForecastPlan, MemoryStore, PlanKeys, ReturnTable, run_plan
from marketsim.models import ModelInputs
from marketsim.models.kronos.model import Kronos

OPEN, HIGH, LOW, CLOSE = range(4)
PLAN = ForecastPlan(30, 40, 1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Kronos:
    return load_pair(folder, samples=5, context_length=12, clip=1.0)


def own_candles(model: Kronos, bars: ms.Bars, row: int) -> np.ndarray:
    """Moves [sample, price] of the bar at a row, from `predict_bars` and the words of the docs."""
    past = bars.frame.iloc[row - model.context_length : row]
    settings = {"samples": model.sampling.samples, "seed": model.sampling.seed}
    paths = model.predict_bars([past], horizon=1, **settings).paths[0, :, 0, :4].astype(float)
    candles = [[one[0], max(one), min(one), one[3]] for one in paths.tolist()]
    return np.log(np.array(candles) / past["close"].iloc[-1])


def test_a_forecast_is_candles_drawn_from_the_bars_before(model: Kronos) -> None:
    bars = random_bars(40, seed=2)
    cube = run_plan(bars, model, PLAN, store=None, progress=False)
    assert cube.schema.text == "samples(5);float32;close"
    for row in (30, 33, 39):
        expected = own_candles(model, bars, row).astype(np.float32)
        np.testing.assert_array_equal(cube.records[row - 30, 0].T, expected)
    assert cube.ordered() == (cube, 0)


def test_it_depends_on_no_batch_and_reads_no_later_bar(model: Kronos) -> None:
    frame = random_frame(40, 2)
    whole = run_plan(random_bars(40, seed=2), model, PLAN, store=None, progress=False)
    frame.iloc[36:, :4] *= 1.37
    frame.iloc[36:, 4] += 9.0
    for part in (ForecastPlan(33, 37, 1, 1), ForecastPlan(36, 37, 1, 1)):
        found = run_plan(
            ms.read_bars(frame, symbol="TEST"), model, part, store=None, progress=False
        )
        expected = whole.slice(part.first, part.stop).records
        np.testing.assert_array_equal(found.records, expected)


def test_keys_cover_all_that_it_sees(model: Kronos) -> None:
    frame = random_frame(40, 2)

    def keys(changed: pd.DataFrame) -> np.ndarray:
        bars = ms.read_bars(changed, symbol="TEST")
        return np.array([[k.hex() for k in part.digests()] for part in
                         PlanKeys.of(bars, model, PLAN).keys])  # fmt: skip

    before = keys(frame)
    assert len(np.unique(before)) == before.size
    for column in ("open", "high", "low", "close", "volume"):
        other = frame.copy()
        place = other.columns.get_loc(column)
        factor = {"high": 1.001, "low": 0.999}.get(column, 1.0000001)
        other.iloc[33, place] = other.iloc[33, place] * factor
        changed = (keys(other) != before).all(axis=0)
        np.testing.assert_array_equal(changed, np.arange(30, 40) > 33)
    local = frame.tz_localize("America/New_York")
    assert (keys(local.tz_convert("UTC")) != keys(local)).all()  # it reads another clock


def test_the_store_answers_a_run_and_its_orders(folder: Path, model: Kronos) -> None:
    bars, store = random_bars(60, seed=4), MemoryStore()
    run: dict[str, Any] = {"store": store, "progress": False, "offset_window": 10}
    first = ms.walk_forward(bars, model, simulations=5, window=3, **run)
    assert first.targets == "close" and first.model.levels == tuple(i / 10 for i in range(1, 10))
    mute = load_pair(folder, samples=5, context_length=12, clip=1.0)
    mute.__dict__["networks"] = None  # any forecast would fail
    again = ms.walk_forward(bars, mute, simulations=5, window=3, **run)
    pd.testing.assert_frame_equal(first.forecasts, again.forecasts)
    orders = ms.next_orders(bars, model, "high_low", **run)
    assert np.isfinite(orders["forecast_high"]).all()
    found = ms.evaluate_forecasts(bars, [mute, "climatology"], store=store, progress=False,
                                  start=bars.frame.index[-3])  # fmt: skip
    assert len(found.table()) == 2 * len(TARGETS)
    assert found.unknown_cutoffs == (model.name,)


def test_settings_are_part_of_the_identity(folder: Path) -> None:
    settings: list[dict[str, Any]] = [
        {}, {"samples": 8}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.5}, {"seed": 1},
        {"context_length": 8},
    ]  # fmt: skip
    assert len({load_pair(folder, **one).fingerprint for one in settings}) == len(settings)
    plain = load_pair(folder)
    assert plain.context_length == plain.max_context and plain.traits.draws == 64
    for wrong in ({"context_length": 1}, {"samples": 0}, {"top_p": 2.0}):
        with pytest.raises(ms.ArgumentError, match=next(iter(wrong))):
            load_pair(folder, **wrong)


def test_what_a_run_cannot_ask(model: Kronos) -> None:
    bars = random_bars(40)
    with pytest.raises(ms.ArgumentError, match=r"at most 1 steps? ahead"):
        run_plan(bars, model, ForecastPlan(30, 35, 1, 1, (1, 2)), store=None)
    with pytest.raises(ms.ArgumentError, match="targets='close'"):
        ms.walk_forward(bars, model, simulations=3, offset_window=5, targets="own")
    table = ReturnTable.of(bars, "close")
    moves = ReturnTable("X", table.timestamps, table.returns, "close")
    with pytest.raises(ms.ArgumentError, match="reads open, high, low, close, volume"):
        run_plan(moves, model, PLAN, store=None)
    wild = np.ones((5, 20))
    wild[:4] = np.exp(np.random.default_rng(0).normal(0, 6, 20))
    stamps = pd.date_range("2020-01-01", periods=21, tz="UTC").as_unit("ns").asi8
    inputs = ModelInputs("WILD", ("open", "high", "low", "close", "volume"), wild, stamps[:-1],
                         stamps, True)  # fmt: skip
    with pytest.raises(ms.ArgumentError, match="drew a price at or below 0"):
        model.predict_inputs(inputs, 20)
