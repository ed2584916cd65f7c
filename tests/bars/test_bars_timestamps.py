from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from marketsim.bars import REPAIRS, read_bars
from marketsim.errors import ArgumentError, BarsError

TOKYO = dt.timezone(dt.timedelta(hours=9))


def at(times, make_frame):
    return make_frame(len(times), times=times)


def utc(*texts: str) -> list[np.datetime64]:
    return [np.datetime64(text) for text in texts]


@pytest.mark.parametrize(
    "times",
    [
        ["2020-01-02", "2020-01-03"],
        ["2020-01-02 00:00:00", "2020-01-03 00:00:00"],
        ["2020-01-02T00:00", "2020-01-03T00:00"],
        ["2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z"],
        ["2020-01-02 00:00:00+00:00", "2020-01-03 00:00:00+00:00"],
        ["2020-01-02 00:00 UTC", "2020-01-03 00:00 UTC"],
        ["2020-01-02 00:00:00 GMT", "2020-01-03 00:00:00 GMT"],
        [" 2020-01-02", "2020-01-03 "],
        ["2020-1-2", "2020-1-3"],
        ["2020/01/02", "2020/01/03"],
        ["2020.01.02", "2020.01.03"],
        ["20200102", "20200103"],
        ["20200102 000000", "20200103 000000"],
        ["02.01.2020", "03.01.2020"],
        ["2.1.2020", "3.1.2020"],
        ["02-Jan-2020", "03-Jan-2020"],
        ["2020-Jan-02", "2020-Jan-03"],
        ["2020年01月02日", "2020年01月03日"],
        ["Thu, 02 Jan 2020", "Fri, 03 Jan 2020"],
        ["January 2, 2020", "January 3, 2020"],
        ["02-Jan-20", "03-Jan-20"],
        ["02.01.2020 00:00:00.000 GMT+0000", "03.01.2020 00:00:00.000 GMT+0000"],
        ["2020-01-02 12-AM", "2020-01-03 12-AM"],
        ["202001020000", "202001030000"],
        [20200102000000, 20200103000000],
        ["20200102000000000", "20200103000000000"],
        ["2020010200", "2020010300"],
        ["Jan 2, 2020", "Jan 3, 2020"],
        ["2 Jan 2020", "3 Jan 2020"],
        [20200102, 20200103],
        [1577923200, 1578009600],
        [1577923200_000, 1578009600_000],
        [1577923200_000_000, 1578009600_000_000],
        [1577923200_000_000_000, 1578009600_000_000_000],
        [1577923200.0, 1578009600.0],
        ["1577923200", "1578009600"],
        ["1577923200.0", "1578009600.0"],
        [dt.date(2020, 1, 2), dt.date(2020, 1, 3)],
        [dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 3)],
        [dt.datetime(2020, 1, 2, 9, tzinfo=TOKYO), dt.datetime(2020, 1, 3, 9, tzinfo=TOKYO)],
        [dt.datetime(2020, 1, 2, 9, tzinfo=TOKYO), dt.datetime(2020, 1, 3, tzinfo=dt.UTC)],
        [dt.date(2020, 1, 2), dt.datetime(2020, 1, 3, tzinfo=dt.UTC)],
        [dt.date(2020, 1, 2), "2020-01-03"],
        [np.datetime64("2020-01-02"), pd.Timestamp("2020-01-03")],
        pd.array([20200102, 20200103], dtype="Int64"),
        pd.Series(["2020-01-02", "2020-01-03"], dtype="category"),
        pd.Series(["2020-01-02", "2020-01-03"], dtype="M8[s]"),
        pd.Series(["2020-01-02", "2020-01-03"], dtype="M8[ns]"),
        pd.Series(["2020-01-02", "2020-01-03"]).astype("datetime64[us, UTC]"),
        pd.period_range("2020-01-02", periods=2, freq="D"),
    ],
    ids=str,
)
def test_forms_of_timestamps(make_frame, times):
    bars = read_bars(at(times, make_frame))
    assert bars.timestamps.tolist() == [1577923200 * 10**9, 1578009600 * 10**9]


