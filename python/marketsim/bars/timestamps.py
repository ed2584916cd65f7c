"""Timestamps of any source to nanoseconds in UTC, with the reason for each that has none."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.dates import read_dates
from marketsim.bars.digits import (
    DAYS,
    EXCEL,
    UNITS,
    fraction_of_seconds,
    like_excel,
    other_unit,
    read_days,
    read_digits,
    read_excel,
    read_unix,
)
from marketsim.bars.end_of_day import add_day, start_of_day
from marketsim.bars.time_options import TimeOptions
from marketsim.bars.times_of_day import read_times
from marketsim.bars.zones import (
    NAT,
    BoolArray,
    Fault,
    IntArray,
    ObjectArray,
    localize,
    named_zone,
    nanoseconds,
)

_INTEGER = re.compile(r"([+-]?(?:\d{1,18}|[1-8]\d{18}))(?:\.0*)?")
_DAYS = re.compile(r"\d{5,6}(?:\.\d+)?")
_DECIMAL = re.compile(r"\d{9,10}\.\d+")


@dataclass(frozen=True)
class Timestamps:
    """Parsed timestamps.

    Attributes:
        values: int64 nanoseconds since 1970 in UTC, [row]; NAT where there is a fault.
        wall: the clock as written, in its own zone, [row]; NAT where there is none (Unix time).
        faults: uint8 codes of `Fault`, [row].
        read_as: how they were understood, for messages; may be empty.
        unclear: why the column as a whole cannot be read; empty if it can.
        utc: the clock as written is UTC, and `wall` is `values`.
        zone: that the source itself names; None where it names none, or only offsets.
        aware: the source says of each row which instant it is.
        late: which rows are written as 24:00, and are 00:00 of the next day [row]; None if none.

    """

    values: IntArray
    wall: IntArray
    faults: npt.NDArray[np.uint8]
    read_as: str
    unclear: str
    utc: bool = False
    zone: dt.tzinfo | None = None
    aware: bool = False
    late: BoolArray | None = None

    @property
    def clock(self) -> IntArray:
        """The clock as written where there is one, else the instant [row]."""
        return self.values if self.utc else np.where(self.wall != NAT, self.wall, self.values)


class _Reading:
    """Times of the clock and instants, filled by the readers below; NAT where not (yet) read."""

    def __init__(self, count: int) -> None:
        self.wall = np.full(count, NAT, np.int64)  # ns of a local clock
        self.instant = np.full(count, NAT, np.int64)  # ns in UTC, where the source says it
        self.read_as = ""
        self.unclear = ""
        self.zone: dt.tzinfo | None = None
        self.late: BoolArray | None = None  # written as 24:00

    def mark_late(self, late: BoolArray) -> None:
        if late.any():
            self.late = late if self.late is None else self.late | late


def parse_timestamps(
    raw: pd.Index | pd.Series, options: TimeOptions, times: pd.Series | None = None
) -> Timestamps:
    """Read timestamps; those without a zone are taken to be in `options.zone`.

    Args:
        raw: [row] datetimes, dates, text, or integers (calendar digits or Unix time).
        options: what the caller states.
        times: [row] times of the day that belong to dates in `raw`.

    """
    plain = _plain_utc(raw, options) if times is None else None
    if plain is not None:
        return plain
    missing = np.asarray(pd.isna(raw), dtype=np.bool_)
    reading = _Reading(len(raw))
    _read(raw, missing, reading, options)
    if times is not None:
        _add_times(reading, times)
    faults = np.zeros(len(raw), np.uint8)
    faults[(reading.wall == NAT) & (reading.instant == NAT)] = Fault.UNREADABLE
    faults[missing] = Fault.MISSING
    aware = bool((reading.instant[faults == Fault.NONE] != NAT).all())
    instants = reading.instant.copy()
    rows = np.flatnonzero((reading.wall != NAT) & (reading.instant == NAT))
    if len(rows):
        instants[rows], found = localize(reading.wall[rows], options.zone)
        faults[rows] = np.where(found != Fault.NONE, found, faults[rows])
    return Timestamps(
        instants, reading.wall, faults, reading.read_as, reading.unclear, zone=reading.zone,
        aware=aware, late=reading.late,
    )  # fmt: skip


def _plain_utc(raw: pd.Index | pd.Series, options: TimeOptions) -> Timestamps | None:
    """Complete datetimes or ISO dates of Arrow in UTC, in one pass; None for all else."""
    read_as, aware = "", isinstance(raw.dtype, pd.DatetimeTZDtype)
    if isinstance(raw.dtype, pd.DatetimeTZDtype) and str(raw.dtype.tz) == "UTC":
        values = nanoseconds(pd.DatetimeIndex(raw))
    elif options.zone is not dt.UTC:
        return None
    elif pd.api.types.is_datetime64_dtype(raw.dtype):
        values = nanoseconds(pd.DatetimeIndex(raw))
    else:
        reading = _Reading(0)
        if options.date_format is not None or not _read_arrow(raw, reading):
            return None
        values, read_as = reading.wall, reading.read_as
    if len(values) == 0 or (values == NAT).any():
        return None
    faults = np.zeros(len(values), np.uint8)
    return Timestamps(values, values, faults, read_as, "", utc=True, aware=aware)


def _add_times(reading: _Reading, times: pd.Series) -> None:
    """Add times of the day to dates at midnight."""
    of_day = read_times(times)
    if of_day is None:
        reading.wall[:] = NAT
        reading.read_as = "the column of times holds none"
        return
    reading.mark_late(of_day == DAY)
    both = (reading.wall != NAT) & (of_day != NAT)
    reading.wall[:] = np.where(both, reading.wall + np.where(both, of_day, 0), NAT)
    reading.read_as = f"{reading.read_as} and a column of times"


def _read(
    raw: pd.Index | pd.Series, missing: BoolArray, reading: _Reading, how: TimeOptions
) -> None:
    """Choose the reader by dtype; booleans and durations stay unread, and are reported as such."""
    kinds = pd.api.types
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(object)
    if isinstance(raw.dtype, pd.PeriodDtype):
        raw = pd.PeriodIndex(raw).to_timestamp()
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        index = pd.DatetimeIndex(raw)
        reading.zone = named_zone(str(index.tz))
        reading.instant = nanoseconds(index.tz_convert("UTC"))
        reading.wall = nanoseconds(index.tz_localize(None))
    elif kinds.is_datetime64_dtype(raw.dtype):
        reading.wall = nanoseconds(pd.DatetimeIndex(raw))
    elif kinds.is_integer_dtype(raw.dtype):
        _read_integers(raw[~missing].to_numpy(dtype=np.int64), ~missing, reading, how)
    elif kinds.is_float_dtype(raw.dtype):
        _read_floats(raw.to_numpy(dtype=np.float64, na_value=np.nan), ~missing, reading, how)
    elif how.date_format is None and _read_arrow(raw, reading):
        return
    elif kinds.is_object_dtype(raw.dtype) or kinds.is_string_dtype(raw.dtype):
        _read_objects(raw.to_numpy(dtype=object), missing, reading, how)


def _read_arrow(raw: pd.Index | pd.Series, reading: _Reading) -> bool:
    """Read a column of Arrow text through Arrow, if all of it are ISO dates without a zone."""
    if getattr(raw.dtype, "storage", "") != "pyarrow" or len(raw) == 0:
        return False
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found = pc.cast(pa.array(raw.array), pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return False
    values = found.to_numpy(zero_copy_only=False)
    reading.wall = nanoseconds(pd.DatetimeIndex(values))
    reading.read_as = "read as ISO dates"
    return bool((reading.wall != NAT).any())


def _read_floats(
    values: npt.NDArray[np.float64], present: BoolArray, reading: _Reading, how: TimeOptions
) -> None:
    whole = np.isfinite(values) & (np.abs(values) < 9e18) & (np.trunc(values) == values)
    if _read_excel(values, present, reading, how):
        return
    if (present & ~whole).any() and how.date_format in (None, "s"):
        instants, fits = fraction_of_seconds(values)
        if fits[present].all():
            reading.instant[present] = instants[present]
            reading.read_as = "read as Unix seconds"
            return
    _read_integers(values[whole].astype(np.int64), whole, reading, how)


def _read_excel(
    values: npt.NDArray[np.float64], where: BoolArray, reading: _Reading, how: TimeOptions
) -> bool:
    """Spreadsheet days with fractions, where stated; else say what they may be."""
    chosen = values[where]
    if how.date_format == EXCEL:
        reading.wall[where] = read_excel(chosen)
        reading.read_as = "read as spreadsheet days, as stated"
        return True
    if how.date_format is None and like_excel(chosen) and (chosen % 1 != 0).any():
        reading.read_as = (
            f'such numbers may be days of a spreadsheet; date_format="{EXCEL}" reads them'
        )
        return True
    return False


def _read_integers(values: IntArray, where: BoolArray, reading: _Reading, how: TimeOptions) -> None:
    """Calendar digits or Unix time, or what the caller states."""
    if len(values) == 0:
        return
    stated = how.date_format
    if stated is None:
        found = read_digits(values)
        reading.wall[where], reading.instant[where] = found.wall, found.instant
        late = np.zeros(len(where), np.bool_)
        late[where] = found.late
        reading.mark_late(late)
        reading.read_as, reading.unclear = found.read_as, found.unclear
    elif stated in UNITS:
        reading.instant[where] = read_unix(values, stated)
        reading.read_as = f"read as Unix time in {stated}, as stated"
        reading.unclear = other_unit(values, stated)
    elif stated in (EXCEL, DAYS):
        of_spreadsheet = stated == EXCEL
        reading.wall[where] = read_excel(values) if of_spreadsheet else read_days(values)
        words = "spreadsheet days" if of_spreadsheet else "days since 1970"
        reading.read_as = f"read as {words}, as stated"
    else:
        texts = pd.Series(values).astype(str).str.zfill(_digits_of(stated)).to_numpy(dtype=object)
        _read_dates(texts, where, reading, how)


_WIDTHS = {"%Y": 4, "%j": 3, **dict.fromkeys(("%y", "%m", "%d", "%H", "%M", "%S"), 2)}


def _digits_of(date_format: str) -> int:
    """How many digits a format of digits alone has, as numbers lose zeros in front; else 0."""
    parts = re.findall(r"%.|[^%]+", date_format)
    return sum(_WIDTHS[part] for part in parts) if all(part in _WIDTHS for part in parts) else 0


def _read_objects(
    cells: ObjectArray, missing: BoolArray, reading: _Reading, how: TimeOptions
) -> None:
    """Cells of any Python type: text, dates and datetimes (naive or aware), integers."""
    texts = np.fromiter((isinstance(cell, str) for cell in cells), np.bool_, len(cells))
    if texts.any():
        _read_text(cells[texts], texts, reading, how)
    others = ~texts & ~missing
    if not others.any():
        return
    dates = others & np.array([isinstance(cell, dt.date | np.datetime64) for cell in cells])
    aware = dates & np.array([getattr(cell, "tzinfo", None) is not None for cell in cells])
    for chosen, target in ((dates & ~aware, reading.wall), (aware, reading.instant)):
        if chosen.any():
            column = pd.Series(list(cells[chosen]), dtype=object)
            parsed = pd.to_datetime(column, errors="coerce", utc=target is reading.instant)
            target[chosen] = nanoseconds(pd.DatetimeIndex(parsed))
    if aware.any():
        bare = pd.Series([cell.replace(tzinfo=None) for cell in cells[aware]], dtype=object)
        reading.wall[aware] = nanoseconds(pd.DatetimeIndex(pd.to_datetime(bare, errors="coerce")))
    integers = others & np.array([_is_int64(cell) for cell in cells])
    _read_integers(cells[integers].astype(np.int64), integers, reading, how)


def _is_int64(cell: object) -> bool:
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    return whole and abs(int(cell)) < 9 * 10**18  # type: ignore[call-overload]


def _read_text(cells: ObjectArray, where: BoolArray, reading: _Reading, how: TimeOptions) -> None:
    """Text: digits where a cell is nothing else, dates otherwise; a mixture is read as both."""
    stated = how.date_format
    numeric = stated in UNITS or stated in (EXCEL, DAYS)
    if stated == EXCEL or (stated is None and _DAYS.fullmatch(cells[0].strip())):
        numbers = pd.to_numeric(pd.Series(cells), errors="coerce").to_numpy(np.float64)
        days = np.full(len(where), np.nan)
        days[where] = numbers
        if np.isfinite(numbers).all() and _read_excel(days, where, reading, how):
            return
    if stated is None or numeric:
        first = cells[0].strip()
        looks_digital = first[:1].isdigit() or first[:1] in "+-"
        digits = (
            [_INTEGER.fullmatch(text.strip()) for text in cells] if looks_digital or numeric else []
        )
        if not digits and any(_INTEGER.fullmatch(text.strip()) for text in cells[:400]):
            digits = [_INTEGER.fullmatch(text.strip()) for text in cells]
        if any(digits):
            whole = np.fromiter((match is not None for match in digits), np.bool_, len(cells))
            place = np.flatnonzero(where)
            chosen = np.zeros(len(where), np.bool_)
            chosen[place[whole]] = True
            values = np.array([int(match[1]) for match in digits if match], np.int64)
            _read_integers(values, chosen, reading, how)
            if not whole.all() and not numeric:
                _read_beside(cells, whole, place, reading, how)
            return
        if looks_digital and _DECIMAL.fullmatch(first):
            values = pd.to_numeric(pd.Series(cells), errors="coerce").to_numpy(np.float64)
            instants, fits = fraction_of_seconds(values)
            reading.instant[where] = np.where(fits, instants, NAT)
            reading.read_as = "read as Unix seconds"
            return
        if numeric:
            reading.read_as = f"no whole numbers, as date_format={stated!r} states"
            return
    _read_dates(cells, where, reading, how)


def _read_beside(
    cells: ObjectArray, digits: BoolArray, place: IntArray, reading: _Reading, how: TimeOptions
) -> None:
    """Dates beside digits in one column of text, both of which must be sure."""
    rest = np.zeros(len(reading.wall), np.bool_)
    rest[place[~digits]] = True
    said, unclear = reading.read_as, reading.unclear
    unread = (reading.wall[place[digits]] == NAT) & (reading.instant[place[digits]] == NAT)
    _read_dates(cells[~digits], rest, reading, how)
    found = bool(((reading.wall[rest] != NAT) | (reading.instant[rest] != NAT)).any())
    if found and unread.any() and not unclear:
        unclear = (
            f"some are dates, as {cells[~digits][0]!r}, and some are numbers, as "
            f"{cells[digits][int(np.argmax(unread))]}, which may be a spreadsheet's; write all "
            "of them as dates there, and export again"
        )
    reading.read_as = f"{said} and {reading.read_as.removeprefix('read as ')}" if found else said
    reading.unclear = unclear or reading.unclear


def _read_dates(cells: ObjectArray, where: BoolArray, reading: _Reading, how: TimeOptions) -> None:
    cells, ended = start_of_day(cells)
    found = read_dates(cells, how.dayfirst, how.date_format)
    if how.dayfirst is None and how.usual is not None and "no row proves" in found.unclear:
        found = read_dates(cells, how.usual, how.date_format)
    if ended.any():
        found.wall, found.instant = add_day(found.wall, ended), add_day(found.instant, ended)
        if found.zone is not None:  # a day need not have 24 hours
            rows = np.flatnonzero(ended & (found.wall != NAT))
            found.instant[rows], _ = localize(found.wall[rows], found.zone)
        late = np.zeros(len(where), np.bool_)
        late[where] = ended
        reading.mark_late(late)
    reading.wall[where], reading.instant[where] = found.wall, found.instant
    reading.read_as, reading.unclear = found.read_as, found.unclear
    reading.zone = found.zone
