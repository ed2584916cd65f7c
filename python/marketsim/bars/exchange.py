"""Trading calendars by name, and whether bars keep them."""

from __future__ import annotations

import difflib
import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY, MINUTE, Clock, IntArray, Rows
from marketsim.errors import ArgumentError, BarsError, MissingDependencyError, UnknownNameError

ALWAYS = ("24/7", "24/5")
"""Calendars that need no package: all days, and Monday to Friday around the clock."""

# Regular trading of exchanges by zone: parts of the session, minutes of the local day.
_SESSIONS: dict[str, tuple[tuple[int, int], ...]] = {
    "America/New_York": ((570, 960),),
    "America/Toronto": ((570, 960),),
    "Europe/London": ((480, 990),),
    "Europe/Berlin": ((540, 1050),),
    "Europe/Paris": ((540, 1050),),
    "Asia/Shanghai": ((570, 690), (780, 900)),
    "Asia/Hong_Kong": ((570, 720), (780, 960)),
    "Asia/Kolkata": ((555, 930),),
    "Asia/Tokyo": ((540, 690), (750, 930)),
    "Asia/Seoul": ((540, 930),),
    "Australia/Sydney": ((600, 960),),
}


@dataclass(frozen=True)
class CalendarFacts:
    """What a calendar says of every session.

    Attributes:
        name: as the caller gave it.
        asset_class: "crypto" for 24/7, "forex" for 24/5, else "equity".
        sessions_per_year: mean over at least ten years.
        parts: minutes of trading in each part of a usual session.

    """

    name: str
    asset_class: Literal["equity", "crypto", "forex"]
    sessions_per_year: float
    parts: tuple[float, ...]

    def bars_per_session(self, step: float) -> float:
        """Bars of a usual session; the last of a part may be shorter than the others."""
        return float(sum(math.ceil(part * MINUTE / step - 1e-9) for part in self.parts))


def known_session(clock: Clock) -> tuple[float, str] | None:
    """Bars of a session by an exchange's regular hours; None where the bars do not keep any.

    In the exchange's own time zone all bars must lie within the hours. In UTC the first must also
    be at the open; an exchange that opens at midnight UTC is never taken for one.
    """
    days = clock.utc[clock.live]
    for zone, parts in _SESSIONS.items():
        if clock.zone == zone:
            minutes = clock.local[clock.live] % DAY // MINUTE
        elif clock.zone == "UTC" and days[0] % DAY != 0:
            index = pd.DatetimeIndex(days.view("M8[ns]")).tz_localize("UTC").tz_convert(zone)
            minutes = (index.hour * 60 + index.minute).to_numpy()
            if minutes[0] != parts[0][0]:
                continue
        else:
            continue
        if minutes.min() >= parts[0][0] and minutes.max() < parts[-1][1]:
            count = sum(math.ceil((b - a) * MINUTE / clock.step - 1e-9) for a, b in parts)
            return float(count), f"regular hours of {zone}"
    return None


def check_calendar(name: object) -> str:
    """Return the name of a calendar that exists.

    Raises:
        UnknownNameError: there is none of that name.
        MissingDependencyError: it is an exchange's, and exchange_calendars is not installed.

    """
    if name in ALWAYS:
        return str(name)
    if not isinstance(name, str):
        raise ArgumentError(
            f'calendar got {name!r}: expected "24/7", "24/5" or an exchange such as "XNYS"'
        )
    known = _package().get_calendar_names(include_aliases=True)
    if name not in known:
        near = difflib.get_close_matches(name.upper(), sorted(set(known) - set(ALWAYS)), n=3)
        shown = [*ALWAYS, *near] if near else [*ALWAYS, "XNYS", "XLON", "XTKS", "XSHG", "CMES"]
        raise UnknownNameError("calendar", name, [*shown, "... of exchange_calendars"])
    return name


def _package() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import exchange_calendars
    except ImportError:
        raise MissingDependencyError(
            "calendars of exchanges need exchange_calendars, which is not installed: "
            'pip install ".[calendars]" in the checkout, or use calendar="24/7" or "24/5"'
        ) from None
    return exchange_calendars


