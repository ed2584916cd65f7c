from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import marketsim as ms
from marketsim import _core
from marketsim.replay import Account, replay, replay_grid
from marketsim.replay.rules import RULES, crossings

pytestmark = pytest.mark.filterwarnings("ignore::marketsim.errors.ShortSeriesWarning")

RULE_SETS = {
    "sma_cross": {"fast": [1, 2, 3, 5, 5, 8, 1, 2, 7], "slow": [4, 9, 30, 6, 200, 9, 2, 3, 11]},
    "rsi_reversion": {
        "window": [2, 3, 3, 5, 9], "low": [30.0, 40.0, 45.0, 50.0, 30.0],
        "high": [70.0, 60.0, 55.0, 50.0, 20.0],
    },
    "donchian_breakout": {"entry": [1, 2, 5, 9, 300], "exit": [1, 3, 2, 4, 5]},
}  # fmt: skip


def tangled_bars(seed: int, count: int, *, zero_volume: float) -> ms.Bars:
    """Gaps, ties, flat bars, bars without volume, falls to near nothing."""
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(rng.choice([0.0, 0.01, -0.012, 0.2, -0.21, 1.5, -1.6], count,
                                        p=[0.3, 0.3, 0.3, 0.04, 0.04, 0.01, 0.01])))  # fmt: skip
    opened = close * np.exp(rng.choice([0.0, 0.02, -0.02], count))
    high = np.maximum(opened, close) * np.exp(rng.choice([0.0, 0.01], count))
    low = np.minimum(opened, close) * np.exp(rng.choice([0.0, -0.01], count))
    volume = np.where(rng.random(count) < zero_volume, 0.0, 1000.0)
    index = pd.date_range("2020-01-01", periods=count, tz="UTC")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return ms.Bars(pd.DataFrame(columns, index), "TANGLED")


def assert_equal_to_replays(bars: ms.Bars, rule, sets: dict, account: Account, **options) -> None:
    """Every figure and every bar's return has the bits of a replay of the set."""
    count = len(next(iter(sets.values())))
    net = np.full((count, len(bars)), np.nan)
    arrays = {name: np.asarray(values) for name, values in sets.items()}
    found = replay_grid(bars, rule, arrays, account=account, net=net, **options)
    exits = ("stop_loss", "take_profit", "trailing_stop", "cooldown", "time_stop")
    function = RULES.get(rule, rule)
    for i in range(count):
        chosen = {name: values[i] for name, values in sets.items()}
        protect = {n: chosen.pop(n) for n in exits if n in chosen}
        protect = {n: None if v is None or np.isnan(v) else v for n, v in protect.items()}
        alone = replay(bars, *function(bars, **chosen), account=account, **protect, **options)
        assert set(found) == set(alone.metrics)
        for name, value in alone.metrics.items():
            np.testing.assert_array_equal(found[name][i], value, err_msg=f"{name} of {chosen}")
        np.testing.assert_array_equal(net[i], alone.returns, err_msg=f"returns of {chosen}")


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([1, 2, 7, 64, 65, 131]),
    rule=st.sampled_from(sorted(RULES)),
    fill=st.sampled_from(["next_open", "same_close"]),
    fee=st.sampled_from([0.0, 10.0, -5.0, 900.0]),
    zero_volume=st.sampled_from([0.0, 0.3]),
    close_at_end=st.booleans(),
    size=st.sampled_from([1.0, 0.5, 3.0]),
)
@settings(max_examples=40, deadline=None)
def test_market_orders_have_the_bits_of_a_replay(
    seed, count, rule, fill, fee, zero_volume, close_at_end, size
) -> None:
    bars = tangled_bars(seed, count, zero_volume=zero_volume)
    account = Account(fee_bps=fee, slippage_bps=2.0, fill=fill, close_at_end=close_at_end,
                      periods_per_year=252)  # fmt: skip
    assert_equal_to_replays(bars, rule, RULE_SETS[rule], account, size=size)


