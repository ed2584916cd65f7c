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
        with pytest.raises(BarsError, match=f"the column '{column}' holds 2, ") as caught:
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
        ("x", ["Week 1"] * 4 + ["Week 2"] * 3),
        ("x", ["2024Q1"] * 4 + ["2024Q2"] * 3),
        ("x", ["fold_1"] * 4 + ["fold_2"] * 3),
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


CODES = {
    "numbers": (600000, 600519, 7),
    "text": ("600000", "000519", "7"),
    "floats": (600000.0, 600519.0, 7.0),
    "words": ("600000.SH", "600519.SH", "7203 JP"),
}
DAYS = [str(day)[:10] for day in pd.date_range("2024-01-01", periods=8)]


def three(kind, lengths, order="stacked"):
    """Rows of three codes whose prices lie far apart; stacked, newest first, or sorted by date."""
    words = [code for code, n in zip(CODES[kind], lengths, strict=True) for _ in range(n)]
    days = [day for n in lengths for day in DAYS[:n]]
    frame = stacked(words, "nr", dict(zip(CODES[kind], (1.0, 5.0, 0.1), strict=True)), days)
    if order == "newest first":
        blocks = [block.iloc[::-1] for _, block in frame.groupby("nr", sort=False)]
        return pd.concat(blocks, ignore_index=True)
    return frame if order == "stacked" else frame.sort_values("date", kind="stable")


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("order", ["stacked", "newest first", "sorted"])
@pytest.mark.parametrize("repair", [(), ("sort", "drop_duplicates", "drop_invalid")])
def test_codes_of_any_kind_are_symbols_where_dates_start_again_or_repeat(kind, order, repair):
    frame = three(kind, (4, 4, 3), order)
    with pytest.raises(BarsError, match="the column 'nr' holds 3, ") as caught:
        read_bars(frame, repair=repair)
    assert "drop" not in str(caught.value) and 'repair="sort"' not in str(caught.value)
    found = read_many(frame, columns={"symbol": "nr"})
    assert [len(bars) for bars in found.values()] == [4, 4, 3]
    name = str(CODES[kind][1]).removesuffix(".0")
    close = read_bars(frame, columns={"symbol": "nr"}, symbol=name).close
    np.testing.assert_array_equal(close, [50.0] * 4)


@pytest.mark.parametrize("kind", ["numbers", "text", "floats"])
def test_numbers_are_symbols_where_the_price_jumps_with_them(write, kind):
    first, second, _ = CODES[kind]
    frame = stacked([first] * 3 + [second] * 2, "nr", {first: 1.0, second: 1.5})
    comma = frame.astype({"close": str, "open": str}).replace(r"\.(?=\d$)", ",", regex=True)
    for source in (frame, write("A.csv", frame.to_csv(index=False)), comma, frame.iloc[::-1]):
        with pytest.raises(BarsError, match="the column 'nr' holds 2, .* the price jumps"):
            read_bars(source)
    assert len(read_bars(frame, columns={"nr": "ignored"})) == 5


@pytest.mark.parametrize(
    ("column", "values", "price"),
    [
        ("a", [5] * 4 + [7] * 3, 1.1),  # no jump: a number that changed
        ("a", [1, 2, 3, 4, 5, 6, 7], 2.0),  # numbers of rows
        ("a", [5, 7, 5, 5, 5, 5, 7], 1.1),
        ("a", [0.5] * 4 + [0.7] * 3, 2.0),
        ("a", [1] * 4 + [31] * 3, 2.0),  # the day, below
        ("shares", [100] * 4 + [50] * 3, 2.0),  # a reverse split
        ("a", [True] * 4 + [False] * 3, 2.0),
    ],
)
def test_numbers_that_are_no_codes_are_left_alone(column, values, price):
    level = {value: 1.0 if value == values[0] else price for value in values}
    dates = ["2024-01-01"] * 4 + ["2024-01-31"] * 3
    dates = [f"{day} 10:0{i}" for i, day in enumerate(dates)] if values[-1] == 31 else None
    frame = stacked(values, column, level, dates)
    assert len(read_bars(frame, splits="ignore")) == 7


def test_the_parts_of_a_date_are_no_codes():
    days = pd.date_range("2023-12-20", periods=400, freq="5h")
    for part in (days.year, days.month, days.quarter, days.isocalendar().week, days.day):
        jumps = dict(enumerate(2.0 ** np.arange(len(days)) % 7, 0))
        frame = stacked(list(part), "part", {v: jumps[v % 7] for v in part}, days)
        assert len(read_bars(frame)) == 400


@MANY
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(-3, 3)), min_size=4,
             max_size=9),
    st.sampled_from([0, 100]),
)  # fmt: skip
def test_what_rows_show_is_never_taken_back_by_a_later_row(rows, base):
    """Any codes, days and prices: once several symbols are found, they stay found."""
    codes, days, levels = (list(part) for part in zip(*rows, strict=True))
    dates = [str(day)[:10] for day in pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D")]
    frame = stacked([base + code for code in codes], "nr", None, dates)
    prices = ["open", "high", "low", "close"]
    frame[prices] = frame[prices].mul(1.5 ** np.array(levels), axis=0)
    found = [several(frame.iloc[:count]) for count in range(3, len(frame) + 1)]
    assert found == sorted(found)
