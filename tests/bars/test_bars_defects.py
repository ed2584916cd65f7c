from __future__ import annotations

import dataclasses
import decimal
import math

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import Defect, read_bars
from marketsim.errors import BarsError

OHLCV = ["open", "high", "low", "close", "volume"]


def put(frame, row, **values):
    for name, value in values.items():
        frame[name] = frame[name].astype(object)
        frame.loc[row, name] = value


def only(defects) -> Defect:
    assert len(defects) == 1, list(defects)
    return next(iter(defects.values()))


def test_valid_data_have_no_defects(frame):
    bars = read_bars(frame)
    for name in OHLCV:
        np.testing.assert_array_equal(getattr(bars, name), frame[name].to_numpy())


def test_message_of_the_design(frame, find):
    for row in (3, 5, 6):
        put(frame, row, open=12.1, high=12.1, low=12.4, close=12.4)
    defect = only(find(frame))
    assert defect == Defect(
        kind="high_below_low",
        count=3,
        message="high must be >= low: 3 rows break it, first at 2020-01-09 (high=12.1, low=12.4), "
        "2020-01-11 (high=12.1, low=12.4), 2020-01-12 (high=12.1, low=12.4)",
        fix='repair="widen_range", or correct the data',
        rows=(3, 5, 6),
    )


def test_only_three_rows_are_shown_and_all_are_listed(frame, find):
    frame["high"] = frame["low"] / 2
    defect = only(find(frame))
    assert defect.count == 10
    assert defect.rows == tuple(range(10))
    assert defect.message.count("high=") == 3


def test_defect_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Defect("nan", 1, "", "").count = 2


@pytest.mark.parametrize("column", OHLCV)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("abc", "'abc'"),
        ("1,5", "'1,5'"),
        (True, "'True'"),
        (pd.Timestamp("2020-01-01"), "'2020-01-01 00:00:00'"),
        ([1], "'[1]'"),
        (1 + 2j, "'(1+2j)'"),
        ("x" * 99, "'" + "x" * 35 + "...'"),
    ],
    ids=str,
)
def test_values_that_are_not_numbers(frame, find, column, value, shown):
    frame[column] = frame[column].astype(object)
    frame.at[4, column] = value
    defect = only(find(frame))
    assert defect.kind == "not_a_number"
    assert defect.rows == (4,)
    assert f"first at 2020-01-10 ({column}={shown})" in defect.message


