"""One row more never flips what was understood of the rows before it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import read_bars
from marketsim.bars.clock import DAY
from marketsim.bars.layouts import LAYOUTS, choose_headed
from marketsim.bars.running import find_running
from marketsim.bars.splits import FACTORS, suspected_splits

MANY = settings(max_examples=80, deadline=None, database=None)

# Field order and step of the time in lists without names.
ORDERS = {
    "ccxt": ("open high low close volume", 1_704_067_200_000, 60_000),
    "bitfinex": ("open close high low volume", 1_704_067_200_000, 60_000),
    "coinbase": ("low high open close volume", 1_704_067_200, 60),
    "seconds": ("open high low close volume", 1_704_067_200, 60),
    "kraken8": ("open high low close vwap volume trades", 1_704_067_200, 60),
}


@st.composite
def candles(draw):
    """Candles of small whole prices, so that many of them are equal."""
    count = draw(st.integers(2, 8))
    rows = draw(st.lists(st.tuples(*[st.integers(1, 4)] * 4), min_size=count, max_size=count))
    ordered = np.sort(np.array(rows), axis=1)
    turned = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    open_, close = np.where(turned, ordered[:, 1:3][:, ::-1].T, ordered[:, 1:3].T)
    return {"open": open_, "high": ordered[:, 3], "low": ordered[:, 0], "close": close}


@MANY
@given(st.sampled_from(sorted(ORDERS)), candles())
def test_any_candles_are_read_in_the_order_of_their_layout(layout, prices):
    names, start, step = ORDERS[layout]
    count = len(prices["open"])
    columns = prices | {
        "volume": np.arange(count) + 7,
        "vwap": (prices["high"] + prices["low"]) / 2,
        "trades": np.arange(count) + 1,
    }
    rows = [
        [start + step * i, *(columns[name][i].item() for name in names.split())]
        for i in range(count)
    ]
    for shown in range(2, count + 1):
        bars = read_bars(rows[:shown])
        for name in (*prices, "volume"):
            np.testing.assert_array_equal(getattr(bars, name), columns[name][:shown])


def test_an_average_price_that_repeats_is_no_symbol():
    rows = [[1_704_067_200 + 60 * i, 1, 4, 1, 1, v, 7, 1] for i, v in enumerate((2, 2, 3))]
    rows[2][1:5] = (4, 4, 2, 4)  # the price jumps with it
    assert len(read_bars(rows)) == 3


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.signature])
def test_neither_order_nor_one_more_column_changes_the_layout(layout):
    for signature in layout.signature:
        names = sorted(signature)
        chosen = choose_headed(names).layout
        assert chosen is not None
        rng = np.random.default_rng(0)
        for _ in range(5):
            assert choose_headed(rng.permutation(names)).layout is chosen
        assert choose_headed([*names, "remark"]).layout is chosen


@st.composite
def prices_with_splits(draw):
    """Daily prices, quiet or not, with steps near the factors of splits at any row."""
    count = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.001, 0.02, 0.1]))
    gap = rng.normal(0, scale / 4, count)
    for row in draw(st.lists(st.integers(0, count - 1), max_size=4)):
        gap[row] += np.log(draw(st.sampled_from(FACTORS))) * draw(st.sampled_from([-1.0, 1.0]))
    inside = rng.normal(0, scale, count)
    close = 100 * np.exp(np.cumsum(gap + inside))
    open_ = close * np.exp(-inside)
    high = np.maximum(open_, close) * (1 + scale * rng.random(count))
    low = np.minimum(open_, close) / (1 + scale * rng.random(count))
    return open_, high, low, close, rng.integers(0, 3, count).astype(float)


@MANY
@given(prices_with_splits())
def test_later_rows_never_change_a_split_suspect(columns):
    found = suspected_splits(*columns)
    for count in range(len(columns[0])):
        before = suspected_splits(*(column[:count] for column in columns))
        assert before == {row: factor for row, factor in found.items() if row < count}


@pytest.mark.parametrize("factor", [*FACTORS, *(1 / f for f in FACTORS if f >= 2)])
@pytest.mark.parametrize("after", [0, 1, 30])
def test_a_split_is_suspected_on_its_own_day(factor, after):
    close = np.full(12 + after, 100.0)
    close[11:] /= factor
    assert suspected_splits(close, close, close, close, close) == {11: factor}
    assert suspected_splits(close, close, close, close, 0 * close) == {}


def test_a_rise_by_a_half_is_no_split():
    close = np.full(30, 100.0)
    close[11:] *= 1.5
    assert suspected_splits(close, close, close, close, close) == {}


@st.composite
def dated_rows(draw):
    """Days, weeks or months with any of them left out, [row] of ns."""
    step = draw(st.sampled_from(["day", "week", "month"]))
    first, count = draw(st.integers(0, 600)), draw(st.integers(4, 30))
    if step == "month":
        days = np.arange(first // 4, first // 4 + count).astype("M8[M]").astype("M8[D]")
        days = days.view(np.int64)
    else:
        days = first + np.arange(count) * (1 if step == "day" else 7)
    kept = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    kept[:4] = True
    return days[kept] * DAY


@MANY
@given(dated_rows(), st.integers(1, 23))
def test_one_more_whole_day_never_makes_or_hides_a_running_bar(times, hour):
    known = np.ones(len(times), np.bool_)
    for count in range(4, len(times) + 1):
        assert find_running(times[:count], known[:count]) == ""
    late = np.append(times, times[-1] + hour * DAY // 24)
    assert find_running(late, np.append(known, True)) == "day"
    # Rows in another order, and a gap before them, change nothing.
    assert find_running(late[::-1], np.append(known, True)) == "day"
    assert find_running(late[1:], known) == ("day" if len(late) > 3 else "")


def months_of(factor, row=8):
    """Restless bars of months, whose prices step at one row."""
    rng = np.random.default_rng(5)
    times = np.arange("2019-01", "2022-01", dtype="M8[M]").astype("M8[ns]").view(np.int64)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.06, len(times))))
    open_ = np.append(100, close[:-1])
    part = np.where(np.arange(len(times)) < row, 1.0, factor)
    high, low = np.maximum(open_, close) * 1.04, np.minimum(open_, close) * 0.96
    volume = np.full(len(times), 1e6) * part
    return *(column / part for column in (open_, high, low, close)), volume, times


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0, 7.0, 20.0, 0.1])
@pytest.mark.parametrize("row", [4, 8, 20])
def test_splits_of_monthly_bars_and_of_the_first_rows(factor, row):
    expected = {} if factor == 1.0 else {row: factor}
    assert suspected_splits(*months_of(factor, row)) == expected


def test_a_third_lost_by_news_is_no_split():
    close = np.full(40, 90.0)
    close[20:] /= 1.5
    volume = np.full(40, 1e6)
    assert suspected_splits(close, close, close, close, volume) == {20: 1.5}
    volume[20] = 9e6
    assert suspected_splits(close, close, close, close, volume) == {}


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0])
def test_pence_that_turn_into_pounds_are_named_and_mended(find, factor):
    close = 1234 + np.sin(np.arange(40))
    close[25:] /= factor
    rows = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    frame = pd.DataFrame({"date": np.arange("2024-01", 40, dtype="M8[D]"), **rows, "volume": 1e6})
    defect = find(frame)["unit_change"]
    assert defect.rows == (25,) and "pence" in defect.message
    bars = read_bars(frame, splits="adjust")
    assert (bars.volume == 1e6).all() and bars.close.max() < 1.01 * bars.close.min()
    frame.loc[25:, "volume"] *= factor
    assert "unadjusted_split" in find(frame)