@pytest.mark.parametrize("separator", ["/", "-", "."])
@pytest.mark.parametrize("tail", ["", " 16:30", " 04:30 PM", " 16:30:00.250"])
@pytest.mark.parametrize("dayfirst", [True, False])
@pytest.mark.parametrize("place", [0, 5, 11])
def test_any_row_proves_the_order_of_day_and_month(
    make_frame, find, separator, tail, dayfirst, place
):
    """One date whose day is above twelve, anywhere; without it the column is unclear."""
    if separator == "." and not dayfirst:
        pytest.skip("dates with dots are never month first")
    days = list(pd.date_range("2020-02-01", periods=11))
    days.insert(place, pd.Timestamp("2020-01-13") if place < 11 else pd.Timestamp("2020-02-13"))
    order = f"%d{separator}%m" if dayfirst else f"%m{separator}%d"
    texts = [f"{day.strftime(order)}{separator}2020{tail}" for day in days]
    bars = read_bars(at(texts, make_frame), repair="sort")
    assert [t.date() for t in bars.frame.index] == sorted(day.date() for day in days)
    unclear = at(texts[:place] + texts[place + 1 :], make_frame)
    if separator != ".":
        defects = find(unclear)
        assert list(defects) == ["unclear_timestamps"]
        assert "day first or month first, and no row proves which" in (
            defects["unclear_timestamps"].message
        )
        assert "drop" not in defects["unclear_timestamps"].fix
    stated = read_bars(unclear, dayfirst=dayfirst)
    rest = days[:place] + days[place + 1 :]
    assert [t.date() for t in stated.frame.index] == [day.date() for day in rest]


def test_dates_that_contradict_each_other(make_frame, find):
    defects = find(at(["13/01/2020", "01/14/2020"], make_frame))
    message = defects["unclear_timestamps"].message
    assert "'13/01/2020' is day first, '01/14/2020' is month first" in message


def test_years_of_two_digits(make_frame, find):
    bars = read_bars(at(["01/31/99", "02/01/00"], make_frame))
    assert list(bars.timestamps) == utc("1999-01-31", "2000-02-01")
    assert list(find(at(["10/11/12", "11/11/12"], make_frame))) == ["unclear_timestamps"]


def test_the_format_can_be_stated(make_frame):
    bars = read_bars(at(["01/02/2020", "02/02/2020"], make_frame), date_format="%d/%m/%Y")
    assert list(bars.timestamps) == utc("2020-02-01", "2020-02-02")
    assert read_bars(at([0, 86400], make_frame), date_format="s").timestamps[1] == utc("1970-01-02")
    assert read_bars(at([43832, 43833], make_frame), date_format="excel").timestamps[0] == utc(
        "2020-01-02"
    )
    for wrong in ("nonsense", "%H", 5, ""):
        with pytest.raises(ArgumentError, match="date_format got"):
            read_bars(at([0, 1], make_frame), date_format=wrong)


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.lists(
        st.dates(dt.date(1990, 1, 1), dt.date(2029, 12, 31)), min_size=2, max_size=30, unique=True
    ),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%m-%d-%Y %H:%M", "%Y%m%d%H%M"]),
    st.dates(dt.date(1990, 1, 1), dt.date(2029, 12, 31)),
)
def test_one_more_row_never_flips_the_reading(make_frame, days, written, more):
    """A longer column may become clear, or contradict itself, but never gets another answer."""

    def read(dates):
        texts = [date.strftime(written) for date in dates]
        try:
            return read_bars(at(texts, make_frame), repair=("sort", "drop_duplicates"))
        except BarsError as error:
            kinds = {d.kind for d in error.defects}
            assume("running_bar" not in kinds)  # a day between months
            assert kinds <= {"unclear_timestamps", "different_bars"}
            return None

    first, longer = read(days), read([*days, more])
    if first is not None:
        assert [t.date() for t in first.frame.index] == sorted(days)
    if longer is not None:
        assert [t.date() for t in longer.frame.index] == sorted({*days, more})
    proven = any(day.day != day.month for day in days)
    if first is not None and proven and more not in days:
        assert longer is not None


def test_twelve_hour_clock(make_frame):
    times = ["1/20/2020 12:00 AM", "1/20/2020 1:30 AM", "1/20/2020 12:00 PM", "1/20/2020 11:59 PM"]
    for start in range(4):  # whichever sets the format
        bars = read_bars(at(times[start:] + times[:start], make_frame), repair="sort")
        assert list(bars.timestamps) == utc(
            "2020-01-20T00:00", "2020-01-20T01:30", "2020-01-20T12:00", "2020-01-20T23:59"
        )


