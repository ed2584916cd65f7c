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
_INDIA = 18 * HOUR + HOUR // 2  # the one half of an hour that is an exchange's midnight
_LATE = 13 * HOUR  # midnight of zones from UTC+1 to UTC+11, as UTC's clock shows it


UNCLEAR = "unclear"
"""What `day_starts` says where the first rows prove neither UTC's dates nor those of the day after.

The next rows will: no later row may take back what the first have shown.
"""


def day_starts(times: IntArray, known: BoolArray) -> tuple[IntArray | None, str]:
    """Clock of the exchange at which bars of days begin at midnight, and words for a note.

    The newest row may have any time, as the bar of a day that is not over has.

    Args:
        times: ns in UTC [row].
        known: rows that have a time [row].

    Returns:
        ns of a clock that shows the exchange's dates [row]; None where UTC's dates are its own,
        and, with the word UNCLEAR, where no row proves whose they are.

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
    if late < _LATE or (late % HOUR and late != _INDIA):  # 14:30 is when New York opens
        return None, ""
    shown = ascending if ascending[-1] % DAY == late else older
    next_day = _of_next_day(shown // DAY)
    if not next_day:
        return None, UNCLEAR if next_day is None else ""
    start = str(np.datetime64(late, "ns"))[11:16]
    return times + (DAY - late), f"bars of days begin at {start} UTC: dates are of the day after"


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


def _of_next_day(days: IntArray) -> bool | None:
    """Whether these dates of UTC are each the day before that of a bar; None if no row proves it.

    The rows are judged in their order, and the first one that proves something decides.

    Args:
        days: ascending, since 1970 [row].

    """
    steps = np.diff(days)
    weekdays = (days + 3) % 7  # 0 is Monday
    if (steps == 7).all():
        return bool((weekdays == 6).all()) if len(days) > 1 else None
    if steps.min() > 7:
        return _of_next_month(days)
    # Days that a week of Monday to Friday has not on the evening before, and those of the Gulf.
    asia, gulf = np.isin(weekdays, (4, 5)), np.isin(weekdays, (3, 4))
    pause = np.append(steps == 3, False)
    ends = (pause & (weekdays == 3) & (np.cumsum(asia) == 0)) | (
        pause & (weekdays == 2) & (np.cumsum(gulf) == 0)
    )
    both = (np.cumsum(asia) > 0) & (np.cumsum(gulf) > 0)
    proof = np.flatnonzero(ends | both)
    return bool(ends[proof[0]]) if len(proof) else None


def _of_next_month(days: IntArray) -> bool | None:
    """As `_of_next_day` of bars of months, which begin on weekends too."""
    following = (days + 1).view("M8[D]")
    last = following == following.astype("M8[M]")
    weekend = last & ((days + 3) % 7 >= 5)
    proof = np.flatnonzero(weekend | ~last)
    return bool(last[proof[0]]) if len(proof) else None
