"""Bars of days stamped at midnight of an exchange, and written as UTC."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import read_bars
from marketsim.bars.clock import DAY, HOUR
from marketsim.bars.day_starts import day_starts
from marketsim.errors import BarsError

ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Asia/Tokyo", "Asia/Shanghai",
    "Asia/Kolkata", "Australia/Sydney", "America/New_York", "America/Chicago",
)  # fmt: skip


def days_of(zone, dates):
    return pd.DatetimeIndex(dates).tz_localize(zone).tz_convert("UTC")


def frame_of(times):
    close = 100 + np.sin(np.arange(len(times)))
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 7.0}
    return pd.DataFrame({"time": times, **columns})


def as_text(times, text_format):
    if text_format == "epoch":
        return times.as_unit("s").asi8
    return times.strftime(text_format) if text_format else times


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("text_format", ["epoch", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", ""])
def test_dates_are_the_exchanges_own_in_both_halves_of_the_year(zone, text_format):
    dates = pd.bdate_range("2023-11-01", periods=260)
    bars = read_bars(frame_of(as_text(days_of(zone, dates), text_format)))
    np.testing.assert_array_equal(bars.timestamps, dates.to_numpy())
    assert any("dates are" in note for note in bars.notes)


@pytest.mark.parametrize("zone", [zone for zone in ZONES if "America" not in zone])
@pytest.mark.parametrize("start", ["2023-11-20", "2024-06-03"])
def test_a_part_of_the_year_shows_the_day_after_by_its_weekend(zone, start):
    dates = pd.bdate_range(start, periods=40)
    bars = read_bars(frame_of(days_of(zone, dates).as_unit("s").asi8))
    np.testing.assert_array_equal(bars.timestamps.astype("M8[D]"), dates.to_numpy().astype("M8[D]"))


@pytest.mark.parametrize("freq", ["W-MON", "MS"])
def test_weeks_and_months_begin_at_midnight_of_london(freq):
    dates = pd.date_range("2020-01-01", periods=40, freq=freq)
    bars = read_bars(frame_of(days_of("Europe/London", dates).as_unit("s").asi8))
    np.testing.assert_array_equal(bars.timestamps, dates.to_numpy())


def test_sessions_of_an_evening_are_of_the_next_day():
    dates = pd.bdate_range("2023-11-01", periods=260)
    evening = (dates - pd.Timedelta(hours=7)).tz_localize("America/New_York").tz_convert("UTC")
    bars = read_bars(frame_of(evening.strftime("%Y-%m-%dT%H:%M:%SZ")))
    np.testing.assert_array_equal(bars.timestamps, dates.to_numpy())


def test_a_running_bar_among_midnights_of_london_is_named(find):
    times = days_of("Europe/London", pd.bdate_range("2024-03-01", periods=40)).as_unit("s").asi8
    times = times.copy()
    times[-1] += 50_000
    assert "running_bar" in find(frame_of(times))
    bars = read_bars(frame_of(times), repair="drop_running")
    assert str(bars.local_times[-1])[:10] == "2024-04-24"


def test_closing_times_and_open_markets_keep_the_date_of_utc():
    for zone, hours in (("America/New_York", 16), ("Europe/London", 16), ("Asia/Riyadh", 15)):
        dates = pd.bdate_range("2023-11-01", periods=260)
        if zone == "Asia/Riyadh":
            dates = pd.date_range("2023-11-01", periods=260)
            dates = dates[(dates.day_of_week != 4) & (dates.day_of_week != 5)]
        times = days_of(zone, dates) + pd.Timedelta(hours=hours)
        bars = read_bars(frame_of(times))
        np.testing.assert_array_equal(
            bars.timestamps.astype("M8[D]"), dates.to_numpy().astype("M8[D]")
        )
    times = pd.date_range("2024-01-01 15:00", periods=60, tz="UTC")  # every day of the week
    assert (read_bars(frame_of(times)).timestamps == times.tz_localize(None).to_numpy()).all()


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(ZONES), st.integers(0, 364), st.integers(3, 60))
def test_what_one_row_shows_no_later_row_takes_back(zone, first, count):
    dates = pd.bdate_range(pd.Timestamp("2023-01-02") + pd.Timedelta(days=first), periods=count)
    times = days_of(zone, dates).as_unit("ns").asi8
    shown = False
    for size in range(3, count + 1):
        clock, _ = day_starts(times[:size], np.ones(size, np.bool_))
        assert clock is not None or not shown, "found, then lost"
        if clock is not None:
            shown = True
            np.testing.assert_array_equal(clock, dates[:size].as_unit("ns").asi8)


def _answer(times):
    """Dates of bars, or "unclear"."""
    try:
        return read_bars(frame_of(times)).timestamps.astype("M8[D]")
    except BarsError as error:
        assert [defect.kind for defect in error.defects] == ["unclear_timestamps"]
        return None


_WEEKS = {"asia": (0, 1, 2, 3, 4), "gulf": (6, 0, 1, 2, 3)}


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.sampled_from((13, 14, 15, 16, 18.5, 21, 22, 23)),
    st.sampled_from(tuple(_WEEKS)),
    st.booleans(),
    st.integers(0, 13),
    st.lists(st.booleans(), min_size=14, max_size=14),
)
def test_no_row_that_is_added_changes_the_dates_of_the_others(hour, week, ends, first, kept):
    """Stamps at midnight of the next day, or at the end of the day: the first answer stays."""
    dates = pd.date_range(pd.Timestamp("2024-01-01") + pd.Timedelta(days=first), periods=14)
    dates = dates[[day.weekday() in _WEEKS[week] for day in dates]]
    dates = dates[np.array(kept[: len(dates)]) | (np.arange(len(dates)) < 3)]
    times = dates + pd.Timedelta(hours=hour - (0 if ends else 24))
    before = None
    for size in range(2, len(times) + 1):
        found = _answer(times[:size].as_unit("ns").asi8)
        if before is not None:
            assert found is not None and (found[: len(before)] == before).all()
        if found is not None:
            assert (found == dates[:size].to_numpy().astype("M8[D]")).all() or not _sure(dates)
            before = found


def _sure(dates):
    """Whether no holiday moves a weekend, of a week from Monday to Friday."""
    return list(pd.bdate_range(dates[0], dates[-1])) == list(dates)


def test_exchanges_that_never_close_have_the_dates_of_utc():
    times = pd.date_range("2024-01-01 16:00", periods=3)
    candles = [[int(t.timestamp() * 1000), 1.0, 2.0, 1.0, 2.0, 5.0] for t in times]
    assert (read_bars(candles).timestamps == times.to_numpy()).all()


def test_bars_within_a_day_are_left_alone():
    hours = np.arange(200) * HOUR + 23 * HOUR
    assert day_starts(hours, np.ones(200, np.bool_)) == (None, "")
    assert day_starts(np.arange(20) * DAY, np.ones(20, np.bool_)) == (None, "")