def test_unix_units_keep_their_digits(make_frame, write):
    nanoseconds = [1577923200_123_456_789, 1577923201_123_456_789]
    frame = at(nanoseconds, make_frame)
    assert read_bars(frame).timestamps.tolist() == nanoseconds
    assert read_bars(write("A.csv", frame.to_csv(index=False))).timestamps.tolist() == nanoseconds
    text = frame.to_csv(index=False) + ",1,2,1,2,3\n"  # one row without a timestamp
    bars = read_bars(write("B.csv", text), repair="drop_invalid")
    assert bars.timestamps.tolist() == nanoseconds


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_unix_time_spans_1900_to_2200(make_frame, find, scale):
    first, last = -2208988800, 7258118399
    bars = read_bars(at([first * scale, 1, 1577923200 * scale, last * scale], make_frame))
    assert [str(t)[:19] for t in bars.timestamps[[0, -1]]] == [
        "1900-01-01T00:00:00",
        "2199-12-31T23:59:59",
    ]
    middle = [1577923200 * scale, 1577923201 * scale]
    if scale > 1:
        defects = find(at([(first - 1) * scale, *middle, (last + 1) * scale], make_frame))
        assert defects["unreadable_timestamp"].rows == (0, 3)
        assert "read as Unix" in defects["unreadable_timestamp"].message


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([0, 1, 2], "row numbers"),
        ([43831, 43832, 43833], "dates of a spreadsheet"),
        ([9_200_000_000_000_000_000, 9_200_000_000_000_000_001], "no Unix time of any unit"),
        ([True, False], "one format:"),
        (["2020-01-01 00:00 QZT", "2020-01-02 00:00 QZT"], "no date format fits"),
        ([dt.time(9, 30), dt.time(9, 31)], "one format"),
        ([1.5, 2.5], "one format"),
        ([1577923200 + 2j, 1578009600 + 0j], "one format"),
        (pd.to_timedelta([1, 2], "D"), "one format"),
        ([[2020], {"a": 1}], "one format"),
    ],
    ids=str,
)
def test_what_is_not_a_timestamp(make_frame, find, times, words):
    defects = find(at(times, make_frame))
    assert list(defects) == ["unreadable_timestamp"]
    assert defects["unreadable_timestamp"].count == len(times)
    assert words in defects["unreadable_timestamp"].message


def test_unreadable_and_missing_timestamps_have_count_rows_and_values(make_frame, find):
    times = ["2020-01-01", "oops", None, "2020-01-04", "2020-02-30", "", "31.01.2020", "9999-01-01"]
    defects = find(at(times, make_frame))
    assert {k: d.rows for k, d in defects.items()} == {
        "missing_timestamp": (2,),
        "unreadable_timestamp": (1, 4, 5, 7),  # 31.01.2020 can only be one day
    }
    message = defects["unreadable_timestamp"].message
    assert "4 rows break it, first at row 1 ('oops'), row 4 ('2020-02-30'), row 5 ('')" in message
    assert "read as %Y-%m-%d" in message


def test_garbage_in_front_does_not_set_the_format(make_frame, find):
    defects = find(at(["oops", "2020-01-02", "2020-01-03"], make_frame))
    assert defects["unreadable_timestamp"].rows == (0,)


def test_text_between_integers(make_frame, find, write):
    frame = at(["20200102", "oops", "20200104", "20200230"], make_frame)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        defects = find(source)
        assert defects["unreadable_timestamp"].rows == (1, 3)
        assert "read as YYYYMMDD" in defects["unreadable_timestamp"].message


@pytest.mark.parametrize(
    "value", [dt.date(1500, 1, 1), dt.date(9999, 12, 31), dt.datetime(2300, 1, 1)]
)
def test_dates_beyond_nanoseconds_are_unreadable(make_frame, find, value):
    defects = find(at([dt.date(2020, 1, 1), value], make_frame))
    assert list(defects) == ["unreadable_timestamp"]
    assert defects["unreadable_timestamp"].rows == (1,)
    in_seconds = pd.Series([np.datetime64("2020-01-01"), np.datetime64(value)], dtype="M8[s]")
    assert find(at(in_seconds, make_frame))["unreadable_timestamp"].rows == (1,)


def test_first_and_last_dates(make_frame, find):
    times = [np.datetime64("1678-01-01", "s"), np.datetime64("2261-12-31T23:59:59", "s")]
    assert list(read_bars(at(pd.Series(times), make_frame)).timestamps) == times
    beyond = [times[0] - 1, *times, times[1] + 1]
    assert find(at(pd.Series(beyond), make_frame))["unreadable_timestamp"].rows == (0, 3)
    assert len(read_bars(at([19000101, 19000101, 19000102], make_frame), repair=REPAIRS)) == 2
    assert len(read_bars(at([22001230, 22001231, 22001231], make_frame), repair=REPAIRS)) == 2
    assert find(at([19000101, 19000230, 19000301], make_frame))["unreadable_timestamp"].rows == (1,)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Pacific/Apia"])
