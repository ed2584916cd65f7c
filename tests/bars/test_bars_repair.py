from __future__ import annotations

import math

import numpy as np
import pytest

from marketsim.bars import REPAIRS, read_bars
from marketsim.errors import BarsError, UnknownNameError

OHLCV = ["open", "high", "low", "close", "volume"]


def rows_of(bars, frame, rows):
    """Assert that bars hold exactly these rows of the frame, bit for bit."""
    for name in OHLCV:
        np.testing.assert_array_equal(getattr(bars, name), frame[name].to_numpy()[list(rows)])
    assert list(bars.frame.index.strftime("%Y-%m-%d")) == list(frame["timestamp"].iloc[list(rows)])


def test_names():
    assert set(REPAIRS) == {
        "sort",
        "drop_running",
        "drop_duplicates",
        "drop_invalid",
        "widen_range",
        "zero_volume",
    }
    assert REPAIRS[-1] == "drop_invalid", "it drops what the others could not mend"


@pytest.mark.parametrize("repair", ["mend", ["sort", "mend"], ("sort", None), None, 5])
def test_unknown_names(frame, repair):
    with pytest.raises(UnknownNameError, match=r"unknown repair .*: expected one of sort, drop_r"):
        read_bars(frame, repair=repair)


@pytest.mark.parametrize("repair", [REPAIRS, list(REPAIRS), iter(REPAIRS), set(REPAIRS), *REPAIRS])
def test_valid_data_are_left_alone(frame, repair):
    bars = read_bars(frame, repair=repair)
    assert bars.repairs == ()
    rows_of(bars, frame, range(10))


def test_sort(frame):
    order = [0, 1, 5, 2, 3, 4, 9, 8, 6, 7]
    bars = read_bars(frame.iloc[order], repair="sort")
    rows_of(bars, frame, range(10))
    assert bars.repairs == ("sorted by timestamp (3 rows were earlier than the row before)",)


def test_sort_is_stable_and_keeps_duplicates(frame, find):
    frame.loc[5, "timestamp"] = frame["timestamp"][2]
    defects = find(frame, repair="sort")
    assert {k: d.rows for k, d in defects.items()} == {"different_bars": (5,)}


def test_sort_does_not_mend_missing_timestamps(frame, find):
    frame.loc[2, "timestamp"] = None
    defects = find(frame.iloc[::-1], repair="sort")
    assert {k: d.rows for k, d in defects.items()} == {"missing_timestamp": (7,)}


def test_drop_duplicates_keeps_the_last(frame):
    frame.loc[[3, 4, 8], "timestamp"] = ["2020-01-08", "2020-01-08", "2020-01-13"]
    bars = read_bars(frame, repair="drop_duplicates")
    rows_of(bars, frame, [0, 1, 4, 5, 6, 8, 9])
    assert bars.repairs == ("dropped 3 of 10 rows with a repeated timestamp",)


def test_last_of_the_data_as_given_is_kept_when_sorting_too(frame):
    frame.loc[9, "timestamp"] = "2020-01-08"  # as row 2
    bars = read_bars(frame, repair=("drop_duplicates", "sort"))
    rows_of(bars, frame, [0, 1, 9, 3, 4, 5, 6, 7, 8])
    assert bars.repairs == (
        "sorted by timestamp (1 row was earlier than the row before)",
        "dropped 1 of 10 rows with a repeated timestamp",
    )


def test_missing_timestamps_are_not_duplicates_of_each_other(frame, find):
    frame.loc[[2, 3], "timestamp"] = None
    assert find(frame, repair="drop_duplicates")["missing_timestamp"].count == 2


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("open", math.nan, "dropped 1 of 10 rows with invalid prices"),
        ("high", math.inf, "dropped 1 of 10 rows with invalid prices"),
        ("low", 0.0, "dropped 1 of 10 rows with invalid prices"),
        ("close", -1.0, "dropped 1 of 10 rows with invalid prices"),
        ("close", "text", "dropped 1 of 10 rows with invalid prices"),
        ("volume", math.nan, "dropped 1 of 10 rows with an invalid volume"),
        ("volume", math.inf, "dropped 1 of 10 rows with an invalid volume"),
        ("volume", -1.0, "dropped 1 of 10 rows with an invalid volume"),
        ("volume", "text", "dropped 1 of 10 rows with an invalid volume"),
        ("timestamp", None, "dropped 1 of 10 rows without a usable timestamp"),
        ("timestamp", "never", "dropped 1 of 10 rows without a usable timestamp"),
    ],
)
def test_drop_invalid(frame, column, value, said):
    broken = frame.copy()
    broken[column] = broken[column].astype(object)
    broken.loc[4, column] = value
    bars = read_bars(broken, repair="drop_invalid")
    rows_of(bars, frame, [0, 1, 2, 3, 5, 6, 7, 8, 9])
    assert bars.repairs == (said,)


def test_drop_invalid_counts_each_row_under_one_reason(frame):
    broken = frame.copy()
    broken.loc[2, "timestamp"] = None
    broken.loc[[2, 3, 4], "close"] = math.nan
    broken.loc[[2, 3, 5], "volume"] = -1.0
    bars = read_bars(broken, repair="drop_invalid")
    rows_of(bars, frame, [0, 1, 6, 7, 8, 9])
    assert bars.repairs == (
        "dropped 1 of 10 rows without a usable timestamp",
        "dropped 2 of 10 rows with invalid prices",
        "dropped 1 of 10 rows with an invalid volume",
    )


