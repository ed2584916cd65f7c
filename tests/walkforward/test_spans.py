"""Which bars are evaluated, and what the head of the table says of them."""

from __future__ import annotations

import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, NotEnoughBarsError
from marketsim.walkforward.windows import plan_windows

RUN = {"strategies": ["simple"], "store": False, "progress": False}


def flat(result: ms.WalkForwardResult) -> str:
    """The printed summary on one line."""
    return " ".join(str(result.summary()).split())


def test_all_bars_that_can_be_are_evaluated() -> None:
    bars = random_bars(120)
    result = ms.walk_forward(bars, simulations="all", **RUN)
    assert len(result.dates) == 120 - 11
    assert "109 of 120 bars evaluated in 103 simulations of 7" in flat(result)
    fitted = ms.walk_forward(bars, simulations="all", **(RUN | {"strategies": ["maxdiff"]}))
    assert len(fitted.dates) == 120 - 11 - 60
    few = flat(ms.walk_forward(bars, **(RUN | {"simulations": 10})))
    assert '16 of 120 bars evaluated (all: simulations="all") in 10 simulations of 7' in few


@pytest.mark.parametrize("end", [None, "2015-05-01"])
def test_start_and_end_are_both_included(end: str | None) -> None:
    bars = random_bars(120)
    result = ms.walk_forward(bars, start="2015-03-02", end=end, **RUN)
    index = pd.DatetimeIndex(bars.frame.index)
    expected = index[(index >= "2015-03-02") & (index <= (end or "2099-01-01"))]
    assert list(result.dates) == list(expected)
    # Forecasts of the same bars are the same: what lies before start is still read.
    whole = ms.walk_forward(bars, simulations="all", **RUN)
    mine = whole.forecasts[whole.forecasts.date.isin(expected)].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, result.forecasts, check_exact=True)
    some = ms.walk_forward(bars, start="2015-03-02", end=end, simulations=3, **RUN)
    assert len(some.windows.as_of) == 3
    assert some.dates[-1] == expected[-1]


def test_spans_that_cannot_be() -> None:
    bars = random_bars(120)
    with pytest.raises(ArgumentError, match="no bar lies between start='2031-01-01'"):
        ms.walk_forward(bars, start="2031-01-01", **RUN)
    with pytest.raises(ArgumentError, match="start and end must be dates such as"):
        ms.walk_forward(bars, start="soon", **RUN)
    with pytest.raises(ArgumentError, match="whole number of at least 1, or \"all\": got 'many'"):
        ms.walk_forward(bars, simulations="many", **RUN)
    with pytest.raises(NotEnoughBarsError, match="up to the end of rows 0 to 11"):
        ms.walk_forward(bars, end=bars.frame.index[11], **RUN)
    with pytest.warns(UserWarning, match="first row that can be evaluated, 11"):
        result = ms.walk_forward(bars, start=bars.frame.index[2], **RUN)
    assert len(result.dates) == 109
    assert plan_windows(200, window=7).as_of.size == 70
    assert plan_windows(200, window=7, start=20).as_of.size == 200 - 20 - 6


def test_what_is_assumed_stands_in_the_head() -> None:
    frame = random_bars(400).frame
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    monthly = frame.resample("MS").agg(how)
    run = RUN | {"simulations": 2, "window": 3}
    with pytest.warns(UserWarning, match="simulations") if len(monthly) < 15 else _nothing():
        assumed = ms.walk_forward(monthly, **run)
    head = assumed.summary().heading
    assert "equity (assumed" in head
    assert "state it with" in head
    assert assumed.to_dict()["settings"]["market"]["assumed"] is True
    stated = ms.walk_forward(monthly, asset_class="equity", **run)
    assert "assumed" not in stated.summary().heading
    assert stated.settings.periods_per_year == 12.0
    named = ms.walk_forward(random_bars(200), calendar="24/7", simulations=3, **RUN)
    assert named.settings.asset_class == "crypto"
    assert named.settings.long_only


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_short_spans_are_not_annualised() -> None:
    row = ms.walk_forward(random_bars(120), simulations=5, **RUN).summary()
    assert row.strategies.annual_return.isna().all()
    assert row.strategies.sharpe.isna().all()
    assert "below 20 sessions" in str(row)


def test_daily_returns_equity_and_trades() -> None:
    hours = pd.date_range("2024-01-01", periods=24 * 20, freq="h", tz="Europe/Berlin")
    frame = random_bars(len(hours)).frame.set_index(hours)
    result = ms.walk_forward(frame, simulations=100, store=False, progress=False)
    returns = result.returns
    assert returns.index.tz is None
    assert returns.index.is_unique
    assert list(returns)[-2:] == ["persistence", "random_walk"]
    assert "buy_and_hold" in returns
    net = result.days[result.days.strategy == "simple"].set_index("date").net
    by_day = (1 + net).groupby(net.index.tz_localize(None).normalize()).prod() - 1
    pd.testing.assert_series_equal(
        returns["simple"], by_day, check_names=False, check_freq=False, check_index_type=False
    )
    total = result.summary().strategies.total_return
    pd.testing.assert_series_equal(
        result.equity.iloc[-1] - 1, total[list(returns)], check_names=False
    )


@pytest.mark.parametrize("fill", ["optimistic", "open_aware", "close_only"])
def test_trades_add_up_to_the_returns(fill: str) -> None:
    result = ms.walk_forward(
        random_bars(300, 4), simulations=60, fill=fill, store=False, progress=False
    )
    trades, days = result.trades, result.days
    for name in result.outcomes:
        own, mine = trades[trades.strategy == name], days[days.strategy == name]
        assert own.net.sum() == pytest.approx(mine.net.sum(), abs=1e-9), name
        assert own.costs.sum() == pytest.approx(mine.fee.sum(), abs=1e-9), name
        entries = mine.long_entered.sum() + mine.short_entered.sum()
        if name not in ("entry_takeprofit",):  # left at a limit, and entered again the day after
            assert len(own) == entries, name
        assert (own.exit_time >= own.entry_time).all()
        assert (own.mae <= 0.0).all()
        assert (own.mfe >= 0.0).all()
        known = own[own.bars == 1]
        if len(known) and name not in ("maxdiff", "maxdiff_always_on"):
            gross = known.side * (known.exit_price / known.entry_price - 1)
            before = (
                known.entry_price
                / result.bars.frame.close.shift(1).reindex(known.exit_time).to_numpy()
            )
            assert (gross * before - known.gross).abs().max() < 1e-6


def test_frames_cannot_spoil_the_result() -> None:
    result = ms.walk_forward(random_bars(120), simulations=5, store=False, progress=False)
    for name in ("days", "forecasts", "simulations", "trades", "returns", "equity"):
        frame = getattr(result, name)
        before = frame.copy()
        frame.iloc[:, -1] = frame.iloc[0, -1]
        frame["new"] = 1
        pd.testing.assert_frame_equal(getattr(result, name), before)


def test_a_result_fits_a_screen() -> None:
    result = ms.walk_forward(random_bars(120), simulations=5, store=False, progress=False)
    assert len(repr(result)) < 600
    assert "\n" not in repr(result)
    summary = result.summary()
    assert "<table>" in summary._repr_html_()
    assert result._repr_html_() == summary._repr_html_()
    assert summary == result.summary()
    assert hash(summary) == hash(result.summary())
    assert summary != ms.walk_forward(random_bars(120, 2), simulations=5, **RUN).summary()
    assert repr(summary) == str(summary)
