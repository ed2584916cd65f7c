"""Daily and slower bars stamped at midnight of an exchange, written as instants of UTC.

London's days begin at 23:00 UTC in summer and at 00:00 in winter: by UTC's date a bar of summer
would be a day early. Where the times keep the clock of such a place through a change of summer
time, or where they pause from Thursday to Sunday evening, the dates are those of the next day.
"""

from __future__ import annotations

import zoneinfo

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY, HOUR
from marketsim.bars.zones import BoolArray, IntArray, nanoseconds

# Zones of exchanges whose clocks differ, and the local hour at which their days begin. What begins
# in the evening is the session of the next day.
_STARTS = (
    ("Europe/London", 0), ("Europe/Berlin", 0), ("Europe/Helsinki", 0), ("Asia/Jerusalem", 0),
    ("Europe/Istanbul", 0), ("Europe/Moscow", 0), ("America/New_York", 0), ("America/Chicago", 0),
    ("America/Denver", 0), ("America/Los_Angeles", 0), ("America/Sao_Paulo", 0),
    ("America/Santiago", 0), ("Australia/Sydney", 0), ("Pacific/Auckland", 0),
    ("Australia/Sydney", 10), ("Pacific/Auckland", 10), ("America/New_York", 17),
    ("America/New_York", 18),
)  # fmt: skip
_EVENING = 17 * HOUR
_LATE = 13 * HOUR  # midnight of zones from UTC+1 to UTC+11, as UTC's clock shows it


def day_starts(times: IntArray, known: BoolArray) -> tuple[IntArray | None, str]:
    """Clock of the exchange at which bars of days begin at midnight, and words for a note.

    The newest row may have any time, as the bar of a day that is not over has.

    Args:
        times: ns in UTC [row].
        known: rows that have a time [row].

    Returns:
        ns of a clock that shows the exchange's dates [row], None where UTC's dates are its own or
        nothing proves another date.

    """
    head = times[:9][known[:9]]
    if len(head) < 2 or np.median(np.abs(np.diff(head))) < 0.9 * DAY:
        return None, ""
    found = times[known]
    if not (found % DAY).any():
        return None, ""
    ascending = np.sort(found)
    older = ascending[:-1]
    of_day = np.unique(older % DAY)
    for part in (ascending, older):
        if len(np.unique(part % DAY)) > 1:
            clock, said = _by_zone(times, part)
            if clock is not None:
                return clock, said
    if len(of_day) > 1:
        return None, ""
    late = int(of_day[0])
    if late < _LATE or late % (HOUR // 2) or not _of_next_day(older // DAY):
        return None, ""
    shown = str(np.datetime64(late, "ns"))[11:16]
    return times + (DAY - late), f"bars of days begin at {shown} UTC: dates are of the day after"


def _by_zone(times: IntArray, older: IntArray) -> tuple[IntArray | None, str]:
    """The clock of a zone whose summer time the times of the day follow."""
    stamps = pd.DatetimeIndex(older.view("M8[ns]")).tz_localize("UTC")
    for name, hour in _STARTS:
        zone = zoneinfo.ZoneInfo(name)
        few = nanoseconds(stamps[:3].tz_convert(zone).tz_localize(None))
        if (few % DAY != hour * HOUR).any():
            continue
        clock = nanoseconds(stamps.tz_convert(zone).tz_localize(None))
        if (clock % DAY != hour * HOUR).any():
            continue
        start = hour * HOUR
        shift = DAY - start if start >= _EVENING else -start
        if _has_weekend((clock + shift) // DAY) and not _has_weekend(older // DAY):
            continue  # these times end the days: a week of Monday to Friday is no other day's
        whole = pd.DatetimeIndex(times.view("M8[ns]")).tz_localize("UTC").tz_convert(zone)
        said = f"bars of days begin at {hour:02}:00 in {name}, written as UTC: dates are its own"
        return nanoseconds(whole.tz_localize(None)) + shift, said
    return None, ""


def _has_weekend(days: IntArray) -> bool:
    return bool(((days + 3) % 7 >= 5).any())


def _of_next_day(days: IntArray) -> bool:
    """Whether these dates of UTC are each the day before that of a bar.

    Args:
        days: ascending, since 1970 [row].

    """
    steps = np.diff(days)
    weekdays = (days + 3) % 7  # 0 is Monday
    if (steps == 1).any():  # Thursday to Sunday is Friday to Monday; Wednesday to Saturday, Gulf
        pauses = weekdays[:-1][steps == 3]
        open_days = np.bincount(weekdays, minlength=7) > 0
        to_sunday = bool((pauses == 3).any()) and not open_days[[4, 5]].any()
        return to_sunday or (bool((pauses == 2).any()) and not open_days[[3, 4]].any())
    if len(days) > 1 and (steps == 7).all():
        return bool((weekdays == 6).all())
    following = (days + 1).view("M8[D]")
    return len(days) > 1 and bool((following == following.astype("M8[M]")).all())
