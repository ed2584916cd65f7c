from __future__ import annotations

import numpy as np
import pytest

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models import QuantileDistribution
from marketsim.strategies import registry, select_strategies
from marketsim.strategies.signals import ConfidenceGuard, shutdown_positions

NAMES = (
    "simple",
    "all_signals",
    "buy_and_hold",
    "unprofit_shutdown",
    "confidence_guard",
    "entry_takeprofit",
    "high_low",
    "maxdiff",
    "maxdiff_always_on",
)


def view(*, long_only: bool = False, **moves: list[float]) -> ms.DecisionView:
    """A view of days with these forecasts; what is not given is 0."""
    count = len(next(iter(moves.values())))
    arrays = {name: np.zeros(count) for name in ("open", "high", "low", "close", "band")}
    arrays |= {"last_return": np.zeros(count), "returns": np.zeros((count, 4))}
    arrays |= {name: np.array(value, dtype=np.float64) for name, value in moves.items()}
    return ms.DecisionView(
        dates=np.arange(count).astype("datetime64[D]").astype("datetime64[ns]"),
        distribution=QuantileDistribution((0.1, 0.9), np.zeros((count, 4, 2))),
        long_only=long_only,
        **arrays,
    )


def decide(name: str, given: ms.DecisionView):
    return select_strategies(name)[0].decide(given)


@pytest.mark.parametrize("long_only", [False, True])
def test_positions_by_hand(long_only: bool) -> None:
    short = 0.0 if long_only else -1.0
    close = [0.01, 0.0, -0.01]
    simple = decide("simple", view(close=close, long_only=long_only))
    np.testing.assert_array_equal(simple.position, [1, 0, short])
    returns = [[0, 1, 1, 1], [0, -1, -1, -1], [0, 1, -1, 1], [0, 1, 1, 0]]
    signals = decide("all_signals", view(returns=returns, long_only=long_only))
    np.testing.assert_array_equal(signals.position, [1, short, 0, 0])
    hold = decide("buy_and_hold", view(close=close, long_only=long_only))
    np.testing.assert_array_equal(hold.position, [1, 1, 1])
    guard = decide(
        "confidence_guard",
        view(
            close=[0.02, 0.01, -0.02, 1e-9, 0.0],
            band=[0.01, 0.01, 0.01, 0.0, 0.0],
            long_only=long_only,
        ),
    )
    np.testing.assert_array_equal(guard.position, [1, 0, short, 0, 0])
    shutdown = decide(
        "unprofit_shutdown",
        view(close=[-1, -1, -1, 1], last_return=[0, 0.1, 0.1, 0.1], long_only=long_only),
    )
    expected = [1, 0, 0, 1] if long_only else [1, -1, 0, 1]
    np.testing.assert_array_equal(shutdown.position, expected)
    limits = {"high": [0.02, 0.01, 0.01], "low": [-0.01, -0.02, 0.01]}
    maxdiff = decide("maxdiff", view(**limits, long_only=long_only))
    np.testing.assert_array_equal(maxdiff.position, [1, short, 0])
    assert maxdiff.fitted
    always = decide("maxdiff_always_on", view(**limits, long_only=long_only))
    assert always.fitted
    assert always.always_on
    takes = decide("entry_takeprofit", view(close=close, **limits, long_only=long_only))
    np.testing.assert_array_equal(takes.position, [1, 0, short])
    np.testing.assert_array_equal(takes.high, limits["high"])
    high_low = decide("high_low", view(close=close, **limits, long_only=long_only))
    assert high_low.exit_at_close
    assert not high_low.fitted


@pytest.mark.parametrize("name", [name for name in NAMES if name != "buy_and_hold"])
def test_a_forecast_of_exactly_nothing_is_no_trade(name: str) -> None:
    orders = decide(name, view(close=[0.0] * 4, last_return=[0.0, 0.1, -0.1, 0.0]))
    np.testing.assert_array_equal(orders.position, np.zeros(4))


def test_confidence_multiplier() -> None:
    given = view(close=[0.015], band=[0.01])
    assert ConfidenceGuard(multiplier=1.0).decide(given).position[0] == 1.0
    assert ConfidenceGuard(multiplier=2.0).decide(given).position[0] == 0.0
    with pytest.raises(ArgumentError, match="multiplier must be above 0"):
        ConfidenceGuard(multiplier=0.0)


def test_selection() -> None:
    assert tuple(s.name for s in select_strategies(None)) == NAMES
    assert [s.name for s in select_strategies(["maxdiff", "simple"])] == ["maxdiff", "simple"]
    with pytest.raises(UnknownNameError, match="unknown strategy 'magic': expected one of simple"):
        select_strategies(["magic"])
    with pytest.raises(ArgumentError, match="at least one"):
        select_strategies([])
    with pytest.raises(ArgumentError, match="named twice"):
        select_strategies(["simple", "simple"])


class Contrarian:
    name, targets, fitted = "contrarian", ("close",), False

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold(np.where(view.last_return > 0.0, -1.0, 1.0))


def test_registering_a_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    ms.register_strategy(Contrarian())
    assert ms.strategy_names()[-1] == "contrarian"
    assert select_strategies(["contrarian"])[0].name == "contrarian"
    with pytest.raises(ArgumentError, match="'contrarian' exists"):
        ms.register_strategy(Contrarian())
    with pytest.raises(ArgumentError, match="give an instance, not the class"):
        ms.register_strategy(Contrarian)
    with pytest.raises(ArgumentError, match="it has no targets, fitted, decide"):
        ms.register_strategy(type("Half", (), {"name": "half"})())
    wrong = Contrarian()
    wrong.name = "<b>"
    with pytest.raises(ArgumentError, match="a-z, 0-9 and _"):
        ms.register_strategy(wrong)


def test_shutdown_positions_by_hand() -> None:
    #            day:     0     1     2      3     4     5
    forecast = np.array([-0.1, -0.1, 0.1, 0.1, -0.1, 0.1])
    # Return of the day before: long on day 0 was right, short on day 1 wrong, day 2 idle, ...
    last = np.array([9.0, 0.02, 0.02, -0.5, 0.01, -0.03])
    #  day 0 long; day 1 follows (-1); day 2 pauses; day 3 opens (+1); day 4 right, follows (-1);
    #  day 5: the short of day 4 met -0.03, right, follows (+1)
    np.testing.assert_array_equal(shutdown_positions(forecast, last, False), [1, -1, 0, 1, -1, 1])
    long = shutdown_positions(forecast, last, True)
    np.testing.assert_array_equal(long, [1, 0, 1, 0, 0, 1])
