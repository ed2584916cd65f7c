"""Timestamps written as digits: calendar digits such as 202401020930, or Unix time.

The length and the range of a number tell which it is, row by row; a column that holds both kinds
is refused. No range of one kind overlaps one of the other for the years 1980 to 2029, except
that ten digits beginning with 19, 20 or 21 are YYYYMMDDHH and not Unix seconds of 2030 to 2039.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.eras import why_unread
from marketsim.bars.zones import NAT, BoolArray, IntArray, nanoseconds

CALENDARS = {8: "YYYYMMDD", 10: "YYYYMMDDHH", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS"}
CALENDARS[17] = "YYYYMMDDHHMMSSmmm"
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Unix units, and how many nanoseconds each is."""

_FORMATS = {
    "Unix time": '"s" or "ms"', "YYYYMMDDHH": '"%Y%m%d%H"', "YYYYMMDDHHMM": '"%Y%m%d%H%M"',
}  # fmt: skip
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_SURE, _END = 315_532_800, 7_258_118_400  # Unix seconds of 1980 and 2200
_FIRST = -2_208_988_800  # 1900
_TICKS_1970 = 621_355_968_000_000_000  # of 100 ns, since the year 1
_FILE_1970, _FILE_1980 = 116_444_736_000_000_000, 119_600_064_000_000_000
_FILE_2045 = 140_200_000_000_000_000
_TICKS_1960, _TICKS_2045 = 618_199_776_000_000_000, 645_063_264_000_000_000
DAYS = "days"
"""The name of days since 1970 in `date_format=`."""
EXCEL = "excel"
"""The name of spreadsheet days in `date_format=`."""


@dataclass(frozen=True)
class Digits:
    """What whole numbers were read as.

    Attributes:
        wall: local clock in ns, NAT where not read [row].
        instant: UTC in ns, NAT where not read [row].
        read_as: for messages and notes.
        unclear: why the column as a whole cannot be read; empty if it can.
        late: which end in hour 24, and are 00:00 of the next day [row].

    """

    wall: IntArray
    instant: IntArray
    read_as: str
    unclear: str = ""
    late: BoolArray | bool = False


def read_digits(values: IntArray) -> Digits:
    """Read whole numbers [row] as calendar digits or Unix time."""
    none = np.full(len(values), NAT, np.int64)
    if len(values) == 0:
        return Digits(none, none.copy(), "")
    if values.min() >= _FILE_1980 and values.max() < _FILE_2045:
        return Digits(
            none, (values - _FILE_1970) * 100, "read as Windows file times of 100 ns since 1601"
        )
    if _are_ticks(values):
        return Digits((values - _TICKS_1970) * 100, none, "read as .NET ticks of 100 ns")
    calendar_length, wall, late = _as_calendar(values)
    unit = _sure_units(values)
    is_calendar = calendar_length > 0
    short = _short_years(values)
    if short is not None:
        if not (is_calendar.all() or (unit >= 0).all()):
            return Digits(short[1], none.copy(), f"read as {short[0]}")
        other = CALENDARS[int(calendar_length[0])] if is_calendar.all() else "Unix time"
        stated = "%y%m%d%H%M%S"[: len(short[0])]
        long = _FORMATS[other]
        return Digits(
            none, none.copy(), "",
            f"{values[0]} can be {short[0]} or {other}, and no row proves which; "
            f'date_format="{stated}" or {long} states it',
        )  # fmt: skip
    lengths = np.unique(calendar_length[is_calendar])
    is_unix = (unit >= 0) & ~is_calendar
    if is_calendar.any() and is_unix.any():
        first, second = values[is_calendar][0], values[is_unix][0]
        return Digits(
            none, none.copy(), "",
            f"some read as {CALENDARS[int(lengths[0])]}, as {first}, and some as Unix time, as "
            f"{second}",
        )  # fmt: skip
    if is_calendar.any():
        kinds = " and ".join(CALENDARS[int(length)] for length in lengths)
        unclear = why_unread(pd.Series(values[~is_calendar][:1].astype(str)))
        return Digits(wall, none.copy(), f"read as {kinds}", unclear, late)
    return _as_unix(values, unit, none)


def read_unix(values: IntArray, unit: str) -> IntArray:
    """Instants of Unix time in a unit; NAT beyond 1900 to 2200."""
    scale = UNITS[unit]
    per_second = 10**9 // scale
    fits = (values >= _FIRST * per_second) & (values < _END * per_second)
    return np.where(fits, np.where(fits, values, 0) * scale, NAT)


