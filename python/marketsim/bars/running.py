"""A last row that is the bar of a period that is not over, as many sites append it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY, HOUR, MINUTE, SECOND
from marketsim.bars.layouts import fold
from marketsim.bars.zones import BoolArray, IntArray


def find_running(wall: IntArray, known: BoolArray) -> str:
    """The period of the newest row, if it is not over: "day", "week" or "month"; else "".

    All other rows must agree: be dates, keep one time of the day, or begin weeks or months.

    Args:
        wall: ns of the clock as written [row].
        known: rows that have a time [row].

    """
    head = wall[:9][known[:9]]
    if len(head) < 3:
        return ""
    if np.median(np.abs(np.diff(head))) < 0.5 * DAY:
        return _off_the_grid(wall, known)
    times = np.sort(wall[known])
    newest, others = int(times[-1]), times[:-1]
    late = newest - int(others[-1])
    if (others % DAY == 0).all():
        if newest % DAY:
            return "day"
        return _off_the_calendar(newest, others, late) if len(others) >= 3 else ""
    of_day = np.unique(others % DAY)
    summer = len(of_day) == 2 and of_day[1] - of_day[0] == HOUR
    if len(others) < 3 or not (len(of_day) == 1 or summer) or not 0 < late < 0.75 * DAY:
        return ""
    return "day" if np.median(np.diff(others)) >= 0.95 * DAY else ""


_TAIL = 1000  # rows that show the grid of bars within a day
_SURE = 20  # rows whose steps are whole minutes of a grid by more than chance


def _off_the_grid(wall: IntArray, known: BoolArray) -> str:
    """Whether only the newest of bars within a day has seconds, or a time between two bars.

    Less than a millisecond is rounding. The second needs more rows, as few bars of a quiet market
    can be two minutes apart by chance.
    """
    part = wall[-_TAIL:][known[-_TAIL:]]
    if len(part) > 1 and part[0] > part[-1]:
        part = wall[:_TAIL][known[:_TAIL]]
    times = np.sort(part)
    newest, others = int(times[-1]), times[:-1]
    steps = np.diff(others)
    if len(others) < 5 or steps.min() == 0 or np.median(steps) > 0.9 * DAY:
        return ""
    for unit in (MINUTE, SECOND):
        if not (others % unit).any():
            if newest % unit >= SECOND // 1000:
                return "period"
            break
    grid, late = int(np.gcd.reduce(steps)), newest - int(others[-1])
    if len(others) < _SURE or not late % grid or late >= np.median(steps):
        return ""
    return "" if late % (HOUR // 2) == 0 else "period"


def find_strays(wall: IntArray, known: BoolArray, running: str = "") -> BoolArray:
    """Rows within a day among bars of days: the bar of a day that was not over, or a second one.

    And rows within a week among bars of weeks.

    The first rows tell that the bars are of days: most are at midnight, and a day or more apart.
    A clock that is an hour off in summer is no other time of the day.

    Args:
        wall: ns of the clock as written [row].
        known: rows that have a time [row].
        running: the period of the newest row, which is no stray then; "" if it is over.

    """
    none = np.zeros(len(wall), np.bool_)
    head = wall[:9][known[:9]]
    if len(head) < 3:
        return none
    if np.median(np.abs(np.diff(head))) <= 0.5 * DAY:
        return _days_after_hours(wall, known)
    of_day = wall % DAY
    if 2 * np.count_nonzero(head % DAY == 0) <= len(head):
        return _after_days(wall, known, int(head[0] % DAY))
    found = np.asarray(known & (of_day > HOUR) & (of_day < DAY - HOUR))
    if not found.any() and np.median(np.abs(np.diff(head))) == 7 * DAY:
        return _within_weeks(wall, known)
    if running:
        found[np.argmax(np.where(known, wall, np.iinfo(np.int64).min))] = False
    return found


def _within_weeks(wall: IntArray, known: BoolArray) -> BoolArray:
    """Rows between two that are a week apart: the bar of a week that was not over."""
    found = np.zeros(len(wall), np.bool_)
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(wall[rows], kind="stable")]
    steps = np.diff(wall[rows])
    short = (steps >= 2 * DAY) & (steps <= 5 * DAY)
    found[rows[1:-1]] = short[:-1] & short[1:] & (steps[:-1] + steps[1:] == 7 * DAY)
    return found


def _after_days(wall: IntArray, known: BoolArray, of_day: int) -> BoolArray:
    """Rows less than half a day after another, where the first are all at one time of the day."""
    rows = np.flatnonzero(known)
    if (wall[rows[:9]] % DAY != of_day).any():
        return np.zeros(len(wall), np.bool_)
    rows = rows[np.argsort(wall[rows], kind="stable")]
    times = wall[rows]
    found = np.zeros(len(wall), np.bool_)
    found[rows[1:]] = (np.diff(times) < DAY // 2) & (times[1:] % DAY != of_day)
    return found


_RUN = 7  # bars of days in a row, which a quiet market within the day does not show


def _days_after_hours(wall: IntArray, known: BoolArray) -> BoolArray:
    """The last rows, where they are days apart at one time of the day after bars within a day."""
    found = np.zeros(len(wall), np.bool_)
    if len(wall) < 2 * _RUN or not _whole_days(wall[-_RUN:], known[-_RUN:]).all():
        return found
    rows = np.flatnonzero(known)
    whole = _whole_days(wall[rows], known[rows])
    found[rows[int(np.flatnonzero(~whole)[-1]) + 1 :]] = True
    return found


def _whole_days(wall: IntArray, known: BoolArray) -> BoolArray:
    """Which steps are of whole days, [step]."""
    steps = np.abs(np.diff(wall))
    return np.asarray(known[1:] & known[:-1] & (steps >= DAY) & (steps % DAY == 0))


_FLAGS = ("confirm", "complete", "isclosed", "isfinal", "final", "closed")
_NO, _YES = ("0", "0.0", "false", "no"), ("1", "1.0", "true", "yes")


def is_unfinished(frame: pd.DataFrame, extra: Sequence[int], times: IntArray) -> str:
    """The word "period" where a column such as OKX's "confirm" says it of the newest row alone."""
    if len(frame) < 2:
        return ""
    for i in extra:
        if fold(frame.columns[i]) in _FLAGS:
            words = frame.iloc[:, i].astype(str).str.strip().str.casefold()
            newest = np.arange(len(frame)) == int(np.argmax(times))
            done, open_ = words.isin(_YES).to_numpy(), words.isin(_NO).to_numpy()
            if (done | newest).all() and (open_ & newest).any():
                return "period"
    return ""


def _off_the_calendar(newest: int, others: IntArray, late: int) -> str:
    """The period that only the newest date does not begin: "week" or "month"; else ""."""
    days = others.view("M8[ns]").astype("M8[D]")
    if (days == days.astype("M8[M]")).all():
        day = np.datetime64(newest, "ns").astype("M8[D]")
        return "month" if day != day.astype("M8[M]") else ""
    weekly = (np.diff(others) % (7 * DAY) == 0).all()
    # A week that begins on Tuesday, or ends on Thursday, for a holiday is a day off the others.
    off = late // DAY % 7
    return "week" if weekly and (2 <= off <= 5 or late == DAY) else ""
