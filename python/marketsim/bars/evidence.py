"""Symbols in a column whose name does not say so, by what the rows show.

Rows of several symbols that stand one after the other have codes in blocks, and where the code
changes the dates start again or the price jumps. Sorted by date, rows of one time differ in the
code. Each sign is decided by the rows up to the one that shows it, so that no later row takes it
back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.bars.clock import HOUR, MINUTE
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import fold
from marketsim.bars.layouts.names import FACTORS
from marketsim.bars.symbol import is_name, symbol_of
from marketsim.bars.table import Table
from marketsim.bars.zones import BoolArray, IntArray

_JUMP = np.log(1.25)
_CODE = re.compile(r"\d{1,18}(?:\.0*)?")
_LETTER = re.compile(r"[^\W\d_]")
# Folded names of columns that hold figures of the bar, which repeat in quiet markets.
_FIGURES = frozenset(
    fold(name)
    for name in (
        "vwap", "wap", "average", "trades", "trade count", "number of trades", "count", "turnover",
        "amount", "quote volume", "quote asset volume", "value", "adj close", "spread",
        "tick volume",
    )
)  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    """What the rows with a timestamp hold.

    Attributes:
        times: ns [row].
        ordered: they all ascend, or all descend.
        open: [row]; NaN where the column is missing.
        close: [row].

    """

    times: IntArray
    ordered: bool
    open: np.ndarray
    close: np.ndarray


def find_several(frame: pd.DataFrame, table: Table) -> Defect | None:
    """The defect of rows of several symbols; None if no column tells them apart.

    Of several columns that do, the one with the most different values.

    Args:
        frame: as it was read.
        table: its rows, before any repair.

    """
    extra = table.selection.extra
    if len(table) < 3 or table.selection.timestamps is None or not extra:
        return None
    first, second = frame.iloc[0].tolist(), frame.iloc[1].tolist()
    extra = tuple(i for i in extra if fold(str(frame.columns[i])) not in _FIGURES | FACTORS)
    likely = [i for i in extra if _may_hold_codes(first[i], second[i])]
    known = table.faults == 0
    whole = bool(known.all())
    times = table.times if whole else table.times[known]
    up = bool((times[1:] > times[:-1]).all())
    ordered = up or bool((times[1:] < times[:-1]).all())
    if ordered and not likely:
        return None
    open_, close = (
        table.values.get(name, np.full(len(table), np.nan)) for name in ("open", "close")
    )
    rows = _Rows(times, ordered, open_ if whole else open_[known], close if whole else close[known])
    found: tuple[int, str, list[object], str] | None = None
    for i in likely if ordered else extra:
        column = frame.iloc[:, i] if whole else frame.iloc[np.flatnonzero(known), i]
        codes, values = _codes(column)
        if not 1 < len(values) < len(codes) or _is_calendar(values, codes, rows):
            continue
        why = _why(codes, values, rows)
        if why and (found is None or len(values) > found[0]):
            found = (len(values), str(frame.columns[i]), values, why)
    return None if found is None else _defect(*found)


def _defect(count: int, name: str, values: list[object], why: str) -> Defect:
    shown = f"{', '.join(map(_plain, values[:5]))}{', ...' if count > 5 else ''}"
    return Defect(
        "several_symbols", count,
        f"the rows must be of one symbol: the column {name!r} holds {count}, {shown}, and {why}",
        f'columns={{"symbol": "{name}"}} reads the column as symbols, of which '
        f'symbol="{_plain(values[0])}" chooses one and read_many reads all; '
        f'columns={{"{name}": "ignored"}} leaves the column out if it holds no symbols',
    )  # fmt: skip


def _plain(value: object) -> str:
    """A code as `symbol=` takes it."""
    if isinstance(value, float | np.floating):
        return str(int(value))
    text = str(value).strip()
    return symbol_of(text) if is_name(text) else text[:40]


def _may_hold_codes(first: object, second: object) -> bool:
    """Whether a column with these first cells may hold words, or numbers in blocks; quick."""
    if isinstance(first, str) and _LETTER.search(first):
        return True
    return _is_code(first) and bool(first == second)


def _is_code(cell: object) -> bool:
    """Whether a cell is a whole number or a word."""
    if isinstance(cell, str):
        return bool(_CODE.fullmatch(cell.strip()) or _LETTER.search(cell))
    if isinstance(cell, bool | np.bool_):
        return False
    if isinstance(cell, float | np.floating):
        return float(cell).is_integer()
    return isinstance(cell, int | np.integer)


def _codes(column: pd.Series) -> tuple[IntArray, list[object]]:
    """The number of each cell's value in order of appearance [row], -1 for what is no code."""
    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype) or kinds.is_datetime64_any_dtype(column.dtype):
        return np.full(len(column), -1), []
    numbers, found = pd.factorize(column)
    values = list(found)
    usable = np.array([_is_code(value) for value in values], np.bool_)
    if not usable.all() and len(values):
        numbers = np.where((numbers >= 0) & usable[numbers], numbers, -1)
    return numbers.astype(np.int64, copy=False), values


