"""Several symbols in one table, long or wide; one is chosen by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marketsim.bars.columns import assign_roles
from marketsim.bars.date_structure import structure_of
from marketsim.bars.defect import Defect, counted
from marketsim.bars.layouts import GENERIC, Layout, fold
from marketsim.bars.layouts.layout import CURRENCY_SIGN
from marketsim.bars.layouts.names import CODES, DESCRIPTIONS, DESCRIPTIVE, SYMBOLS
from marketsim.bars.numbers import like_number
from marketsim.bars.symbol import is_name, symbol_of
from marketsim.bars.text import RawTable
from marketsim.bars.words_of_time import is_calendar_word
from marketsim.errors import InvalidNameError

_PRICES = frozenset({"open", "high", "low", "close"})
_PRICE_ROLES = _PRICES | {"volume", "adj close", "split"}


@dataclass(frozen=True)
class Tables:
    """One table a symbol.

    Attributes:
        raw: symbols as given, in the order in which they are found; empty where none is named.
        where: what holds them, for messages.
        take: the rows or columns of one of `raw` as a flat frame; of the whole for None.
        unknown: the name of the column, where only its words say that it holds symbols.
        notes: which columns of words are left out.
        blank: the defect of rows that hold values and no symbol; None if each names its own.

    """

    raw: tuple[str, ...]
    where: str
    take: Callable[[str | None], pd.DataFrame]
    unknown: str = ""
    notes: tuple[str, ...] = ()
    blank: Defect | None = None

    @property
    def names(self) -> dict[str, str]:
        """Symbol as `symbol=` takes it to symbol as given: BTC-USDT for BTC/USDT.

        Raises:
            InvalidNameError: one of them is no symbol, or two give the same.

        """
        found: dict[str, str] = {}
        for raw in self.raw:
            other = found.setdefault(symbol_of(raw), raw)
            if other != raw:
                raise InvalidNameError(
                    f"{self.where} holds {other!r} and {raw!r}, which give one symbol, "
                    f"{symbol_of(raw)}: expected different symbols; rename one of them"
                )
        return found

    def defect(self) -> Defect | None:
        """The defect of a table of several symbols; None if it holds one."""
        if len(self.raw) < 2:
            return None
        names = list(self.names)
        shown = f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        fix = f'symbol="{names[0]}" chooses one; read_many reads all'
        if self.unknown:
            fix += (
                f'; columns={{"{self.unknown}": "ignored"}} leaves the column out if it holds no '
                "symbols"
            )
        return Defect(
            "several_symbols",
            len(names),
            f"the rows must be of one symbol: {self.where} holds {len(names)}, {shown}",
            fix,
        )


def find_tables(raw: RawTable, layout: Layout | None, mapped: Mapping[str, str]) -> Tables:
    """Find out which symbols a table holds."""
    frame = _split_tuples(_with_words(raw, layout, mapped))
    if isinstance(frame.columns, pd.MultiIndex):
        return _nested_columns(frame)
    if isinstance(frame.index, pd.MultiIndex):
        frame = _flat_index(frame)
    roles = assign_roles(list(frame.columns), layout, mapped)
    position = next((i for i, role in enumerate(roles) if role == "symbol"), None)
    if position is None:
        position = _weak_symbols(frame, roles)
    if position is not None:
        return _column(frame, position)
    if not _PRICES & set(roles):
        wide = _wide_names(list(frame.columns))
        if wide:
            return _wide(frame, wide)
    if _PRICES & set(roles):
        return _unknown(frame, roles)
    return Tables((), "", lambda _: frame)


def _with_words(raw: RawTable, layout: Layout | None, mapped: Mapping[str, str]) -> pd.DataFrame:
    """The frame with symbols such as NA and NULL as they are written, not as missing values."""
    frame = raw.frame
    if raw.as_written is None or isinstance(frame.columns, pd.MultiIndex):
        return frame
    roles = assign_roles(list(frame.columns), layout, mapped)
    again = [
        i for i, name in enumerate(frame.columns)
        if (roles[i] == "symbol" or (not roles[i] and fold(name) in SYMBOLS | CODES))
        and frame.iloc[:, i].isna().any()
    ]  # fmt: skip
    if not again:
        return frame
    words = raw.as_written(again)
    frame = frame.copy(deep=False)
    for i in again:
        frame.isetitem(i, words[i].array)
    return frame


_NOTED = 5  # columns
_LETTER = re.compile(r"[^\W\d_]|\^")


def _unknown(frame: pd.DataFrame, roles: list[str]) -> Tables:
    """Symbols in a column whose name does not say so, or notes of the words that are left out.

    Words that stand one after the other, each in one block, are symbols unless the column's name
    or the words are known to describe. What prices and dates prove is found once they are read.
    """
    notes: list[str] = []
    more = 0
    first = frame.iloc[0].tolist() if len(frame) and not all(roles) else []
    for i, name in enumerate(frame.columns if first else ()):
        if roles[i] or not _may_begin_words(first[i]):
            continue
        words = _words(frame.iloc[:, i])
        if len(words) < 2:
            continue
        codes = pd.factorize(frame.iloc[:, i])[0]
        changes = np.count_nonzero(codes[1:] != codes[:-1])
        blocks = changes == len(words) - 1 and (codes >= 0).all()
        describes = fold(name) in DESCRIPTIVE or _describe(words)
        if blocks and not describes:
            return replace(_column(frame, i), unknown=str(name), notes=tuple(notes))
        more += len(notes) >= _NOTED
        if len(notes) >= _NOTED:
            continue
        shown = f"{', '.join(map(repr, words[:3]))}{', ...' if len(words) > 3 else ''}"
        notes.append(f"the column {str(name)!r} is left out ({shown})")
    if more:
        notes.append(f"{more:,} more columns of words are left out")
    return Tables((), "", lambda _: frame, notes=tuple(notes))


def _may_begin_words(cell: object) -> bool:
    """Whether a column with this first cell may hold words; quick, for a thousand columns."""
    return _is_word(cell) if isinstance(cell, str) else bool(pd.isna(cell))  # type: ignore[call-overload]


def _is_word(cell: str) -> bool:
    """Whether a cell holds a letter, and is no number such as 1.2M."""
    return bool(_LETTER.search(cell)) and not like_number(cell)


def _describe(words: list[str]) -> bool:
    """Whether all words are known to describe a row, or belong to the calendar."""
    return all(
        fold(word) in DESCRIPTIONS or is_calendar_word(word) or not is_name(word) for word in words
    )


_TUPLE = re.compile(r"\(\s*(?P<q>['\"])(.*?)(?P=q)\s*,\s*(?P<p>['\"])(.*?)(?P=p)\s*\)")


def _split_tuples(frame: pd.DataFrame) -> pd.DataFrame:
    """Names such as "('Close', 'AAPL')", which pandas writes for two levels, as two levels."""
    if isinstance(frame.columns, pd.MultiIndex):
        return frame
    names = [str(name) for name in frame.columns]
    found = [_TUPLE.fullmatch(name) if name[:1] == "(" else None for name in names]
    if sum(match is not None for match in found) < len(_PRICES):
        return frame
    pairs = [(m[2], m[4]) if m else (name, "") for m, name in zip(found, names, strict=True)]
    split = frame.copy(deep=False)
    split.columns = pd.MultiIndex.from_tuples(pairs)
    return split


def _weak_symbols(frame: pd.DataFrame, roles: list[str]) -> int | None:
    """A column such as "Name" or "Asset", if it holds several words; else it describes one symbol.

    Of several such columns, the one with the most different words.
    """
    counts: dict[int, int] = {}
    for i, name in enumerate(frame.columns):
        if not roles[i] and fold(name) in SYMBOLS | CODES:
            column = frame.iloc[:, i]
            words = _words(column)
            if not words and fold(name) in CODES:
                words = [str(code) for code in pd.unique(column.dropna())]
                words = words if len(words) < len(column) else []  # numbers of rows
            if len(words) > 1:
                counts[i] = len(words)
    valid = {i for i in counts if all(map(is_name, map(str, frame.iloc[:, i].dropna().unique())))}
    if valid:  # codes rather than names in Chinese
        counts = {i: count for i, count in counts.items() if i in valid}
    return max(counts, key=lambda i: (counts[i], -i)) if counts else None


def _words(column: pd.Series) -> list[str]:
    """Different words of a column; empty if some cell is something else, such as a number."""
    values = column.dropna()
    if len(values) == 0 or not isinstance(values.iloc[0], str):
        return []
    if not _is_word(values.iloc[0]) or structure_of(values.iloc[0].strip()) is not None:
        return []
    words = [str(word) for word in pd.unique(values)]
    return words if len(words) < len(values) and all(map(_is_word, words)) else []


def _flat_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Levels of the index as columns; a level without a name is named by what it holds."""
    names: list[Hashable] = []
    for i, name in enumerate(frame.index.names):
        values = frame.index.get_level_values(i)
        is_time = isinstance(values, pd.DatetimeIndex) or GENERIC.get(fold(name)) == "timestamp"
        usual = "timestamp" if is_time else "symbol"
        missing = f"level {i}" if usual in names else usual
        names.append(name if name is not None else missing)
    flat = frame.copy(deep=False)
    flat.index = flat.index.set_names(names)
    kept = [name for name in names if name not in flat.columns]
    return flat.reset_index(level=kept).reset_index(drop=True)


