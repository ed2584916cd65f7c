"""Timestamps of any source to nanoseconds in UTC, with the reason for each that has none."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import warnings
import zoneinfo
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from marketsim.errors import ArgumentError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]

NAT = np.iinfo(np.int64).min
"""What numpy stores for a missing datetime64."""

# One day inside of what int64 nanoseconds can hold, so that no time zone leads beyond it.
_FIRST, _LAST = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
_YEAR_1900, _YEAR_2200 = -2_208_988_800, 7_258_118_400  # Unix seconds
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_INTEGER = re.compile(r"([+-]?(?:\d{1,18}|[1-8]\d{18}))(?:\.0*)?")
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d|$)"
_OFFSET = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"


class Fault(IntEnum):
    """Why a row has no usable timestamp."""

    NONE = 0
    MISSING = 1
    UNREADABLE = 2
    NONEXISTENT = 3
    AMBIGUOUS = 4


@dataclass(frozen=True)
class Timestamps:
    """Parsed timestamps.

    Attributes:
        values: int64 nanoseconds since 1970 in UTC, [row]; NAT where there is a fault.
        faults: uint8 codes of `Fault`, [row].
        read_as: how they were understood, for messages; may be empty.

    """

    values: IntArray
    faults: npt.NDArray[np.uint8]
    read_as: str


class _Reading:
    """Times of the clock and instants, filled by the readers below; NAT where not (yet) read."""

    def __init__(self, count: int) -> None:
        self.wall = np.full(count, NAT, np.int64)  # ns of a local clock, zone still to be applied
        self.instant = np.full(count, NAT, np.int64)  # ns in UTC
        self.read_as = ""


def parse_timezone(name: str) -> dt.tzinfo:
    """Return the time zone of an IANA name.

    Raises:
        ArgumentError: there is no such time zone.

    """
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, TypeError, AttributeError, OSError):
        known = {zone.casefold(): zone for zone in zoneinfo.available_timezones()}
        near = [known[match] for match in difflib.get_close_matches(str(name).casefold(), known)]
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(
            f"unknown timezone {name!r}: expected an IANA name such as 'UTC', "
            f"'America/New_York' or 'Asia/Tokyo'{hint}"
        ) from None


def parse_timestamps(raw: pd.Index | pd.Series, timezone: dt.tzinfo) -> Timestamps:
    """Read timestamps; those without a zone are taken to be in `timezone`.

    Args:
        raw: [row] datetimes, dates, text in one format, or integers (YYYYMMDD, or Unix time of
            which the unit is told from the magnitude).
        timezone: the zone of the values that name none.

    """
    missing = np.asarray(pd.isna(raw), dtype=np.bool_)
    reading = _Reading(len(raw))
    _read(raw, missing, reading)
    faults = np.zeros(len(raw), np.uint8)
    faults[(reading.wall == NAT) & (reading.instant == NAT)] = Fault.UNREADABLE
    faults[missing] = Fault.MISSING
    _apply_timezone(reading, faults, timezone)
    return Timestamps(reading.instant, faults, reading.read_as)


def _read(raw: pd.Index | pd.Series, missing: BoolArray, reading: _Reading) -> None:
    """Choose the reader by dtype."""
    kinds = pd.api.types
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(object)
    if isinstance(raw.dtype, pd.PeriodDtype):
        raw = pd.PeriodIndex(raw).to_timestamp()
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        reading.instant = _nanoseconds(pd.DatetimeIndex(raw).tz_convert("UTC"))
    elif kinds.is_datetime64_dtype(raw.dtype):
        reading.wall = _nanoseconds(pd.DatetimeIndex(raw))
    elif kinds.is_integer_dtype(raw.dtype):
        _read_integers(raw[~missing].to_numpy(dtype=np.int64), ~missing, reading)
    elif kinds.is_float_dtype(raw.dtype):
        values = raw.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = np.isfinite(values) & (np.abs(values) < 9e18) & (np.trunc(values) == values)
        _read_integers(values[whole].astype(np.int64), whole, reading)
    elif kinds.is_object_dtype(raw.dtype) or kinds.is_string_dtype(raw.dtype):
        _read_objects(raw.to_numpy(dtype=object), missing, reading)
    # Whatever is left (booleans, durations) stays unread and is reported as such.


def _nanoseconds(index: pd.DatetimeIndex) -> IntArray:
    """int64 nanoseconds of a naive or UTC index; NAT outside of 1678 to 2261."""
    values: npt.NDArray[np.datetime64] = index.to_numpy(dtype=f"M8[{index.unit}]")
    # NaT compares false.
    inside = (values >= _FIRST) & (values < _LAST)
    result = np.full(len(values), NAT, np.int64)
    result[inside] = values[inside].astype("M8[ns]").view(np.int64)
    return result


def _read_integers(values: IntArray, where: BoolArray, reading: _Reading) -> None:
    """YYYYMMDD or Unix time; the median decides which, and what does not fit stays unread."""
    if len(values) == 0:
        return
    middle = int(np.median(values))
    if 19_000_101 <= middle <= 22_001_231:
        digits = pd.Series(values).astype("str")
        dates = pd.to_datetime(digits, format="%Y%m%d", errors="coerce")
        reading.wall[where] = _nanoseconds(pd.DatetimeIndex(dates))
        reading.read_as = "read as YYYYMMDD"
    elif np.abs(values).max() < 10_000_000:
        # As Unix seconds all of these were in the first four months of 1970.
        reading.read_as = "such small integers are row numbers or dates of a spreadsheet"
    else:
        for unit, scale in _UNITS.items():
            if _YEAR_1900 * scale <= middle < _YEAR_2200 * scale:
                fits = (values >= _YEAR_1900 * scale) & (values < _YEAR_2200 * scale)
                factor = 10**9 // scale
                reading.instant[where] = np.where(fits, np.where(fits, values, 0) * factor, NAT)
                reading.read_as = f"read as Unix {unit} between 1900 and 2200"
                return
        reading.read_as = "no Unix time of any unit between 1900 and 2200"


def _read_objects(cells: ObjectArray, missing: BoolArray, reading: _Reading) -> None:
    """Cells of any Python type: text, dates and datetimes (naive or aware), integers."""
    texts = np.array([isinstance(cell, str) for cell in cells], np.bool_)
    if texts.any():
        _read_text(pd.Series(cells[texts], dtype=object), texts, reading)
    others = ~texts & ~missing
    if not others.any():
        return
    dates = others & np.array([isinstance(cell, dt.date | np.datetime64) for cell in cells])
    aware = dates & np.array([getattr(cell, "tzinfo", None) is not None for cell in cells])
    for chosen, target in ((dates & ~aware, reading.wall), (aware, reading.instant)):
        if chosen.any():
            column = pd.Series(list(cells[chosen]), dtype=object)
            parsed = pd.to_datetime(column, errors="coerce", utc=target is reading.instant)
            target[chosen] = _nanoseconds(pd.DatetimeIndex(parsed))
    integers = others & np.array([_is_int64(cell) for cell in cells])
    _read_integers(cells[integers].astype(np.int64), integers, reading)


def _is_int64(cell: object) -> bool:
    whole = isinstance(cell, int | np.integer) and not isinstance(cell, bool)
    return whole and abs(int(cell)) < 9 * 10**18  # type: ignore[call-overload]


def _read_text(texts: pd.Series, where: BoolArray, reading: _Reading) -> None:
    """Text: integers, or one date format for the column, which the first readable cell sets."""
    found = _first_format(texts)
    if found is None:
        reading.read_as = "no date format fits"
        return
    if found == "integer":
        digits = [_INTEGER.fullmatch(text.strip()) for text in texts]
        whole = where.copy()
        whole[where] = [match is not None for match in digits]
        values = np.array([int(match[1]) for match in digits if match], np.int64)
        _read_integers(values, whole, reading)
        return
    reading.read_as = f"read as {found}, the format of the first"
    aware = "%z" in found or found.endswith(("UTC", "GMT"))
    target = reading.instant if aware else reading.wall
    parsed = pd.to_datetime(texts.str.strip(), format=found, errors="coerce", utc=aware)
    target[where] = _nanoseconds(pd.DatetimeIndex(parsed))
    if found.startswith("%Y-%m-%d"):
        _read_other_iso(texts, where, reading)


def _first_format(texts: pd.Series) -> str | None:
    """Return "integer", a strptime format, or None if none of the first 50 cells is readable."""
    for text in texts.iloc[:50]:
        cell = text.strip()
        if _INTEGER.fullmatch(cell):
            return "integer"
        with warnings.catch_warnings():
            # A day above 12 makes it day first, and unknown zone names are refused below.
            warnings.simplefilter("ignore")
            # The format of 12:00 AM is not guessed, that of 11:00 AM is.
            guess = guess_datetime_format(re.sub(r"(?i)\b12(:[\d:]+ ?[ap]m)", r"11\1", cell))
        if guess is None or "%d" not in guess:  # a bare year or month names no day
            continue
        if "%Z" not in guess:
            return guess
        if cell.endswith(("UTC", "GMT")):  # names such as EST or IST mean several zones
            return guess.replace("%Z", cell[-3:])
    return None


def _read_other_iso(texts: pd.Series, where: BoolArray, reading: _Reading) -> None:
    """ISO writes fractions, midnights and offsets only where needed: read what is left over."""
    positions = np.flatnonzero(where & (reading.wall == NAT) & (reading.instant == NAT))
    if len(positions) == 0:
        return
    left = texts.str.strip()[np.isin(np.flatnonzero(where), positions)]
    iso = left.str.match(_ISO_DATE).to_numpy(np.bool_)
    aware = left.str.slice(10).str.contains(_OFFSET).to_numpy(np.bool_)
    for chosen, target in ((iso & ~aware, reading.wall), (iso & aware, reading.instant)):
        if chosen.any():
            utc = target is reading.instant
            parsed = pd.to_datetime(left[chosen], format="ISO8601", errors="coerce", utc=utc)
            target[positions[chosen]] = _nanoseconds(pd.DatetimeIndex(parsed))


def _apply_timezone(reading: _Reading, faults: npt.NDArray[np.uint8], timezone: dt.tzinfo) -> None:
    """Turn times of the local clock into instants; mark those that a clock change makes unclear."""
    rows = np.flatnonzero(reading.wall != NAT)
    if len(rows) == 0:
        return
    clock = pd.DatetimeIndex(reading.wall[rows].view("M8[ns]"))
    local = clock.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    reading.instant[rows] = _nanoseconds(local.tz_convert("UTC"))
    lost = np.flatnonzero(local.isna())
    if len(lost):
        # Moved forward, a time that does not exist becomes one; an ambiguous one stays NaT.
        moved = clock[lost].tz_localize(timezone, ambiguous="NaT", nonexistent="shift_forward")
        faults[rows[lost]] = np.where(moved.isna(), Fault.AMBIGUOUS, Fault.NONEXISTENT)
