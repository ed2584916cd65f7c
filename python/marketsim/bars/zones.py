"""Time zones, and what a clock change does to local times."""

from __future__ import annotations

import datetime as dt
import difflib
import zoneinfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ObjectArray = npt.NDArray[np.object_]

NAT = np.iinfo(np.int64).min
"""What numpy stores for a missing datetime64."""

# One day inside of what int64 nanoseconds can hold, so that no time zone leads beyond it.
_FIRST, _LAST = (
    int(np.datetime64(day, "ns").astype(np.int64)) for day in ("1678-01-01", "2262-01-01")
)
_SCALES = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class Fault:
    """Why a row has no usable timestamp: codes of an array.

    Plain integers, not an Enum: NumPy asks the class of an Enum for attributes, in Python, and
    drops a Ctrl-C that arrives there.
    """

    NONE = 0
    MISSING = 1
    UNREADABLE = 2
    NONEXISTENT = 3
    AMBIGUOUS = 4


def parse_timezone(name: str) -> dt.tzinfo:
    """Return the time zone of an IANA name.

    Raises:
        ArgumentError: there is no such time zone.

    """
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, TypeError, AttributeError, OSError):
        known = {zone.casefold(): zone for zone in zoneinfo.available_timezones()}
        near = [known[match] for match in difflib.get_close_matches(str(name).casefold(), known)]
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(
            f"unknown timezone {name!r}: expected an IANA name such as 'UTC', "
            f"'America/New_York' or 'Asia/Tokyo'{hint}"
        ) from None


def named_zone(name: str) -> dt.tzinfo | None:
    """The time zone of an IANA name with a place; None for UTC, offsets and all else."""
    if "/" not in name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def nanoseconds(index: pd.DatetimeIndex) -> IntArray:
    """int64 nanoseconds of a naive or UTC index; NAT outside of 1678 to 2261.

    The index's own memory where it is in nanoseconds already: not to be written to.
    """
    values: IntArray = index.asi8
    scale = _SCALES[index.unit]
    first, last = _FIRST // scale, _LAST // scale  # NaT is below
    if len(values) == 0 or (values.min() >= first and values.max() < last):
        return values if scale == 1 else values * scale
    inside = (values >= first) & (values < last)
    result = np.full(len(values), NAT, np.int64)
    result[inside] = values[inside] * scale
    return result


def localize(wall: IntArray, zone: dt.tzinfo) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Turn local times into instants.

    A time that happens twice, as the clock is put back, is resolved by the order of the rows: if
    the hour occurs twice, the first pass is before the change. If it occurs once, it is ambiguous.

    Args:
        wall: int64 nanoseconds of the local clock [row], none of them NAT.
        zone: whose clock it is.

    Returns:
        Instants in nanoseconds of UTC, NAT where there is a fault, and codes of `Fault` [row].

    """
    clock = pd.DatetimeIndex(wall.view("M8[ns]"))
    faults = np.zeros(len(wall), np.uint8)
    if zone is dt.UTC:
        return wall.copy(), faults
    local = clock.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    instants = nanoseconds(local.tz_convert("UTC"))
    lost = np.flatnonzero(instants == NAT)
    if len(lost):
        # Moved forward, a time that does not exist becomes one; an ambiguous one stays NaT.
        moved = clock[lost].tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
        faults[lost] = np.where(moved.isna(), Fault.AMBIGUOUS, Fault.NONEXISTENT)
        _resolve_by_order(clock, zone, instants, faults)
    return instants, faults


def _resolve_by_order(
    clock: pd.DatetimeIndex, zone: dt.tzinfo, instants: IntArray, faults: npt.NDArray[np.uint8]
) -> None:
    """Resolve runs of ambiguous times in which the clock goes back once."""
    rows = np.flatnonzero(faults == Fault.AMBIGUOUS)
    wall = clock.to_numpy().view(np.int64)
    days = wall[rows] // 86_400_000_000_000
    for day in np.unique(days):
        run = rows[days == day]
        if len(run) < 2:
            continue
        descending = _falls(wall, run[0], run[-1])
        ordered = run[::-1] if descending else run
        back = np.flatnonzero(np.diff(wall[ordered]) <= 0)
        if len(back) != 1:
            continue  # not there twice, or more than twice
        summer = np.zeros(len(ordered), np.bool_)
        summer[: back[0] + 1] = True
        resolved = clock[ordered].tz_localize(zone, ambiguous=summer, nonexistent="NaT")
        instants[ordered] = nanoseconds(resolved.tz_convert("UTC"))
        faults[ordered] = Fault.NONE


def _falls(wall: IntArray, first: int, last: int) -> bool:
    """Whether the rows around a run are newest first."""
    before = wall[first - 1] if first > 0 else None
    after = wall[last + 1] if last + 1 < len(wall) else None
    if before is not None and before != NAT:
        return bool(before > wall[first])
    return after is not None and after != NAT and bool(after < wall[last])
