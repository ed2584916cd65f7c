"""Figures of a replay are those of marketsim.metrics; its report and notebook forms."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError
from marketsim.metrics import performance
from marketsim.replay import Account, replay, replay_grid, replay_targets
from marketsim.replay.rules import sma_cross

BARS = random_bars(600, seed=3)


@pytest.fixture(scope="module")
def found() -> ms.replay.ReplayResult:
    return replay(BARS, *sma_cross(BARS, 5, 15), fee_bps=10, stop_loss=0.03, take_profit=0.02)


def test_one_definition_of_each_figure(found) -> None:
    per_year = BARS.market.periods_per_year
    equity = np.r_[10_000.0, found.equity]
    returns = equity[1:] / equity[:-1] - 1.0
    expected = performance(returns, periods_per_year=per_year)
    for name in ("total_return", "max_drawdown", "sharpe"):
        assert found.metrics[name] == pytest.approx(float(getattr(expected, name)), rel=1e-9)
        assert found.metrics[name] == pytest.approx(
            float(getattr(found.performance, name)), rel=1e-12
        )
    statistics, trades = found.statistics, found.trades
    assert found.metrics["trades"] == statistics.trades == len(trades)
    assert found.metrics["win_rate"] == statistics.win_rate
    assert found.metrics["profit_factor"] == pytest.approx(statistics.profit_factor, rel=1e-12)
    assert statistics.costs == pytest.approx(found.metrics["cost"], rel=1e-12)
    assert found.performance.max_leverage == pytest.approx(1.0, abs=0.01)
    # What is traded, a year and as a multiple of the equity.
    fills = found.fills
    at = BARS.frame.index.get_indexer(fills["time"])
    before = np.r_[10_000.0, found.equity][at]
    traded = (fills["quantity"].abs() * fills["price"] / before).sum()
    assert float(found.performance.turnover) == pytest.approx(traded / 600 * per_year)


def test_nothing_is_annualised_on_a_short_span() -> None:
    bars = random_bars(15, seed=1)
    found = replay(bars, np.ones(15, bool), np.zeros(15, bool))
    assert np.isnan(found.metrics["sharpe"])
    assert np.isnan(found.performance.sharpe)
    assert replay(
        bars, np.ones(15, bool), np.zeros(15, bool), account=Account(periods_per_year=12)
    ).metrics["sharpe"] == pytest.approx(found.returns.mean() / found.returns.std() * 12**0.5)


def test_buy_and_hold_counts_splits_and_dividends() -> None:
    bars = random_bars(5, seed=1)
    split, dividend = np.ones(5), np.zeros(5)
    split[2], dividend[3] = 2.0, 1.0
    found = replay(bars, np.zeros(5, bool), np.zeros(5, bool), split=split, dividend=dividend)
    c = bars.close
    expected = [0.0, c[1] / c[0] - 1, 2 * c[2] / c[1] - 1, (c[3] + 1) / c[2] - 1, c[4] / c[3] - 1]
    np.testing.assert_allclose(found.buy_and_hold, expected, rtol=1e-12)


def test_round_trips_have_bounds_and_doubts(found) -> None:
    trips = found.round_trips
    assert (trips.mae <= 0.0).all()
    assert (trips.mfe >= 0.0).all()
    move = trips.side * (trips.exit_price / trips.entry_price - 1.0)
    assert (trips.mae <= move + 1e-12).all()
    assert (trips.mfe >= move - 1e-12).all()
    assert set(trips.entry_kind) == {"market"}
    assert trips.ambiguous.sum() == found.trades["ambiguous"].sum()


def test_report_and_notebook(found, tmp_path) -> None:
    page = found.report(tmp_path / "a.html", indicators={"slow": ms.indicators.sma(BARS.close, 15)})
    html = page.read_text()
    assert html.count("<svg") > 3
    for text in ("slow", "long entry", "buy_and_hold", "left by stop", "open_aware"):
        assert text in html
    shown = found._repr_html_()
    assert "buy_and_hold" in shown
    assert "Sharpe" in shown
    with pytest.raises(ArgumentError, match="one number a bar"):
        found.report(tmp_path / "b.html", indicators={"slow": [1.0]})
    with pytest.raises(ArgumentError, match=r"\.html"):
        found.report(tmp_path / "b.csv")


def test_an_account_that_was_used_is_picklable() -> None:
    account = Account(cash=5.0)
    assert account.compiled is account.compiled
    again = pickle.loads(pickle.dumps(account))  # noqa: S301 - our own
    assert again == account


def test_a_replay_pickles_with_all_that_it_found(found) -> None:
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own, in one process
    again = pickle.loads(pickle.dumps(again))  # noqa: S301
    for name in ("equity", "position", "returns"):
        pd.testing.assert_series_equal(getattr(again, name), getattr(found, name))
    for name in ("trades", "fills", "orders"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))
    assert again.metrics == found.metrics
    assert again.summary() == found.summary()
    assert again.to_dict() == found.to_dict()
    assert again.performance.sharpe == found.performance.sharpe


def test_a_fee_a_fill_leaves_room_for_itself() -> None:
    """A whole account buys what is left after the fee: no order is refused for it."""
    rules = {"fee_per_fill": 5.0, "fee_bps": 10.0}
    entries = np.zeros(600, bool)
    entries[0] = True
    for fill in ("next_open", "same_close"):
        account = Account(fill=fill, **rules)
        bought = replay(BARS, entries, np.zeros(600, bool), account=account)
        assert bought.metrics["refused"] == 0
        fill_row = bought.fills.iloc[0]
        paid = fill_row["quantity"] * fill_row["price"] + fill_row["cost"]
        assert paid == pytest.approx(10_000.0, rel=1e-12)
        targets = replay_targets(BARS, np.where(entries, 1.0, np.nan), account=account)
        assert targets.metrics["refused"] == 0
        np.testing.assert_allclose(targets.equity, bought.equity, rtol=1e-12)
        held = replay_targets(BARS, np.where(entries, 0.5, np.nan), account=account)
        worth = held.position.iloc[1] * held.fills["price"].iloc[0]
        assert worth == pytest.approx(0.5 * (10_000.0 - held.metrics["cost"]), rel=1e-12)
    grid = {"fast": [5, 6], "slow": [15, 20]}  # the grid's own kernel sizes alike
    figures = replay_grid(BARS, "sma_cross", grid, account=Account(**rules))
    one = replay(BARS, *sma_cross(BARS, 5, 15), account=Account(**rules))
    assert figures["total_return"][0] == one.metrics["total_return"]
    assert one.metrics["trades"] > 10 and one.metrics["refused"] == 0
    tiny = replay(BARS, entries, ~entries, account=Account(fee_per_fill=20_000.0))
    assert tiny.metrics["fills"] == 0 and tiny.metrics["refused"] == 1
