"""Columns that are left out and matter: settlements, times of the day, volumes of other names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars

DAYS = pd.bdate_range("2024-01-02", periods=20)
CLOSE = 100 + np.round(np.sin(np.arange(20)), 2)


def frame_of(**columns):
    prices = {"Open": CLOSE, "High": CLOSE + 2, "Low": CLOSE - 2}
    return pd.DataFrame({"Date": DAYS.strftime("%Y-%m-%d"), **prices, **columns})


def sources(write, frame):
    return frame, write("A.csv", frame.to_csv(index=False))


@pytest.mark.parametrize("name", ["Settle", "Settlement Price", "结算价"])
@pytest.mark.parametrize("close", ["Last", "Close"])
def test_a_settlement_beside_a_close_is_named(write, name, close):
    frame = frame_of(**{close: CLOSE, name: CLOSE + 0.5, "Volume": 7})
    for source in sources(write, frame):
        bars = read_bars(source)
        np.testing.assert_array_equal(bars.close, CLOSE)
        assert f"close is {close!r}" in " ".join(bars.notes) and name in " ".join(bars.notes)
        settled = read_bars(source, columns={"close": name})
        np.testing.assert_array_equal(settled.close, CLOSE + 0.5)


def test_a_settlement_alone_is_the_close(write):
    for source in sources(write, frame_of(Settle=CLOSE, Volume=7)):
        bars = read_bars(source)
        np.testing.assert_array_equal(bars.close, CLOSE)
        assert "close is 'Settle', the settlement price" in bars.notes


def test_times_of_the_day_that_are_not_read_are_named(write, find):
    daily = frame_of(Close=CLOSE, Volume=7, Updated="16:00")
    for source in sources(write, daily):
        assert "the column 'Updated' holds times of the day" in " ".join(read_bars(source).notes)
    clock = [f"{9 + i // 60}:{i % 60:02}" for i in range(30, 50)]
    minutes = frame_of(Close=CLOSE, Volume=7, Until=clock).assign(Date="2024-01-02")
    for source in sources(write, minutes):
        assert "Until" in find(source)["different_bars"].fix
        bars = read_bars(source, columns={"time": "Until"})
        assert str(bars.timestamps[0])[:16] == "2024-01-02T09:30" and len(bars) == 20


@pytest.mark.parametrize("name", ["Kiekis", "Dung luong", "Hajmi"])
@pytest.mark.parametrize("write_cell", ["{}", "{}.0", "{}K", "{:,}"])
def test_a_volume_of_an_unknown_name_is_never_set_to_zero(write, find, name, write_cell):
    cells = [write_cell.format(1000 + i) for i in range(20)]
    for source in sources(write, frame_of(**{"Close": CLOSE, name: cells})):
        fix = find(source)["missing_column"].fix
        assert name in fix and "zero_volume" not in fix
        assert read_bars(source, columns={"volume": name}).volume[0] >= 1000
        without = find(source, columns={name: "ignored"})["missing_column"].fix
        assert "zero_volume" in without
    assert "zero_volume" in find(frame_of(Close=CLOSE, Change="0.5%"))["missing_column"].fix
    assert "zero_volume" in find(frame_of(Close=CLOSE, Spread=3))["missing_column"].fix
