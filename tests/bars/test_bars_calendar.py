from __future__ import annotations

import pandas as pd
import pytest

from marketsim.bars import asset_class, periods_per_year, read_bars
from marketsim.errors import NotEnoughBarsError


@pytest.fixture
def at(make_frame):
    def at(times, zone="UTC"):
        return read_bars(make_frame(len(times), times=times), timezone=zone)

    return at


def test_business_days_are_equity(at):
    bars = at(pd.bdate_range("2015-01-01", periods=500))
    assert (asset_class(bars), periods_per_year(bars)) == ("equity", 252.0)


def test_all_days_are_crypto(at):
    bars = at(pd.date_range("2015-01-01", periods=500))
    assert (asset_class(bars), periods_per_year(bars)) == ("crypto", 365.0)


@pytest.mark.parametrize(("sundays", "expected"), [(4, "equity"), (5, "crypto")])
def test_each_day_needs_five_percent_of_the_bars(at, sundays, expected):
    """95 or 96 bars from Monday to Saturday, the rest on Sundays."""
    others = pd.date_range("2015-01-05", periods=200)
    others = others[others.day_of_week != 6][: 100 - sundays]
    first = pd.date_range("2014-01-05", periods=sundays, freq="W-SUN")
    assert asset_class(at(first.append(others))) == expected


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_five_days_stay_five_days_in_every_zone(at, zone):
    daily = pd.bdate_range("2019-01-01", periods=300, tz="UTC")
    assert asset_class(at(daily, zone)) == "equity"
    # Foreign exchange by the hour: from Sunday 22:00 to Friday 22:00 UTC.
    hours = pd.date_range("2019-01-06 22:00", periods=24 * 60, freq="h", tz="UTC")
    after_friday = (hours.day_of_week == 4) & (hours.hour >= 22)
    before_sunday = (hours.day_of_week == 6) & (hours.hour < 22)
    open_hours = hours[~after_friday & (hours.day_of_week != 5) & ~before_sunday]
    assert asset_class(at(open_hours, zone)) == "equity"
    assert asset_class(at(hours, zone)) == "crypto"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_daily_bars_across_clock_changes(at, zone):
    bars = at(pd.bdate_range("2019-01-01", periods=600), zone)
    assert periods_per_year(bars) == 252.0


def test_clock_change_between_two_bars_is_still_a_day(at):
    bars = at(["2020-03-08", "2020-03-09"], "America/New_York")  # 23 hours apart
    assert periods_per_year(bars) == 252.0
    bars = at(["2019-12-31 00:00", "2020-01-01 01:01"])  # more than an hour off: measured
    assert periods_per_year(bars) == pytest.approx(365.25 * 24 / (25 + 1 / 60))


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [("h", 8766.0), ("5min", 105192.0), ("7D", 365.25 / 7), ("2D", 365.25 / 2)],
)
def test_other_spacings_are_measured(at, frequency, expected):
    bars = at(pd.date_range("2020-01-01", periods=1000, freq=frequency))
    assert periods_per_year(bars) == pytest.approx(expected, rel=1e-12)
    assert isinstance(periods_per_year(bars), float)


def test_centuries_do_not_overflow(at):
    bars = at(pd.date_range("1700-01-01", "2200-01-01", freq="YS", unit="s"))
    assert periods_per_year(bars) == pytest.approx(1.0, rel=1e-4)
    assert periods_per_year(at(["1700-01-01", "2200-01-01"])) == pytest.approx(1 / 500, rel=1e-4)


def test_sessions_count_as_measured(at):
    days = pd.bdate_range("2019-01-01", "2019-12-31")
    hours = pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in range(9, 16)])
    bars = at(hours)
    years = (hours[-1] - hours[0]) / pd.Timedelta(days=365.25)
    assert periods_per_year(bars) == pytest.approx((len(hours) - 1) / years)
    assert asset_class(bars) == "equity"


def test_one_bar_has_no_spacing(frame):
    bars = read_bars(frame.iloc[:1], min_bars=1)
    with pytest.raises(NotEnoughBarsError, match="got 1 bar: expected at least 2"):
        periods_per_year(bars)
    assert asset_class(bars) == "equity"
