"""Bars of a day or longer: their dates, which are the exchange's own, at midnight UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.day_starts import UNCLEAR, day_starts
from marketsim.bars.end_of_day import READ_AS
from marketsim.bars.running import find_running
from marketsim.bars.timestamps import Timestamps
from marketsim.bars.zones import NAT, BoolArray, Fault, IntArray, nanoseconds


def dates_of(
    parsed: Timestamps,
    stated: dt.tzinfo | None,
    midnight: dt.tzinfo | None,
    always_open: bool = False,
) -> tuple[Timestamps, IntArray | None, list[str]]:
    """Timestamps with the exchange's clock, the dates of bars of days, and what to note.

    Args:
        parsed: the timestamps.
        stated: the zone that the caller states; None if it is the default.
        midnight: the zone at whose midnight the layout stamps daily bars.
        always_open: the market is open on every day, and its dates are those of UTC.

    Returns:
        ns of midnights UTC [row] in the second place, None where bars are within a day.

    """
    parsed, notes = _keep_dates(parsed)
    known = parsed.faults == Fault.NONE
    zones = [zone for zone in (stated, midnight) if zone is not None]
    dates = _find_dates(parsed, zones)
    if dates is None and stated is None and not always_open:
        parsed, said = _shift_days(parsed, known)
        notes += said
        dates = _find_dates(parsed, zones) if said else None
    if dates is None and find_running(parsed.clock, known):
        newest = int(np.argmax(np.where(known, parsed.values, np.iinfo(np.int64).min)))
        dates = _find_dates(parsed, zones, newest)
    return parsed, dates, notes


def _keep_dates(parsed: Timestamps) -> tuple[Timestamps, list[str]]:
    """Bars of days that all end at 24:00 keep the date that the source writes.

    The newest row may have any time, as the bar of a day that is not over has.
    """
    late = parsed.late
    if late is None:
        return parsed, []
    rows = np.flatnonzero(parsed.faults == 0)
    times = parsed.values[rows]
    ended = late[rows]
    older = np.delete(ended, int(np.argmax(times)))
    if not ended.all() and (len(older) < 2 or not older.all()):
        return parsed, [READ_AS]
    wall, values = (np.where(late & (t != NAT), t - DAY, t) for t in (parsed.wall, parsed.values))
    return replace(parsed, wall=wall, values=values), ["days end at 24:00: dates as written"]


def _shift_days(parsed: Timestamps, known: BoolArray) -> tuple[Timestamps, list[str]]:
    """Bars of days with the clock of the exchange at whose midnight they begin."""
    written, instants = parsed.wall[known], parsed.values[known]
    if not parsed.utc and ((written != NAT) & (written != instants)).any():
        return parsed, []  # their own clock is written
    clock, said = day_starts(parsed.values, known)
    if said == UNCLEAR and parsed.aware:
        return replace(parsed, unclear=_unclear(int(parsed.values[known][0]))), []
    if clock is None:
        return parsed, []
    return replace(parsed, wall=np.where(known, clock, NAT), utc=False), [said]


def _unclear(time: int) -> str:
    """Why the dates of a few bars are unclear, and how to state them."""
    clock = str(np.datetime64(time, "ns"))[11:16]
    return (
        f"bars of days at {clock} UTC may begin at midnight of a place further east, and be of the "
        "day after, or end then, and so few rows show no weekend that proves which; "
        'timezone="UTC" keeps the dates of UTC, timezone="Asia/Tokyo" or another zone gives its own'
    )


def _find_dates(
    parsed: Timestamps, zones: Sequence[dt.tzinfo], newest: int | None = None
) -> IntArray | None:
    """Dates at midnight UTC, where bars are a day or longer and stamped at their midnight.

    The date that the source writes is the exchange's own, in any zone. Instants without a clock,
    such as Unix time, are dates where they are midnight in the zone that the caller states, or
    in that which the layout documents. The row `newest` may have any time: its bar is not over.
    """
    known = parsed.faults == Fault.NONE
    shown = known
    if newest is not None:
        shown = known & (np.arange(len(known)) != newest)
    if not shown.any():
        return None
    wall = parsed.wall
    if not zones and parsed.utc:
        return None
    candidates = [wall] if (wall[known] != NAT).all() else []
    if candidates and (parsed.values[shown] == wall[shown]).all() and not zones:
        return None  # UTC already
    for zone in zones:
        stamps = pd.DatetimeIndex(parsed.values[known].view("M8[ns]")).tz_localize("UTC")
        local = np.full(len(wall), NAT, np.int64)
        local[known] = nanoseconds(stamps.tz_convert(zone).tz_localize(None))
        candidates.append(local)
    for clock in candidates:
        if (clock[shown] % DAY == 0).all():
            return np.where(known, clock, NAT)
    if candidates and not zones and newest is None and _one_time_of_day(wall[known]):
        return np.where(known, wall - wall % DAY, NAT)
    return None


def _one_time_of_day(times: IntArray) -> bool:
    """Whether bars are of a day or longer, and all stamped at one time of the local day."""
    if (times[:9] % DAY != times[0] % DAY).any() or (times % DAY != times[0] % DAY).any():
        return False
    days = np.unique(times // DAY)
    return len(days) == len(times) > 1
