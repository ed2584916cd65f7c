"""Symbols that look like missing values, and rows that name no symbol."""

from __future__ import annotations

import pandas as pd
import pytest

from marketsim.bars import read_bars, read_many

WORDS = ["NA", "null", "None", "N/A", "nan", "NaN", "<NA>", "n/a"]


def rows_of(*symbols, column="Symbol"):
    """One row a day; two rows a symbol, each at its own price."""
    lines = [f"Date,{column},Open,High,Low,Close,Volume"]
    for k, symbol in enumerate(symbols):
        price = 100 + 10 * (k // 2)
        lines.append(f"2024-01-{k + 1:02d},{symbol},{price},{price + 2},{price - 2},{price},10")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("column", ["Symbol", "nr", "Name"])
def test_symbols_are_read_as_they_are_written(write, find, word, column):
    path = write("A.csv", rows_of(word, word, "RY", "RY", column=column))
    options = {"columns": {"symbol": "nr"}} if column == "nr" else {}
    assert "several_symbols" in find(path, **options)
    assert len(read_bars(path, symbol="RY", **options)) == 2
    assert [len(bars) for bars in read_many(path, **options).values()] == [2, 2]


def test_a_file_of_the_ticker_na_alone(write):
    assert len(read_bars(write("NA.csv", rows_of("NA", "NA", "NA")))) == 3


def test_lines_of_different_length_keep_the_words_too(write, find):
    text = rows_of("NA", "NA", "RY", "RY").replace(",10\n", "\n", 1)
    assert "several_symbols" in find(write("A.csv", text), repair="zero_volume")


@pytest.mark.parametrize("blank", ["", '""', "  "])
@pytest.mark.parametrize("symbol", [None, "RY"])
def test_rows_without_a_symbol_are_never_joined_nor_dropped(write, find, blank, symbol):
    for symbols in (
        ("RY", "RY", blank, "RY"),
        ("RY", blank, "TD", blank),
        ("RY", "RY", "TD", blank, "TD", "TD"),
    ):
        path = write("RY.csv", rows_of(*symbols))
        defect = find(path, symbol=symbol)["blank_symbol"]
        assert defect.rows == tuple(i for i, s in enumerate(symbols) if s == blank)
        assert "fill it down" in defect.fix and "drop" not in defect.fix
        bars = read_bars(path, columns={"Symbol": "ignored"})
        assert len(bars) == len(symbols)


def test_frames_name_the_rows_and_the_reader_that_lost_them(find):
    frame = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=3), "symbol": ["RY", None, "RY"],
         "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1}
    )  # fmt: skip
    defect = find(frame)["blank_symbol"]
    assert defect.rows == (1,) and "keep_default_na=False" in defect.fix
    with pytest.raises(Exception, match="row 1"):
        read_many(frame.assign(symbol=["RY", None, "TD"]))