def test_drop_invalid_keeps_rows_that_break_the_range(frame, find):
    frame.loc[4, "high"] = 1.0
    assert find(frame, repair="drop_invalid")["high_below_low"].rows == (4,)


def test_drop_invalid_may_leave_too_few_rows(frame, find):
    frame.loc[1:, "close"] = math.nan
    defects = find(frame, repair="drop_invalid")
    assert {k: d.message for k, d in defects.items()} == {
        "too_short": "expected at least 2 rows: got 1 row"
    }


def test_widen_range(frame):
    broken = frame.copy()
    broken.loc[2, "high"] = 1.0  # below all
    broken.loc[3, "low"] = 1e9  # above all
    broken.loc[4, ["high", "low"]] = frame.loc[4, ["low", "high"]].to_numpy()  # exchanged
    broken.loc[5, "open"] = 1e9
    broken.loc[6, "close"] = 1e-9
    bars = read_bars(broken, repair="widen_range")
    assert bars.repairs == ("widened high and low of 5 rows",)
    prices = broken[OHLCV[:4]].to_numpy()
    for row in range(10):
        if 2 <= row <= 6:
            assert bars.high[row] == prices[row].max()
            assert bars.low[row] == prices[row].min()
        else:
            assert (bars.high[row], bars.low[row]) == (frame["high"][row], frame["low"][row])
    for name in ("open", "close", "volume"):
        np.testing.assert_array_equal(getattr(bars, name), broken[name].to_numpy())


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0])
def test_widen_range_does_not_spread_an_invalid_price(frame, find, value):
    frame.loc[4, "open"] = value
    defects = find(frame, repair="widen_range")
    assert [d.rows for d in defects.values()] == [(4,)]
    assert read_bars(frame, repair=("widen_range", "drop_invalid")).repairs == (
        "dropped 1 of 10 rows with invalid prices",
    )


def test_zero_volume_fills_gaps(frame):
    broken = frame.copy()
    broken.loc[[2, 5], "volume"] = math.nan
    bars = read_bars(broken, repair="zero_volume")
    assert bars.repairs == ("set the missing volume of 2 rows to 0",)
    rows_of(bars, frame.assign(volume=broken["volume"].fillna(0.0)), range(10))


def test_zero_volume_adds_a_missing_column(frame):
    bars = read_bars(frame.drop(columns="volume"), repair="zero_volume")
    assert bars.volume.tolist() == [0.0] * 10
    assert bars.repairs == ("set the volume to 0, as the column was missing",)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text", "not_a_number"), (math.inf, "infinite"), (-1.0, "negative_volume")],
)
def test_zero_volume_mends_nothing_else(frame, find, value, kind):
    frame["volume"] = frame["volume"].astype(object)
    frame.loc[4, "volume"] = value
    defects = find(frame, repair="zero_volume")
    assert {k: d.rows for k, d in defects.items()} == {kind: (4,)}


def test_zero_volume_comes_before_drop_invalid(frame):
    frame.loc[2, "volume"] = math.nan
    bars = read_bars(frame, repair=("drop_invalid", "zero_volume"))
    assert len(bars) == 10
    assert bars.repairs == ("set the missing volume of 1 row to 0",)


def test_only_what_is_asked_for_is_done(frame, find):
    broken = frame.iloc[[1, 0, *range(2, 10)]].reset_index(drop=True)
    broken.loc[2, "volume"] = math.nan
    broken.loc[4, "high"] = 1.0
    assert set(find(broken, repair="sort")) == {"nan", "high_below_low"}
    assert set(find(broken, repair="zero_volume")) == {"unsorted", "high_below_low"}
    assert set(find(broken, repair="widen_range")) == {"unsorted", "nan"}
    assert set(find(broken, repair=("widen_range", "sort"))) == {"nan"}


def test_rows_of_remaining_defects_are_those_of_the_data_as_given(frame, find):
    broken = frame.iloc[::-1].reset_index(drop=True)
    broken.loc[1, "volume"] = math.nan
    broken.loc[8, "high"] = 1.0
    defects = find(broken, repair=("sort", "drop_invalid"))
    assert {k: d.rows for k, d in defects.items()} == {"high_below_low": (8,)}
    assert "2020-01-07 (high=1.0" in defects["high_below_low"].message


def test_text_is_quoted_from_the_right_row_after_a_repair(frame, find):
    frame["close"] = frame["close"].astype(object)
    frame.loc[8, "close"] = "text"
    defects = find(frame.iloc[::-1], repair="sort")
    assert defects["not_a_number"].rows == (1,)
    assert "2020-01-14 (close='text')" in defects["not_a_number"].message


def test_all_repairs_together(frame):
    broken = frame.iloc[[9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]].reset_index(drop=True)
    broken.loc[10, "close"] = broken["low"][10]
    broken.loc[1, "volume"] = math.nan
    broken.loc[2, "high"] = 1.0
    broken.loc[3, "low"] = -1.0
    bars = read_bars(broken, repair=REPAIRS)
    assert len(bars) == 9
    assert bars.close[-2] == broken["low"][10]
    assert len(bars.repairs) == 5


def test_missing_columns_cannot_be_mended(frame):
    with pytest.raises(BarsError) as caught:
        read_bars(frame.drop(columns="open").iloc[::-1], repair=REPAIRS)
    assert [d.kind for d in caught.value.defects] == ["missing_column"]


def test_no_timestamps_cannot_be_mended(frame, find):
    assert list(find(frame.drop(columns="timestamp"), repair=REPAIRS)) == ["no_timestamps"]
