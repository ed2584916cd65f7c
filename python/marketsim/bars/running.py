"""A last row that is the bar of a period that is not over, as many sites append it."""

from __future__ import annotations

import numpy as np

from marketsim.bars.clock import DAY, HOUR
from marketsim.bars.zones import BoolArray, IntArray


def find_running(wall: IntArray, known: BoolArray) -> str:
    """The period of the newest row, if it is not over: "day", "week" or "month"; else "".

    All other rows must agree: be dates, keep one time of the day, or begin weeks or months.

    Args:
        wall: ns of the clock as written [row].
        known: rows that have a time [row].

    """
    head = wall[:9][known[:9]]
    if len(head) < 3 or np.median(np.abs(np.diff(head))) < 0.5 * DAY:
        return ""
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


def _off_the_calendar(newest: int, others: IntArray, late: int) -> str:
    """The period that only the newest date does not begin: "week" or "month"; else ""."""
    days = others.view("M8[ns]").astype("M8[D]")
    if (days == days.astype("M8[M]")).all():
        day = np.datetime64(newest, "ns").astype("M8[D]")
        return "month" if day != day.astype("M8[M]") else ""
    weekly = (np.diff(others) % (7 * DAY) == 0).all()
    # A week that begins on Tuesday, after a holiday, is six or eight days away.
    return "week" if weekly and 0 < late <= 4 * DAY else ""
