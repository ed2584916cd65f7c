"""A prepared run: made once, evaluated many times, by threads and by other processes."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError

RUN = {"simulations": 12, "offset_window": 20, "store": False, "progress": False}


class CountedModel:
    """Counts the calls, and knows no more than the model it asks."""

    def __init__(self) -> None:
        self.model = ms.load_model("ewma")
        self.name, self.fingerprint = "counted", self.model.fingerprint
        self.context_length, self.levels = None, self.model.levels
        self.calls = 0

    def predict(self, contexts, *, horizon=1, mask=None):
        self.calls += 1
        return self.model.predict(contexts, horizon=horizon, mask=mask)

    def predict_each(self, series, start, *, horizon=1):
        self.calls += 1
        return self.model.predict_each(series, start, horizon=horizon)


@pytest.fixture(scope="module")
def prepared() -> ms.Prepared:
    return ms.prepare(random_bars(200, seed=4), "ewma", **RUN)


RULES = [
    {},
    {"fill": "optimistic", "fee": 0.002},
    {"aggregate": "median", "asset_class": "crypto"},
    {"offset_bounds": ((-0.01, 0.01), (-0.02, 0.0)), "periods_per_year": 100},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_evaluate_is_walk_forward(prepared: ms.Prepared, rules: dict) -> None:
    found = prepared.evaluate(**rules)
    whole = ms.walk_forward(random_bars(200, seed=4), "ewma", **RUN, **rules)
    pd.testing.assert_frame_equal(found.days, whole.days, check_exact=True)
    pd.testing.assert_frame_equal(found.simulations, whole.simulations, check_exact=True)
    assert str(found.summary()) == str(whole.summary())
    assert found.to_dict() == whole.to_dict()


def test_a_smaller_offset_window_needs_no_forecast(prepared: ms.Prepared) -> None:
    found = prepared.evaluate("maxdiff", offset_window=7)
    whole = ms.walk_forward(
        random_bars(200, seed=4), "ewma", strategies="maxdiff", **(RUN | {"offset_window": 7})
    )
    pd.testing.assert_frame_equal(found.days, whole.days, check_exact=True)
    with pytest.raises(ArgumentError, match="at most the 20 bars prepared: got 21"):
        prepared.evaluate("maxdiff", offset_window=21)
    with pytest.raises(ArgumentError, match="offset_window must be a whole number of at least 1"):
        prepared.evaluate("maxdiff", offset_window=0)


def test_the_model_is_asked_once() -> None:
    model = CountedModel()
    prepared = ms.prepare(random_bars(200, seed=4), model, **RUN)
    calls = model.calls
    assert calls > 0
    prepared.evaluate().to_dict()
    prepared.evaluate(fill="optimistic").to_dict()
    assert model.calls == calls


def test_orders_that_change_are_fitted_again(prepared: ms.Prepared) -> None:
    """A strategy object that changes its mind between two evaluations gets no old fit."""

    class Shifted:
        name, targets, fitted = "shifted", ("high", "low"), True
        by = 0.0

        def decide(self, view):
            high, low = view.high + self.by, view.low + self.by
            return ms.LimitOrders([1.0] * len(view), high=high, low=low, fitted=True)

    mine = Shifted()
    first = prepared.evaluate([mine]).days
    mine.by = 0.005
    second = prepared.evaluate([mine]).days
    fresh = ms.prepare(random_bars(200, seed=4), "ewma", **RUN).evaluate([mine]).days
    assert not first.high_offset.equals(second.high_offset)
    pd.testing.assert_frame_equal(second, fresh, check_exact=True)


def _evaluated(given: tuple[ms.Prepared, dict]) -> pd.DataFrame:
    prepared, rules = given
    return prepared.evaluate(**rules).days


@pytest.mark.parametrize("start", ["spawn", "fork", "threads"])
def test_workers_share_it(prepared: ms.Prepared, start: str) -> None:
    expected = [prepared.evaluate(**rules).days for rules in RULES]
    work = [(prepared, rules) for rules in RULES]
    if start == "threads":
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(_evaluated, work * 3))[-len(RULES) :]
    else:
        with ProcessPoolExecutor(1, multiprocessing.get_context(start)) as pool:
            found = list(pool.map(_evaluated, work))
    for got, wanted in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(got, wanted, check_exact=True)


def test_a_result_pickles(prepared: ms.Prepared) -> None:
    result = prepared.evaluate()
    again = pickle.loads(pickle.dumps(result))  # noqa: S301
    assert again.to_dict() == result.to_dict()
    pd.testing.assert_frame_equal(again.simulations, result.simulations, check_exact=True)
    pd.testing.assert_frame_equal(again.forecasts, result.forecasts, check_exact=True)


def test_repr_is_one_line(prepared: ms.Prepared) -> None:
    assert repr(prepared) == (
        "Prepared(Bars('TEST', 200 bars of 1 day, 2015-01-01 to 2015-10-07), model ewma, "
        "18 days in 12 simulations of 7)"
    )
