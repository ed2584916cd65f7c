"""Date ticks of a plot: as many as fit, at the start of years, months, days or hours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Dates = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = 86_400


@dataclass(frozen=True)
class DateTick:
    """Date tick below a plot.

    Attributes:
        day: index on the axis.
        label: text of the tick.
    """

    day: int
    label: str


@dataclass(frozen=True)
class _Step:
    """Periods of one length: the number of each timestamp's period, and labels of their starts."""

    number: Callable[[Ints, Ints], Ints]  # from seconds and months since 1970
    label: Callable[[np.datetime64], str]
    starts_anywhere: bool  # whether the first timestamp counts as the start of its period


def date_ticks(dates: Dates, most: int) -> list[DateTick]:
    """Choose at most `most` ticks where a new year, month, week, day or hour begins.

    Example:
        >>> days = np.arange("2019-11-15", "2020-02-20", dtype="datetime64[D]")
        >>> [tick.label for tick in date_ticks(days, most=5)]
        ['Dec 2019', 'Jan 2020', 'Feb 2020']

    """
    known = np.flatnonzero(~np.isnat(dates))
    if not known.size:
        return []
    stamps = dates[known].astype("datetime64[s]")
    seconds = stamps.astype(np.int64)
    months = stamps.astype("datetime64[M]").astype(np.int64)
    for step in _STEPS:
        at = _turns(step, seconds, months)
        if 0 < len(at) <= most:
            break
    else:
        at, step = np.zeros(1, dtype=np.int64), _STEPS[-1]
    return _labelled(_spread(known[at], len(dates), most), dates, step)


def date_text(date: np.datetime64) -> str:
    """Format a date as 2020-03-09, with the time unless midnight; a dash for NaT.

    Example:
        >>> date_text(np.datetime64("2020-03-09T14:30"))
        '2020-03-09 14:30'

    """
    if np.isnat(date):
        return "\N{EN DASH}"
    text = str(date.astype("datetime64[s]"))
    day, _, time = text.partition("T")
    if time == "00:00:00":
        return day
    return f"{day} {time.removesuffix(':00')}" if time.endswith(":00") else f"{day} {time}"


def date_texts(dates: Dates) -> list[str]:
    """Format each date by `date_text`."""
    return [date_text(date) for date in dates]


def _labelled(days: list[int], dates: Dates, step: _Step) -> list[DateTick]:
    """Label ticks; ticks of days or hours name a new year once."""
    ticks = []
    shown_year = 0
    for day in days:
        label, year = step.label(dates[day]), _parts(dates[day])[0]
        if step.starts_anywhere and year != shown_year:
            label = f"{label} {year}"
        ticks.append(DateTick(day, label))
        shown_year = year
    return ticks


def _turns(step: _Step, seconds: Ints, months: Ints) -> Ints:
    """Return the indices where a period begins."""
    number = step.number(seconds, months)
    turns = np.flatnonzero(np.diff(number) != 0) + 1
    return np.concatenate(([0], turns)) if step.starts_anywhere else turns


def _spread(days: Ints, total: int, most: int) -> list[int]:
    """Drop ticks that are too close to the previous one."""
    least = total / most * 0.6
    kept: list[int] = []
    for day in days.tolist():
        if not kept or day - kept[-1] >= least:
            kept.append(day)
        elif len(kept) == 1 and kept[0] == 0 and len(days) > 2:
            kept[0] = day  # the first tick does not begin a period: prefer the next
    return kept


def _parts(date: np.datetime64) -> tuple[int, int, int, str]:
    text = str(date.astype("datetime64[s]"))
    day, _, time = text.partition("T")
    year, month, of_month = day.rsplit("-", 2)
    return int(year), int(month), int(of_month), time[:5]


def _year(date: np.datetime64) -> str:
    return str(_parts(date)[0])


def _month(date: np.datetime64) -> str:
    year, month, _, _ = _parts(date)
    return f"{_MONTHS[month - 1]} {year}"


def _day(date: np.datetime64) -> str:
    _, month, day, _ = _parts(date)
    return f"{day} {_MONTHS[month - 1]}"


def _hour(date: np.datetime64) -> str:
    time = _parts(date)[3]
    return _day(date) if time == "00:00" else f"{time}, {_day(date)}"


def _clock(length: int) -> _Step:
    return _Step(lambda seconds, months: seconds // length, _hour, True)


def _days(length: int) -> _Step:
    return _Step(lambda seconds, months: seconds // (_DAY * length), _day, True)


def _months(length: int, label: Callable[[np.datetime64], str]) -> _Step:
    return _Step(lambda seconds, months: months // length, label, False)


# From fine to coarse; the first that has few enough turns is used. Weeks begin on Monday, and
# 1970-01-01 was a Thursday. Years are counted from 1970, which 2, 5 and 10 divide.
_STEPS: tuple[_Step, ...] = (
    *(_clock(60 * minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 720)),
    _days(1),
    _Step(lambda seconds, months: (seconds // _DAY + 3) // 7, _day, True),
    _Step(lambda seconds, months: (seconds // _DAY + 3) // 14, _day, True),
    *(_months(length, _month) for length in (1, 3, 6)),
    *(_months(12 * length, _year) for length in (1, 2, 5, 10, 20, 50, 100, 1000)),
)
