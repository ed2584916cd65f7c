"""Holes in the data: sessions without a bar, and stretches longer than any market closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketsim.bars.clock import DAY, Clock, Rows, spacing_words
from marketsim.bars.exchange import ALWAYS, compare_calendar

LONGEST_CLOSURE = 14 * DAY
"""Nanoseconds; exchanges have not been closed for longer since 1914."""

_CHUNK = 1 << 16  # rows that stay in the processor's cache


@dataclass(frozen=True)
class Gap:
    """A stretch without bars.

    Attributes:
        row: the first row after it.
        start: local date or time of the bar before, ISO.
        end: of the bar after, ISO.
        sessions: sessions that are missing by the calendar that was named; None without one.
        words: how long it is: "297 days".

    """

    row: int
    start: str
    end: str
    sessions: int | None
    words: str

    def __str__(self) -> str:
        missing = "" if self.sessions is None else f", {self.sessions:,} sessions"
        return f"no bars from {self.start} to {self.end} ({self.words}{missing})"


def find_gaps(bars: Rows, around_the_clock: bool) -> tuple[Gap, ...]:
    """Find holes.

    With a named calendar of an exchange, each run of its sessions without a bar is one. Else bars
    of a market that never closes have one where a bar is missing, bars longer than a day where
    one of them is, and all others where there is none for more than 14 days.

    Args:
        bars: ascending.
        around_the_clock: whether the market never closes.

    """
    if len(bars) < 3:
        return ()
    clock = Clock.of(bars)
    times = clock.utc
    steps = np.diff(times)
    if bars.calendar is not None and bars.calendar not in ALWAYS and clock.step <= 1.05 * DAY:
        return _missing_sessions(bars, clock)
    if clock.months:
        months = np.diff(clock.local.view("M8[ns]").astype("M8[M]").view(np.int64))
        wide = months > clock.months
    elif around_the_clock or clock.step > 1.05 * DAY:
        wide = steps > 1.5 * clock.step
    else:
        wide = steps > LONGEST_CLOSURE
    return tuple(_gap(clock, int(row) + 1) for row in np.flatnonzero(wide))


def longest_hole(times: np.ndarray, local: np.ndarray) -> str:
    """Say where bars of a day or less have their longest hole; "" where it may be a closure."""
    if len(times) < 3:
        return ""
    row, longest = 0, 0
    for start in range(0, len(times) - 1, _CHUNK):
        steps = np.diff(times[start : start + _CHUNK + 1])
        place = int(np.argmax(steps))
        if steps[place] > longest:
            row, longest = start + place, int(steps[place])
    if longest <= LONGEST_CLOSURE or np.median(np.diff(times[:1001])) > 1.05 * DAY:
        return ""
    first, last = (str(local[i : i + 1].view("M8[ns]")[0])[:10] for i in (row, row + 1))
    return f"no bars from {first} to {last} ({longest // DAY:,} days)"


def _gap(clock: Clock, row: int, sessions: int | None = None) -> Gap:
    shown = slice(None, 10) if clock.step >= 0.95 * DAY else slice(None, 16)
    start, end = (
        str(clock.local[i : i + 1].view("M8[ns]")[0])[shown].replace("T", " ")
        for i in (row - 1, row)
    )
    length = int(clock.utc[row] - clock.utc[row - 1])
    days = length // DAY
    words = f"{days:,} days" if days > 1 else spacing_words(float(length))
    return Gap(row, start, end, sessions, words)


def _missing_sessions(bars: Rows, clock: Clock) -> tuple[Gap, ...]:
    assert bars.calendar is not None
    missing = np.array(compare_calendar(bars, bars.calendar).missing, "M8[D]").view(np.int64)
    if len(missing) == 0:
        return ()
    rows = np.searchsorted(clock.local // DAY, missing)
    return tuple(
        _gap(clock, int(row), int(count))
        for row, count in zip(*np.unique(rows, return_counts=True), strict=True)
        if 0 < row < len(clock.local)
    )