def _why(codes: IntArray, values: list[object], rows: _Rows) -> str:
    """The sign of several symbols, in words; "" if there is none."""
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    order = codes[starts]
    # The first run of a value that was there before, or that is none: blocks end before it.
    again = np.flatnonzero(order != np.arange(len(order)))
    end = int(again[0]) if len(again) else len(order)
    if not rows.ordered:
        if _together(codes, values, rows):
            return "rows of one time differ in it"
        if _restarts(starts[:end], rows):
            return "the dates start again where it changes"
    jumps = _jumps(starts[1 : end + 1], rows)
    lengths = np.diff(np.append(starts, len(codes)))
    short = np.flatnonzero(lengths[:end] < 2)
    firm = int(short[0]) if len(short) else end  # changes up to this one follow blocks of two rows
    in_blocks = jumps[: min(firm, end - 1)]
    if in_blocks.any():
        row = int(starts[1 + int(np.argmax(in_blocks))])
    elif end > 1 and end < len(order) and order[end] >= 0 and jumps.all():
        row = int(starts[1])
    else:
        return ""
    if _is_factor(values, codes, row, rows):
        return ""
    return (
        f"the price jumps where it changes, first from {rows.close[row - 1]:g} to "
        f"{rows.open[row]:g}"
    )


def _jumps(changes: IntArray, rows: _Rows) -> BoolArray:
    """Whether the price steps by more than a quarter at these rows."""
    with np.errstate(all="ignore"):
        steps = np.abs(np.log(rows.open[changes] / rows.close[changes - 1]))
    return np.asarray(steps > _JUMP)


def _restarts(starts: IntArray, rows: _Rows) -> bool:
    """Whether the dates turn back at the start of a block, and nowhere else before it."""
    steps = np.sign(np.diff(rows.times))
    if len(starts) < 2 or starts[1] < 2 or steps[0] == 0:
        return False
    back = np.flatnonzero(steps * steps[0] <= 0) + 1
    return len(back) > 0 and int(back[0]) in starts[1:].tolist()


def _together(codes: IntArray, values: list[object], rows: _Rows) -> bool:
    """Whether rows of one time have different values; numbers must do so alike at two times."""
    pairs = pd.DataFrame({"time": rows.times, "code": codes})
    pairs = pairs[pairs["code"] >= 0].drop_duplicates()
    pairs = pairs[pairs["time"].duplicated(keep=False)].sort_values(["time", "code"])
    if len(pairs) == 0:
        return False
    if all(isinstance(value, str) and _LETTER.search(value) for value in values):
        return True
    grouped = pairs.groupby("time")["code"]
    firsts = pd.DataFrame({"a": grouped.nth(0).to_numpy(), "b": grouped.nth(1).to_numpy()})
    return bool(firsts.duplicated().any())


def _is_calendar(values: list[object], codes: IntArray, rows: _Rows) -> bool:
    """Whether a column of numbers repeats a part of the date, such as its year."""
    try:
        numbers = np.array([int(float(value)) for value in values])  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return False
    if (codes < 0).any():
        return False
    firsts = np.unique(codes, return_index=True)[1]
    lasts = len(codes) - 1 - np.unique(codes[::-1], return_index=True)[1]
    few = _parts(rows.times[firsts]) == numbers
    kinds = few.all(axis=1) & (_parts(rows.times[lasts]) == numbers).all(axis=1)
    if not kinds.any():
        return False
    return bool((_parts(rows.times)[kinds] == numbers[codes]).all(axis=1).any())


def _parts(times: IntArray) -> np.ndarray:
    """Parts of the dates that columns of numbers repeat [kind, row]."""
    day = times.view("M8[ns]").astype("M8[D]")
    months = day.astype("M8[M]").astype(np.int64)
    year, month = 1970 + months // 12, months % 12 + 1
    of_month = (day - day.astype("M8[M]")).astype(np.int64) + 1
    of_year = (day - day.astype("M8[Y]")).astype(np.int64) + 1
    weekday = (day.astype(np.int64) + 3) % 7
    thursday = day - weekday + 3  # its year is that of the ISO week
    week = (thursday - thursday.astype("M8[Y]")).astype(np.int64) // 7 + 1
    joined = year * 100 + month
    hour = times // HOUR % 24
    return np.stack(
        [year, month, of_month, of_year, weekday, weekday + 1, week, (month + 2) // 3, joined,
         joined * 100 + of_month, hour, times // MINUTE % 60, 100 * hour + times // MINUTE % 60]
    )  # fmt: skip


def _is_factor(values: list[object], codes: IntArray, row: int, rows: _Rows) -> bool:
    """Whether a number rises as the price falls, as factors of splits and counts of shares do."""
    try:
        before, after = (float(values[codes[i]]) for i in (row - 1, row))
    except (ValueError, TypeError):
        return False
    if before <= 0 or after <= 0:
        return False
    moved = after / before * rows.open[row] / rows.close[row - 1]
    return bool(abs(np.log(moved)) < 0.02)
