from __future__ import annotations

import pandas as pd
import pytest

from marketsim.bars import read_bars, read_many

OHLCV = ["open", "high", "low", "close", "volume"]


def indexed(frame: pd.DataFrame) -> pd.DataFrame:
    index = pd.DatetimeIndex(frame["timestamp"], name="Date")
    return frame[OHLCV].set_index(index)


@pytest.mark.parametrize(
    "rename",
    [
        str.upper,
        str.title,
        lambda name: f"  {name} ",
        lambda name: f"_{name}_",
        lambda name: f"{name}.",
        lambda name: f" {name[0]}_{name[1:].upper()}",
    ],
)
def test_case_blanks_underscores_and_dots_do_not_count(frame, rename):
    expected = read_bars(frame).fingerprint
    assert read_bars(frame.rename(columns=rename)).fingerprint == expected


def test_extra_columns_and_column_order_do_not_count(frame):
    expected = read_bars(frame).fingerprint
    mixed = frame.assign(ticker="ABC", vwap=None)[["ticker", *reversed(frame.columns), "vwap"]]
    assert read_bars(mixed).fingerprint == expected


@pytest.mark.parametrize(
    "name", ["timestamp", "Datetime", "DATE", "time", "open_time", "Open Time", "date time"]
)
def test_names_of_the_timestamp_column(frame, name):
    expected = read_bars(frame).fingerprint
    assert read_bars(frame.rename(columns={"timestamp": name})).fingerprint == expected


@pytest.mark.parametrize("name", ["", None, "Unnamed: 0", "index", float("nan"), "  "])
def test_first_column_without_a_name_holds_timestamps(frame, name):
    renamed = frame.set_axis([name, *OHLCV], axis=1)
    assert read_bars(renamed).fingerprint == read_bars(frame).fingerprint


def test_csv_with_an_unnamed_first_column(frame, write):
    text = indexed(frame).rename_axis(None).to_csv()
    assert text.startswith(",open")
    assert read_bars(write("A.csv", text)).fingerprint == read_bars(frame).fingerprint


def test_named_column_wins_over_an_unnamed_first_one(frame, write):
    text = frame.to_csv(index=True)  # the first column holds row numbers
    assert read_bars(write("A.csv", text)).fingerprint == read_bars(frame).fingerprint


def test_row_numbers_are_not_timestamps(frame, write, find):
    text = frame[OHLCV].to_csv(index=True)
    defects = find(write("A.csv", text))
    assert list(defects) == ["unreadable_timestamp"]
    assert defects["unreadable_timestamp"].count == 10
    assert "row numbers" in defects["unreadable_timestamp"].message


@pytest.mark.parametrize(
    "make",
    [
        indexed,
        lambda f: indexed(f).rename_axis(None),
        lambda f: indexed(f).assign(date="ignored"),
        lambda f: f.set_index("timestamp"),
        lambda f: f.set_index("timestamp").rename_axis("Date"),
        lambda f: f.set_index("timestamp").rename_axis(None),
        lambda f: indexed(f).to_period("D"),
        lambda f: indexed(f).tz_localize("UTC").tz_convert("Asia/Tokyo"),
    ],
    ids=["datetime", "unnamed", "and column", "text", "Date", "unnamed text", "period", "aware"],
)
def test_an_index_holds_timestamps(frame, make):
    assert read_bars(make(frame)).fingerprint == read_bars(frame).fingerprint


def test_no_timestamps(frame, find):
    defects = find(frame[OHLCV])
    assert list(defects) == ["no_timestamps"]
    assert defects["no_timestamps"].message.endswith(
        "found columns 'open', 'high', 'low', 'close', 'volume'"
    )


def test_a_second_column_without_a_name_does_not_hold_timestamps(frame, find):
    moved = frame[["open", "timestamp", *OHLCV[1:]]].rename(columns={"timestamp": ""})
    assert list(find(moved)) == ["no_timestamps"]


def test_long_lists_of_columns_are_cut(frame, find):
    wide = frame[OHLCV].assign(**{f"x{i}": 0 for i in range(7)})
    assert find(wide)["no_timestamps"].message.endswith("'x6'")
    assert find(wide.assign(x7=0))["no_timestamps"].message.endswith("'x6', ...")


