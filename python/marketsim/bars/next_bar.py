"""When the next bar of a market comes: by its calendar, or by the week that the bars keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.bars.bars import Bars
from marketsim.bars.clock import DAY, MINUTE, Clock, IntArray
from marketsim.bars.exchange import ALWAYS, session_times
from marketsim.errors import ArgumentError

_WEEKS = 8  # of the newest bars show the week that a market keeps
_WEEK = 7 * 1440  # minutes
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_LOOK_AHEAD_DAYS = 40  # no exchange is closed for longer


@dataclass(frozen=True)
class NextBar:
    """When the bar after the last one comes.

    Attributes:
        time: its timestamp, in the time zone of the bars.
        assumed: True where holidays are not known, or where the bars are too few to show a week.
        why: how it was found, and what to state where it is assumed.
    """

    time: pd.Timestamp
    assumed: bool
    why: str


def next_bar(bars: Bars) -> NextBar:
    """Say when the bar after the last one comes, and how that is known.

    With a calendar (`read_bars(..., calendar="XNYS")`) its sessions, holidays and early closes
    decide. Without one, the next time of the week at which the newest bars came: holidays are not
    known then, and `assumed` is True wherever a market closes at all.

    Raises:
        NotEnoughBarsError: there are fewer than two bars.

    Example:
        >>> from marketsim.bars import demo_bars
        >>> next_bar(demo_bars()).time  # a Monday was the last bar; the holiday is not known
        Timestamp('2019-01-01 00:00:00+0000', tz='UTC')
    """
    market, clock = bars.market, Clock.of(bars)
    if clock.months:
        return _month(bars, clock)
    if clock.step > 1.05 * DAY:
        return NextBar(_at(bars, clock.local[-1] + round(clock.step)), False, market.frequency)
    name = bars.calendar
    if name == "24/7" or (name is None and market.asset_class == "crypto" and not market.assumed):
        step = DAY if clock.step >= 0.95 * DAY else round(clock.step)
        local = step >= DAY
        time = _at(bars, clock.local[-1] + step) if local else _utc(bars, clock.utc[-1] + step)
        return NextBar(time, False, "all days are traded")
    if name is not None and name not in ALWAYS:
        return _by_sessions(bars, clock, name)
    return _by_week(bars, clock, name)


def _utc(bars: Bars, moment: int) -> pd.Timestamp:
    return pd.Timestamp(int(moment), tz="UTC").tz_convert(bars.zone)


def _at(bars: Bars, local: int) -> pd.Timestamp:
    """The moment of a wall clock; the later one where it is shown twice, the next where never."""
    zone = bars.zone
    return pd.Timestamp(int(local)).tz_localize(zone, ambiguous=False, nonexistent="shift_forward")


def _month(bars: Bars, clock: Clock) -> NextBar:
    """Bars of months, quarters or years keep their place in the month."""
    stamps = [pd.Timestamp(moment) for moment in clock.local.tolist()]
    month = stamps[-1].replace(day=1) + pd.DateOffset(months=clock.months)
    time_of_day = stamps[-1] - stamps[-1].normalize()
    for why, place in _PLACES.items():
        if all(stamp.day == place(stamp).day for stamp in stamps):
            local = place(month).normalize() + time_of_day
            return NextBar(_at(bars, local.value), False, f"{bars.market.frequency}, {why}")
    local = stamps[-1] + pd.DateOffset(months=clock.months)
    why = f"{bars.market.frequency} after the last bar (assumed: they keep no day of the month)"
    return NextBar(_at(bars, local.value), True, why)


def _first_weekday(stamp: pd.Timestamp) -> pd.Timestamp:
    first = stamp.replace(day=1)
    return first + pd.Timedelta(days=max(0, 7 - first.weekday()) if first.weekday() > 4 else 0)


def _last_weekday(stamp: pd.Timestamp) -> pd.Timestamp:
    last = stamp + pd.offsets.MonthEnd(0)
    return last - pd.Timedelta(days=max(0, last.weekday() - 4))


_PLACES: dict[str, Callable[[pd.Timestamp], pd.Timestamp]] = {
    "the first of the month": lambda stamp: stamp.replace(day=1),
    "the last of the month": lambda stamp: stamp + pd.offsets.MonthEnd(0),
    "the first weekday of the month": _first_weekday,
    "the last weekday of the month": _last_weekday,
}


def _by_sessions(bars: Bars, clock: Clock, name: str) -> NextBar:
    """The next session of an exchange, or the next bar inside this one."""
    why = f"calendar {name}"
    today = int(clock.local[-1] // DAY)
    last = str(np.int64(today + _LOOK_AHEAD_DAYS).astype("M8[D]"))
    days, opens, closes, pauses = session_times(name, str(np.int64(today).astype("M8[D]")), last)
    if clock.step >= 0.95 * DAY:
        following = days[days > today]
        if not len(following):
            raise _no_session(name, last)
        local = int(following[0]) * DAY + int(clock.local[-1] % DAY)
        return NextBar(_at(bars, local), False, why)
    step = round(clock.step)
    moment = int(clock.utc[-1]) + step
    for first, stop, (pause, resume) in zip(opens, closes, pauses, strict=True):
        if stop <= moment:
            continue
        if moment < first:
            return NextBar(_utc(bars, first), False, why)
        return NextBar(_utc(bars, resume if pause <= moment < resume else moment), False, why)
    raise _no_session(name, last)


def _no_session(name: str, last: str) -> ArgumentError:
    return ArgumentError(
        f"the calendar {name} knows no session after the last bar, up to {last}: expected one; "
        "update exchange_calendars, or leave calendar= away"
    )


def _by_week(bars: Bars, clock: Clock, name: str | None) -> NextBar:
    """The next time of the week at which the newest bars came."""
    advice = 'state calendar="XNYS" or another so that holidays are known'
    forex = name == "24/5" or (name is None and bars.market.asset_class == "forex")
    why = "calendar 24/5" if name else "the next of the times of the week that the bars keep"
    known = clock.span >= 14 * DAY
    if clock.step >= 0.95 * DAY:
        times = (clock.local // DAY) * 1440
        last = int(times[-1])
        weekdays = [day * 1440 for day in range(5)]
        slots = _slots(times) if known and name is None else np.array(weekdays)
        local = _after(last, slots) * MINUTE + int(clock.local[-1] % DAY)
        time = _at(bars, local)
    else:
        times = clock.local // MINUTE
        last = int(times[-1])
        if clock.step < MINUTE or not known:
            step = round(clock.step)
            return NextBar(
                _utc(bars, clock.utc[-1] + step), True,
                f"one step after the last bar (assumed: the bars are too few, or too fine, to "
                f"show a session); {advice}",
            )  # fmt: skip
        local = _after(last, _slots(times)) * MINUTE + int(clock.local[-1] % MINUTE)
        time = _at(bars, local)
    if not known and name is None:
        why = "the next weekday: the bars are too few to show a week"
    assumed = not forex or not known
    return NextBar(time, assumed, f"{why} (assumed: {advice})" if assumed else why)


def _slots(times: IntArray) -> IntArray:
    """Minutes of the week, from Monday, at which bars came in half of the newest weeks."""
    newest = times[times > times[-1] - _WEEKS * _WEEK]
    minutes = (newest + _EPOCH_WEEKDAY * 1440) % _WEEK
    slots, counts = np.unique(minutes, return_counts=True)
    kept: IntArray = slots[counts * 2 >= counts.max()]
    return kept


def _after(last: int, slots: IntArray) -> int:
    """The first minute after `last` that is one of the week's slots."""
    week = (last + _EPOCH_WEEKDAY * 1440) // _WEEK * _WEEK - _EPOCH_WEEKDAY * 1440
    ahead = np.concatenate((week + slots, week + _WEEK + slots))
    return int(ahead[ahead > last][0])
