"""Which columns of a frame are meant: names of any case, by layout, and the timestamps' place."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from marketsim.bars.beside import second_bars, settlements
from marketsim.bars.date_parts import has_date, has_hour, join_date, join_time
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import GENERIC, ROLES, Layout, fold
from marketsim.bars.layouts.names import SETTLES, STARTS, WEAK, is_volume
from marketsim.bars.splits import name_splits
from marketsim.bars.time_options import TimeOptions
from marketsim.bars.times_of_day import read_times
from marketsim.bars.timestamps import parse_timestamps
from marketsim.bars.volumes import add_volumes, two_volumes
from marketsim.bars.zones import NAT, Fault
from marketsim.errors import ArgumentError

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
ADJUSTED_CLOSE = "adj close"
SPLIT = "split"

_TIME_ROLES = frozenset({"timestamp", "date", "time"})
_OF_DAY = frozenset(
    ("time", "hora", "heure", "zeit", "uhrzeit", "ora", "saat", "godzina", "время", "时间", "時刻",
     "時間", "시간", "tijd", "čas")
)  # fmt: skip
_USED = (*COLUMNS, ADJUSTED_CLOSE, SPLIT)
# What pandas calls a first column without a name after read_csv and after reset_index.
_NO_NAME = frozenset({"", "unnamed:0", "index"})
_SHORTEST_DATE = 1700_01_01  # as YYYYMMDD
# Of several columns of full timestamps that agree, the first of these is read.
_DAY = 86_400_000_000_000
_RANK = (
    "timestamp",
    "datetime",
    "opentime",
    "windowstart",
    "tsevent",
    "mts",
    "unix",
    "unixtimestamp",
)


@dataclass(frozen=True)
class Selection:
    """The parts of a frame that are bars.

    Attributes:
        columns: canonical name to column as given.
        timestamps: the index or column that holds them; None if there is no single one.
        times: a column of times of the day that belong to the dates in `timestamps`.
        found: the names as given, for messages.
        defects: defects of the columns' names.
        notes: how columns were understood.
        extra: positions of the columns that are none of these.

    """

    columns: dict[str, pd.Series]
    timestamps: pd.Index | pd.Series | None
    times: pd.Series | None
    found: tuple[str, ...]
    defects: tuple[Defect, ...]
    notes: tuple[str, ...] = field(default=())
    extra: tuple[int, ...] = ()


def check_columns(columns: Mapping[str, str | list[str]] | None) -> dict[str, str]:
    """Return folded source name to role; both directions of an entry are understood.

    Raises:
        ArgumentError: no side of an entry is a role.

    """
    if not columns:
        return {}
    if not isinstance(columns, Mapping):
        raise ArgumentError(
            f'columns got {columns!r}: expected a mapping such as {{"open": "o", "high": "h"}}'
        )
    roles = {fold(role): role for role in ROLES}
    found: dict[str, str] = {}
    wrong = []
    for key, value in columns.items():
        for name in value if isinstance(value, list | tuple) else (value,):
            first, second = fold(key), fold(name)
            # A column that is called as a role can be ignored; else the role stands first.
            if first in roles and not (second == "ignored" and first != second):
                found[second] = roles[first]
            elif second in roles:
                found[first] = roles[second]
            else:
                wrong.append(repr(str(key)))
    if wrong:
        raise ArgumentError(
            f"columns got {', '.join(wrong)}: expected a mapping from {', '.join(ROLES)} to names "
            'of the file, such as {"open": "o"}'
        )
    return found


def assign_roles(
    names: Sequence[Hashable], layout: Layout | None, mapped: Mapping[str, str]
) -> list[str]:
    """The role of each column; "" for those that are none.

    What the caller maps wins over the layout, the layout over names that mean the same anywhere.
    """
    folded = [fold(name) for name in names]
    roles = [""] * len(folded)
    own = {} if layout is None else layout.columns
    stated = set(mapped.values())
    for i, name in enumerate(folded):
        if name in mapped:
            roles[i] = mapped[name]
    by_layout = {own[name] for name in folded if name in own} - stated
    for i, name in enumerate(folded):
        if not roles[i] and name in own and own[name] not in stated:
            roles[i] = own[name]
    taken = stated | by_layout
    dated = stated & _TIME_ROLES - {"time"}  # a stated time of the day needs the file's own date
    if dated:
        taken |= _TIME_ROLES
    generic = [GENERIC.get(name, "") for name in folded]
    exact = {role for name, role in zip(folded, generic, strict=True) if name == fold(role)}
    strong = {r for n, r in zip(folded, generic, strict=True) if n not in WEAK}
    for i, (name, role) in enumerate(zip(folded, generic, strict=True)):
        if roles[i] or not role or (role in taken and role != "timestamp"):
            continue
        if role == "timestamp":
            of_day = "time" in stated and name in _OF_DAY
            if not dated and not of_day and not (by_layout & {"timestamp"}):
                roles[i] = role
        elif role == "volume" and role in exact and name != role:
            continue  # "vol" beside "volume" is another measure
        elif name not in WEAK or role not in strong:
            roles[i] = role
    if set("ohlc") <= set(folded) and not set(PRICES) & {*roles, *taken}:
        letters = dict(zip("ohlcv", COLUMNS, strict=True))
        roles = [role or letters.get(n, "") for n, role in zip(folded, roles, strict=True)]
    for role, likely in _SECOND_CHOICE.items():
        kinds = _TIME_ROLES if role == "timestamp" else {role}
        if kinds & ({*roles} if role == "volume" else {*roles, *taken}):
            continue
        first = next((i for i, n in enumerate(folded) if likely(n) and not roles[i]), None)
        if first is not None:
            roles[first] = role
    return roles


_SECOND_CHOICE: dict[str, Callable[[str], bool]] = {
    "timestamp": STARTS.__contains__,
    "close": SETTLES.__contains__,
    "volume": is_volume,  # of "Volume BTC" and "Volume USDT", the first is in base units
}
"""Names that have a role where no other column has it."""


def select_columns(
    frame: pd.DataFrame, layout: Layout | None, mapped: Mapping[str, str], how: TimeOptions
) -> Selection:
    """Find the five columns, the adjusted close, splits and the timestamps of a flat frame."""
    names: list[Hashable] = list(frame.columns)
    roles = assign_roles(names, layout, mapped)
    name_splits(frame, roles, mapped)
    columns: dict[str, pd.Series] = {}
    given: dict[str, list[str]] = {}
    parts = [part for _, part in frame.items()]
    for name, role, part in zip(names, roles, parts, strict=True):
        if role in _USED:
            given.setdefault(role, []).append(repr(name))
            columns.setdefault(role, part)
    found = tuple(str(name) for name in names)
    defects = [_repeated(role, others) for role, others in given.items() if len(others) > 1]
    defects += second_bars(names, roles, mapped)
    absent = [name for name in mapped if name not in {fold(n) for n in names}]
    if absent:
        defects.append(_unmapped(absent, names))
    stamps, times, notes, more = _timestamps(frame, parts, names, roles, how)
    notes += two_volumes(names, roles) + settlements(names, roles)
    if "volume" not in columns:
        notes += add_volumes(columns, names, parts)
    extra = tuple(i for i, role in enumerate(roles) if not role)
    return Selection(columns, stamps, times, found, (*defects, *more), tuple(notes), extra)


def _unmapped(absent: list[str], names: Sequence[Hashable]) -> Defect:
    return Defect(
        "unknown_column", len(absent),
        f"columns= must name columns of the source: got {', '.join(map(repr, absent))}; found "
        f"{listed(names)}",
        "write names as the source has them",
    )  # fmt: skip


def _repeated(canonical: str, names: list[str]) -> Defect:
    return Defect(
        "repeated_column",
        len(names),
        f"one column must hold {canonical}: got {len(names)}, {', '.join(names)} "
        "(case, blanks, underscores and dots do not tell names apart)",
        f'columns={{"{canonical}": ...}} chooses one of different names; drop or rename the others',
    )


_Stamps = pd.Index | pd.Series


def _timestamps(
    frame: pd.DataFrame,
    parts: list[pd.Series],
    names: list[Hashable],
    roles: list[str],
    how: TimeOptions,
) -> tuple[_Stamps | None, pd.Series | None, list[str], list[Defect]]:
    index = frame.index
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) and not (
        "timestamp" in roles and how is None
    ):
        return index, None, [], []
    if has_date(names):  # the day is a part of it
        roles = ["" if fold(n) == "day" else role for n, role in zip(names, roles, strict=True)]
    candidates: list[tuple[str, str, _Stamps]] = []  # folded name, how it is called, values
    if index.nlevels == 1 and GENERIC.get(fold(index.name)) == "timestamp":
        candidates.append((fold(index.name), f"the index {index.name!r}", index))
    for position, role in enumerate(roles):
        if role in _TIME_ROLES:
            name = names[position]
            key = role if role != "timestamp" else fold(name)
            candidates.append((key, f"{name!r} (column {position})", parts[position]))
    if not candidates:
        if index.nlevels == 1 and index.name is None and (_is_text(index) or _may_be_times(index)):
            return index, None, [], []
        if names and fold(names[0]) in _NO_NAME and not roles[0]:
            return parts[0], None, [], []
        date = join_date(parts, names)
        if date is None:
            return None, None, [], [_no_timestamps(names, index)]
        time = join_time(parts, names, roles)
        return date[0], *((None, [date[1]]) if time is None else (time[0], [date[1], time[1]])), []
    if len(candidates) == 1:
        column = candidates[0][2]
        dates = has_hour(names) and _are_dates(column, how)
        time = join_time(parts, names, roles) if dates else None
        return column, *((None, []) if time is None else (time[0], [time[1]])), []
    return _one_of(candidates, how)


def _one_of(
    candidates: list[tuple[str, str, _Stamps]], how: TimeOptions
) -> tuple[_Stamps | None, pd.Series | None, list[str], list[Defect]]:
    """Combine a date and a time of the day, or choose one of several that agree."""
    full: list[tuple[str, str, _Stamps]] = []
    of_day: list[tuple[str, str, _Stamps]] = []
    for name, shown, column in candidates:
        usual = name in ("time", "时间")
        is_time = isinstance(column, pd.Series) and _is_time_of_day(column, digits=usual)
        (of_day if is_time else full).append((name, shown, column))
    dates = [c for c in full if c[0] in ("date", "日期", "tradedate", "datum", "data")]
    if len(of_day) == 1 and len(full) == 1 and isinstance(of_day[0][2], pd.Series):
        return full[0][2], of_day[0][2], [f"date and time from {full[0][1]} and {of_day[0][1]}"], []
    if len(of_day) == 1 and len(full) == 2 and len(dates) == 1:
        full = [c for c in full if c is not dates[0]] or full
        if len(full) == 1 and _agree(
            parse_of(full[0][2], how), _combined(dates[0], of_day[0], how)
        ):
            return full[0][2], None, [f"timestamps from {full[0][1]}"], []
        return None, None, [], [_several(candidates)]
    if of_day:
        return None, None, [], [_several(candidates)]
    ranked = sorted(full, key=lambda c: _RANK.index(c[0]) if c[0] in _RANK else len(_RANK))
    read = [parse_of(column, how) for _, _, column in ranked]
    usable = [i for i, values in enumerate(read) if (values != NAT).all() and len(values)]
    if not usable or any(not _agree(read[usable[0]], read[i]) for i in usable[1:]):
        return None, None, [], [_several(candidates)]
    fine = [i for i in usable if (read[i] % 86_400_000_000_000 != 0).any()]
    chosen = (fine or usable)[0]
    days = [i for i in usable if i not in fine]
    if fine and days and _bars_of_days(read[chosen], read[days[0]]):
        chosen = days[0]  # the exchange's own dates
    others = ", ".join(shown for i, (_, shown, _) in enumerate(ranked) if i != chosen)
    note = (
        f"timestamps from {ranked[chosen][1]}; {others} {'agree' if len(ranked) > 2 else 'agrees'}"
    )
    return ranked[chosen][2], None, [note], []


def _bars_of_days(times: np.ndarray, dates: np.ndarray) -> bool:
    """Whether each date has one bar, all at one time of the day but for a clock that is moved."""
    of_day = np.unique(times % _DAY)
    apart = of_day.max() - of_day.min() in (0, _DAY // 24)
    return apart and len(of_day) < 3 and len(np.unique(dates)) == len(dates) > 1


def _are_dates(column: _Stamps, how: TimeOptions) -> bool:
    """Whether the first cells are dates without a time of the day."""
    times = parse_of(column[:20] if isinstance(column, pd.Index) else column.iloc[:20], how)
    return bool((times % _DAY == 0).all())


def parse_of(column: _Stamps, how: TimeOptions) -> np.ndarray:
    """The wall clock of a column where it has one, else its instants."""
    parsed = parse_timestamps(column, how)
    known = parsed.faults == Fault.NONE
    return np.where(known, np.where(parsed.wall != NAT, parsed.wall, parsed.values), NAT)


def _combined(
    date: tuple[str, str, _Stamps], time: tuple[str, str, _Stamps], how: TimeOptions
) -> np.ndarray:
    assert isinstance(time[2], pd.Series)
    parsed = parse_timestamps(date[2], how, time[2])
    return np.where(parsed.faults == Fault.NONE, parsed.wall, NAT)


def _agree(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two columns are the same moments, or one the dates of the other."""
    apart = np.abs(first - second)
    return bool((apart <= 86_400_000_000_000 * 14 // 12).all())


def _is_time_of_day(column: pd.Series, digits: bool) -> bool:
    """Whether the first cells are times without a date; digits such as 930 only where allowed."""
    cells = column.dropna().iloc[:20]
    if len(cells) == 0:
        return False
    texts = cells.astype(str).str.strip()
    if texts.str.len().max() > 16:
        return False
    whole = texts.str.fullmatch(r"\d+(?:\.0)?")
    if whole.any() and (not digits or (whole.all() and texts.str.len().max() > 9)):
        return False
    return read_times(cells) is not None


def _several(candidates: list[tuple[str, str, _Stamps]]) -> Defect:
    shown = ", ".join(shown for _, shown, _ in candidates)
    first = candidates[0][1].split("'")[1] if "'" in candidates[0][1] else "Date"
    return Defect(
        "several_timestamp_columns",
        len(candidates),
        f"one column must hold the timestamps: {shown} can each hold them, and they differ",
        f'columns={{"timestamp": "{first}"}} chooses one',
    )


def _is_text(index: pd.Index) -> bool:
    return len(index) > 0 and (
        pd.api.types.is_string_dtype(index.dtype) or pd.api.types.is_object_dtype(index.dtype)
    )


def _may_be_times(index: pd.Index) -> bool:
    """Whether whole numbers of an index are as long as dates and Unix time, and no row numbers."""
    whole = pd.api.types.is_integer_dtype(index.dtype) and not isinstance(index, pd.RangeIndex)
    return whole and len(index) > 0 and bool(index.min() >= _SHORTEST_DATE)


def _no_timestamps(names: list[Hashable], index: pd.Index) -> Defect:
    inside = (
        f"; the index is {type(index).__name__} {list(index.names)}" if index.nlevels > 1 else ""
    )
    numbers = sum(bool(re.fullmatch(r"[-+\d.,:/ ]+", str(name))) for name in names)
    fix = 'columns={"timestamp": ...} names the column; or set a DatetimeIndex'
    if names and numbers > len(names) / 2:
        fix = "the first row was taken for a header; read the file by its path, or with header=None"
    return Defect(
        "no_timestamps",
        1,
        "timestamps are missing: expected a DatetimeIndex or a column named timestamp, datetime, "
        f"date, time or open_time, found {listed(names)}{inside}",
        fix,
    )


def listed(names: Sequence[Hashable]) -> str:
    """Write column names for a message, at most 12."""
    shown = ", ".join(
        repr(str(name)) if len(str(name)) <= 60 else f"{str(name)[:57]!r}..." for name in names[:12]
    )
    return f"columns {shown}{', ...' if len(names) > 12 else ''}" if names else "no columns"
