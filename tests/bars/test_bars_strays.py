"""Rows with a time of the day among the dates of daily bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import read_bars
from marketsim.bars.clock import DAY, HOUR
from marketsim.bars.running import find_running, find_strays

DATES = [str(day.date()) for day in pd.bdate_range("2019-01-23", periods=9)]


def text_of(times):
    """One bar a time, each with other prices."""
    rows = [f"{t},{10 + k},{12 + k},{9 + k},{11 + k},{100 + k}\n" for k, t in enumerate(times)]
    return "Date,Open,High,Low,Close,Volume\n" + "".join(rows)


@pytest.mark.parametrize("midnight", ["", " 00:00:00"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_second_bar_of_a_day_is_named(write, find, midnight, backwards, place):
    times = [day + midnight for day in DATES]
    times.insert(place, f"{DATES[place - 1]} 16:00:00")
    if backwards:
        times.reverse()
    defect = find(write("A.csv", text_of(times)))["within_a_day"]
    assert [times[row] for row in defect.rows] == [f"{DATES[place - 1]} 16:00:00"]
    assert "16:00:00" in defect.message and "sort" not in defect.fix


def test_bars_of_days_that_were_not_over_are_named_inside_the_file(write, find):
    times = [*DATES[:2], f"{DATES[2]} 15:12:01", *DATES[3:]]
    path = write("A.csv", text_of(times))
    assert find(path)["within_a_day"].rows == (2,)
    times[-1] += " 15:12:01"
    assert find(write("A.csv", text_of(times)))["within_a_day"].rows == (2, 8)


def test_the_running_bar_alone_is_left_out_on_request(write, find):
    path = write("A.csv", text_of([*DATES[:5], f"{DATES[5]} 15:00:00"]))
    assert list(find(path)) == ["running_bar"]
    assert len(read_bars(path, repair="drop_running")) == 5


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from([1, 4, 6, 8, 12, 24, 48, 168]), st.sampled_from([0, 1, 23]), st.data())
def test_bars_that_keep_their_step_have_none(hours, shift, data):
    """Any step, holes, and a clock that is moved by an hour."""
    kept = np.sort(data.draw(st.lists(st.integers(0, 40), min_size=3, unique=True)))
    wall = kept * hours * HOUR if hours >= 24 else np.arange(len(kept)) * hours * HOUR
    wall = wall.astype(np.int64) + 20_000 * DAY
    moved = data.draw(st.integers(0, len(wall)))
    if hours >= 24:
        wall[moved:] += (shift if shift < 2 else -1) * HOUR
    assert not find_strays(wall, np.ones(len(wall), np.bool_)).any()


def stamps(*parts):
    return [str(t) for part in parts for t in part]


WEEK = pd.bdate_range("2024-01-02", periods=6)
HOURS = pd.DatetimeIndex([day + pd.Timedelta(hours=9.5 + k) for day in WEEK for k in range(7)])


@pytest.mark.parametrize("closing", [0, 16])
@pytest.mark.parametrize("backwards", [False, True])
def test_days_and_then_hours_are_named(write, find, closing, backwards):
    days = pd.bdate_range("2023-11-01", periods=30) + pd.Timedelta(hours=closing)
    times = stamps(days, HOURS)
    if backwards:
        times.reverse()
    found = find(write("A.csv", text_of(times)))
    assert {"within_a_day", "days_after_parts", "different_lengths"} & found.keys()


def test_hours_and_then_days_are_named_with_the_row(write, find):
    days = pd.bdate_range("2024-02-01", periods=15)
    defect = find(write("A.csv", text_of(stamps(HOURS, days))))["days_after_parts"]
    assert defect.rows[-1] == len(HOURS) + 14 and len(HOURS) <= defect.rows[0] + 1
    assert "split the file" in defect.fix


@pytest.mark.parametrize(
    ("freq", "more"),
    [("min", "27s"), ("h", "23min"), ("h", "14min11s"), ("5min", "2min"), ("4h", "77min")],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_last_bar_within_a_day_that_is_not_over_is_named(write, find, freq, more, backwards):
    times = pd.date_range("2024-01-02 09:00", periods=80, freq=freq).tolist()
    times[-1] = times[-2] + pd.Timedelta(more)
    written = [str(t) for t in (times[::-1] if backwards else times)]
    path = write("A.csv", text_of(written))
    assert find(path)["running_bar"].rows == ((0,) if backwards else (79,))
    assert len(read_bars(path, repair="drop_running")) == 79


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.sampled_from(["min", "5min", "h", "4h"]), st.lists(st.booleans(), min_size=5, max_size=60)
)
def test_holes_of_a_quiet_market_are_no_running_bar(freq, kept):
    times = pd.date_range("2024-03-08 09:30", periods=len(kept) + 5, freq=freq)
    times = times[np.append([True] * 5, kept)].as_unit("ns").asi8
    assert find_running(times, np.ones(len(times), np.bool_)) == ""


def test_an_auction_and_summer_time_are_no_running_bar():
    auction = HOURS.append(HOURS[3::7].normalize() + pd.Timedelta(hours=16)).sort_values()
    for times in (
        auction,
        pd.date_range("2024-03-01", "2024-04-02", freq="4h", tz="Europe/Berlin"),
    ):
        known = np.ones(len(times), np.bool_)
        nanoseconds = times.as_unit("ns").asi8
        for count in range(40, len(times) + 1):
            assert find_running(nanoseconds[:count], known[:count]) == ""


@pytest.mark.parametrize("place", [3, 12, 19])
@pytest.mark.parametrize("days", [2, 3, 5])
def test_a_week_that_was_not_over_among_weeks_is_named(find, place, days):
    dates = list(pd.date_range("2024-01-01", periods=20, freq="7D"))
    whole = pd.DataFrame({"date": dates, "open": 10.5, "high": 12.5, "low": 9.5, "close": 11.5,
                          "volume": 7})  # fmt: skip
    assert len(read_bars(whole)) == 20
    partial = whole.iloc[[place - 1]].assign(date=dates[place - 1] + pd.Timedelta(days=days))
    mixed = pd.concat([whole.iloc[:place], partial, whole.iloc[place:]], ignore_index=True)
    assert find(mixed)["within_a_week"].rows == (place,)
    holidays = [day + pd.Timedelta(days=int(i % 7 == 3)) for i, day in enumerate(dates)]
    assert len(read_bars(whole.assign(date=holidays))) == 20
