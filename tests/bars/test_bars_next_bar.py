"""When the next bar comes: every bar's successor is found from the bars up to it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import Bars, demo_bars, read_bars
from marketsim.bars.next_bar import next_bar


def bars_at(index: pd.DatetimeIndex, calendar: str | None = None) -> Bars:
    close = 100.0 + np.cumsum(np.random.default_rng(0).normal(size=len(index))) * 0.1
    frame = pd.DataFrame(
        {"open": close, "high": close + 0.5, "low": close - 0.5, "close": close, "volume": 1.0},
        index=index if index.tz is not None else index.tz_localize("UTC"),
    )
    return Bars(frame, "X", calendar=calendar)


@pytest.mark.parametrize(
    ("freq", "start", "count"),
    [("B", "2023-01-02", 90), ("D", "2023-01-01", 60), ("h", "2023-01-01", 400),
     ("MS", "2020-01-01", 30), ("ME", "2020-01-31", 30), ("BME", "2020-01-31", 30),
     ("BMS", "2020-01-01", 30), ("QS", "2018-01-01", 20), ("W-FRI", "2023-01-06", 30)],
)  # fmt: skip
def test_regular_bars(freq: str, start: str, count: int) -> None:
    index = pd.date_range(start, periods=count + 5, freq=freq, tz="UTC")
    for stop in range(count, count + 5):
        assert next_bar(bars_at(index[:stop])).time == index[stop]


def test_six_day_and_sunday_markets() -> None:
    every = pd.date_range("2023-01-01", "2023-06-30", tz="UTC")
    for left_out in ([6], [4, 5], [5]):
        index = every[~every.day_of_week.isin(left_out)]
        for stop in range(60, 75):
            found = next_bar(bars_at(index[:stop]))
            assert found.time == index[stop], left_out


def sessions(name: str, first: str, last: str, zone: str, step: str) -> pd.DatetimeIndex:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas deprecates is for that package to mend
        calendars = pytest.importorskip("exchange_calendars")
        schedule = calendars.get_calendar(name, start="2023-01-03").schedule[first:last]
    if step == "1d":
        return pd.DatetimeIndex(schedule.index).tz_localize(zone)
    parts = []
    for row in schedule.itertuples():
        spans = [(row.open, row.close)]
        if not pd.isna(row.break_start):
            spans = [(row.open, row.break_start), (row.break_end, row.close)]
        parts += [pd.date_range(a, b, freq=step, inclusive="left") for a, b in spans]
    return pd.DatetimeIndex(np.concatenate([p.to_numpy() for p in parts]), tz="UTC").tz_convert(
        zone
    )


@pytest.mark.parametrize(
    ("name", "zone", "step"),
    [("XNYS", "America/New_York", "1d"), ("XTKS", "Asia/Tokyo", "1d"),
     ("XNYS", "America/New_York", "30min"), ("XTKS", "Asia/Tokyo", "30min"),
     ("XNYS", "UTC", "30min")],
)  # fmt: skip
def test_sessions_of_an_exchange(name: str, zone: str, step: str) -> None:
    """Holidays, early closes, pauses at noon and the change of the clock."""
    index = sessions(name, "2024-10-20", "2025-01-10", zone, step)
    first = 5 if step == "1d" else len(index) * 2 // 3
    for stop in range(first, len(index), 1 if step == "1d" else 7):
        found = next_bar(bars_at(index[:stop], name))
        assert (found.time, found.assumed) == (index[stop], False)


def test_without_a_calendar_holidays_are_not_known_and_it_says_so() -> None:
    found = next_bar(demo_bars())
    assert found.time == pd.Timestamp("2019-01-01", tz="UTC") and found.assumed
    assert "calendar=" in found.why
    index = pd.bdate_range("2023-01-02", periods=4, tz="UTC")  # Monday to Thursday
    few = next_bar(bars_at(index))
    assert few.time == pd.Timestamp("2023-01-06", tz="UTC") and few.assumed


def test_the_clock_that_changes() -> None:
    """Daily bars at local midnight keep it; the hour that does not exist is moved on."""
    index = pd.date_range("2024-02-20", "2024-04-05", freq="B", tz="America/New_York")
    bars = bars_at(index)
    assert next_bar(bars).time == pd.Timestamp("2024-04-08", tz="America/New_York")
    hourly = pd.date_range("2024-03-01", "2024-03-10 01:00", freq="h", tz="America/New_York")
    found = next_bar(bars_at(hourly, "24/7")).time
    assert found == pd.Timestamp("2024-03-10 03:00", tz="America/New_York")


def test_a_calendar_that_ends_is_named() -> None:
    pytest.importorskip("exchange_calendars")
    index = pd.bdate_range("2022-01-03", periods=30, tz="UTC")
    bars = read_bars(bars_at(index).frame, symbol="X", calendar="24/5")
    assert next_bar(bars).time == pd.Timestamp("2022-02-14", tz="UTC")
