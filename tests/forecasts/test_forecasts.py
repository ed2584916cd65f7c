from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from market import random_bars, random_frame

import marketsim as ms
from marketsim.bars import TARGETS, close_moves
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, MemoryStore, run_plan
from marketsim.models import EwmaModel, ModelIdentity, QuantileDistribution


class CountingModel:
    """ewma that notes what it is asked, and can be told to see only the last values."""

    name = "counting"

    def __init__(self, context_length: int | None = None) -> None:
        self.context_length = context_length
        self.identity = ModelIdentity(self.name, "1", context_length, EwmaModel().levels)
        self.fingerprint = self.identity.fingerprint
        self.inner = EwmaModel()
        self.levels = self.inner.levels
        self.asked: list[tuple[int, int]] = []  # (length of the series, start)

    def predict(self, contexts, *, horizon=1, mask=None):
        return self.inner.predict(contexts, horizon=horizon, mask=mask)

    def predict_each(self, series, start, *, horizon=1):
        self.asked.append((len(series), start))
        if self.context_length is None:
            return self.inner.predict_each(series, start, horizon=horizon)
        parts = [series[max(0, t - self.context_length) : t] for t in range(start, len(series) + 1)]
        return self.inner.predict(parts, horizon=horizon)


def made(model: CountingModel) -> int:
    return sum(length - start + 1 for length, start in model.asked)


def test_each_forecast_is_made_once_from_the_days_before_it() -> None:
    bars = random_bars(200)
    model = CountingModel()
    cube = run_plan(bars, model, ForecastPlan(124, 200, 70, 7), store=MemoryStore(), progress=False)
    assert made(model) == 76 * 4  # not 70 x 7 x 4 = 1,960
    returns = close_moves(bars)
    for day in (124, 150, 199):
        for i in range(len(TARGETS)):
            alone = model.inner.predict([returns[i, : day - 1]])
            record = cube.records[day - 124, 0, i]
            np.testing.assert_array_equal(record[2:], alone.quantiles[0, 0].astype(np.float32))
            assert record[0] == np.float32(alone.mean[0, 0])
            assert record[1] == np.float32(alone.std[0, 0])


def test_plan_counts() -> None:
    plan = ForecastPlan(124, 200, 70, 7)
    assert (plan.days, plan.forecasts, plan.without_sharing) == (76, 304, 1960)


def test_long_runs_are_made_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = random_bars(300)
    plan = ForecastPlan(20, 300, 1, 1)
    whole = run_plan(bars, EwmaModel(), plan, store=MemoryStore(), progress=False)
    monkeypatch.setattr("marketsim.forecasts.run.BATCH_DAYS", 37)
    model = CountingModel()
    parts = run_plan(bars, model, plan, store=MemoryStore(), progress=False)
    np.testing.assert_array_equal(whole.records, parts.records)
    assert made(model) == 280 * 4
    assert max(length - start + 1 for length, start in model.asked) == 37


def test_a_store_answers_instead_of_the_model() -> None:
    bars, store, model = random_bars(200), MemoryStore(), CountingModel()
    first = run_plan(bars, model, ForecastPlan(150, 180, 1, 1), store=store, progress=False)
    assert (store.hits, store.misses, len(store)) == (0, 120, 120)
    model.asked.clear()
    again = run_plan(bars, model, ForecastPlan(150, 180, 1, 1), store=store, progress=False)
    assert model.asked == []
    np.testing.assert_array_equal(first.records, again.records)
    wider = run_plan(bars, model, ForecastPlan(140, 190, 1, 1), store=store, progress=False)
    assert made(model) == (10 + 10) * 4
    fresh = run_plan(bars, model, ForecastPlan(140, 190, 1, 1), store=MemoryStore(), progress=False)
    np.testing.assert_array_equal(wider.records, fresh.records)


@pytest.mark.parametrize("context_length", [None, 40])
def test_grown_and_revised_history(context_length: int | None) -> None:
    frame = random_frame(200)
    store, model = MemoryStore(), CountingModel(context_length)
    plan = ForecastPlan(100, 190, 1, 1)

    def run(changed: pd.DataFrame, plan: ForecastPlan = plan) -> np.ndarray:
        model.asked.clear()
        bars = ms.read_bars(changed, symbol="TEST")
        return run_plan(bars, model, plan, store=store, progress=False).records

    run(frame.iloc[:190])
    run(frame)  # ten days more: nothing is made again
    assert made(model) == 0
    revised = frame.copy()
    revised.iloc[120, :4] *= 1.25  # row 120 changes the returns of rows 120 and 121
    run(revised)
    # Day 121 is the first that sees a changed return, the last one sees that of row 121.
    last = 189 if context_length is None else 121 + context_length
    assert made(model) == (last - 121 + 1) * 4
    dropped = frame.iloc[30:]  # a rolling download: what the context covers is kept
    run(dropped, ForecastPlan(70, 160, 1, 1))
    assert made(model) == (0 if context_length else 90 * 4)
    volume_only = frame.copy()
    volume_only["volume"] += 1.0  # the model does not see it
    run(volume_only)
    assert made(model) == 0


def test_another_model_symbol_or_date_never_hits() -> None:
    frame, store = random_frame(200), MemoryStore()
    plan = ForecastPlan(150, 180, 1, 1)
    bars = ms.read_bars(frame, symbol="A")
    run_plan(bars, EwmaModel(), plan, store=store, progress=False)
    for other, model in (
        (bars, EwmaModel(decay=0.9)),
        (ms.read_bars(frame, symbol="B"), EwmaModel()),
        (ms.read_bars(frame.set_axis(frame.index + pd.Timedelta("1D")), symbol="A"), EwmaModel()),
    ):
        store.hits = 0
        run_plan(other, model, plan, store=store, progress=False)
        assert store.hits == 0


def test_a_forecast_that_is_not_finite_is_an_error() -> None:
    class Broken(CountingModel):
        def predict_each(self, series, start, *, horizon=1):
            mean = np.zeros((len(series) - start + 1, 1))
            mean[3] = np.nan
            quantiles = np.zeros((*mean.shape, len(self.levels)))
            return QuantileDistribution(self.levels, quantiles, mean=mean, std=mean * 0)

    with pytest.raises(
        ArgumentError, match="counting returned a forecast that is not finite for row 153"
    ):
        run_plan(
            random_bars(200),
            Broken(),
            ForecastPlan(150, 180, 1, 1),
            store=MemoryStore(),
            progress=False,
        )
