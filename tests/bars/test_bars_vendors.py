"""Names, units and stamps of exports that people sent: each was refused or read wrongly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.bars.layouts.names import volume_unit
from marketsim.errors import BarsError

DAYS = pd.bdate_range("2024-01-02", periods=30)


def daily(header, delimiter=","):
    rows = (delimiter.join((f"{d:%Y-%m-%d}", *["10", "12", "9", "11", "100"])) + "\n" for d in DAYS)
    return header + "\n" + "".join(rows)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Volume", 1), ("Volume (000)", 1_000), ("Volume (thousands)", 1_000),
        ("Volume (in 1000s)", 1_000), ("Volume ('000)", 1_000), ("Volume (M)", 1_000_000),
        ("Vol (mln)", 1_000_000), ("Volume (millions)", 1_000_000), ("成交量(万股)", 10_000),
        ("Volume (BTC)", 1),
    ],
)  # fmt: skip
def test_the_unit_in_a_volumes_name_counts(write, name, unit):
    bars = read_bars(write("A.csv", daily(f"Date,Open,High,Low,Close,{name}")), symbol="A")
    assert volume_unit(name) == unit
    assert (bars.volume == 100.0 * unit).all()
    assert any("in units of" in note for note in bars.notes) == (unit != 1)


@pytest.mark.parametrize(
    "header",
    [
        "Datum,Zeit", "Datum,Uhrzeit", "Data,Hora", "Fecha,Hora", "Date,Heure", "Data,Ora",
        "Data,Godzina", "Дата,Время", "Tarih,Saat", "日付,時刻", "Datum,Tijd", "日期,时间",
    ],
)  # fmt: skip
def test_times_beside_dates_in_other_languages(write, header):
    times = pd.date_range("2024-01-02 09:00", periods=60, freq="min")
    rows = "".join(f"{t:%Y-%m-%d},{t:%H:%M},10,10,10,10,0\n" for t in times)
    bars = read_bars(write("A.csv", f"{header},Open,High,Low,Close,Volume\n{rows}"))
    np.testing.assert_array_equal(bars.local_times, times.to_numpy())


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open ($),High ($),Low ($),Close ($),Volume",
        "Datum,Öppen,Högsta,Lägsta,Stängning,Volym",
        "Tarih,Açılış,En Yüksek,En Düşük,Kapanış,Hacim",
        "Dato,Åben,Høj,Lav,Lukkekurs,Volum",
        "Data,Apertura,Massimo,Minimo,Chiusura,Volume",
        "TradDt,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol",
        "ts,open,high,low,close,volume",
    ],
)
def test_names_of_prices(write, header):
    bars = read_bars(write("A.csv", daily(header)), symbol="A")
    first = (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0])
    assert first == (10, 12, 9, 11, 100)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rows_without_any_cell_are_left_out(write, delimiter):
    header = delimiter.join(["Date", "Open", "High", "Low", "Close", "Volume"])
    text = daily(header, delimiter)
    blank = delimiter * 5 + "\n"
    lines = text.splitlines(keepends=True)
    bars = read_bars(write("A.csv", "".join([*lines[:9], blank, *lines[9:], blank, blank])))
    np.testing.assert_array_equal(bars.timestamps, DAYS.to_numpy())
    assert "left out 3 rows without any cell" in bars.notes


def times_of(write, pairs):
    rows = "".join(f"{day},{time},1,2,1,2,5\n" for day, time in pairs)
    return read_bars(write("A.csv", "date,time,open,high,low,close,volume\n" + rows)).local_times


def test_2400_among_hours_minutes_and_seconds_is_24_minutes_past_midnight(write):
    pairs = [(20240130, 235900), (20240131, 2300), (20240131, 2400)]
    expected = ["2024-01-30T23:59", "2024-01-31T00:23", "2024-01-31T00:24"]
    np.testing.assert_array_equal(times_of(write, pairs), np.array(expected, "M8[ns]"))
    pairs = [(20240130, 2300), (20240130, 2330), (20240130, 2400)]
    expected = ["2024-01-30T23:00", "2024-01-30T23:30", "2024-01-31T00:00"]
    np.testing.assert_array_equal(times_of(write, pairs), np.array(expected, "M8[ns]"))


def test_digits_that_are_no_hours_and_minutes_are_seconds_too(write):
    times = pd.date_range("2024-01-02", periods=288, freq="5min")
    pairs = [(f"{t:%Y%m%d}", int(f"{t:%H%M%S}")) for t in times]
    np.testing.assert_array_equal(times_of(write, pairs[:12]), times[:12].to_numpy())
    np.testing.assert_array_equal(times_of(write, pairs), times.to_numpy())


@pytest.mark.parametrize(
    ("zone", "hour"), [("America/New_York", 17), ("America/Chicago", 16), ("Europe/London", 22)]
)
@pytest.mark.parametrize("count", [30, 60, 300])
def test_days_that_are_stamped_at_their_close_keep_their_date(write, zone, hour, count):
    days = pd.bdate_range("2023-09-01", periods=count)
    stamps = (days + pd.Timedelta(hours=hour)).tz_localize(zone).tz_convert("UTC")
    rows = "".join(f"{t:%Y-%m-%dT%H:%M:%SZ},10,12,9,11,7\n" for t in stamps)
    bars = read_bars(write("A.csv", "time,open,high,low,close,volume\n" + rows))
    assert [str(d)[:10] for d in bars.local_times] == [f"{d:%Y-%m-%d}" for d in days]


def test_volumes_that_are_missing_are_still_named(write):
    with pytest.raises(BarsError, match="missing volume"):
        read_bars(write("A.csv", "Date,Open,High,Low,Close\n2024-01-02,1,2,1,2\n"))
