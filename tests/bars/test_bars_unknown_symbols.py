"""Columns of words whose name does not say that they hold symbols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import read_bars, read_many
from marketsim.errors import BarsError

MANY = settings(max_examples=80, deadline=None, database=None)


def stacked(words, column="papier", price=None, dates=None):
    """One row a day; `price` by word."""
    level = np.array([1.0 if price is None else price[word] for word in words])
    days = pd.date_range("2024-01-01", periods=len(words)) if dates is None else dates
    return pd.DataFrame(
        {"date": [str(day) for day in days], "open": 10 * level, "high": 11 * level,
         "low": 9 * level, "close": 10 * level, "volume": 5, column: words}
    )  # fmt: skip


BLOCKS = ["AAPL"] * 4 + ["MSFT"] * 3


@pytest.mark.parametrize(
    "words", [BLOCKS, [word.lower() for word in BLOCKS], ["Big Co", "Big Co", "Small", "Small"]]
)
def test_words_in_blocks_are_symbols(write, words):
    frame = stacked(words)
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        with pytest.raises(BarsError, match="the column 'papier' holds 2") as caught:
            read_bars(source)
        assert "sort" not in str(caught.value) and "drop" not in str(caught.value)
        assert [len(bars) for bars in read_many(source).values()] == [
            words.count(word) for word in dict.fromkeys(words)
        ]
        assert len(read_bars(source, columns={"papier": "ignored"})) == len(words)
        assert len(read_bars(source, columns={"ignored": "papier"})) == len(words)


def test_blocks_whose_times_go_back_are_symbols_whatever_they_are_called(write):
    back = [*pd.date_range("2024-01-01", periods=4), *pd.date_range("2024-01-02 12:00", periods=3)]
    for column, words in (("session", ["a"] * 4 + ["b"] * 3), ("nr", [7] * 4 + [8] * 3)):
        with pytest.raises(BarsError, match=f"they differ in the column '{column}'") as caught:
            read_bars(stacked(words, column, dates=back))
        assert "sort" not in str(caught.value)
        found = read_many(stacked(words, column, dates=back), columns={"symbol": column})
        assert [len(bars) for bars in found.values()] == [4, 3]


@pytest.mark.parametrize("column", ["PERMNO", "gvkey", "Security Code", "ISIN"])
def test_numbers_are_symbols_in_columns_of_codes(column):
    frame = stacked([500325] * 4 + [500180] * 3, column)
    with pytest.raises(BarsError, match="holds 2, 500325, 500180"):
        read_bars(frame)
    assert len(read_bars(frame, symbol="500180")) == 3


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("session", ["regular"] * 4 + ["post"] * 3),
        ("source", ["YAHOO"] * 4 + ["STOOQ"] * 3),
        ("Currency", ["DEM"] * 4 + ["EUR"] * 3),
        ("monat", ["Januar"] * 4 + ["Februar"] * 3),
        ("x", ["January"] * 4 + ["February"] * 3),
        ("x", ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Montag"]),
        ("x", ["train"] * 4 + ["test"] * 3),
        ("x", ["A", "B", "A", "B", "B", "A", "A"]),
        ("x", ["A", None, "A", "B", "B", "B", "B"]),
    ],
)
def test_words_that_describe_rows_are_left_out_and_named(column, words):
    bars = read_bars(stacked(words, column))
    assert len(bars) == 7
    assert any(f"the column '{column}' is left out ('{words[0]}'" in note for note in bars.notes)


def test_words_at_whose_changes_the_price_jumps_are_symbols():
    words = ["a", "b", "a", "b", "b", "a", "a"]
    with pytest.raises(BarsError, match="the column 'x' holds 2"):
        read_bars(stacked(words, "x", {"a": 1.0, "b": 2.0}))
    assert len(read_bars(stacked(words, "x", {"a": 1.0, "b": 1.1}))) == 7


def several(frame):
    try:
        read_bars(frame, splits="ignore")
    except BarsError as error:
        return any(defect.kind == "several_symbols" for defect in error.defects)
    return False


@MANY
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.booleans())
def test_blocks_of_any_length_are_found_at_the_first_row_of_the_second(lengths, jump):
    words = [f"w{'abcd'[i]}" for i, length in enumerate(lengths) for _ in range(length)]
    price = {f"w{letter}": 2.0**i if jump else 1.0 for i, letter in enumerate("abcd")}
    for count in range(3, len(words) + 1):
        part = words[:count]
        # A column in which each row has a word of its own, such as a note, names no symbols.
        expected = 1 < len(set(part)) < count
        assert several(stacked(part, price=price)) == expected
