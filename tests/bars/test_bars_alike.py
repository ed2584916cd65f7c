"""Files whose lines look alike, and what tells them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars


def lines(line, times, volumes):
    rows = [
        line.format(t=t, o=10 + k % 3, h=13, l=9, c=11, v=v)
        for k, (t, v) in enumerate(zip(times, volumes, strict=True))
    ]
    return "\n".join(rows) + "\n"


MINUTES = pd.date_range("2024-01-02 09:30", periods=100, freq="min")
SEMICOLONS = "{t:%Y%m%d %H%M%S};{o}.25;{h}.5;{l}.75;{c}.0;{v}"
COMMAS = "{t:%Y.%m.%d,%H:%M},{o}.25,{h}.5,{l}.75,{c}.0,{v}"


@pytest.mark.parametrize(
    ("line", "without", "traded"),
    [(SEMICOLONS, "HistData", "NinjaTrader"), (COMMAS, "HistData", "MetaTrader 4")],
)
def test_volumes_tell_histdata_from_platforms(write, line, without, traded):
    bars = read_bars(write("A.txt", lines(line, MINUTES, [0] * 100)))
    assert bars.timezone == "Etc/GMT+5" and any(f"read as {without}" in n for n in bars.notes)
    for volumes in ([5] * 100, [0] * 60 + [3] * 40):
        bars = read_bars(write("A.txt", lines(line, MINUTES, volumes)))
        assert bars.timezone == "UTC" and any(f"read as {traded}" in n for n in bars.notes)
        np.testing.assert_array_equal(bars.local_times, MINUTES.to_numpy())
        assert any("timezone= states" in n for n in bars.notes)
        assert not any("HistData" in n for n in bars.notes)


@pytest.mark.parametrize("freq", ["B", "min", "h", "W"])
def test_ticks_of_net_are_no_nanoseconds(write, freq):
    dates = pd.date_range("2024-01-02", periods=100, freq=freq)
    ticks = dates.as_unit("ns").asi8 // 100 + 621_355_968_000_000_000
    rows = "".join(f"{t},10,12,9,11,7\n" for t in ticks)
    bars = read_bars(write("A.csv", "Time,Open,High,Low,Close,Volume\n" + rows))
    np.testing.assert_array_equal(bars.local_times, dates.to_numpy())
    assert any(".NET ticks" in note for note in bars.notes)


@pytest.mark.parametrize("freq", ["B", "min", "h"])
def test_nanoseconds_of_1990_are_no_ticks(write, freq):
    dates = pd.date_range("1990-01-02", periods=60, freq=freq)
    rows = "".join(f"{t},10,12,9,11,7\n" for t in dates.as_unit("ns").asi8)
    bars = read_bars(write("A.csv", "Time,Open,High,Low,Close,Volume\n" + rows))
    np.testing.assert_array_equal(bars.local_times, dates.to_numpy())


NAMES = ["Date", "Open", "High", "Low", "Close", "Volume"]


def text_of(columns, names):
    return ",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in columns)


def test_two_volumes_of_metatrader_are_told_apart(write):
    rows = [
        (f"2024.01.02,0{k}:00:00", 10, 12, 9, 11, 50 + k, 7 * k + 5, 1) for k in range(8)
    ]  # fmt: skip
    names = [
        "<DATE>,<TIME>",
        "<OPEN>",
        "<HIGH>",
        "<LOW>",
        "<CLOSE>",
        "<TICKVOL>",
        "<VOL>",
        "<SPREAD>",
    ]
    path = write("A.csv", text_of(rows, names))
    bars = read_bars(path)
    assert list(bars.volume) == [50 + k for k in range(8)]
    assert any("'<TICKVOL>'" in n and 'columns={"volume": "<VOL>"}' in n for n in bars.notes)
    bars = read_bars(path, columns={"volume": "<VOL>"})
    assert list(bars.volume) == [7 * k + 5 for k in range(8)]
    assert any("volume is '<VOL>'" in n for n in bars.notes)


@pytest.mark.parametrize("mark", ["'", "-"])
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("118{}16", "119{}31", "117{}00", "118{}08"), (118.5, 119.96875, 117.0, 118.25)),
        (("110{}165", "110{}317", "109{}002", "110{}020"),
         (110.515625, 110.9921875, 109.0078125, 110.0625)),
        (("110{}16+", "110{}31", "109{}00", "110{}02+"),
         (110.515625, 110.96875, 109.0, 110.078125)),
        (("456{}2", "460{}6", "450{}0", "455{}4"), (456.25, 460.75, 450.0, 455.5)),
    ],
)  # fmt: skip
def test_prices_in_32nds_and_eighths(write, mark, cells, values):
    row = [cell.format(mark) for cell in cells]
    rows = [(f"2024-01-0{day}", *row, 5) for day in range(2, 6)]
    bars = read_bars(write("A.csv", text_of(rows, NAMES)))
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == values
    assert any("prices are in" in note for note in bars.notes)


def test_thousands_of_switzerland_are_no_32nds(write):
    rows = [(f"2024-01-0{day}", "118'160", "119'975", "117'020", "118'007", 5) for day in (2, 3, 4)]
    bars = read_bars(write("A.csv", text_of(rows, NAMES)))
    assert list(bars.high) == [119_975.0] * 3


@pytest.mark.parametrize("text_format", ["%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%d%b%y", "%d.%m.%y"])
@pytest.mark.parametrize("start", ["1951-01-02", "1962-01-02", "1999-06-01", "2023-06-01"])
def test_years_of_two_digits_are_between_1950_and_2049(write, text_format, start):
    dates = pd.bdate_range(start, periods=300)
    rows = [(t, 10, 12, 9, 11, 5) for t in dates.strftime(text_format)]
    bars = read_bars(write("A.csv", text_of(rows, NAMES)))
    np.testing.assert_array_equal(bars.timestamps, dates.to_numpy())


@pytest.mark.parametrize("text_format", ["%d%b%Y", "%d%b%Y:%H:%M:%S", "%d%B%Y"])
def test_dates_of_sas(write, text_format):
    dates = pd.bdate_range("2024-01-02", periods=30)
    rows = [(t.upper(), 10, 12, 9, 11, 5) for t in dates.strftime(text_format)]
    bars = read_bars(write("A.csv", text_of(rows, NAMES)))
    np.testing.assert_array_equal(bars.timestamps, dates.to_numpy())


def test_a_column_named_ticks_is_not_deribit(write):
    times = pd.date_range("2024-01-02 09:30", periods=20, freq="min").as_unit("ns")
    ticks = times.asi8 // 100 + 621_355_968_000_000_000
    rows = "".join(f"{t},10,12,9,11,7\n" for t in ticks)
    bars = read_bars(write("A.csv", "Ticks,Open,High,Low,Close,Volume\n" + rows))
    assert bars.frame.index[0] == pd.Timestamp("2024-01-02 09:30", tz="UTC")
    assert not any("Deribit" in note for note in bars.notes)


@pytest.mark.parametrize(
    "header",
    ["date;ouv;haut;bas;clot;vol", "날짜;오픈;고가;저가;종가;거래량"],
)
def test_names_of_vendors_in_other_languages(write, header):
    days = pd.bdate_range("2024-01-02", periods=20)
    bars = read_bars(
        write("A.csv", header + "\n" + "".join(f"{d:%Y-%m-%d};10;12;9;11;7\n" for d in days))
    )
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == (10, 12, 9, 11)