def _column(frame: pd.DataFrame, position: int) -> Tables:
    column = frame.iloc[:, position]
    if pd.api.types.is_float_dtype(column.dtype) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # codes beside a missing one
    text = column.astype(str).str.strip().where(column.notna())
    codes, found = pd.factorize(text.where(text != ""))
    unique = [str(value) for value in found]
    name = frame.columns[position]
    blank = _blank_symbols(frame, codes, str(name)) if (codes < 0).any() and unique else None
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(unique) + 1))

    def take(raw: str | None) -> pd.DataFrame:
        if raw is None or len(unique) < 2:
            return frame
        place = unique.index(raw)
        return frame.iloc[order[edges[place] : edges[place + 1]]]

    return Tables(tuple(unique), f"the column {str(name)!r}", take, blank=blank)


def _blank_symbols(frame: pd.DataFrame, codes: np.ndarray, name: str) -> Defect | None:
    """The defect of rows without a symbol beside others; rows in which nothing stands are none."""
    rows = np.flatnonzero(codes < 0)
    rows = rows[frame.iloc[rows].notna().any(axis=1).to_numpy()]
    if len(rows) == 0:
        return None
    shown = ", ".join(map(str, rows[:5].tolist())) + (", ..." if len(rows) > 5 else "")
    fix = (
        "write the symbol into each row (where it stands only in the first row of its block, fill "
        f'it down); columns={{"{name}": "ignored"}} leaves the column out if all rows are of one '
        "symbol"
    )
    if not isinstance(frame.iloc[0, 0], str):
        fix += "; pandas.read_csv takes NA for missing unless keep_default_na=False"
    return Defect(
        "blank_symbol", len(rows),
        f"each row must name its symbol: the column {name!r} is blank in {counted(len(rows))}, "
        f"row {shown}",
        fix,
        tuple(rows.tolist()),
    )  # fmt: skip


