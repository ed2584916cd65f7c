"""Functions and tables as models, and what a model that is wrong is told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, ForecastTableError, StoreMissError, StoreWarning
from marketsim.forecasts import ForecastPlan, MemoryStore, run_plan
from marketsim.forecasts import run as run_module
from marketsim.models import EwmaModel, ModelTraits, QuantileDistribution, SampleDistribution
from marketsim.models.code import code_digest
from marketsim.models.fingerprint import stored_as

LEVELS = (0.1, 0.5, 0.9)
PLAN = ForecastPlan(60, 80, 1, 1)
SHIFT = 0.0


def quantiles(past: np.ndarray) -> np.ndarray:
    return np.quantile(past[-20:], LEVELS) + SHIFT


def made(model: Any, store: Any = None, plan: ForecastPlan = PLAN) -> Any:
    return run_plan(random_bars(80), model, plan, store=store, progress=False)


def test_a_function_forecasts_from_its_past_alone() -> None:
    cube = made(ms.model_from(quantiles, levels=LEVELS))
    returns = ms.bars.close_moves(random_bars(80))
    expected = quantiles(returns[2, :70]).astype(np.float32)
    np.testing.assert_array_equal(cube.records[11, 0, 2, 2:], expected)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros(4), r"must return \[level\], shape \(3,\): got shape \(4,\)"),
        (np.zeros((3, 1)), r"shape \(3,\): got shape \(3, 1\)"),
        (np.array([0.2, 0.1, 0.3]), "quantiles that decrease"),
        (np.array([0.1, 0.2, np.inf]), "f returned a forecast that is not finite after 59 rows"),
    ],
)
def test_a_function_of_another_shape_is_told(result: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        made(ms.model_from(lambda past: result, levels=LEVELS, name="f"))


def test_functions_are_told_apart_by_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(function: Any, **options: Any) -> str:
        return ms.model_from(function, levels=LEVELS, name="f", **options).fingerprint

    first = fingerprint(quantiles)
    assert fingerprint(quantiles) == first
    assert fingerprint(quantiles, version="2") != first
    assert fingerprint(lambda past: past[-3:]) != fingerprint(lambda past: past[-4:])
    factors = [fingerprint(lambda past, k=k: k * past[-3:]) for k in (1.0, 2.0)]
    assert factors[0] != factors[1]
    monkeypatch.setitem(globals(), "SHIFT", 0.1)  # a value that the function names
    assert fingerprint(quantiles) != first
    assert code_digest(lambda past: past + 1) != code_digest(lambda past: past + 2)


def test_a_function_of_unknown_content_needs_a_version() -> None:
    network = object()

    def forecast(past: np.ndarray) -> np.ndarray:
        return np.zeros(3) + (network is None)

    model = ms.model_from(forecast, levels=LEVELS)
    assert stored_as(model) is None
    assert stored_as(ms.model_from(forecast, levels=LEVELS, version="1")) is not None


class Typed:
    """A class whose author types a fingerprint, and no more: case 15 of the backtests."""

    context_length, levels, fingerprint = None, LEVELS, "00ff00ff"

    def __init__(self, name: str, drift: float) -> None:
        self.name, self.drift = name, drift

    def predict(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def predict_each(self, series: Any, start: int, *, horizon: int = 1) -> Any:
        shape = (len(series) - start + 1, horizon, 3)
        return QuantileDistribution(
            LEVELS, np.zeros(shape) + np.array([-0.01, 0.0, 0.01]) + self.drift
        )


class Stated(Typed):
    """The same with an identity."""

    @property
    def identity(self) -> ms.ModelIdentity:
        return ms.ModelIdentity("stated", "1", None, LEVELS)


def test_a_model_without_an_identity_is_not_stored_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_module, "_reported", set())
    store = MemoryStore()
    with pytest.warns(StoreWarning, match="alpha are not stored: it states no identity"):
        first = made(Typed("alpha", 0.01), store)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = made(Typed("beta", -0.01), store)
    assert len(store) == 0
    assert (first.records != second.records).any()
    assert made(Typed("alpha", 0.01)).records.tolist() == first.records.tolist()


def test_one_identity_in_two_classes_is_two_models(tmp_path: Any) -> None:
    class Other(Stated):
        def predict_each(self, series: Any, start: int, *, horizon: int = 1) -> Any:
            made = super().predict_each(series, start, horizon=horizon)
            return QuantileDistribution(LEVELS, made.quantiles * 2.0)

    store = ms.PredictionStore(tmp_path)
    first, other = made(Stated("a", 0.0), store), made(Other("a", 0.0), store)
    assert store.counters["hits"] == 0
    assert (first.records != other.records).any()
    made(Stated("a", 0.0), store)
    assert store.counters["hits"] == 80
    with pytest.raises(StoreMissError, match="states no identity"):
        store.cube(random_bars(80), Typed("a", 0.0), 60, 80)


class Lying(EwmaModel):
    """States other traits than it has."""

    def __init__(self, made: Any, **traits: Any) -> None:
        super().__init__()
        self.made, self.stated = made, traits

    @property
    def traits(self) -> ModelTraits:
        return ModelTraits(**({"levels": self.levels} | self.stated))

    def predict_each(self, series: Any, start: int, *, horizon: int = 1) -> Any:
        return self.made(super().predict_each(series, start, horizon=horizon))


def samples(distribution: QuantileDistribution) -> SampleDistribution:
    return SampleDistribution(distribution.sample(7, 1))


COLUMNS = ("open", "high", "low", "close")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: Lying(samples, draws=9),
            "returned 7 draws per forecast, but its trait draws states 9",
        ),
        (lambda: Lying(lambda d: d, draws=9), "trait draws"),
        (lambda: Lying(lambda d: d, components=2), "trait components"),
        (lambda: Lying(lambda d: QuantileDistribution(LEVELS, d.quantile(LEVELS))), "trait levels"),
        (
            lambda: Lying(lambda d: QuantileDistribution(d.levels, d.quantiles[:, None])),
            "trait joint",
        ),
        (
            lambda: Lying(lambda d: QuantileDistribution(d.levels, d.quantiles.repeat(2, 1))),
            "trait horizons",
        ),
        (lambda: Lying(lambda d: QuantileDistribution(d.levels, d.quantiles[1:])), "19 forecasts"),
        (lambda: Lying(lambda d: d, rows=5), "contradicts its trait rows"),
        (lambda: Lying(lambda d: d, columns=("volume",)), "trait columns"),
        (lambda: Lying(lambda d: d, columns=COLUMNS), "trait joint"),
        (lambda: Lying(lambda d: d, columns=("bid",)), "trait columns"),
        (lambda: Lying(lambda d: d, horizons=0), "trait horizons"),
        (lambda: Lying(lambda d: d, targets=("returns",)), "trait targets"),
    ],
)
def test_a_model_that_lies_is_told_which_trait(model: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        made(model())


def test_a_horizon_beyond_the_models() -> None:
    model = ms.model_from(quantiles, levels=LEVELS, name="f")
    plan = ForecastPlan(60, 80, 1, 1, (1, 2))
    with pytest.raises(ArgumentError, match="f forecasts at most 1 steps ahead .trait"):
        made(model, plan=plan)


def table(rows: range = range(60, 80), **change: Any) -> pd.DataFrame:
    bars = random_bars(80)
    stamps = pd.to_datetime(bars.timestamps)
    parts = [
        {
            "date": stamps[row], "known": stamps[row - 1], "target": target,
            "q0.1": -0.02 - row / 1e4, "q0.5": 0.0, "q0.9": 0.02,
        }
        for row in rows
        for target in COLUMNS
    ]  # fmt: skip
    return pd.DataFrame(parts).assign(**change)


def test_a_table_is_looked_up_by_date() -> None:
    store = MemoryStore()
    cube = made(ms.model_from_frame(table(), targets="own"), store)
    expected = (-0.02 - np.arange(60, 80) / 1e4).astype(np.float32)
    np.testing.assert_array_equal(cube.records[:, 0, 3, 2], expected)
    again = made(ms.model_from_frame(table(), targets="own"), store)
    assert store.hits == 80
    np.testing.assert_array_equal(again.records, cube.records)
    other = table()
    other.loc[0, "q0.1"] = -0.5
    made(ms.model_from_frame(other, targets="own"), store)
    assert store.hits == 80  # another table is another model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(known=t["date"] + pd.Timedelta("1s")), "80 .* known only after their"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 forecasts stand twice"),
        (lambda t: t.drop(columns="known"), "lack known"),
        (lambda t: t.drop(columns=["q0.1", "q0.5", "q0.9"]), "quantile columns"),
        (lambda t: t.assign(**{"q0.1": 0.5}), "must not decrease"),
        (lambda t: t.assign(**{"q0.1": np.nan}), "must be finite"),
        (lambda t: t.assign(target="volume"), "target must be one of"),
        (lambda t: t.assign(horizon=0), "horizon must be"),
        (lambda t: t.iloc[0:0], "lack rows"),
    ],
)
def test_a_table_that_is_wrong(change: Any, message: str) -> None:
    with pytest.raises(ForecastTableError, match=message):
        ms.model_from_frame(change(table()))


def test_a_table_with_gaps_or_another_time_zone() -> None:
    with pytest.raises(ForecastTableError, match="no forecast for 1 of 20 bars of TEST, the first"):
        made(ms.model_from_frame(table(range(61, 80)), targets="own"))
    moved = table()
    for column in ("date", "known"):
        moved[column] = moved[column].dt.tz_localize("America/New_York")
    with pytest.raises(ForecastTableError, match="for 20 of 20 bars.*time zone"):
        made(ms.model_from_frame(moved, targets="own"))
    with pytest.raises(ArgumentError, match="a table of dated forecasts"):
        ms.model_from_frame(table()).predict([[0.1]])