@pytest.mark.parametrize("form", ["text", "date", "integer", "datetime", "index"])
def test_naive_dates_never_shift(make_frame, zone, form):
    days = pd.date_range("2020-01-06", periods=300)
    times = {
        "text": days.strftime("%Y-%m-%d"),
        "date": days.date,
        "integer": days.strftime("%Y%m%d").astype(int),
        "datetime": days,
        "index": days,
    }[form]
    frame = at(times, make_frame)
    if form == "index":
        frame = frame.set_index("timestamp")
    index = read_bars(frame, timezone=zone).frame.index
    assert list(index.date) == list(days.date)
    assert set(index.hour) == {0}
    assert list(read_bars(frame, timezone=zone).timestamps) == list(days)  # in every output


def test_aware_times_are_converted(make_frame):
    bars = read_bars(
        at(["2020-01-02T00:00:00Z", "2020-01-02T01:00:00Z"], make_frame), timezone="Asia/Tokyo"
    )
    assert str(bars.frame.index[0]) == "2020-01-02 09:00:00+09:00"
    assert bars.timestamps[0] == np.datetime64("2020-01-02")


@pytest.mark.parametrize(
    "zone", ["Asia/Tokyo", "America/New_York", "Europe/London", "Asia/Kolkata"]
)
@pytest.mark.parametrize("frequency", ["B", "W-MON", "MS"])
@pytest.mark.parametrize("form", ["text", "datetime", "unix"])
@pytest.mark.parametrize("stated", [True, False])
def test_daily_bars_keep_the_date_of_the_exchange(make_frame, zone, frequency, form, stated):
    """Across clock changes, east and west of Greenwich, in the index and in the timestamps."""
    days = pd.date_range("2023-06-05", periods=60, freq=frequency)
    local = days.tz_localize(zone)
    times = {"text": local.map(str), "datetime": local, "unix": local.as_unit("s").asi8}[form]
    if form == "unix" and not stated:
        return  # no clock is written
    bars = read_bars(at(times, make_frame), timezone=zone if stated else None)
    assert list(bars.frame.index.date) == list(days.date)
    assert list(bars.timestamps) == list(days)
    assert str(bars.local_times[0])[:10] == str(days[0].date())


def test_mixed_offsets_fractions_and_zones(make_frame):
    times = [
        "2020-01-01T00:00:00+09:00",
        "2020-01-01T00:00:00-05:00",
        "2020-01-02T00:00:00.5Z",
        "2020-01-02T00:00:01-0500",
        "2020-01-03T00:00",  # without an offset: in Tokyo
        "2020-01-04",
    ]
    bars = read_bars(at(times, make_frame), timezone="Asia/Tokyo")
    assert list(bars.timestamps) == utc(
        "2019-12-31T15:00",
        "2020-01-01T05:00",
        "2020-01-02T00:00:00.5",
        "2020-01-02T05:00:01",
        "2020-01-02T15:00",
        "2020-01-03T15:00",
    )


def test_naive_first_then_aware(make_frame):
    times = ["2020-01-01", "2020-01-02 09:30", "2020-01-03 09:30:00.25", "2020-01-04T00:00:00Z"]
    bars = read_bars(at(times, make_frame), timezone="Asia/Tokyo")
    assert list(bars.timestamps) == utc(
        "2019-12-31T15:00", "2020-01-02T00:30", "2020-01-03T00:30:00.25", "2020-01-04T00:00"
    )


def test_offsets_of_several_zones_after_a_date(make_frame, find):
    times = ["2020-01-01", "2020-01-02T01:00:00+09:00", "2020-01-03T01:00:00-05:00"]
    bars = read_bars(at(times, make_frame))
    assert list(bars.timestamps) == utc("2020-01-01", "2020-01-01T16:00", "2020-01-03T06:00")
    defects = find(at([*times, "20200104T00:00Z", "2020-01-05x00:00Z"], make_frame))
    assert defects["unreadable_timestamp"].rows == (4,)


def test_unix_time_is_in_utc_whatever_the_timezone(make_frame):
    bars = read_bars(at([1577923200, 1577926800], make_frame), timezone="Asia/Tokyo")
    assert str(bars.frame.index[0]) == "2020-01-02 09:00:00+09:00"


