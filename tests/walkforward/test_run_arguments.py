"""Wrong arguments: what was got, what was expected, and no error that is not ours."""

from __future__ import annotations

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.strategies import BuyAndHold, registry
from marketsim.strategies.registry import check_strategy

RUN = {"simulations": 5, "progress": False, "store": False}


class Mine:
    """A strategy of a user."""

    def __init__(self, name="mine", targets=("close",), fitted=False, orders=None) -> None:
        self.name, self.targets, self.fitted, self.orders = name, targets, fitted, orders

    def decide(self, view: ms.DecisionView):
        return ms.Hold(np.ones(len(view))) if self.orders is None else self.orders(view)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"embargo": 10**20}, ArgumentError, "embargo must be at most 1,000,000,000: got 1000"),
        ({"simulations": 10**20}, ArgumentError, "simulations must be at most"),
        ({"window": 10**20}, ArgumentError, "window must be at most"),
        ({"purge": "a"}, ArgumentError, "purge must be a whole number of at least 0: got 'a'"),
        ({"offset_window": "a"}, ArgumentError, "offset_window must be a whole number of at least"),
        (
            {"offset_window": None, "strategies": ["simple"]},
            ArgumentError,
            "offset_window must be a whole number of at least 0: got None",
        ),
        (
            {"fee": "5bps"},
            ArgumentError,
            "fee must be a finite fraction .* 5 basis points: got '5bps'",
        ),
        ({"fee": [0.1]}, ArgumentError, r"fee must be a finite fraction .*: got \[0.1\]"),
        ({"fee": True}, ArgumentError, "fee must be a finite fraction .*: got True"),
        ({"periods_per_year": "a"}, ArgumentError, "periods_per_year must be a number: got 'a'"),
        ({"periods_per_year": np.nan}, ArgumentError, "periods_per_year must lie in"),
        ({"aggregate": 3}, UnknownNameError, "unknown aggregate 3: expected one of mean"),
        ({"aggregate": None}, UnknownNameError, "unknown aggregate None"),
        (
            {"aggregate": "mean_plus_std_" + "9" * 400},
            UnknownNameError,
            "unknown aggregate 'mean_plus_std_999",
        ),
        ({"strategies": 3}, ArgumentError, "strategies must be a list of names .*: got 3"),
        ({"strategies": Mine()}, ArgumentError, "strategies must be a list of names"),
        ({"strategies": [3]}, ArgumentError, "3 is not a strategy"),
        ({"asset_class": []}, UnknownNameError, r"unknown asset class \[\]"),
        ({"fill": 3}, UnknownNameError, "unknown fill policy 3"),
        ({"fill": np.zeros(2)}, UnknownNameError, "unknown fill policy array"),
        ({"offset_bounds": "ab"}, ArgumentError, "bounds must be"),
        ({"model": 3}, ArgumentError, "3 is not a model"),
        ({"device": "gpu"}, UnknownNameError, "unknown device 'gpu': expected one of cpu, cuda"),
        ({"device": 0}, UnknownNameError, "unknown device 0"),
    ],
)
def test_walk_forward(options: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        ms.walk_forward(random_bars(150), **(RUN | options))


@pytest.mark.parametrize(
    "options", [{"fee_bps": "5"}, {"fee_bps": None}, {"fee_bps": 1, "half_spread_bps": [1]}]
)
def test_costs(options: dict) -> None:
    with pytest.raises(ArgumentError, match="must be a number of basis points: got"):
        ms.Costs(**options)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (lambda v: ms.Hold(True), r"position must have one value for each of 11 bars: got \(\)"),
        (lambda v: ms.Hold("a"), "position must be numbers"),
        (lambda v: ms.Hold([[1.0], [1.0, 2.0]]), "position must be numbers, in rows of one length"),
        (lambda v: ms.Hold(None), "position must have one value"),
        (
            lambda v: ms.LimitOrders(np.ones(len(v)), v.high, v.low, always_on="yes"),
            "always_on must be True or False: got 'yes'",
        ),
        (
            lambda v: ms.LimitOrders(np.ones(len(v)), v.high, v.low, fitted=v.high),
            "fitted must be True or False: got array",
        ),
    ],
)
def test_orders(orders, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"strategy 'mine': {message}"):
        ms.walk_forward(random_bars(150), strategies=[Mine(orders=orders)], **RUN)