def other_unit(values: IntArray, stated: str) -> str:
    """Why a stated unit cannot be that of the numbers; "" where it can.

    All of them are of 1980 to 2200 in another unit, and in this one of early 1970, or of no year.
    """
    position = np.unique(_sure_units(values))
    names = list(UNITS)
    if len(position) != 1 or position[0] < 0 or names[int(position[0])] == stated:
        return ""
    unit = names[int(position[0])]
    year = str(np.datetime64(int(read_unix(values[:1], unit)[0]), "ns"))[:4]
    return (
        f"date_format={stated!r} says {_NAMES[stated]}, and {values[0]} is of {year} in "
        f"{_NAMES[unit]}; leave date_format= away, or date_format={unit!r} states it"
    )


def read_excel(values: np.ndarray) -> IntArray:
    """Wall clock of spreadsheet days since 1899-12-30, to the millisecond; NAT beyond 1900 to 2200.

    Args:
        values: days, whole or with a fraction [row].

    """
    fits = (values >= 1) & (values < 109_575)
    milliseconds = np.round((np.where(fits, values, 0.0) - 25_569.0) * 86_400_000.0)
    return np.where(fits, milliseconds.astype(np.int64) * 1_000_000, NAT)


def read_days(values: IntArray) -> IntArray:
    """Dates of days since 1970; NAT beyond 1740 to 2199."""
    fits = np.abs(values) < 84_000
    return np.where(fits, np.where(fits, values, 0) * DAY, NAT)


def like_excel(values: np.ndarray) -> bool:
    """Whether all numbers are spreadsheet days of 1938 to 2201."""
    return len(values) > 0 and bool(((values > 14_000) & (values < 110_000)).all())


