from __future__ import annotations

import contextlib
import copy
import hashlib

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError, InvalidNameError

COLUMNS = ["open", "high", "low", "close", "volume"]


def test_frame_has_the_promised_layout(frame):
    frame["timestamp"] = pd.date_range("2020-01-06 09:30", periods=10, freq="h")
    bars = read_bars(frame, symbol="ABC", timezone="America/New_York")
    assert list(bars.frame.columns) == COLUMNS
    assert set(bars.frame.dtypes) == {np.dtype(np.float64)}
    assert str(bars.frame.index.dtype) == "datetime64[ns, America/New_York]"
    assert bars.frame.index.name == "timestamp"
    assert bars.frame.index.freq is None
    assert len(bars) == 10
    assert bars.symbol == "ABC"
    assert bars.repairs == ()
    assert repr(bars) == (
        "Bars('ABC', 10 bars of 1 hour, 2020-01-06 09:30 to 18:30 America/New_York)"
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_accessors_hold_the_values_and_cannot_be_written(frame, name):
    bars = read_bars(frame)
    array = getattr(bars, name)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, frame[name].to_numpy())
    assert getattr(bars, name) is array
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_timestamps_are_utc_nanoseconds_and_cannot_be_written(frame):
    times = pd.date_range("2020-01-06 09:00", periods=10, freq="h")
    bars = read_bars(frame.assign(timestamp=times), timezone="Asia/Tokyo")
    assert bars.timestamps.dtype == np.dtype("M8[ns]")
    assert bars.timestamps[0] == np.datetime64("2020-01-06T00:00:00")
    with pytest.raises(ValueError, match="read-only"):
        bars.timestamps[0] = np.datetime64("2021-01-01")
    with pytest.raises(ValueError, match="WRITEABLE"):
        bars.timestamps.flags.writeable = True


def test_attributes_cannot_be_set(frame):
    bars = read_bars(frame)
    for name in ("frame", "symbol", "close", "other"):
        with pytest.raises(AttributeError):
            setattr(bars, name, None)


@pytest.mark.parametrize("as_index", [False, True])
def test_changing_the_given_frame_does_not_change_bars(frame, as_index):
    if as_index:
        frame = frame.set_index(pd.DatetimeIndex(frame.pop("timestamp"), tz="UTC"))
    bars = read_bars(frame)
    before = (bars.close.copy(), bars.frame.copy(deep=True), bars.timestamps.copy())
    frame.loc[:, "close"] = -1.0
    frame.iloc[0] = frame.iloc[1]
    del frame["open"]
    np.testing.assert_array_equal(bars.close, before[0])
    pd.testing.assert_frame_equal(bars.frame, before[1])
    np.testing.assert_array_equal(bars.timestamps, before[2])


def test_memory_is_not_shared_with_the_given_frame(frame):
    block = np.array(frame[COLUMNS], order="F")
    given = pd.DataFrame(block, pd.DatetimeIndex(frame["timestamp"], tz="UTC"), COLUMNS, copy=False)
    bars = Bars(given, "ABC")
    before = bars.close.copy()
    block[:] = -1.0
    np.testing.assert_array_equal(bars.close, before)
    assert not np.shares_memory(bars.open, block)


def test_changing_the_frame_handed_out_does_not_change_bars(frame):
    bars = read_bars(frame)
    fingerprint = read_bars(frame).fingerprint
    handed = bars.frame
    with contextlib.suppress(ValueError):  # before pandas 3 what is handed out is read-only
        handed.iloc[0, 3] = -1.0
    handed["extra"] = 1
    handed["volume"] = 7.0
    assert list(bars.frame.columns) == COLUMNS
    assert bars.frame.iloc[0, 3] == bars.close[0] == frame["close"][0]
    assert bars.fingerprint == fingerprint


def test_fingerprint_is_the_sha256_of_times_and_columns(frame):
    bars = read_bars(frame)
    content = pd.DatetimeIndex(frame["timestamp"]).as_unit("ns").asi8.astype("<i8").tobytes()
    for name in COLUMNS:
        content += frame[name].to_numpy().astype("<f8").tobytes()
    assert bars.fingerprint == hashlib.sha256(content).hexdigest()
    assert bars.fingerprint is bars.fingerprint


def test_fingerprint_does_not_depend_on_symbol_zone_or_source(frame, write):
    first = read_bars(frame).fingerprint
    in_tokyo = frame.assign(timestamp=pd.to_datetime(frame["timestamp"], utc=True))
    assert read_bars(frame, symbol="ABC").fingerprint == first
    assert read_bars(in_tokyo, timezone="Asia/Tokyo").fingerprint == first
    assert read_bars(write("A.csv")).fingerprint == first
    assert read_bars(frame, timezone="Asia/Tokyo").fingerprint == first  # the same dates
    hours = frame.assign(timestamp=pd.date_range("2020-01-06", periods=10, freq="h"))
    assert read_bars(hours, timezone="Asia/Tokyo").fingerprint != read_bars(hours).fingerprint


def test_fingerprint_changes_with_any_single_value(frame):
    frame["timestamp"] = pd.date_range("2020-01-06 09:30", periods=10, freq="h").map(str)
    seen = {read_bars(frame).fingerprint}
    for row in range(len(frame)):
        for name in COLUMNS:
            changed = frame.copy()
            toward = 0 if name == "low" else np.inf
            if name in ("open", "close"):
                toward = changed["low"][row]
            changed.loc[row, name] = np.nextafter(changed.loc[row, name], toward)
            seen.add(read_bars(changed).fingerprint)
        changed = frame.copy()
        changed["timestamp"] = pd.to_datetime(changed["timestamp"]).astype("M8[ns]")
        changed.loc[row, "timestamp"] += pd.Timedelta(1, "ns")
        seen.add(read_bars(changed).fingerprint)
    assert len(seen) == 1 + 6 * len(frame)


def test_fingerprint_changes_with_a_row_less(frame):
    assert read_bars(frame).fingerprint != read_bars(frame.iloc[:-1]).fingerprint


def test_copies_are_rebuilt_read_only(frame):
    # The same protocol carries Bars to another process.
    bars = read_bars(frame.iloc[::-1], symbol="ABC", timezone="Asia/Tokyo", repair="sort")
    twin = copy.deepcopy(bars)
    assert (twin.symbol, twin.repairs) == ("ABC", bars.repairs)
    assert twin.fingerprint == bars.fingerprint
    pd.testing.assert_frame_equal(twin.frame, bars.frame)
    assert not np.shares_memory(twin.close, bars.close)
    assert not twin.close.flags.writeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="open"), r"got columns \['high'.*expected \['open', 'high'"),
        (lambda f: f[COLUMNS[::-1]], "got columns"),
        (lambda f: f.astype({"volume": np.int64}), "int64.*expected float64"),
        (lambda f: f.reset_index(drop=True), "index of dtype int64.*time zone"),
        (lambda f: f.tz_localize(None), "expected a DatetimeIndex with a time zone"),
        (lambda f: f.iloc[::-1], "not ascending"),
        (lambda f: f.iloc[[0, 0, 1]], "repeated"),
    ],
)
def test_constructor_refuses_other_layouts(frame, change, message):
    good = read_bars(frame).frame
    with pytest.raises(ArgumentError, match=message) as caught:
        Bars(change(good), "ABC")
    assert "read_bars" in str(caught.value)


def test_constructor_refuses_a_bad_symbol(frame):
    with pytest.raises(InvalidNameError):
        Bars(read_bars(frame).frame, "../x")