@functools.lru_cache(maxsize=32)
def _schedule(name: str, first: str, last: str) -> pd.DataFrame:
    """Open, close and breaks of the sessions of some years, by session date.

    A calendar that covers only part of the span returns its part.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pandas deprecates is for that package to mend
        return _load_schedule(name, first, last)


def _load_schedule(name: str, first: str, last: str) -> pd.DataFrame:
    package = _package()
    kind = type(package.get_calendar(name))
    lowest, highest = kind.bound_min(), kind.bound_max()
    start = first if lowest is None else max(first, str(lowest.date()))
    end = last if highest is None else min(last, str(highest.date()))
    if start >= end:
        raise ArgumentError(
            f"the calendar {name} knows sessions from {start}: the bars end {last}; leave "
            "calendar= away for them"
        )
    frame: pd.DataFrame = package.get_calendar(name, start=start, end=end).schedule
    return frame


def calendar_facts(name: str, clock: Clock) -> CalendarFacts:
    """The facts of a calendar around the time of some bars."""
    if name == "24/7":
        return CalendarFacts(name, "crypto", 365.0 if clock.step >= 0.95 * DAY else 365.25, (1440,))
    if name == "24/5":
        return CalendarFacts(name, "forex", 260.0, (1440.0,))
    first, last = _years(clock, at_least=10)
    schedule = _schedule(name, first, last)
    minutes = (schedule["close"] - schedule["open"]).dt.total_seconds() / 60.0
    years = (schedule.index[-1] - schedule.index[0]).days / 365.25
    parts: tuple[float, ...] = (float(minutes.median()),)
    if schedule["break_start"].notna().any():
        recent = schedule[schedule["break_start"].notna()]
        before = (recent["break_start"] - recent["open"]).dt.total_seconds() / 60.0
        after = (recent["close"] - recent["break_end"]).dt.total_seconds() / 60.0
        parts = (float(before.median()), float(after.median()))
    return CalendarFacts(name, "equity", (len(schedule) - 1) / years, parts)


def _years(clock: Clock, at_least: int) -> tuple[str, str]:
    """Whole years around the bars, at least some number of them."""
    first = int(clock.local[0:1].view("M8[ns]").astype("M8[Y]").view(np.int64)[0]) + 1970
    last = int(clock.local[-1:].view("M8[ns]").astype("M8[Y]").view(np.int64)[0]) + 1970
    first = min(first, last + 1 - at_least)
    return f"{first}-01-01", f"{last}-12-31"


@dataclass(frozen=True)
class CalendarFit:
    """How bars compare with a calendar.

    Attributes:
        foreign: dates of bars that are no sessions.
        missing: sessions between the first and the last bar that have no bar.
        short: sessions that end early or begin late by the calendar.
        outside: bars on session dates that lie outside the hours.

    """

    foreign: tuple[str, ...]
    missing: tuple[str, ...]
    short: tuple[str, ...]
    outside: int


def compare_calendar(bars: Rows, name: str) -> CalendarFit:
    """Compare bars of a day or less with a calendar, by their local dates.

    Example:
        >>> from marketsim.bars import demo_bars
        >>> fit = compare_calendar(demo_bars(), "24/5")
        >>> fit.foreign, fit.missing[:2]
        ((), ('1999-01-18', '1999-02-15'))

    """
    clock = Clock.of(bars)
    days = np.unique(clock.local // DAY)
    if name in ALWAYS:
        every = np.arange(days[0], days[-1] + 1)
        weekday = (every + 3) % 7
        sessions = every if name == "24/7" else every[weekday < 5]
        allowed = sessions
        if name == "24/5" and clock.step < 0.95 * DAY:  # the week opens on Sunday evening
            allowed = every[weekday != 5]
        return CalendarFit(
            _dates(np.setdiff1d(days, allowed)), _dates(np.setdiff1d(sessions, days)), (), 0
        )
    schedule = _schedule(name, *_years(clock, at_least=10))
    sessions = schedule.index.to_numpy().astype("M8[D]").view(np.int64)
    if clock.step < 0.95 * DAY:
        return _compare_times(clock, schedule, sessions)
    known = days[(days >= sessions[0]) & (days <= sessions[-1])]
    inside = sessions[(sessions >= days[0]) & (sessions <= days[-1])]
    return CalendarFit(
        _dates(np.setdiff1d(known, sessions)), _dates(np.setdiff1d(inside, days)), (), 0
    )


def missing_sessions_note(bars: Rows) -> str:
    """Say which sessions of the named calendar have no bar; "" where none is missing."""
    name = bars.calendar
    if name is None or len(bars) < 2 or Clock.of(bars).step > 1.05 * DAY:
        return ""
    missing = compare_calendar(bars, name).missing
    if not missing:
        return ""
    more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
    count = f"{len(missing):,} session{'s' * (len(missing) > 1)}"
    return (
        f"calendar {name}: {count} between the first and the last bar without a bar, "
        f"{', '.join(missing[:5])}{more}: the next bar's return spans them"
    )


def _compare_times(clock: Clock, schedule: pd.DataFrame, sessions: IntArray) -> CalendarFit:
    """Bars within a day: each belongs to the session that it lies in, else to its own date."""
    opens, closes = (
        pd.DatetimeIndex(schedule[name]).tz_convert("UTC").tz_localize(None).as_unit("ns")
        .to_numpy().view(np.int64)
        for name in ("open", "close")
    )  # fmt: skip
    place = np.searchsorted(opens, clock.utc, side="right") - 1
    inside = (place >= 0) & (clock.utc <= closes[np.maximum(place, 0)])
    own = clock.local // DAY
    on_session = np.isin(own, sessions)
    known = (own >= sessions[0]) & (own <= sessions[-1])
    foreign = np.unique(own[~inside & ~on_session & known])
    present = np.unique(np.append(sessions[place[inside]], own[~inside & on_session]))
    between = sessions[
        (sessions >= present.min(initial=2**62)) & (sessions <= present.max(initial=0))
    ]
    length = closes - opens
    half = sessions[length < np.median(length)]
    return CalendarFit(
        _dates(foreign),
        _dates(np.setdiff1d(between, present)),
        _dates(np.intersect1d(half, present)),
        int((~inside & on_session).sum()),
    )


def require_fit(bars: Rows, name: str) -> CalendarFit | None:
    """Compare bars with the calendar that the caller named; slower bars have no sessions.

    Raises:
        BarsError: bars are on dates that are no sessions of it, which are named.

    """
    if len(bars) < 2:
        return None
    clock = Clock.of(bars)
    if clock.months or clock.step > 1.05 * DAY:
        return None
    fit = compare_calendar(bars, name)
    if fit.foreign:
        more = f" and {len(fit.foreign) - 5:,} more" if len(fit.foreign) > 5 else ""
        raise BarsError(
            f"{bars.symbol}: the bars do not keep the calendar {name}: {len(fit.foreign):,} dates "
            f"with bars are no sessions of it, {', '.join(fit.foreign[:5])}{more}; expected its "
            f"sessions only, in the zone {bars.timezone}; pass another calendar= or timezone="
        )
    return fit


def _dates(days: IntArray) -> tuple[str, ...]:
    return tuple(days.astype("M8[D]").astype(str).tolist())


def session_times(
    name: str, first: str, last: str
) -> tuple[IntArray, IntArray, IntArray, list[tuple[int, int]]]:
    """Sessions of an exchange between two dates, both included.

    Returns:
        Their dates in days since 1970 [session]; their opens and closes in nanoseconds since 1970
        in UTC [session]; and the pause of each, (0, 0) for none.

    Raises:
        ArgumentError: the calendar ends before them.
    """
    year = f"{int(last[:4])}-12-31"
    schedule = _schedule(name, f"{int(first[:4]) - 1}-01-01", year)
    chosen = schedule[first:last]
    if not len(chosen):
        raise ArgumentError(
            f"the calendar {name} knows sessions up to {schedule.index[-1]:%Y-%m-%d}: expected "
            f"some from {first} to {last}; update exchange_calendars, or leave calendar= away"
        )
    opens, closes, breaks, ends = (
        pd.DatetimeIndex(chosen[column]).tz_convert("UTC").tz_localize(None).as_unit("ns")
        for column in ("open", "close", "break_start", "break_end")
    )
    starts, stops = (
        times.as_unit("ns").to_numpy().view(np.int64).tolist() for times in (breaks, ends)
    )
    pauses = [(0, 0) if a == pd.NaT.value else (a, b) for a, b in zip(starts, stops, strict=True)]
    days: IntArray = chosen.index.to_numpy().astype("M8[D]").view(np.int64)
    return days, opens.to_numpy().view(np.int64), closes.to_numpy().view(np.int64), pauses