@pytest.mark.parametrize(
    "column",
    [
        np.ones(10, np.bool_),
        np.ones(10, np.complex128),
        np.ones(10, "M8[s]"),
        np.ones(10, "m8[s]"),
        pd.array([True] * 10, dtype="boolean"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_columns_that_are_not_numbers(frame, find, column):
    defect = only(find(frame.assign(close=column)))
    assert (defect.kind, defect.count) == ("not_a_number", 10)


def test_gaps_in_a_column_that_is_not_numbers_are_gaps(frame, find):
    dates = pd.Series(pd.date_range("2020-01-01", periods=10))
    dates[3] = pd.NaT
    defects = find(frame.assign(close=dates))
    assert {k: d.count for k, d in defects.items()} == {"not_a_number": 9, "nan": 1}
    assert defects["nan"].rows == (3,)


@pytest.mark.parametrize("column", OHLCV)
@pytest.mark.parametrize("value", [math.nan, None, pd.NA, pd.NaT, decimal.Decimal("nan")], ids=str)
def test_missing_values(frame, find, column, value):
    put(frame, 4, **{column: value})
    defect = only(find(frame))
    assert defect.kind == "nan"
    assert defect.rows == (4,)
    assert f"first at 2020-01-10 ({column}=nan)" in defect.message
    assert ("zero_volume" in defect.fix) == (column == "volume")


@pytest.mark.parametrize("column", OHLCV)
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_values(frame, find, column, value):
    put(frame, 4, **{column: value})
    defect = only(find(frame))
    assert (defect.kind, defect.rows) == ("infinite", (4,))
    assert f"({column}={value!r})" in defect.message


@pytest.mark.parametrize("column", OHLCV[:4])
@pytest.mark.parametrize("value", [0.0, -0.0, -5.0])
def test_prices_that_are_not_positive(frame, find, column, value):
    put(frame, 4, **{column: value})
    defect = only(find(frame))  # not reported again as high < low
    assert (defect.kind, defect.rows) == ("nonpositive_price", (4,))
    assert f"prices must be > 0: 1 row breaks it, first at 2020-01-10 ({column}={value!r})" in (
        defect.message
    )


def test_negative_volume(frame, find):
    put(frame, 4, volume=-1.0)
    put(frame, 5, volume=0.0)  # allowed
    defect = only(find(frame))
    assert (defect.kind, defect.rows) == ("negative_volume", (4,))
    assert "volume must be >= 0: 1 row breaks it, first at 2020-01-10 (volume=-1.0)" in (
        defect.message
    )


@pytest.mark.parametrize("column", ["open", "close"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_open_and_close_outside_of_the_range(frame, find, column, factor):
    frame.loc[4, column] *= factor
    defect = only(find(frame))
    assert (defect.kind, defect.rows) == ("outside_range", (4,))
    shown = ", ".join(f"{name}={frame[name][4]!r}" for name in OHLCV[:4])
    assert f"first at 2020-01-10 ({shown.replace('np.float64(', '').replace(')', '')})" in (
        defect.message
    )


def test_a_row_with_both_out_of_range_counts_once(frame, find):
    frame.loc[4, ["open", "close"]] *= 3
    assert only(find(frame)).count == 1


def test_equal_prices_are_valid(frame):
    frame[OHLCV[:4]] = 10.0
    assert len(read_bars(frame)) == 10


def test_one_last_bit_breaks_the_range(frame, find):
    frame.loc[4, "close"] = np.nextafter(frame["high"][4], np.inf)
    assert only(find(frame)).rows == (4,)


def test_a_bad_value_is_not_reported_again_by_what_it_is_compared_with(frame, find):
    put(frame, 2, high=math.nan, open=1e9)
    put(frame, 3, close=math.inf)
    put(frame, 4, low="text", close=1e-9)
    put(frame, 5, high=-1.0)
    put(frame, 6, open=0.0)
    assert {k: d.rows for k, d in find(frame).items()} == {
        "not_a_number": (4,),
        "nan": (2,),
        "infinite": (3,),
        "nonpositive_price": (5, 6),
    }


def test_a_bad_value_does_not_hide_what_is_wrong_among_the_others(frame, find):
    put(frame, 1, open=math.nan, high=1e-9)
    put(frame, 2, high=math.nan, open=1e-9)
    put(frame, 3, close=math.inf, high=1e-9)
    put(frame, 4, low="text", close=1e9)
    put(frame, 5, high=-1.0, close=1e-9)
    put(frame, 6, close=0.0, open=1e9)
    defects = find(frame)
    assert {k: d.rows for k, d in defects.items()} == {
        "not_a_number": (4,),
        "nan": (1, 2),
        "infinite": (3,),
        "nonpositive_price": (5, 6),
        "high_below_low": (1, 3),
        "outside_range": (2, 4, 5, 6),
    }
    assert "(open=1e-09, high=nan" in defects["outside_range"].message


def test_a_bad_adjusted_close_does_not_hide_bad_prices(frame, find):
    frame["Adj Close"] = frame["close"]
    frame.loc[3, ["Adj Close", "high"]] = [math.nan, 1e-9]
    assert list(find(frame, adjusted=True)) == ["nan", "high_below_low"]


def test_bad_volume_does_not_hide_bad_prices(frame, find):
    put(frame, 2, volume=math.nan, high=1e-9)
    assert {k: d.rows for k, d in find(frame).items()} == {"nan": (2,), "high_below_low": (2,)}


def test_one_row_may_have_several_kinds(frame, find):
    put(frame, 2, open="text", high=math.nan, low=math.inf, close=-1.0, volume=-1.0)
    defects = find(frame)
    assert {k: d.count for k, d in defects.items()} == {
        "not_a_number": 1,
        "nan": 1,
        "infinite": 1,
        "nonpositive_price": 1,
        "negative_volume": 1,
    }
    assert "(close=-1.0)" in defects["nonpositive_price"].message


def test_a_row_with_several_cells_of_a_kind_counts_once(frame, find):
    put(frame, 2, open=math.nan, volume=math.nan)
    defect = only(find(frame))
    assert defect.count == 1
    assert "2020-01-08 (open=nan, volume=nan)" in defect.message


def test_unsorted(frame, find):
    order = [0, 1, 5, 2, 3, 4, 9, 8, 6, 7]
    defect = only(find(frame.iloc[order]))
    assert (defect.kind, defect.count, defect.rows) == ("unsorted", 3, (3, 7, 8))
    assert (
        "timestamps must ascend: 3 rows break it, first at 2020-01-08 (row 3, after 2020-01-11), "
        "2020-01-14 (row 7, after 2020-01-15), 2020-01-12 (row 8, after 2020-01-14)"
    ) in defect.message
    assert defect.fix == 'repair="sort"'


def test_newest_first_is_turned_around(frame, find):
    bars = read_bars(frame.iloc[::-1])
    assert bars.fingerprint == read_bars(frame).fingerprint
    assert "reversed the rows, which were newest first" in bars.notes
    assert bars.repairs == ()
    twice = frame.iloc[[9, 8, 8, 7, 6]]  # not strictly: the caller decides
    assert set(find(twice)) == {"unsorted", "duplicate_timestamp"}


def test_missing_timestamps_do_not_hide_disorder(frame, find):
    frame = frame.iloc[[0, 2, 3, 1, 4]].reset_index(drop=True)
    frame.loc[2, "timestamp"] = None
    defects = find(frame)
    assert {k: d.rows for k, d in defects.items()} == {"missing_timestamp": (2,), "unsorted": (3,)}
    assert "2020-01-07 (row 3, after 2020-01-08)" in defects["unsorted"].message


def test_duplicates_need_not_be_neighbours(frame, find):
    frame.loc[[3, 7], "timestamp"] = "2020-01-08"  # as row 2
    defects = find(frame)
    assert defects["different_bars"].rows == (3, 7)
    assert (
        "each timestamp must have one bar: 2 rows break it, first at 2020-01-08 (again in row 3, "
        "with other values), 2020-01-08 (again in row 7, with other values)"
    ) in defects["different_bars"].message
    assert "drop_duplicates" not in defects["different_bars"].fix
    assert defects["unsorted"].rows == (7,)


def test_instants_decide_about_duplicates_not_their_text(make_frame, find):
    times = ["2020-01-01T09:00:00+09:00", "2020-01-01T00:00:00Z"]
    assert only(find(make_frame(2, times=times))).kind == "different_bars"
    twice = make_frame(2, times=times)
    twice.iloc[1, 1:] = twice.iloc[0, 1:]
    assert only(find(twice)).kind == "duplicate_timestamp"


@pytest.mark.parametrize(("count", "got"), [(0, "there are no rows"), (1, "got 1 row")])
def test_too_short(frame, find, count, got):
    defect = only(find(frame.iloc[:count]))
    assert (defect.kind, defect.count) == ("too_short", count)
    assert defect.message == f"expected at least 2 rows: {got}"


def test_min_bars_is_the_callers_choice(frame, find):
    assert len(read_bars(frame.iloc[:1], min_bars=1)) == 1
    assert len(read_bars(frame, min_bars=10)) == 10
    assert only(find(frame, min_bars=11)).message == "expected at least 11 rows: got 10 rows"


def test_empty_frame(find):
    defects = find(pd.DataFrame())
    assert {k: d.count for k, d in defects.items()} == {
        "no_timestamps": 1,
        "missing_column": 5,
        "too_short": 0,
    }
    assert "found no columns" in defects["missing_column"].message


def test_all_kinds_are_in_one_error(frame):
    put(frame, 0, close="text")
    put(frame, 1, open=math.nan)
    put(frame, 2, volume=math.inf)
    put(frame, 3, low=-1.0)
    put(frame, 4, high=1.0)
    put(frame, 5, open=1e9)
    put(frame, 6, volume=-1.0)
    frame.loc[7, "timestamp"] = None
    frame.loc[8, "timestamp"] = "never"
    frame.loc[9, "timestamp"] = frame["timestamp"][0]
    frame["Adj Close"] = 1.0
    with pytest.raises(BarsError) as caught:
        read_bars(frame.rename(columns={"timestamp": "date"}), min_bars=11)
    assert [(d.kind, d.count) for d in caught.value.defects] == [
        ("missing_timestamp", 1),
        ("unreadable_timestamp", 1),
        ("unsorted", 1),
        ("different_bars", 1),
        ("not_a_number", 1),
        ("nan", 1),
        ("infinite", 1),
        ("nonpositive_price", 1),
        ("negative_volume", 1),
        ("high_below_low", 1),
        ("outside_range", 1),
        ("adjustment", 9),
        ("too_short", 10),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == "DataFrame: 13 kinds of defect in 10 rows"
    assert len(lines) == 1 + 2 * 13
    assert all(line.startswith("    fix: ") for line in lines[2::2])


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1.0, 2.0], dtype="Float64"),
        pd.array([1, 2], dtype="Int64"),
        np.array([1, 2], dtype=np.uint8),
        np.array([1, 2], dtype=np.float32),
        ["1", "2"],
        [" 1.0 ", "2e0"],
        [decimal.Decimal(1), 2],
        [np.float32(1), "2"],
        pd.Categorical(["1", "2"]),
    ],
    ids=lambda column: str(getattr(column, "dtype", column)),
)
def test_forms_of_numbers(column):
    frame = pd.DataFrame(dict.fromkeys(OHLCV, column), pd.to_datetime(["2020", "2021"]))
    assert read_bars(frame).volume.tolist() == [1.0, 2.0]


def test_numbers_beside_text_keep_their_last_bit(make_frame, write):
    frame = make_frame(200)
    text = frame.to_csv(index=False) + "2021-01-01,a,b,c,d,e\n"
    bars = read_bars(write("A.csv", text), repair="drop_invalid")
    for name in OHLCV:
        np.testing.assert_array_equal(getattr(bars, name), frame[name].to_numpy())