def _nested_columns(frame: pd.DataFrame) -> Tables:
    """Levels of names and of symbols, as yfinance gives them."""
    columns = frame.columns
    levels = [list(columns.get_level_values(level)) for level in range(columns.nlevels)]
    price_level = max(
        range(len(levels)),
        key=lambda i: sum(GENERIC.get(fold(n), "") in _PRICE_ROLES for n in levels[i]),
    )
    symbol_level: int | None = None
    symbols: list[str] = []
    for position, level in enumerate(levels):
        found = [
            str(level[i])
            for i in range(len(level))
            if fold(level[i]) and GENERIC.get(fold(levels[price_level][i])) in _PRICE_ROLES
        ]
        unique = list(dict.fromkeys(found))
        if position != price_level and len(unique) > len(symbols):
            symbol_level, symbols = position, unique

    def take(raw: str | None) -> pd.DataFrame:
        names = levels[price_level]
        keep = list(range(len(names)))
        if raw is not None and symbol_level is not None and len(symbols) > 1:
            level = levels[symbol_level]
            keep = [
                i for i in keep
                if str(level[i]) == raw or GENERIC.get(fold(names[i])) not in _PRICE_ROLES
            ]  # fmt: skip
        flat = frame.iloc[:, keep].copy(deep=False)
        flat.columns = pd.Index([_label(levels, i, price_level) for i in keep], dtype=object)
        if raw is not None and len(symbols) > 1:
            flat = _trim(flat)
        return flat

    where = f"level {symbol_level} of the columns"
    return Tables(tuple(symbols), where, take)


def _label(levels: list[list[Hashable]], i: int, price_level: int) -> Hashable:
    """The name of a column: on another level where the level of names says nothing of it."""
    name = levels[price_level][i]
    if GENERIC.get(fold(name)) or not any(GENERIC.get(fold(level[i])) for level in levels):
        return name
    return next(level[i] for level in levels if GENERIC.get(fold(level[i])))


def _trim(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the rows on which only other symbols trade: all prices are missing there."""
    prices = [i for i, n in enumerate(frame.columns) if GENERIC.get(fold(n)) in _PRICE_ROLES]
    if not prices:
        return frame
    present = frame.iloc[:, prices].notna().any(axis=1).to_numpy()
    return frame if present.all() else frame[present]


_WIDE = re.compile(r"(?P<a>.+?)[ _.:|/-]+(?P<b>[^ _.:|/-]+)")


def _wide_names(names: list[Hashable]) -> dict[str, dict[int, str]]:
    """Symbols in the names of columns, as AAPL_Close or Close AAPL: symbol to position to role."""
    for front in (True, False):
        found: dict[str, dict[int, str]] = {}
        for i, name in enumerate(names):
            text = CURRENCY_SIGN.sub("", str(name))
            for cut in (m.start() for m in re.finditer(r"[ _.:|/-]", text)):
                first, second = text[:cut], text[cut + 1 :]
                symbol, field = (first, second) if front else (second, first)
                role = GENERIC.get(fold(field), "")
                if role in _PRICE_ROLES and symbol and not GENERIC.get(fold(symbol)):
                    found.setdefault(symbol, {})[i] = role
                    break
        whole = {s: roles for s, roles in found.items() if set(roles.values()) >= _PRICES}
        if whole:
            return whole
    return {}


def _wide(frame: pd.DataFrame, symbols: dict[str, dict[int, str]]) -> Tables:
    of_symbols = {i for roles in symbols.values() for i in roles}

    def take(raw: str | None) -> pd.DataFrame:
        roles = symbols[raw if raw is not None else next(iter(symbols))]
        keep = [i for i in range(frame.shape[1]) if i not in of_symbols or i in roles]
        flat = frame.iloc[:, keep].copy(deep=False)
        flat.columns = pd.Index([roles.get(i, frame.columns[i]) for i in keep], dtype=object)
        return _trim(flat) if len(symbols) > 1 else flat

    return Tables(tuple(symbols), "the header", take)
