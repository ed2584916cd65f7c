"""Which columns of a frame are meant: names of any case, nested names, the timestamps' place."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import pandas as pd

from marketsim.bars.defect import Defect

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
ADJUSTED_CLOSE = "adj close"

_TIME_NAMES = frozenset({"timestamp", "datetime", "date", "time", "opentime"})
_CANONICAL = {name: name for name in COLUMNS} | {
    "adjclose": ADJUSTED_CLOSE,
    "adjustedclose": ADJUSTED_CLOSE,
}
# What pandas calls a first column without a name after read_csv and after reset_index.
_NO_NAME = frozenset({"", "unnamed:0", "index"})


@dataclass(frozen=True)
class Selection:
    """The parts of a frame that are bars.

    Attributes:
        columns: canonical name to column as given.
        timestamps: the index or column that holds them; None if there is no single one.
        found: the names as given, for messages.
        defects: defects of the columns' names.

    """

    columns: dict[str, pd.Series]
    timestamps: pd.Index | pd.Series | None
    found: tuple[str, ...]
    defects: tuple[Defect, ...]


def fold(name: object) -> str:
    """Reduce a column's name to lower case without blanks, underscores and dots."""
    missing = name is None or name != name  # NaN is the name of an empty header in some sources
    return "" if missing else re.sub(r"[\s_.]+", "", str(name)).casefold()


def time_positions(names: Sequence[Hashable]) -> list[int]:
    """Return the positions of the columns that can hold timestamps, by their names alone."""
    named = [i for i, name in enumerate(names) if fold(name) in _TIME_NAMES]
    return named or [i for i, name in enumerate(names[:1]) if fold(name) in _NO_NAME]


def select_columns(frame: pd.DataFrame) -> Selection:
    """Find the five columns, the adjusted close and the timestamps of a frame."""
    names, defects = _flat_names(frame.columns)
    if defects:  # several tickers: nothing can be said of columns that are not chosen yet
        found = tuple(str(name) for name in frame.columns)
        index = frame.index if isinstance(frame.index, pd.DatetimeIndex) else None
        return Selection({}, index, found, tuple(defects))
    columns: dict[str, pd.Series] = {}
    given: dict[str, list[str]] = {}
    for position, name in enumerate(names):
        canonical = _CANONICAL.get(fold(name))
        if canonical is not None:
            given.setdefault(canonical, []).append(repr(name))
            columns.setdefault(canonical, frame.iloc[:, position])
    found = tuple(str(name) for name in names)
    defects += [_repeated(name, others) for name, others in given.items() if len(others) > 1]
    timestamps, time_defect = _timestamps(frame, names)
    return Selection(columns, timestamps, found, (*defects, *time_defect))


def _repeated(canonical: str, names: list[str]) -> Defect:
    return Defect(
        "repeated_column",
        len(names),
        f"one column must be {canonical}: {len(names)} are, {', '.join(names)} "
        "(case, blanks, underscores and dots do not tell names apart)",
        "drop or rename all but one",
    )


def _flat_names(columns: pd.Index) -> tuple[list[Hashable], list[Defect]]:
    """Take the names of one level; the others may hold a single ticker, as yfinance gives them."""
    if not isinstance(columns, pd.MultiIndex):
        return list(columns), []
    levels = [list(columns.get_level_values(level)) for level in range(columns.nlevels)]
    known = _CANONICAL.keys() | _TIME_NAMES
    price_level = max(range(len(levels)), key=lambda i: sum(fold(n) in known for n in levels[i]))
    for position, level in enumerate(levels):
        tickers = list(dict.fromkeys(str(name) for name in level if fold(name)))
        if position != price_level and len(tickers) > 1:
            defect = Defect(
                "several_tickers",
                len(tickers),
                f"the columns must be of one ticker: level {position} holds {len(tickers)}, "
                f"{', '.join(tickers[:5])}{', ...' if len(tickers) > 5 else ''}",
                f"select one: frame.xs({tickers[0]!r}, axis=1, level={position})",
            )
            return [], [defect]
    return levels[price_level], []


def _timestamps(
    frame: pd.DataFrame, names: list[Hashable]
) -> tuple[pd.Index | pd.Series | None, list[Defect]]:
    index = frame.index
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
        return index, []
    candidates: dict[str, pd.Index | pd.Series] = {}
    if index.nlevels == 1 and fold(index.name) in _TIME_NAMES:
        candidates[f"the index {index.name!r}"] = index
    positions = time_positions(names)
    text_index = index.nlevels == 1 and index.name is None and _is_text(index)
    if positions and fold(names[positions[0]]) in _TIME_NAMES:
        for position in positions:
            # Two columns may have one name, so the position is part of the key.
            candidates[f"{names[position]!r} (column {position})"] = frame.iloc[:, position]
    elif not candidates and text_index:
        candidates["the index"] = index
    elif not candidates and positions:
        candidates["the first column"] = frame.iloc[:, 0]
    if len(candidates) == 1:
        return next(iter(candidates.values())), []
    return None, [_no_single_time(list(candidates), names, index)]


def _is_text(index: pd.Index) -> bool:
    return len(index) > 0 and (
        pd.api.types.is_string_dtype(index.dtype) or pd.api.types.is_object_dtype(index.dtype)
    )


def _no_single_time(candidates: list[str], names: list[Hashable], index: pd.Index) -> Defect:
    if candidates:
        return Defect(
            "several_timestamp_columns",
            len(candidates),
            f"one column must hold the timestamps: {', '.join(candidates)} all could",
            "drop all but one, or combine a date and a time column into one",
        )
    inside = (
        f"; the index is {type(index).__name__} {list(index.names)}" if index.nlevels > 1 else ""
    )
    return Defect(
        "no_timestamps",
        1,
        "timestamps are missing: expected a DatetimeIndex or a column named timestamp, datetime, "
        f"date, time or open_time, found {listed(names)}{inside}",
        "add or rename that column, or set a DatetimeIndex",
    )


def listed(names: Sequence[Hashable]) -> str:
    """Write column names for a message, at most 12."""
    shown = ", ".join(repr(str(name)) for name in names[:12])
    return f"columns {shown}{', ...' if len(names) > 12 else ''}" if names else "no columns"
