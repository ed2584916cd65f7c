"""Several symbols in one table, long or wide; one is chosen by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marketsim.bars.columns import assign_roles
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import GENERIC, Layout, fold
from marketsim.bars.layouts.names import CODES, DESCRIPTIONS, DESCRIPTIVE, SYMBOLS
from marketsim.bars.symbol import is_name, symbol_of
from marketsim.bars.words_of_time import is_calendar_word
from marketsim.bars.zones import IntArray

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

    """

    raw: tuple[str, ...]
    where: str
    take: Callable[[str | None], pd.DataFrame]
    unknown: str = ""
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """Symbol as `symbol=` takes it to symbol as given: BTC-USDT for BTC/USDT."""
        return {symbol_of(raw): raw for raw in self.raw}

    def defect(self) -> Defect | None:
        """The defect of a table of several symbols; None if it holds one."""
        if len(self.raw) < 2:
            return None
        names = list(self.names)
        shown = f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        fix = (
            f'symbol="{names[0]}" chooses one (--symbols {names[0]} on the command line); '
            "read_many reads all"
        )
        if self.unknown:
            fix += (
                f"; columns={{{self.unknown!r}: 'ignored'}} leaves the column out if it holds no "
                f'symbols (--columns "ignored={self.unknown}")'
            )
        return Defect(
            "several_symbols",
            len(names),
            f"the rows must be of one symbol: {self.where} holds {len(names)}, {shown}",
            fix,
        )


def find_tables(frame: pd.DataFrame, layout: Layout | None, mapped: Mapping[str, str]) -> Tables:
    """Find out which symbols a frame holds."""
    frame = _split_tuples(frame)
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


_JUMP = np.log(1.25)
_WORD = re.compile(r"[^\W\d_]|\^")


def _unknown(frame: pd.DataFrame, roles: list[str]) -> Tables:
    """Symbols in a column whose name does not say so, or notes of the words that are left out.

    Words that stand one after the other, each in one block, are symbols unless the column's name
    or the words are known to describe. So are words at whose every change the price jumps.
    """
    notes: list[str] = []
    first = frame.iloc[0].tolist() if len(frame) and not all(roles) else []
    for i, name in enumerate(frame.columns if first else ()):
        if roles[i] or not _may_begin_words(first[i]):
            continue
        words = _words(frame.iloc[:, i])
        if len(words) < 2:
            continue
        codes = pd.factorize(frame.iloc[:, i])[0]
        changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        blocks = len(changes) == len(words) - 1 and (codes >= 0).all()
        describes = fold(name) in DESCRIPTIVE or _describe(words)
        if (blocks and not describes) or _jumps(frame, roles, changes):
            return replace(_column(frame, i), unknown=str(name), notes=tuple(notes))
        shown = f"{', '.join(map(repr, words[:3]))}{', ...' if len(words) > 3 else ''}"
        notes.append(f"the column {str(name)!r} is left out ({shown})")
    return Tables((), "", lambda _: frame, notes=tuple(notes))


def _may_begin_words(cell: object) -> bool:
    """Whether a column with this first cell may hold words; quick, for a thousand columns."""
    return bool(_WORD.match(cell)) if isinstance(cell, str) else bool(pd.isna(cell))  # type: ignore[call-overload]


def _describe(words: list[str]) -> bool:
    """Whether all words are known to describe a row, or belong to the calendar."""
    return all(
        fold(word) in DESCRIPTIONS or is_calendar_word(word) or not is_name(word) for word in words
    )


def _jumps(frame: pd.DataFrame, roles: list[str], changes: IntArray) -> bool:
    """Whether the price steps by more than a quarter wherever the words change."""
    if "close" not in roles or "open" not in roles:
        return False
    close, open_ = (
        pd.to_numeric(frame.iloc[:, roles.index(role)], errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        for role in ("close", "open")
    )
    with np.errstate(all="ignore"):
        steps = np.abs(np.log(open_[changes] / close[changes - 1]))
    return len(changes) > 0 and bool((steps > _JUMP).all())


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
            if len(words) > 1:
                counts[i] = len(words)
    return max(counts, key=lambda i: (counts[i], -i)) if counts else None


def _words(column: pd.Series) -> list[str]:
    """Different words of a column; empty if some cell is something else, such as a number."""
    values = column.dropna()
    if len(values) == 0 or not isinstance(values.iloc[0], str):
        return []
    words = [str(word) for word in pd.unique(values)]
    fits = len(words) < len(values) and all(_WORD.match(word) for word in words)
    return words if fits else []


def find_telling_column(
    frame: pd.DataFrame, mapped: Mapping[str, str], rows: IntArray, times: IntArray
) -> tuple[str, list[str]] | None:
    """A column of words that tells rows of one time apart, and its words; None if there is none.

    Args:
        frame: as it was read.
        mapped: what the caller says of the columns.
        rows: positions in the frame [row].
        times: of these rows [row].

    """
    roles = assign_roles(list(frame.columns), None, mapped)
    for i, name in enumerate(frame.columns):
        column = frame.iloc[rows, i]
        words = _words(column) if not roles[i] else []
        if len(words) > 1:
            pairs = pd.DataFrame({"times": times, "words": column.to_numpy(dtype=object)})
            if not pairs.duplicated().any():
                return str(name), words
    return None


def find_blocks(
    frame: pd.DataFrame, mapped: Mapping[str, str], rows: IntArray, times: IntArray
) -> tuple[str, list[str]] | None:
    """A column that changes exactly where the times go back, each of its values in one block.

    Args:
        frame: as it was read.
        mapped: what the caller says of the columns.
        rows: positions in the frame [row].
        times: of these rows [row].

    Returns:
        Its name and its values; None if there is none.

    """
    roles = assign_roles(list(frame.columns), None, mapped)
    back = np.flatnonzero(times[1:] < times[:-1])
    for i, name in enumerate(frame.columns):
        if roles[i]:
            continue
        codes, values = pd.factorize(frame.iloc[rows, i])
        changes = np.flatnonzero(codes[1:] != codes[:-1])
        if np.array_equal(changes, back) and len(values) == len(back) + 1 and (codes >= 0).all():
            return str(name), [str(value) for value in values]
    return None


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
    codes, found = pd.factorize(column.astype(str).str.strip().where(column.notna()))
    unique = [str(value) for value in found]
    name = frame.columns[position]
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(unique) + 1))

    def take(raw: str | None) -> pd.DataFrame:
        if raw is None or len(unique) < 2:
            return frame
        place = unique.index(raw)
        return frame.iloc[order[edges[place] : edges[place + 1]]]

    return Tables(tuple(unique), f"the column {str(name)!r}", take)


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
            text = str(name)
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

    return Tables(tuple(symbols), "the names of the columns", take)