@pytest.mark.parametrize("names", [["ticker", "timestamp"], ["timestamp", "ticker"], [None, None]])
def test_a_nested_index_holds_symbols_and_timestamps(frame, names):
    times = pd.to_datetime(frame["timestamp"])
    keys = [times, ["ABC"] * len(frame)] if names[0] == "timestamp" else [["ABC"] * 10, times]
    nested = frame[OHLCV].set_index(pd.MultiIndex.from_arrays(keys, names=names))
    bars = read_bars(nested)
    assert (bars.symbol, bars.fingerprint) == ("ABC", read_bars(frame).fingerprint)


def test_several_timestamp_columns(frame, find):
    defects = find(frame.assign(Date="2020-01-01", Time="09:30"))
    assert list(defects) == ["several_timestamp_columns"]
    defect = defects["several_timestamp_columns"]
    assert defect.count == 3
    assert "'timestamp' (column 0), 'Date' (column 6), 'Time' (column 7)" in defect.message
    assert defect.fix == 'columns={"timestamp": "timestamp"} chooses one'
    chosen = read_bars(frame.assign(Date="2020-01-01"), columns={"timestamp": "timestamp"})
    assert chosen.fingerprint == read_bars(frame).fingerprint


def test_several_columns_and_other_defects_are_reported_together(frame, find):
    frame["high"] = frame["low"] / 2
    defects = find(frame.assign(Date="2020-01-01").drop(columns="open"))
    assert {k: d.count for k, d in defects.items()} == {
        "several_timestamp_columns": 2,
        "missing_column": 1,
        "high_below_low": 10,
    }
    assert "first at row 0 (high=" in defects["high_below_low"].message


def test_missing_columns_are_listed_once(frame, find):
    defects = find(frame.drop(columns=["open", "volume"]))
    assert list(defects) == ["missing_column"]
    defect = defects["missing_column"]
    assert defect.count == 2
    assert "missing open, volume; found columns 'timestamp', 'high'" in defect.message
    assert 'repair="zero_volume"' in defect.fix


def test_missing_price_has_no_repair(frame, find):
    assert find(frame.drop(columns="open"))["missing_column"].fix == (
        'columns={"open": ...} names a column of the source that holds it'
    )


def test_defects_of_other_columns_are_found_beside_a_missing_one(frame, find):
    frame.loc[3, "close"] = frame["high"][3] * 2
    frame.loc[4, "volume"] = -1.0
    frame.loc[5, "high"] = float("nan")
    defects = find(frame.drop(columns=["open", "low"]))
    assert {k: d.rows for k, d in defects.items()} == {
        "missing_column": (),
        "nan": (5,),
        "negative_volume": (4,),
        "outside_range": (3,),
    }


@pytest.mark.parametrize("other", ["CLOSE", "close", " Close_"])
def test_columns_that_fold_to_one_name(frame, find, other):
    frame.insert(6, other, 1.0, allow_duplicates=True)
    defects = find(frame)
    assert list(defects) == ["repeated_column"]
    defect = defects["repeated_column"]
    assert defect.count == 2
    assert f"one column must hold close: got 2, 'close', {other!r}" in defect.message
    assert defect.fix.endswith("drop or rename the others")


class TestNestedColumns:
    @pytest.fixture
    def nested(self, frame):
        nested = indexed(frame)
        nested.columns = pd.MultiIndex.from_tuples(
            [(name.title(), "AAPL") for name in OHLCV], names=["Price", "Ticker"]
        )
        return nested

    @pytest.mark.parametrize(
        "change",
        [
            lambda f: f,
            lambda f: f.swaplevel(axis=1),
            lambda f: f.reset_index(),
            lambda f: f.reset_index().swaplevel(axis=1),
            lambda f: pd.concat({"source": f}, axis=1),
        ],
        ids=["price first", "ticker first", "date column", "both", "three levels"],
    )
    def test_one_ticker_is_flattened(self, frame, nested, change):
        assert read_bars(change(nested)).fingerprint == read_bars(frame).fingerprint

    @pytest.mark.parametrize("level", [0, 1])
    def test_several_tickers_say_how_to_select_one(self, frame, nested, find, level):
        both = pd.concat([nested, nested.rename(columns={"AAPL": "MSFT"})], axis=1)
        both = both.swaplevel(axis=1) if level == 0 else both
        defects = find(both)
        assert list(defects) == ["several_symbols"]
        defect = defects["several_symbols"]
        assert defect.count == 2
        assert f"level {level} of the columns holds 2, AAPL, MSFT" in defect.message
        assert 'symbol="AAPL" chooses one' in defect.fix
        assert read_bars(both, symbol="AAPL").fingerprint == read_bars(frame).fingerprint
        assert list(read_many(both)) == ["AAPL", "MSFT"]