class TestClockChanges:
    TIMES = (
        "2020-03-08 01:30",
        "2020-03-08 02:00",  # does not exist
        "2020-03-08 02:59",  # does not exist
        "2020-03-08 03:00",
        "2020-11-01 00:59",
        "2020-11-01 01:00",  # happens twice
        "2020-11-01 02:00",
    )

    @pytest.mark.parametrize("convert", [list, pd.to_datetime], ids=["text", "datetime"])
    def test_missing_and_repeated_hours_are_defects(self, make_frame, find, convert):
        frame = at(convert(list(self.TIMES)), make_frame)
        defects = find(frame, timezone="America/New_York")
        assert {k: d.rows for k, d in defects.items()} == {
            "nonexistent_time": (1, 2),
            "ambiguous_time": (5,),
        }
        assert "must exist in America/New_York" in defects["nonexistent_time"].message
        assert "first at row 1 ('2020-03-08 02:00" in defects["nonexistent_time"].message
        assert "first at row 5 ('2020-11-01 01:00" in defects["ambiguous_time"].message
        assert "offset or in UTC" in defects["ambiguous_time"].fix

    def test_other_hours_are_right(self, make_frame):
        times = [time for i, time in enumerate(self.TIMES) if i not in (1, 2, 5)]
        bars = read_bars(at(times, make_frame), timezone="America/New_York")
        assert list(bars.timestamps) == utc(
            "2020-03-08T06:30", "2020-03-08T07:00", "2020-11-01T04:59", "2020-11-01T07:00"
        )

    def test_offsets_make_them_clear(self, make_frame):
        times = ["2020-11-01T01:00:00-04:00", "2020-11-01T01:00:00-05:00"]
        bars = read_bars(at(times, make_frame), timezone="America/New_York")
        assert list(bars.timestamps) == utc("2020-11-01T05:00", "2020-11-01T06:00")
        assert [t.hour for t in bars.frame.index] == [1, 1]

    @pytest.mark.parametrize("newest_first", [False, True])
    @pytest.mark.parametrize(
        ("step", "zone", "day"),
        [
            ("h", "America/New_York", "2020-11-01"),
            ("5min", "America/New_York", "2020-11-01"),
            ("h", "Europe/London", "2020-10-25"),
            ("30min", "Australia/Sydney", "2020-04-05"),
        ],
    )
    def test_a_repeated_hour_is_told_by_the_order_of_rows(
        self, make_frame, find, step, zone, day, newest_first
    ):
        right = pd.date_range(day, periods=400, freq=step, tz=zone)
        texts = list(right.tz_localize(None).map(str))
        frame = at(texts, make_frame)
        frame = frame.iloc[::-1].reset_index(drop=True) if newest_first else frame
        bars = read_bars(frame, timezone=zone)
        assert (bars.frame.index == right).all()
        assert bars.repairs == ()
        defects = find(frame, repair="sort" if newest_first else ())  # without the zone
        if zone == "America/New_York":
            assert "timezone=" in defects["different_bars"].fix
            assert "drop_duplicates" not in defects["different_bars"].fix

    def test_drop_invalid_drops_them(self, make_frame):
        frame = at(list(self.TIMES), make_frame)
        bars = read_bars(frame, timezone="America/New_York", repair="drop_invalid")
        assert bars.repairs == ("dropped 3 of 7 rows without a usable timestamp",)
        np.testing.assert_array_equal(bars.close, frame["close"].to_numpy()[[0, 3, 4, 6]])


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../UTC", "/etc/passwd", 5, "America"])
def test_unknown_timezones(frame, zone):
    with pytest.raises(ArgumentError, match=r"unknown timezone .*expected an IANA name") as caught:
        read_bars(frame, timezone=zone)
    assert repr(zone) in str(caught.value)


def test_misspelt_timezone_gets_a_hint(frame):
    with pytest.raises(ArgumentError, match="did you mean 'America/New_York'"):
        read_bars(frame, timezone="america/new_york")


def test_messages_show_local_time(make_frame, find):
    frame = at(["2020-01-02 09:30", "2020-01-03 00:00"], make_frame)
    frame["volume"] = math.nan
    message = find(frame, timezone="Asia/Tokyo")["nan"].message
    assert "first at 2020-01-02 09:30:00+09:00 (volume=nan), 2020-01-03 (volume=nan)" in message


def dated(cells, times=None):
    frame = pd.DataFrame(
        {"date": cells, "open": 10, "high": 11, "low": 9, "close": 10, "volume": 5}
    )
    return frame if times is None else frame.assign(time=times)


NIGHT = ["2024-01-02T23:00", "2024-01-03T00:00", "2024-01-03T01:00"]


