"""Cells that tools write in a way of their own, and lines among the bars that are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars

DAYS = pd.bdate_range("2024-01-02", periods=30)
MINUTES = pd.date_range("2024-03-05 14:30", periods=30, freq="min")
HEAD = "Date,Open,High,Low,Close,Volume"
PLAIN = "{t:%Y-%m-%d},10.5,12.25,9.75,11,{v}"


def lines(line, times=DAYS, head=HEAD):
    rows = [line.format(t=t, v=1000 + k) for k, t in enumerate(times)]
    return "\n".join([head, *rows]) + "\n"


def check(bars, times=DAYS):
    np.testing.assert_array_equal(bars.local_times, times.to_numpy())
    assert (bars.open == 10.5).all() and (bars.close == 11).all()
    assert list(bars.volume) == [1000 + k for k in range(len(times))]


@pytest.mark.parametrize(
    "text",
    [
        lines('="{t:%Y-%m-%d}",10.5,12.25,9.75,11,{v}'),
        lines("'{t:%Y-%m-%d},10.5,12.25,9.75,11,{v}"),
        lines("'{t:%Y-%m-%d}','10.5','12.25','9.75','11','{v}'"),
        lines(PLAIN).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
        lines(PLAIN).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        lines(PLAIN, head=HEAD + "\n---,---,---,---,---,---").replace(",", "|"),
    ],
    ids=["formula", "apostrophe", "quotes", "arabic", "wide", "markdown"],
)  # fmt: skip
def test_cells_as_tools_write_them(write, text):
    check(read_bars(write("A.csv", text)))


@pytest.mark.parametrize(
    "text_format",
    ["%Y-%m-%d-%H-%M-%S", "%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H.%M.%S", "%a %b %d %H:%M:%S %Y",
     "%Y_%m_%d_%H_%M_%S", "%Y-%m-%d:%H:%M:%S"],
)  # fmt: skip
def test_marks_of_dates_in_times(write, text_format):
    line = "{t:" + text_format.replace(":", "\N{RATIO}") + "},10.5,12.25,9.75,11,{v}"
    text = lines(line, MINUTES).replace("\N{RATIO}", ":")
    check(read_bars(write("A.csv", text)), MINUTES)


def test_months_before_years_and_parts_of_a_day(write):
    months = pd.date_range("2023-01-01", periods=30, freq="MS")
    check(read_bars(write("A.csv", lines("{t:%m/%Y},10.5,12.25,9.75,11,{v}", months))), months)
    rows = [
        f"{t:%Y-%m-%d},{(60 * t.hour + t.minute) / 1440:.9f},10.5,12.25,9.75,11,{1000 + k}"
        for k, t in enumerate(MINUTES)
    ]  # fmt: skip
    text = "\n".join([HEAD.replace("Date", "Date,Time"), *rows])
    check(read_bars(write("A.csv", text)), MINUTES)


def test_days_since_1970_are_not_taken_for_a_spreadsheets(write, find):
    rows = [f"{t.toordinal() - 719_163},10.5,12.25,9.75,11,{1000 + k}" for k, t in enumerate(DAYS)]
    path = write("A.csv", "\n".join([HEAD, *rows]))
    message = find(path)["unreadable_timestamp"].message
    assert 'date_format="days"' in message and '"excel"' in message
    check(read_bars(path, date_format="days"))


@pytest.mark.parametrize("event", ["0.24 Dividend", "4:1 Stock Split", "4:1 Stock Splits"])
def test_dividends_and_splits_between_the_bars_are_left_out_and_said(write, event):
    body = lines(PLAIN).split("\n")
    body.insert(9, f"2024-01-11,{event},,,,")
    bars = read_bars(write("A.csv", "\n".join(body)))
    check(bars)
    assert "left out 1 line of dividends and splits among the bars" in bars.notes


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Date (America/New_York)", "America/New_York"), ("Time (ET)", "America/New_York"),
        ("Time [EST]", "Etc/GMT+5"), ("DateTime (UTC+2)", "Etc/GMT-2"),
        ("time (JST)", "Asia/Tokyo"),
    ],
)  # fmt: skip
def test_a_zone_in_the_name_of_the_column(write, name, zone):
    text = lines("{t:%Y-%m-%d %H:%M},10.5,12.25,9.75,11,{v}", MINUTES, HEAD.replace("Date", name))
    path = write("A.csv", text)
    bars = read_bars(path)
    check(bars, MINUTES)
    assert bars.timezone == zone and any("as the column" in note for note in bars.notes)
    assert read_bars(pd.read_csv(path)).timezone == zone
    assert read_bars(path, timezone="Europe/London").timezone == "Europe/London"


def test_zones_of_the_united_states_after_times(write, find):
    path = write("A.csv", lines("{t:%Y-%m-%d %H:%M} ET,10.5,12.25,9.75,11,{v}", MINUTES))
    bars = read_bars(path)
    check(bars, MINUTES)
    assert bars.timezone == "America/New_York"
    path = write("A.csv", lines("{t:%Y-%m-%d %H:%M} CST,10.5,12.25,9.75,11,{v}", MINUTES))
    assert "several places" in find(path)["unclear_timestamps"].message


def test_letters_for_prices(write):
    text = lines("{t:%Y-%m-%d},10.5,12.25,9.75,11,{v}", head="date,o,h,l,c,v")
    check(read_bars(write("A.csv", text)))


def test_bids_beside_asks_are_read_and_said(write):
    head = "Date,Open Bid,High Bid,Low Bid,Close Bid,Open Ask,High Ask,Low Ask,Close Ask,Volume"
    text = lines("{t:%Y-%m-%d},10.5,12.25,9.75,11,1,1,1,1,{v}", head=head)
    bars = read_bars(write("A.csv", text))
    check(bars)
    assert any("prices are bids" in note for note in bars.notes)
