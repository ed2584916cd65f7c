"""The page of many symbols in one account, and the figures that it shows."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError
from marketsim.replay import SymbolsResult, plans, replay, replay_symbols
from marketsim.replay.rules import sma_cross


def universe() -> dict[str, ms.Bars]:
    """Three symbols; the second begins later and misses days, the third ends earlier."""
    found = {}
    late = [row for row in range(40, 300) if row % 3]
    for name, seed, rows in (("A", 1, range(300)), ("B", 2, late), ("C", 3, range(200))):
        found[name] = ms.Bars(random_bars(300, seed=seed).frame.iloc[list(rows)], name)
    return found


def replayed(bars: dict[str, ms.Bars]) -> SymbolsResult:
    return replay_symbols(
        {
            name: plans.signals(some, *sma_cross(some, 5, 15), size=0.2, stop_loss=0.03)
            for name, some in bars.items()
        }
    )


def test_one_symbol_has_the_figures_of_its_replay() -> None:
    bars = universe()["A"]
    split, dividend = np.ones(len(bars)), np.zeros(len(bars))
    split[100], dividend[50] = 2.0, 0.5
    flags = sma_cross(bars, 5, 15)
    alone = replay(bars, *flags, split=split, dividend=dividend)
    found = replay_symbols({"A": plans.signals(bars, *flags, split=split, dividend=dividend)})
    np.testing.assert_allclose(found.buy_and_hold, alone.buy_and_hold, rtol=1e-12, atol=1e-12)
    assert found.statistics == alone.statistics
    for field in dataclasses.fields(alone.round_trips):
        np.testing.assert_array_equal(
            getattr(found.round_trips, field.name), getattr(alone.round_trips, field.name)
        )


def test_round_trips_are_the_trades_in_bars_of_the_account() -> None:
    found = replayed(universe())
    trips, trades = found.round_trips, found.trades
    index = found.equity.index
    assert len(trades) > 20
    pd.testing.assert_index_equal(
        index[trips.entry_bar], pd.DatetimeIndex(trades["entry_time"]), check_names=False
    )
    np.testing.assert_array_equal(trips.net, trades["profit"])
    assert trips.net.sum() == pytest.approx(found.equity.iloc[-1] - found.account.cash)
    assert found.statistics.trades == found.metrics["trades"]


def test_buy_and_hold_is_equal_cash_in_each_symbol_from_its_first_close() -> None:
    bars = universe()
    found = replayed(bars)
    expected = []
    for time in found.equity.index:
        worth = 0.0
        for some in bars.values():
            known = some.frame["close"].loc[:time]
            worth += known.iloc[-1] / known.iloc[0] if len(known) else 1.0
        expected.append(worth / 3.0)
    np.testing.assert_allclose(np.cumprod(1.0 + found.buy_and_hold), expected, rtol=1e-12)
    assert found.holding.total_return == pytest.approx(expected[-1] - 1.0)


def test_the_page_shows_each_symbol_and_the_last_round_trips(tmp_path) -> None:
    found = replayed(universe())
    page = found.report(tmp_path / "all.html", home="index.html").read_text()
    assert "Replay of 3 symbols in one account" in page
    assert 'href="index.html"' in page
    for symbol, row in found.by_symbol.iterrows():
        assert f">{symbol}</span></th>" in page and f"{row['profit']:,.2f}" in page
    assert "buy_and_hold" in page and "Last round trips" in page
    assert found.notes()[0] in page
    copied = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert copied.report(tmp_path / "again.html", home="index.html").read_text() == page


def test_a_page_without_trades_is_a_page(tmp_path) -> None:
    bars = universe()["A"]
    never = np.zeros(len(bars), dtype=bool)
    page = replay_symbols({"A": plans.signals(bars, never, never)}).report(tmp_path / "a.html")
    assert "Last round trips" in page.read_text()


def test_a_path_that_is_no_page_is_refused(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"\.html"):
        replayed(universe()).report(tmp_path / "all.txt")