def _as_calendar(values: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
    """Length of the calendar digits of each number, 0 if it is none, and the time that they say.

    Hour 24 without minutes is 00:00 of the next day; the last array says where.
    """
    length = np.zeros(len(values), np.int64)
    late = np.zeros(len(values), np.bool_)
    wall = np.full(len(values), NAT, np.int64)
    for digits in CALENDARS:
        tail = 10 ** (digits - 4)
        chosen = np.flatnonzero((values >= 1900 * tail) & (values < 2201 * tail))
        if len(chosen) == 0:
            continue
        rest = values[chosen]
        fields = []
        if digits == 17:
            fields.append(rest % 1000)
            rest = rest // 1000
        for _ in range((min(digits, 14) - 8) // 2):
            fields.append(rest % 100)
            rest = rest // 100
        fields.reverse()
        limits = (24, 60, 60, 1000)
        scales = (3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000)
        dates = pd.to_datetime(pd.Series(rest).astype("str"), format="%Y%m%d", errors="coerce")
        times = nanoseconds(pd.DatetimeIndex(dates))
        good = times != NAT
        if fields:
            ended = (fields[0] == 24) & np.logical_and.reduce(
                [f == 0 for f in (rest * 0, *fields[1:])]
            )
            times = np.where(good & ended, times + DAY, times)
            fields[0] = np.where(ended, 0, fields[0])
            late[chosen] = good & ended
        for field, limit, scale in zip(fields, limits, scales, strict=False):
            good &= field < limit
            times = np.where(good, times + field * scale, NAT)
        length[chosen[good]] = digits
        wall[chosen[good]] = times[good]
    return length, wall, late


def _are_ticks(values: IntArray) -> bool:
    """Whether numbers are ticks of .NET, and not nanoseconds of late 1989 and early 1990.

    Those are whole minutes, which ticks would be a hundred minutes apart.
    """
    if not (values[0] >= _TICKS_1960 and values[0] < _TICKS_2045):  # quick
        return False
    inside = (values >= _TICKS_1960) & (values < _TICKS_2045)
    return bool(inside.all() and (values % (60 * UNITS["s"]) != 0).any())


def _short_years(values: IntArray) -> tuple[str, IntArray] | None:
    """YYMMDDHHMM or YYMMDDHHMMSS and the times, where all numbers can be such; else None."""
    for name, text_format, count in (
        ("YYMMDDHHMM", "%y%m%d%H%M", 10),
        ("YYMMDDHHMMSS", "%y%m%d%H%M%S", 12),
    ):
        low, high = 10 ** (count - 2), 10**count
        if not (values.min() >= low and values.max() < high):
            continue
        for part in (values[:1], values):  # the first alone says no, as a rule
            texts = pd.Series(part).astype("str").str.zfill(count)
            dates = pd.to_datetime(texts, format=text_format, errors="coerce")
            if dates.isna().any():
                return None
        return name, nanoseconds(pd.DatetimeIndex(dates))
    return None


def _sure_units(values: IntArray) -> IntArray:
    """Index into UNITS where the size of a number leaves one unit, from 1980 to 2200; else -1."""
    result = np.full(len(values), -1, np.int64)
    for position, scale in enumerate(UNITS.values()):
        per_second = 10**9 // scale
        high = min(_END * per_second, np.iinfo(np.int64).max)
        result[(values >= _SURE * per_second) & (values < high)] = position
    return result


def _as_unix(values: IntArray, unit: IntArray, none: IntArray) -> Digits:
    names = list(UNITS)
    sure = list(dict.fromkeys(unit[unit >= 0].tolist()))
    if not sure:
        era = why_unread(pd.Series(values[:1].astype(str)))
        days = _days_before_years(values, none)
        if days is not None and (not era or values.max() >= 10_000_000):  # no year and day of it
            return days
        if days is not None:
            era += (
                f", or {values[0]:08}, a day and a month before the year, which "
                'date_format="%d%m%Y" or "%m%d%Y" reads'
            )
        if era:
            return Digits(none, none.copy(), "", era)
        if np.abs(values).max() < 10_000_000:
            # As Unix seconds all of these were in the first four months of 1970.
            months = _as_months(values)
            if months is not None:
                return months
            said = "such small integers are row numbers or dates of a spreadsheet"
            if values.min() > 690_000 and values.max() < 770_000:
                said += '; less 693960, days of MATLAB are a spreadsheet\'s, date_format="excel"'
            if values.min() > 3_652 and values.max() < 36_525:
                said += (
                    f', or days since 1970; date_format="{DAYS}" reads days since 1970, '
                    f'"{EXCEL}" those of a spreadsheet'
                )
            elif like_excel(values):
                said += f'; date_format="{EXCEL}" reads spreadsheet days'
            return Digits(none, none.copy(), said)
        said = (
            "no calendar digits such as 20240131, and no Unix time of any unit from 1980 to 2200; "
            'date_format="s", "ms", "us" or "ns" reads earlier ones'
        )
        return Digits(none, none.copy(), said)
    instant = none.copy()
    for position in sure:
        chosen = unit == position
        instant[chosen] = values[chosen] * UNITS[names[position]]
    words = ", then ".join(_NAMES[names[position]] for position in sure)
    if len(sure) == 1:  # the rest, before 1980, is in the unit of the others
        early = np.flatnonzero(unit < 0)
        instant[early] = read_unix(values[early], names[sure[0]])
    return Digits(none, instant, f"read as Unix {words}")


def _days_before_years(values: IntArray, none: IntArray) -> Digits | None:
    """DDMMYYYY or MMDDYYYY, as the column proves; None if the numbers are neither."""
    years = values % 10_000
    if values.min() < 1_01_1900 or values.max() > 31_12_2200 or years.min() < 1900:
        return None
    if years.max() > 2200:
        return None
    texts = pd.Series(values).astype("str").str.zfill(8)
    read: dict[str, IntArray] = {}
    for name, text_format in (("DDMMYYYY", "%d%m%Y"), ("MMDDYYYY", "%m%d%Y")):
        times = nanoseconds(
            pd.DatetimeIndex(pd.to_datetime(texts, format=text_format, errors="coerce"))
        )
        if (times != NAT).all():
            read[name] = times
    if not read:
        return None
    (name, times), *more = read.items()
    if more and not np.array_equal(times, more[0][1]):
        why = (
            f"{texts.iloc[0]} can be DDMMYYYY or MMDDYYYY, and no row proves which; "
            'date_format="%d%m%Y" or "%m%d%Y" states it'
        )
        return Digits(none, none.copy(), "", why)
    return Digits(times, none, f"read as {name}")


def _as_months(values: IntArray) -> Digits | None:
    """Six digits as YYYYMM or YYMMDD, where they ascend or descend; None if they are neither."""
    steps = np.diff(values)
    if len(values) < 2 or not ((steps > 0).all() or (steps < 0).all()):
        return None
    if values.min() < 100_000 or values.max() > 999_999:
        return None
    read: dict[str, IntArray] = {}
    for name, text_format in (("YYYYMM", "%Y%m"), ("YYMMDD", "%y%m%d")):
        texts = pd.Series(values).astype("str")
        dates = pd.to_datetime(texts, format=text_format, errors="coerce")
        times = nanoseconds(pd.DatetimeIndex(dates))
        if (times != NAT).all() and (name == "YYMMDD" or 1900_00 < values.min() < 2200_00):
            read[name] = times
    none = np.full(len(values), NAT, np.int64)
    if len(read) == 1:
        name, times = read.popitem()
        return Digits(times, none, f"read as {name}")
    if read:
        why = (
            f"{values[0]} can be YYYYMM or YYMMDD, and no row proves which; "
            'date_format="%Y%m" or "%y%m%d" states it'
        )
        return Digits(none, none.copy(), "", why)
    return None


def fraction_of_seconds(values: np.ndarray) -> tuple[IntArray, BoolArray]:
    """Unix seconds with fractions, float64 [row]: instants, and which rows are such."""
    fits = np.isfinite(values) & (values >= _SURE) & (values < _END)
    whole = np.floor(np.where(fits, values, 0.0))
    part = np.round((np.where(fits, values, 0.0) - whole) * 1e6) * 1e3
    return np.where(fits, whole.astype(np.int64) * 10**9 + part.astype(np.int64), NAT), fits
