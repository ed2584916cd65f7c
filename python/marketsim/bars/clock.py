"""The clock of bars: their step, the sessions they fall into, and the week that they keep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3_600 * SECOND
DAY = 86_400 * SECOND
"""Nanoseconds, as all durations here."""

_UNITS = (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND))


class Rows(Protocol):
    """What the judgement of a market needs of `Bars`, which stand above it."""

    @property
    def symbol(self) -> str: ...  # noqa: D102
    @property
    def calendar(self) -> str | None: ...  # noqa: D102
    @property
    def timezone(self) -> str: ...  # noqa: D102
    @property
    def timestamps(self) -> npt.NDArray[np.datetime64]: ...  # noqa: D102
    @property
    def local_times(self) -> npt.NDArray[np.datetime64]: ...  # noqa: D102
    @property
    def open(self) -> FloatArray: ...  # noqa: D102
    @property
    def high(self) -> FloatArray: ...  # noqa: D102
    @property
    def low(self) -> FloatArray: ...  # noqa: D102
    @property
    def close(self) -> FloatArray: ...  # noqa: D102
    @property
    def volume(self) -> FloatArray: ...  # noqa: D102
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Clock:
    """Times of bars, ascending.

    Attributes:
        utc: int64 nanoseconds in UTC [row].
        local: int64 nanoseconds of the wall clock in the bars' time zone [row].
        live: True where a bar shows a trade: a move, or volume where the file has volumes [row].
        step: median distance of consecutive bars, nanoseconds.
        months: months a bar, 0 if the bars are not of calendar months.
        zone: name of the time zone of `local`.

    """

    utc: IntArray
    local: IntArray
    live: BoolArray
    step: float
    months: int
    zone: str

    @classmethod
    def of(cls, bars: Rows) -> Clock:
        """The clock of at least two bars."""
        utc = bars.timestamps.view(np.int64)
        local = bars.local_times.view(np.int64)
        # Over more than 292 years a difference could overflow; uint64 holds it.
        steps = np.diff(utc.view(np.uint64)).view(np.uint64)
        step = float(np.median(steps))
        volume = bars.volume
        flat = (bars.high == bars.low) & (bars.open == bars.close)
        live = ~flat
        if volume.any():
            live |= volume > 0
        if not live.any():
            live = np.ones(len(utc), np.bool_)
        return cls(utc, local, live, step, _calendar_months(local, step), bars.timezone)

    @property
    def span(self) -> float:
        """From the first to the last bar."""
        return float(self.utc[-1]) - float(self.utc[0])

    @cached_property
    def _boundary(self) -> tuple[int, int]:
        """Start and length of the longest stretch of the day without a bar, in minutes."""
        minutes = np.unique((self.local[self.live] % DAY) // MINUTE)
        gaps = np.diff(np.append(minutes, minutes[0] + 1440))
        longest = int(np.argmax(gaps))
        return int(minutes[longest]), int(gaps[longest])

    def round_the_clock(self) -> bool:
        """Whether bars come at all times of the day."""
        return self.step < 0.95 * DAY and self._boundary[1] * MINUTE <= 1.5 * max(self.step, MINUTE)

    def session_counts(self) -> IntArray:
        """Bars of each session, a session being what lies between two nights [session]."""
        times = self.local[self.live]
        start, gap = self._boundary
        if not self.round_the_clock():
            times = times - (start + gap // 2) * MINUTE
        sessions = times // DAY
        _, counts = np.unique(sessions, return_counts=True)
        return counts.astype(np.int64)

    def unbroken(self) -> bool:
        """Whether no bar is missing between the first and the last."""
        return bool(np.diff(self.utc).max() <= 1.5 * self.step)

    def weekday_counts(self) -> IntArray:
        """Live bars from Monday to Sunday, by the local date [7]."""
        days = (self.local[self.live] // DAY + 3) % 7
        return np.bincount(days, minlength=7).astype(np.int64)

    def on_saturday(self) -> bool:
        """Whether a live bar is on a Saturday, by the local and by the UTC date."""
        times = np.stack([self.local[self.live], self.utc[self.live]])
        return bool((((times // DAY + 3) % 7) == 5).all(axis=0).any())

    def sunday_to_friday(self) -> bool:
        """Whether daily bars come on Sundays as well as on Fridays, and not on Saturdays."""
        days = self.weekday_counts()
        return bool(days[6] * 2 > days[0] and days[4] * 2 > days[0] and days[5] * 2 < days[0])

    def weekends(self) -> tuple[int, int]:
        """Weekends inside the data with trades on both days, and those without.

        A weekend is a Saturday and a Sunday after the first and before the last bar. Daily bars
        count by date. Others count by the time without a trade, which is at least a day where a
        market closes, in any time zone.
        """
        times = self.local[self.live]
        if len(times) < 2:
            return 0, 0
        days = times // DAY
        first = int(days[0]) + 1
        first_saturday = first + (5 - (first + 3)) % 7
        saturdays = np.arange(first_saturday, int(days[-1]) - 1, 7)
        if len(saturdays) == 0:
            return 0, 0
        if self.step >= 0.95 * DAY:
            days.sort()
            traded = _contains(days, saturdays) & _contains(days, saturdays + 1)
        else:
            pauses = np.flatnonzero(np.diff(times) >= DAY - self.step)
            begins, ends = times[pauses], times[pauses + 1]
            # The first pause that ends after the weekend began; closed if it began before its end.
            after = np.searchsorted(ends, saturdays * DAY, side="right")
            closed = np.zeros(len(saturdays), np.bool_)
            inside = after < len(ends)
            closed[inside] = begins[after[inside]] < (saturdays[inside] + 2) * DAY
            traded = ~closed
        return int(traded.sum()), int((~traded).sum())


def _contains(ascending: IntArray, wanted: IntArray) -> BoolArray:
    place = np.searchsorted(ascending, wanted)
    inside = place < len(ascending)
    result = np.zeros(len(wanted), np.bool_)
    result[inside] = ascending[place[inside]] == wanted[inside]
    return result


def _calendar_months(local: IntArray, step: float) -> int:
    """Months a bar where the bars are of months, quarters or years; else 0."""
    if step < 27 * DAY:
        return 0
    months = local.view("M8[ns]").astype("M8[M]").view(np.int64)
    apart = np.diff(months)
    usual = int(np.median(apart))
    return usual if usual > 0 and apart.min() > 0 else 0


def spacing_of(clock: Clock) -> str:
    """The step in words: ``1 minute``, ``4 hours``, ``1 day``, ``1 week``, ``1 month``."""
    if clock.months:
        months = clock.months
        if months % 12 == 0:
            return _plural(months // 12, "year")
        return "1 quarter" if months == 3 else _plural(months, "month")
    return spacing_words(clock.step)


def spacing_words(step: float) -> str:
    """A duration in nanoseconds in words; the unit that it is a whole number of."""
    if abs(step - DAY) <= HOUR:
        return "1 day"
    if abs(step - 7 * DAY) <= 2 * HOUR:
        return "1 week"
    for name, unit in _UNITS:
        if step >= unit and step % unit == 0:
            return _plural(int(step // unit), name)
    return f"{step / SECOND:,.6g} seconds"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
