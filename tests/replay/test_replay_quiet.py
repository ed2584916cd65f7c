"""Bars in which nothing happens are passed over at once: a replay is as if each were looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import marketsim as ms
from marketsim.replay import Account, replay, replay_strategy, replay_targets
from marketsim.replay import orders as o


def random_bars(seed: int, count: int, unknown: float) -> ms.Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.003, count))
    high = np.maximum(opened, close) * (1.0 + rng.uniform(0.0, 0.005, count))
    low = np.minimum(opened, close) * (1.0 - rng.uniform(0.0, 0.005, count))
    index = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC")
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": 1.0}
    frame = pd.DataFrame(columns, index)
    frame.loc[rng.random(count) < unknown, ["open", "high", "low", "close"]] = np.nan
    return ms.Bars(frame, "T")


def by_bar(bars, entries, exits, *, both, stop_loss, take_profit, time_stop, **options):
    """The same signals given by a function, for which the engine stops at every bar."""
    whole = int(options["account"].fill == "next_open")

    def on_bar(state, bar, features, orders):
        t, held = bar.index, state.position
        if np.isnan(bar.close) and state.user[0]:
            return  # its market order waits for a price
        state.user[0] = 0.0
        side = -1.0 if both and exits[t] and not entries[t] else 1.0
        over = held != 0.0 and time_stop and t - state.entry_bar + whole >= time_stop
        leaves = over or (held > 0.0 and exits[t]) or (held < 0.0 and entries[t])
        if held != 0.0 and leaves:
            o.close_position(orders)
            side = -np.sign(held)
        wanted = (entries[t] and side > 0.0) or (both and exits[t] and side < 0.0)
        if wanted and (held == 0.0 or leaves):
            entry = (o.buy if side > 0.0 else o.sell)(orders, 0.9, o.EQUITY)
            if stop_loss:
                o.exit_stop(orders, entry, 1.0 - side * stop_loss)
            if take_profit:
                o.exit_limit(orders, entry, 1.0 + side * take_profit)
        state.user[0] = float(orders[0].action > 0 and (whole or np.isnan(bar.close)))

    return replay_strategy(bars, on_bar, jit=False, **options)


def same(found, expected) -> None:
    pd.testing.assert_series_equal(found.equity, expected.equity, check_exact=True)
    pd.testing.assert_series_equal(found.position, expected.position, check_exact=True)
    for name in ("fills", "trades", "orders"):
        pd.testing.assert_frame_equal(
            getattr(found, name), getattr(expected, name), check_exact=True
        )
    assert {k: repr(v) for k, v in found.metrics.items()} == {
        k: repr(v) for k, v in expected.metrics.items()
    }


@pytest.mark.usefixtures("isa")
@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    count=st.sampled_from([1, 5, 64, 700]),
    unknown=st.sampled_from([0.0, 0.0, 0.05]),
    density=st.sampled_from([0.01, 0.05, 0.3]),
    both=st.booleans(),
    stop_loss=st.sampled_from([None, 0.02, 0.2]),
    take_profit=st.sampled_from([None, 0.03, 0.3]),
    time_stop=st.sampled_from([0, 0, 1, 9]),
    fill=st.sampled_from(["next_open", "same_close"]),
    maintenance=st.sampled_from([0.0, 0.35]),
    events=st.booleans(),
)
def test_passing_over_bars_changes_nothing(
    seed, count, unknown, density, both, stop_loss, take_profit, time_stop, fill, maintenance,
    events,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed + 1)
    bars = random_bars(seed, count, unknown)
    entries, exits = rng.random((2, count)) < density
    account = Account(
        fee_bps=3.0, fill=fill, leverage=3.0, maintenance=maintenance, periods_per_year=8760.0
    )
    options = {"account": account}
    if events:
        options["split"] = np.where(rng.random(count) < 0.02, 2.0, 1.0)
        options["dividend"] = np.where(rng.random(count) < 0.05, 0.5, 0.0)
    limits = {"stop_loss": stop_loss, "take_profit": take_profit, "time_stop": time_stop}
    found = replay(
        bars, entries, exits, size=0.9, direction="both" if both else "long", **limits, **options
    )
    same(found, by_bar(bars, entries, exits, both=both, **limits, **options))


def test_targets_that_come_seldom() -> None:
    bars = random_bars(5, 900, 0.03)
    target = np.full(900, np.nan)
    target[[3, 200, 201, 640]] = 0.5, -0.3, np.nan, 0.0

    def on_bar(state, bar, features, orders):
        if np.isfinite(features.target):
            o.target(orders, features.target, True)

    account = Account(fee_bps=5.0, periods_per_year=8760.0)
    expected = replay_strategy(bars, on_bar, {"target": target}, account=account, jit=False)
    same(replay_targets(bars, target, account=account), expected)