@pytest.mark.parametrize("isa", _core.supported_isas())
def test_every_instruction_set_and_number_of_threads_gives_the_same(isa: str) -> None:
    bars = tangled_bars(3, 500, zero_volume=0.1)
    fast, slow = (a.ravel() for a in np.meshgrid(np.arange(1, 15), np.arange(20, 35)))
    sets = {"fast": fast, "slow": slow}
    expected = replay_grid(bars, "sma_cross", sets, account=Account(fee_bps=10))
    before = _core.isa()
    try:
        _core.set_isa(isa)
        for threads in (1, 3):
            _core.set_thread_limit(threads)
            found = replay_grid(bars, "sma_cross", sets, account=Account(fee_bps=10))
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values)
    finally:
        _core.set_isa(before)
        _core.set_thread_limit(0)


@pytest.mark.parametrize(
    ("account", "options"),
    [
        (Account(fee_bps=10, fee_per_fill=3.0), {}),
        (Account(lot=1.0, leverage=2.0), {"size": 1.7}),
        (Account(borrow=0.05, financing=0.07, leverage=3.0), {"direction": "both", "size": 2.0}),
        (Account(participation=0.01, maintenance=0.1), {"direction": "short"}),
        (Account(fee_bps=5), {"size": 2.5, "size_unit": "units"}),
        (Account(fee_bps=5, fill="same_close"), {"size": 500.0, "size_unit": "cash"}),
    ],
)
def test_other_accounts_go_through_the_engine(account: Account, options: dict) -> None:
    bars = tangled_bars(5, 300, zero_volume=0.1)
    assert_equal_to_replays(bars, "sma_cross", RULE_SETS["sma_cross"], account, **options)


def test_exits_differ_between_sets() -> None:
    bars = tangled_bars(7, 400, zero_volume=0.0)
    sets = {
        "fast": [2, 2, 2, 2, 3, 3],
        "slow": [9, 9, 9, 9, 20, 20],
        "stop_loss": [np.nan, 0.02, np.nan, 0.1, np.nan, 0.05],
        "take_profit": [np.nan, np.nan, 0.03, 0.1, np.nan, np.nan],
        "trailing_stop": [np.nan, np.nan, np.nan, np.nan, 0.05, np.nan],
        "cooldown": [0, 0, 0, 3, 0, 5],
        "time_stop": [0, 0, 4, 0, 0, 2],
    }
    assert_equal_to_replays(bars, "sma_cross", sets, Account(fee_bps=3, periods_per_year=252))


def momentum(bars: ms.Bars, bar_count: int = 3, level: float = 0.0):
    change = np.full(len(bars), np.nan)
    change[bar_count:] = bars.close[bar_count:] / bars.close[:-bar_count] - 1.0
    return crossings(change, level)


def test_a_function_in_python() -> None:
    bars = tangled_bars(8, 200, zero_volume=0.2)
    sets = {"bar_count": [1, 2, 5], "level": [0.0, 0.01, -0.01]}
    assert_equal_to_replays(bars, momentum, sets, Account(fee_bps=3, periods_per_year=252))
    defaults = replay_grid(bars, momentum, {"stop_loss": np.array([np.nan])})
    named = replay_grid(bars, momentum, {"bar_count": np.array([3]), "level": np.array([0.0])})
    assert defaults["total_return"] == named["total_return"]


@pytest.mark.parametrize(
    ("rule", "sets", "options", "message"),
    [
        ("sma", {"fast": [1]}, {}, "sma_cross"),
        ("sma_cross", {"quick": [1]}, {}, "sma_cross has no parameter 'quick': expected fast, sl"),
        ("sma_cross", {"fast": [5, 9], "slow": [6, 9]}, {}, "fast=9, slow=9; leave"),
        ("sma_cross", {}, {}, "no parameter sets"),
        ("sma_cross", {"stop_loss": [1.5]}, {}, r"stop_loss must lie in \(0, 1\).*got 1.5"),
        ("sma_cross", {"time_stop": [0.5]}, {}, "time_stop must be whole numbers"),
        ("sma_cross", {"fast": [5]}, {"size": 0.0}, "size must be finite and above 0"),
        ("sma_cross", {"fast": [5]}, {"direction": "up"}, "direction"),
        (lambda bars: (bars.close, bars.close), {"cooldown": [1]}, {}, "entries must be truth"),
    ],
)
def test_bad_sets(rule, sets, options, message: str) -> None:
    bars = tangled_bars(1, 30, zero_volume=0.0)
    with pytest.raises(ValueError, match=message):
        replay_grid(bars, rule, {k: np.array(v) for k, v in sets.items()}, **options)