@pytest.mark.parametrize(
    ("cells", "times", "options"),
    [
        (["2024-01-02 23:00", "2024-01-02 24:00", "2024-01-03 01:00"], None, {}),
        (["2024-01-02T23:00:00Z", "2024-01-02T24:00:00Z", "2024-01-03T01:00:00Z"], None, {}),
        (["2024-01-02 23:00:00", "2024-01-02 24:00:00.000", "2024-01-03 01:00:00"], None, {}),
        (["02.01.2024 23:00", "02.01.2024 24:00", "03.01.2024 01:00"], None, {}),
        (["1/2/2024 23:00", "1/2/2024 24:00", "1/3/2024 01:00"], None, {"dayfirst": False}),
        (["2 Jan 2024, 23:00", "2 Jan 2024, 24:00", "3 Jan 2024, 01:00"], None, {}),
        (["02/01/24 23:00", "02/01/24 24:00", "03/01/24 01:00"], None,
         {"date_format": "%d/%m/%y %H:%M"}),
        ([202401022300, 202401022400, 202401030100], None, {}),
        (["20240102230000", "20240102240000", "20240103010000"], None, {}),
        (["20240102 230000", "20240102 240000", "20240103 010000"], None, {}),
        (["2024-01-02", "2024-01-02", "2024-01-03"], ["23:00", "24:00", "01:00"], {}),
        (["2024-01-02", "2024-01-02", "2024-01-03"], [2300, 2400, 100], {}),
        (["2024-01-02", "2024-01-02", "2024-01-03"], ["230000", "240000", "010000"], {}),
        (["2024-01-02 23:00", "2024-01-02 24:00", "2024-01-03 01:00"], None,
         {"timezone": "Asia/Tokyo"}),
    ],
)  # fmt: skip
def test_the_end_of_a_day_is_the_start_of_the_next(write, cells, times, options):
    frame = dated(cells, times)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        bars = read_bars(source, **options)
        assert list(bars.local_times) == [np.datetime64(time) for time in NIGHT]
        assert "24:00 as 00:00 of the next day" in bars.notes


def test_the_end_of_a_day_before_the_clock_moves_is_local_midnight():
    cells = [f"2024-03-{day} Europe/Berlin" for day in ("31 23:00", "31 24:00")]
    bars = read_bars(dated(["2024-03-30 24:00 Europe/Berlin", *cells]))
    assert [str(time)[:13] for time in bars.local_times] == [
        "2024-03-31T00", "2024-03-31T23", "2024-04-01T00"
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"timezone": "America/New_York"}])
@pytest.mark.parametrize("last", ["2024-01-05 24:00", "2024-01-05 13:00"])
def test_days_that_end_at_24_keep_their_own_date(last, options):
    days = [f"2024-01-0{day} 24:00" for day in (2, 3, 4)]
    bars = read_bars(dated([*days, last]), repair="drop_running", **options)
    dates = [np.datetime64(f"2024-01-0{day}") for day in (2, 3, 4, 5)]
    assert list(bars.local_times) == dates[: len(bars)]
    assert len(bars) == (4 if "24:00" in last else 3)


ROC = ["2024-03-04", "2024-03-05", "2024-03-13"]


@pytest.mark.parametrize(
    ("cells", "date_format"),
    [
        (["113/03/04", "113/3/5", "113/03/13"], None),
        (["民國113年3月4日", "民國113年3月5日", "民國113年3月13日"], None),
        (["令和6年3月4日", "令和6年3月5日", "令和6年3月13日"], None),
        (["R6.3.4", "R6.3.5", "R6.3.13"], None),
        (["113/03/04", "2024-03-05", "113/03/13"], "roc"),
        ([1130304, 1130305, 1130313], "roc"),
        (["1130304", "20240305", "1130313"], "roc"),
        (["2567-03-04", "2567-03-05", "2024-03-13"], "buddhist"),
        (["04/03/2567", "05/03/2567", "13/03/2567"], "buddhist"),
        ([25670304, 25670305, 25670313], "buddhist"),
    ],
)
def test_years_of_other_eras_are_read_or_the_error_names_the_era(write, cells, date_format):
    frame = dated(cells)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        bars = read_bars(source, date_format=date_format)
        assert [str(time)[:10] for time in bars.local_times] == ROC
        if date_format is not None:
            with pytest.raises(BarsError, match=f'date_format="{date_format}" reads') as caught:
                read_bars(source)
            assert "drop" not in str(caught.value)


def test_years_of_two_and_three_digits_are_an_era_of_their_own():
    cells = ["99/12/30", "99/12/31", "100/01/03"]
    with pytest.raises(BarsError, match='date_format="roc"'):
        read_bars(dated(cells))
    bars = read_bars(dated(cells), date_format="roc")
    assert str(bars.local_times[0])[:10] == "2010-12-30"


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        (["1402/12/14", "1402/12/15"], "a calendar that is not read"),
        (["2024-01-02", "2024-01-03", "########"], "widen the column"),
        (["13/01/2024", "45306", "15/01/2024"], "a spreadsheet's; write all"),
        (["13/01/2024", "14/01/2024", "01/15/2024"], "contradict"),
    ],
)
def test_dates_that_others_contradict_are_never_offered_to_be_dropped(cells, cause):
    with pytest.raises(BarsError) as caught:
        read_bars(dated(cells))
    text = str(caught.value).replace("\n    fix:", ";")
    assert cause in text and "drop" not in text