@pytest.mark.parametrize("name", ["persistence", "random_walk", "buy_and_hold"])
def test_names_of_baselines_are_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.delitem(registry._registered, name, raising=False)
    message = f"must not be named '{name}': the names buy_and_hold, persistence, random_walk belong"
    with pytest.raises(ArgumentError, match=message):
        ms.register_strategy(Mine(name))
    with pytest.raises(ArgumentError, match=message):
        ms.walk_forward(random_bars(150), strategies=[Mine(name)], **RUN)
    assert check_strategy(BuyAndHold()).name == "buy_and_hold"
    if name != "buy_and_hold":
        with pytest.raises(ArgumentError, match=message):
            check_strategy(BuyAndHold(name=name))


def test_own_buy_and_hold_stays() -> None:
    run = ms.walk_forward(random_bars(150), strategies=["buy_and_hold", "simple"], **RUN)
    assert list(run.summary().strategies.index) == ["simple", *registry.BASELINES]


@pytest.mark.parametrize(
    ("targets", "kind", "message"),
    [
        (("foo",), UnknownNameError, "'foo': expected one of open, high, low, close"),
        (("close", 3), UnknownNameError, "unknown target of strategy 'mine' 3: expected one of"),
        ("close", ArgumentError, r"a tuple of names out of open, .* \(\"close\",\): got 'close'"),
        (None, ArgumentError, "targets must be a tuple of names .*: got None"),
        (iter(["close"]), ArgumentError, "targets must be a tuple of names"),
    ],
)
def test_targets(targets: object, kind: type, message: str) -> None:
    for use in (
        ms.register_strategy,
        lambda mine: ms.walk_forward(random_bars(150), strategies=[mine], **RUN),
    ):
        with pytest.raises(kind, match=message):
            use(Mine(targets=targets))
    assert "mine" not in ms.strategy_names()


@pytest.mark.parametrize("targets", [(), ["close"], {"high", "low"}, ("open", "close")])
def test_collections_of_targets(targets) -> None:
    run = ms.walk_forward(random_bars(150), strategies=[Mine(targets=targets)], **RUN)
    assert np.isnan(run.summary().strategies.loc["mine", "mae_ratio"]) == (not targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": 3}, "name must be 1 to 64 characters of a-z, 0-9 and _: got 3"),
        ({"fitted": "no"}, "fitted must be True or False: got 'no'"),
    ],
)
def test_attributes(options: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        check_strategy(Mine(**options))


def test_decide_is_a_method() -> None:
    mine = Mine()
    mine.decide = 3
    with pytest.raises(ArgumentError, match="decide must be a method: got 3"):
        check_strategy(mine)


def test_persistence_is_the_sign_of_yesterday_whatever_the_aggregate() -> None:
    bars = random_bars(200)
    runs = {
        aggregate: ms.walk_forward(bars, aggregate=aggregate, **RUN)
        for aggregate in ("trimmed_mean_10", "p10", "p90", "mean_plus_std_1")
    }
    close = bars.close
    for run in runs.values():
        rows = run.windows.days
        expected = np.where(close[rows - 1] / close[rows - 2] - 1.0 > 0.0, 1.0, -1.0)
        np.testing.assert_array_equal(run.baselines["persistence"].position, expected)
    tables = [run.summary().strategies.loc[list(registry.BASELINES)] for run in runs.values()]
    assert all(table.equals(tables[0]) for table in tables)
