"""Shapes in which exchanges, brokers and tools hand out candles, each with what is right."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars, read_many
from marketsim.errors import BarsError, FileFormatError, InvalidNameError

SECONDS = [1706520600, 1706520660, 1706520720]
OPEN, HIGH, LOW, CLOSE = (
    [10.0, 10.5, 10.25],
    [11.0, 11.5, 11.25],
    [9.0, 9.5, 9.75],
    [10.5, 10.25, 11],
)
VOLUME = [100.0, 200.0, 300.0]
ROWS = list(zip(OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True))
LONG = pd.DataFrame(ROWS, columns=["open", "high", "low", "close", "volume"])
DAYS = pd.to_datetime(["2024-01-29", "2024-01-30", "2024-01-31"])


def oanda(kind):
    return {"instrument": "EUR_USD", "candles": [
        {"complete": True, "volume": v, "time": f"{pd.Timestamp(t, unit='s').isoformat()}.000Z",
         kind: {"o": str(o), "h": str(h), "l": str(low), "c": str(c)}}
        for t, (o, h, low, c, v) in zip(SECONDS, ROWS, strict=True)
    ]}  # fmt: skip


SOURCES = {
    "kucoin": [[str(t), str(o), str(c), str(h), str(low), str(v), str(v * 10)]
               for t, (o, h, low, c, v) in zip(SECONDS, ROWS, strict=True)],
    "htx": [{"id": t, "open": o, "close": c, "low": low, "high": h, "amount": v, "vol": v * 10,
             "count": 3} for t, (o, h, low, c, v) in zip(SECONDS, ROWS, strict=True)],
    "okx": pd.DataFrame({"ts": np.array(SECONDS) * 1000, "o": OPEN, "h": HIGH, "l": LOW, "c": CLOSE,
                         "vol": VOLUME, "volCcy": 1, "volCcyQuote": 1, "confirm": 1}),
    "deribit": {"result": {"ticks": [t * 1000 for t in SECONDS], "open": OPEN, "high": HIGH,
                           "low": LOW, "close": CLOSE, "volume": VOLUME, "status": "ok"}},
    "oanda mid": oanda("mid"),
    "oanda bid": oanda("bid"),
    "pandas columns": json.loads(LONG.set_index(pd.Index(SECONDS)).to_json()),
    "pandas index": json.loads(LONG.set_index(pd.Index(SECONDS)).to_json(orient="index")),
    "pandas split": json.loads(LONG.set_index(pd.Index(SECONDS)).to_json(orient="split")),
    "blanks": "date_time open high low close volume\n" + "".join(
        f"{pd.Timestamp(t, unit='s').isoformat()}  {'   '.join(map(str, row))}\n"
        for t, row in zip(SECONDS, ROWS, strict=True)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_each_shape_gives_its_candles(write, name):
    source = SOURCES[name]
    if isinstance(source, dict):
        source = write("A.json", json.dumps(source))
    elif isinstance(source, str):
        source = write("A.txt", source.replace("date_time", "timestamp"))
    bars = read_bars(source)
    assert [int(t.astype(np.int64)) // 10**9 for t in bars.timestamps] == SECONDS
    for column, values in zip((bars.open, bars.high, bars.low, bars.close, bars.volume),
                              zip(*ROWS, strict=True), strict=True):  # fmt: skip
        np.testing.assert_array_equal(column, values)


@pytest.mark.parametrize("words", [(1, 0), ("true", "false"), (True, False)])
@pytest.mark.parametrize("name", ["confirm", "complete", "is_closed"])
def test_a_column_that_says_that_the_newest_bar_is_not_over(name, words):
    frame = LONG.assign(date=DAYS, **{name: [words[0], words[0], words[1]]})
    for source in (frame, frame.iloc[::-1]):
        with pytest.raises(BarsError, match="not the bar of a period that is not over"):
            read_bars(source)
        assert len(read_bars(source, repair="drop_running")) == 2
    assert len(read_bars(frame.assign(**{name: [words[0], words[1], words[0]]}))) == 3
    assert len(read_bars(frame, columns={name: "ignored"})) == 3


def test_two_names_that_give_one_symbol_are_refused():
    stacked = pd.concat([LONG.assign(date=DAYS, pair=pair) for pair in ("BTC/USDT", "BTC-USDT")])
    for read in (read_bars, read_many, lambda source: read_bars(source, symbol="BTC-USDT")):
        with pytest.raises(InvalidNameError, match="which give one symbol, BTC-USDT"):
            read(stacked)


def test_a_symbol_that_is_not_the_files_name_is_noted(write):
    content = LONG.assign(date=DAYS, ticker="MSFT").to_csv(index=False)
    notes = read_bars(write("AAPL.csv", content)).notes
    assert "the column 'ticker' says 'MSFT'; named AAPL" in notes
    assert not any("named" in note for note in read_bars(write("MSFT.csv", content)).notes)


def test_dates_that_start_again_without_a_column_are_not_sorted():
    frame = LONG.assign(date=DAYS)
    with pytest.raises(BarsError, match="each timestamp must have one bar") as caught:
        read_bars(pd.concat([frame, frame.assign(close=10.0)]))
    assert 'repair="sort"' not in str(caught.value)
    assert "read the parts by themselves" in str(caught.value)


def sessions(pause_hours):
    """Ten bars of half an hour on each of four days, at a third of the price on the last."""
    starts = pd.date_range("2024-01-29 09:00", periods=4, freq=f"{5 + pause_hours}h")
    times = [start + pd.Timedelta(minutes=30 * i) for start in starts for i in range(10)]
    level = np.repeat([90.0, 90.0, 90.0, 30.0], 10)
    columns = dict.fromkeys(("open", "high", "low", "close"), level)
    return pd.DataFrame({"date": times, **columns, "volume": 5.0})


def test_a_split_between_sessions_of_bars_within_a_day_is_named():
    with pytest.raises(BarsError, match="3:1, close 90 to open 30"):
        read_bars(sessions(19))
    bars = read_bars(sessions(19), splits="adjust")
    assert set(bars.close.tolist()) == {30.0}
    assert len(read_bars(sessions(0))) == 40  # without a pause nothing happens overnight


def test_notes_of_columns_of_words_are_few():
    words = {f"x{i}": ["one", "two", "one"] for i in range(40)}
    notes = read_bars(LONG.assign(date=DAYS, **words)).notes
    assert len(notes) < 10 and "35 more columns of words are left out" in notes


def test_what_is_no_table_says_what_it_is(write):
    with pytest.raises(FileFormatError, match="save the sheet as CSV"):
        read_bars(write("A.xlsx", b"PK\x03\x04"))
    with pytest.raises(FileFormatError, match="Invalid API call"):
        read_bars(write("A.json", '{"error": "Invalid API call"}'))
    with pytest.raises(BarsError, match=r'columns=\{"open": ...\} names a column'):
        read_bars(LONG.assign(date=DAYS).rename(columns={"open": "bidopen"}))


def test_a_dict_in_memory_is_read_as_its_json_is(write):
    for name in ("deribit", "oanda mid", "pandas split"):
        path = write("A.json", json.dumps(SOURCES[name]))
        assert read_bars(SOURCES[name]).fingerprint == read_bars(path).fingerprint
    columns = {"date": DAYS.astype(str).to_numpy()} | {name: LONG[name] for name in LONG}
    np.testing.assert_array_equal(read_bars(columns).close, CLOSE)


@pytest.mark.parametrize("suffix", ["Z", "+00:00"])
def test_days_that_begin_elsewhere_are_unclear_until_a_weekend_shows_it(find, suffix):
    frame = LONG.assign(date=[f"2024-01-{day}T14:00:00{suffix}" for day in (28, 29, 30)])
    for source in (frame, frame.assign(date=pd.to_datetime(frame["date"]))):
        defect = find(source)["unclear_timestamps"]
        assert "14:00 UTC" in defect.message and 'timezone="UTC"' in defect.fix
    local = read_bars(frame, timezone="Australia/Brisbane")
    assert [str(time)[:10] for time in local.local_times] == [str(day)[:10] for day in DAYS]
    assert str(read_bars(frame, timezone="UTC").timestamps[0])[:13] == "2024-01-28T14"


@pytest.mark.parametrize(
    ("changes", "options", "fix"),
    [
        ({}, {"date_format": "%d/%m/%Y"}, "leave date_format= away"),
        ({"close": "10.5"}, {"decimal": ","}, "leave decimal= away"),
    ],
)
def test_what_was_stated_and_does_not_fit_is_to_be_left_away(changes, options, fix):
    frame = LONG.assign(date=[str(day)[:10] for day in DAYS], **changes)
    with pytest.raises(BarsError) as caught:
        read_bars(frame, **options)
    assert fix in str(caught.value) and "drop" not in str(caught.value)