def test_digits_beside_dates_are_read_as_both():
    bars = read_bars(dated(["20240102", "2024-01-03", "04.01.2024"]))
    assert [str(time)[:10] for time in bars.local_times] == [f"2024-01-0{d}" for d in (2, 3, 4)]


READ = {
    "weeks": (["2024-W05-1", "2024-W06-3"], ["2024-01-29", "2024-02-07"]),
    "week": (["2024-W05", "2024-W06"], ["2024-01-29", "2024-02-05"]),
    "quarters": (["Q3 2023", "Q4 2023", "Q1 2024"], ["2023-07-01", "2023-10-01", "2024-01-01"]),
    "quarter": (["2023-Q4", "2024-Q1"], ["2023-10-01", "2024-01-01"]),
    "year first": (
        ["24-01-31", "24-02-01", "24-02-02"], ["2024-01-31", "2024-02-01", "2024-02-02"]
    ),
    "browser": (
        ["Mon Jan 29 2024 09:30:00 GMT-0500 (Eastern Standard Time)",
         "Tue Jan 30 2024 09:30:00 GMT-0500 (Eastern Standard Time)"],
        ["2024-01-29", "2024-01-30"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_weeks_quarters_and_years_first_are_read(write, kind):
    cells, dates = READ[kind]
    frame = dated(cells)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        assert [str(time)[:10] for time in read_bars(source).local_times] == dates


@pytest.mark.parametrize(
    ("cells", "cause", "fix", "options"),
    [
        (["2021", "2022", "2023"], "may be a year", 'date_format="%Y"', {"date_format": "%Y"}),
        (["2024-029", "2024-030"], "day of the year", 'date_format="%Y-%j"',
         {"date_format": "%Y-%j"}),
        (["2024029", "2024030"], "day of the year", 'date_format="%Y%j"', {"date_format": "%Y%j"}),
        (["Nov-23", "Dec-23", "Jan-24"], "a year or a day", 'date_format="%b-%y"',
         {"date_format": "%b-%y"}),
        (["29-Jan", "30-Jan"], "has no year", "export the dates with their year", None),
        (["09:30", "09:31"], "a time without a date", 'columns={"date": ..., "time": ...}', None),
        (["24-01-29", "24-01-30"], "day first or year first",
         'date_format="%d-%m-%y" or "%y-%m-%d"', {"date_format": "%y-%m-%d"}),
    ],
)  # fmt: skip
def test_dates_that_lack_a_part_name_it_and_how_to_state_it(cells, cause, fix, options):
    with pytest.raises(BarsError) as caught:
        read_bars(dated(cells))
    assert cause in str(caught.value) and fix in str(caught.value)
    assert "drop" not in str(caught.value)
    if options:
        assert len(read_bars(dated(cells), **options)) == len(cells)


def with_columns(count=3, **columns):
    frame = pd.DataFrame(
        {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 5.0}, range(count)
    )
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("columns", "times"),
    [
        ({"date": "2024-01-29", "hour": [9, 10, 11]}, ["29T09:00", "29T10:00", "29T11:00"]),
        ({"date": "2024-01-29", "hour": [9, 9, 10], "minute": [0, 30, 0]},
         ["29T09:00", "29T09:30", "29T10:00"]),
        ({"year": 2024, "month": 1, "day": [29, 30, 31]}, ["29T00:00", "30T00:00", "31T00:00"]),
        ({"Year": 2024, "Month": 1, "Day": 29, "Hour": [22, 23, 24]},
         ["29T22:00", "29T23:00", "30T00:00"]),
        ({"timestamp": [f"2024-01-29 {h}:30" for h in (9, 10, 11)], "hour": [9, 10, 11]},
         ["29T09:30", "29T10:30", "29T11:30"]),
        ({"timestamp": ["2024-01-29", "2024-01-30", "2024-01-31"], "year": 2024, "month": 1,
          "day": [29, 30, 31]}, ["29T00:00", "30T00:00", "31T00:00"]),
    ],
)  # fmt: skip
def test_parts_of_dates_in_columns_of_their_own(write, columns, times):
    frame = with_columns(**columns)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        bars = read_bars(source)
        assert [str(time)[8:16] for time in bars.local_times] == times


def test_a_column_of_the_zone_is_the_clock(write):
    times = [f"2024-01-29 {h}:30" for h in ("09", "10", "11")]
    frame = with_columns(date=times, timezone="America/New_York")
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        bars = read_bars(source)
        assert bars.timezone == "America/New_York"
        assert str(bars.timestamps[0])[:16] == "2024-01-29T14:30"
        assert read_bars(source, timezone="UTC").timezone == "UTC"
    bars = read_bars(frame.assign(timezone="ET"))
    assert bars.timezone == "UTC"
    assert any("'ET', which is not one IANA name" in note for note in bars.notes)


@pytest.mark.parametrize("midnight", [15, 16])
def test_dates_beside_instants_of_days_are_the_exchanges_own(midnight):
    unix = [int(pd.Timestamp(f"2024-01-{d}T{midnight}:00Z").timestamp()) for d in (28, 29, 30)]
    frame = with_columns(unix=unix, date=["2024-01-29", "2024-01-30", "2024-01-31"])
    assert [str(time)[8:] [:8] for time in read_bars(frame).local_times] == [
        "29T00:00", "30T00:00", "31T00:00"
    ]  # fmt: skip


def test_an_hour_that_is_there_twice_is_never_dropped():
    times = [f"2024-11-03 0{h}:00" for h in (0, 1, 1, 2)]
    with pytest.raises(BarsError, match="timezone= states the zone") as caught:
        read_bars(with_columns(4, date=times))
    assert "drop_duplicates" not in str(caught.value)
    assert len(read_bars(with_columns(4, date=times), timezone="America/New_York")) == 4


def test_parts_of_dates_beside_whole_ones_are_left_alone(write):
    times = [f"2024-01-29 {hour}:30" for hour in ("09", "10", "11")]
    frame = with_columns(year=2024, month=1, day=29, hour=[9, 10, 11])
    text = frame.set_axis(times)
    for source in (text, write("A.csv", text.to_csv()), frame.assign(time=times)):
        bars = read_bars(source)
        assert [str(time)[11:16] for time in bars.local_times] == ["09:30", "10:30", "11:30"]


@pytest.mark.parametrize(
    "cells", [["93000000", "93100000", "143000500"], [93000000, 93100000, 143000500]]
)
@pytest.mark.parametrize("name", ["time", "Time"])
def test_times_of_milliseconds_stand_beside_dates(cells, name):
    frame = pd.DataFrame({"date": [20240314] * 3, name: cells, "open": 10.0, "high": 11.0,
                          "low": 9.0, "close": 10.5, "volume": 5})  # fmt: skip
    shown = [str(t)[11:23] for t in read_bars(frame).local_times]
    assert shown == ["09:30:00.000", "09:31:00.000", "14:30:00.500"]


@pytest.mark.parametrize("unit", ["%Y%m%d", "%s"])
def test_whole_numbers_of_an_index_without_a_name_are_dates_as_in_a_file(write, unit):
    days = pd.bdate_range("2024-01-02", periods=9, tz="UTC")
    cells = [day.strftime(unit) if unit != "%s" else str(int(day.timestamp())) for day in days]
    text = ",open,high,low,close,volume\n" + "".join(f"{c},10,11,9,10.5,1\n" for c in cells)
    path = write("A.csv", text)
    frame = pd.read_csv(path, index_col=0)
    assert list(read_bars(frame).timestamps) == list(read_bars(path).timestamps)
    with pytest.raises(BarsError, match="timestamps are missing"):
        read_bars(frame.set_axis(range(3, 12)))


@pytest.mark.parametrize("kind", [int, str])
def test_days_before_years_that_may_be_days_of_a_year_name_both(kind):
    days = pd.date_range("2024-01-02", periods=5)
    frame = pd.DataFrame({"date": [kind(day.strftime("%d%m%Y")) for day in days], "open": 10.0,
                          "high": 11.0, "low": 9.0, "close": 10.5, "volume": 5})  # fmt: skip
    with pytest.raises(BarsError, match="a day and a month before the year") as caught:
        read_bars(frame)
    assert '"%Y%j"' in str(caught.value)
    read = read_bars(frame, date_format="%d%m%Y").timestamps
    assert [str(t)[:10] for t in read] == [str(day.date()) for day in days]


def test_periods_of_pandas_as_text_begin_as_in_the_frame(write):
    weeks = pd.period_range("2024-01-01", periods=9, freq="W-SUN")
    frame = pd.DataFrame({"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 5},
                         index=weeks.rename("date"))  # fmt: skip
    path = write("A.csv", frame.to_csv())
    assert list(read_bars(path).timestamps) == list(read_bars(frame).timestamps)
