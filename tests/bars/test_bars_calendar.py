"""Asset class, bars a session and a year: from evidence, or visibly assumed."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import asset_class, compare_calendar, periods_per_year, read_bars
from marketsim.errors import BarsError, NotEnoughBarsError, UnknownNameError


@pytest.fixture(scope="module")
def at(make_frame):
    def at(times, zone="UTC", symbol=None, **options):
        return read_bars(
            make_frame(len(times), times=times), timezone=zone, symbol=symbol, **options
        )

    return at


def sessions(days, start, count, step, zone="America/New_York"):
    """Bars of a session on each day, stamped with the zone."""
    parts = [pd.date_range(f"{day.date()} {start}", periods=count, freq=step) for day in days]
    return pd.DatetimeIndex(np.concatenate(parts)).tz_localize(zone)


WEEKS = pd.date_range("2019-01-07", periods=52 * 7)  # Mondays to Sundays


def week(*weekdays):
    return WEEKS[WEEKS.day_of_week.isin(weekdays)]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize(
    ("times", "expected", "periods"),
    [
        (pd.bdate_range("2015-01-01", periods=500), "equity", 252.0),
        (pd.date_range("2015-01-01", periods=500), "crypto", 365.0),
        (week(0, 1, 2, 3, 6), "equity", 252.0),  # Tel Aviv
        (week(0, 1, 2, 3, 4, 5), "equity", 304.2),  # Saturdays, as New York to 1952
        (week(0, 1, 2, 3, 4, 6), "forex", 312.2),  # brokers' Sunday bar
        (week(0, 1, 2, 3, 5, 6), "equity", 304.2),  # closed on Fridays alone
    ],
)
def test_daily_bars_by_their_week(at, times, zone, expected, periods):
    market = at(times, zone).market
    assert (market.asset_class, market.assumed) == (expected, False)
    assert market.periods_per_year == pytest.approx(periods, abs=0.1)
    assert (market.bars_per_session, market.frequency) == (1.0, "1 day")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_hours_of_foreign_exchange_and_of_crypto(at, zone):
    hours = pd.date_range("2019-01-06 22:00", periods=24 * 60, freq="h", tz="UTC")
    after_friday = (hours.day_of_week == 4) & (hours.hour >= 22)
    before_sunday = (hours.day_of_week == 6) & (hours.hour < 22)
    open_hours = hours[~after_friday & (hours.day_of_week != 5) & ~before_sunday]
    forex, crypto = at(open_hours, zone).market, at(hours, zone).market
    assert (forex.asset_class, forex.assumed, forex.periods_per_year) == ("forex", False, 6240.0)
    assert (crypto.asset_class, crypto.assumed) == ("crypto", False)
    assert crypto.periods_per_year == 8766.0


def test_flat_bars_of_weekends_are_no_trades(make_frame):
    """Files of foreign exchange are often filled with flat bars while the market is closed."""
    hours = pd.date_range("2019-01-07", periods=24 * 7 * 6, freq="h", tz="UTC")
    frame = make_frame(len(hours), times=hours)
    closed = (hours.day_of_week == 5) | (hours.day_of_week == 6)
    for name in ("open", "high", "low", "close"):
        frame.loc[closed, name] = 100.0
    frame["volume"] = 0.0
    assert read_bars(frame).market.asset_class == "forex"
    daily = frame[(hours.hour == 0)].reset_index(drop=True)
    assert read_bars(daily, symbol="EURUSD").market.asset_class == "forex"
    assert read_bars(daily, symbol="AAPL").market.asset_class == "equity"
    frame["volume"] = 1.0  # traded, though at one price
    assert read_bars(frame).market.asset_class == "crypto"


@pytest.mark.parametrize("frequency", ["MS", "ME", "BME", "QE", "QS", "YS", "7D", "W-FRI", "2D"])
@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("AAPL", "equity"), ("BTC-USD", "crypto"), ("ETHUSDT", "crypto"), ("EURUSD", "forex")],
)
def test_slow_bars_never_decide_the_class(at, frequency, symbol, expected):
    market = at(pd.date_range("2000-01-01", periods=48, freq=frequency), symbol=symbol).market
    assert (market.asset_class, market.assumed) == (expected, True)
    assert "do not show the trading week" in market.why
    assert "calendar=" in market.how_to_state
    assert f"{expected} (assumed: " in market.sentence()


@pytest.mark.parametrize(
    ("frequency", "words", "expected"),
    [
        ("MS", "1 month", 12.0),
        ("BME", "1 month", 12.0),
        ("QE", "1 quarter", 4.0),
        ("2QS", "6 months", 2.0),
        ("YS", "1 year", 1.0),
        ("7D", "1 week", 365.25 / 7),
        ("2D", "2 days", 365.25 / 2),
    ],
)
def test_slow_bars_have_their_own_periods(at, frequency, words, expected):
    market = at(pd.date_range("2000-01-01", periods=24, freq=frequency)).market
    assert market.frequency == words
    assert market.periods_per_year == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("frequency", "words"),
    [("1s", "1 second"), ("15s", "15 seconds"), ("1min", "1 minute"), ("4h", "4 hours")],
)
def test_a_span_without_a_break_goes_around_the_clock(at, frequency, words):
    market = at(pd.date_range("2025-01-01", periods=20, freq=frequency)).market
    assert market.frequency == words
    assert market.periods_per_year == 365.25 * 86400 / pd.Timedelta(frequency).total_seconds()
    assert market.assumed and market.periods_assumed


@pytest.mark.parametrize("days", [1, 2, 3, 5, 60])
@pytest.mark.parametrize(
    ("zone", "start", "count", "step"),
    [
        ("America/New_York", "09:30", 390, "1min"),
        ("America/New_York", "09:30", 7, "1h"),
        ("Europe/London", "08:00", 102, "5min"),
        ("Asia/Kolkata", "09:15", 75, "5min"),
    ],
)
@pytest.mark.parametrize("shown", ["local", "UTC"])
def test_sessions_are_counted_not_the_clock(at, days, zone, start, count, step, shown):
    times = sessions(pd.bdate_range("2024-01-08", periods=days), start, count, step, zone)
    market = at(times, zone if shown == "local" else "UTC").market
    assert market.asset_class == "equity"
    assert (market.bars_per_session, market.periods_per_year) == (count, count * 252.0)
    assert market.periods_assumed == (days < 3)


def test_a_lunch_break_is_inside_a_session(at):
    days = pd.bdate_range("2024-06-03", periods=1)
    morning = sessions(days, "09:30", 24, "5min", "Asia/Shanghai")
    times = morning.append(sessions(days, "13:00", 24, "5min", "Asia/Shanghai"))
    for zone in ("Asia/Shanghai", "UTC"):
        assert at(times, zone).market.bars_per_session == 48.0


def test_half_days_and_missing_minutes_do_not_move_the_median(at):
    times = sessions(pd.bdate_range("2024-01-08", periods=30), "09:30", 390, "1min")
    kept = np.ones(len(times), bool)
    kept[390 * 3 + 200 : 390 * 4] = False  # a half day
    kept[::97] = False  # minutes without a trade, in few sessions alike
    kept[390 * 10 :] = True
    assert at(times[kept], "America/New_York").market.bars_per_session == 390.0


def test_a_session_of_futures_crosses_midnight(at):
    days = pd.date_range("2024-01-07", periods=28)
    days = days[~days.day_of_week.isin([4, 5])]
    times = sessions(days, "18:00", 23 * 2, "30min")
    market = at(times, "America/New_York").market
    assert (market.asset_class, market.bars_per_session) == ("equity", 46.0)
    assert market.sessions_per_year == pytest.approx(252.0, abs=6.0)


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.sampled_from([(0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 6)]),
    st.integers(25, 200),
    st.data(),
)
def test_one_row_more_or_less_flips_nothing(at, weekdays, count, data):
    days = week(*weekdays)[:count]
    whole = at(days).market
    assert not whole.assumed
    row = data.draw(st.integers(0, count - 1))
    fewer = at(days.delete(row)).market
    longer = at(week(*weekdays)[: count + 1]).market
    for other in (fewer, longer):
        assert (other.asset_class, other.assumed) == (whole.asset_class, whole.assumed)
        assert other.periods_per_year == pytest.approx(whole.periods_per_year, rel=0.05)


def test_centuries_do_not_overflow(at):
    bars = at(pd.date_range("1700-01-01", "2200-01-01", freq="YS", unit="s"))
    assert periods_per_year(bars) == 1.0
    assert periods_per_year(at(["1700-01-01", "2200-01-01"])) == pytest.approx(1 / 500, rel=1e-4)


def test_clock_changes_keep_days(at):
    bars = at(["2020-03-08", "2020-03-09"], "America/New_York")  # 23 hours apart
    assert periods_per_year(bars) == 252.0
    assert periods_per_year(at(pd.bdate_range("2019-01-01", periods=600), "Asia/Tokyo")) == 252.0


def test_one_bar_has_no_step(frame):
    bars = read_bars(frame.iloc[:1], min_bars=1)
    with pytest.raises(NotEnoughBarsError, match="got 1 bar: expected at least 2"):
        periods_per_year(bars)
    assert asset_class(bars) == "equity"
    assert bars.span() == "1 bar, 2020-01-06 00:00"


@pytest.mark.parametrize(
    ("times", "zone", "words"),
    [
        (
            sessions([pd.Timestamp("2024-03-08")], "09:30", 390, "1min"),
            "America/New_York",
            "390 bars of 1 minute, 2024-03-08 09:30 to 15:59 America/New_York",
        ),
        (
            pd.date_range("2024-03-08 23:00", periods=3, freq="h"),
            "UTC",
            "3 bars of 1 hour, 2024-03-08 23:00 to 2024-03-09 01:00 UTC",
        ),
        (
            pd.bdate_range("2024-03-04", periods=5),
            "Asia/Tokyo",
            "5 bars of 1 day, 2024-03-04 to 2024-03-08",
        ),
        (
            pd.date_range("2024-01-31", periods=3, freq="ME"),
            "UTC",
            "3 bars of 1 month, 2024-01-31 to 2024-03-31",
        ),
        (
            pd.date_range("2024-01-01 10:00", periods=2, freq="s"),
            "UTC",
            "2 bars of 1 second, 2024-01-01 10:00 to 10:00:01 UTC",
        ),
    ],
)  # fmt: skip
def test_spans_are_told_in_words(at, times, zone, words):
    assert at(times, zone).span() == words


class TestNamedCalendars:
    def test_around_the_clock(self, at):
        assert at(WEEKS, calendar="24/7").market.asset_class == "crypto"
        hours = pd.date_range("2024-01-01", periods=50, freq="h")
        market = at(hours, calendar="24/5").market
        assert (market.asset_class, market.assumed, market.periods_per_year) == (
            "forex",
            False,
            6240.0,
        )

    def test_what_does_not_fit_names_the_sessions(self, at):
        with pytest.raises(BarsError, match=r"24/5: 104 dates .*2019-01-12, 2019-01-13.* 99 more"):
            at(WEEKS, calendar="24/5")
        with pytest.raises(BarsError, match=r"24/7|XNYS.*2019-01-12"):
            pytest.importorskip("exchange_calendars")
            at(WEEKS, calendar="XNYS")

    def test_exchange(self, at):
        pytest.importorskip("exchange_calendars")
        days = pd.bdate_range("2023-01-03", "2023-12-29")
        holidays = pd.to_datetime(
            ["2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04",
             "2023-09-04", "2023-11-23", "2023-12-25"]
        )  # fmt: skip
        days = days.difference(holidays)
        bars = at(days.delete([5, 6, 7]), calendar="XNYS")
        assert (bars.market.asset_class, bars.market.assumed) == ("equity", False)
        assert bars.market.periods_per_year == pytest.approx(251.6, abs=0.5)
        fit = compare_calendar(bars, "XNYS")
        assert fit.missing == tuple(str(day.date()) for day in days[[5, 6, 7]])
        with pytest.raises(BarsError, match=r"1 dates? with bars .* 2023-11-23"):
            at(days.union(pd.DatetimeIndex(["2023-11-23"])), calendar="XNYS")

    def test_half_days_of_minutes(self, at):
        pytest.importorskip("exchange_calendars")
        days = pd.to_datetime(["2023-11-21", "2023-11-22", "2023-11-24", "2023-11-27"])
        times = sessions(days, "09:30", 390, "1min")
        times = times[(times.date != days[2].date()) | (times.hour < 13)]
        bars = at(times, "America/New_York", calendar="XNYS")
        assert bars.market.bars_per_session == 390.0
        fit = compare_calendar(bars, "XNYS")
        assert (fit.short, fit.missing, fit.outside) == (("2023-11-24",), (), 0)

    def test_unknown_names(self, at):
        pytest.importorskip("exchange_calendars")
        with pytest.raises(UnknownNameError, match="unknown calendar 'XNYE'.*XNYS"):
            at(WEEKS, calendar="XNYE")

    def test_it_travels_with_the_bars(self, at):
        bars = copy.deepcopy(at(WEEKS, calendar="24/7"))
        assert (bars.calendar, bars.market.asset_class) == ("24/7", "crypto")
