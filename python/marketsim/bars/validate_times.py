"""Defects of timestamps: what cannot be read, stands out of order, or is there twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from marketsim.bars.defect import Defect, counted
from marketsim.bars.table import Table
from marketsim.bars.zones import NAT, BoolArray, Fault

DROP = 'repair="drop_invalid" drops these rows, or correct the data'
SHOWN = 3


def time_defects(table: Table) -> list[Defect | None]:
    """Every kind of defect of the timestamps of a table."""
    duplicates = _duplicates(table)
    put_back = any(d is not None and "a clock is put back" in d.message for d in duplicates)
    order = None if put_back else _unsorted(table)  # the repeated hour is the cause
    return [*_timestamp_faults(table), order, _running(table), *duplicates]


def out_of_order(table: Table) -> BoolArray:
    """Rows with a timestamp earlier than the last one before them, [row]."""
    result = np.zeros(len(table), np.bool_)
    known = np.flatnonzero(table.times != NAT)
    times = table.times[known]
    result[known[1:]] = times[1:] < times[:-1]  # a difference could overflow after 292 years
    return result


def repeats(table: Table, keep: str) -> BoolArray:
    """Rows with the timestamp of another; all but the "first" or the "last" of each, [row]."""
    result = np.zeros(len(table), np.bool_)
    known = np.flatnonzero(table.times != NAT)
    times = pd.Series(table.times[known])
    again = times.duplicated(keep="first") if keep == "first" else times.duplicated(keep="last")
    result[known] = again.to_numpy()
    return result


def row_defect(
    table: Table,
    kind: str,
    broken: BoolArray,
    rule: str,
    fix: str,
    show: Callable[[int], str],
) -> Defect | None:
    """Describe the rows of a mask; `show` writes the offending values of one row."""
    rows = np.flatnonzero(broken)
    if len(rows) == 0:
        return None
    examples = [f"{table.show_time(row)} ({show(row)})" for row in rows[:SHOWN].tolist()]
    verb = "breaks" if len(rows) == 1 else "break"
    message = f"{rule}: {counted(len(rows))} {verb} it, first at {', '.join(examples)}"
    return Defect(kind, len(rows), message, fix, tuple(table.rows[rows].tolist()))


def drop_fix(table: Table, broken: BoolArray, other: str) -> str:
    """Offer to drop rows only where most of the rows stay."""
    if 2 * int(broken.sum()) > len(table):
        return other
    return f'{other}; repair="drop_invalid" drops these rows'


def _unclear_timestamps(table: Table) -> list[Defect | None]:
    """The column as a whole cannot be read: dropping rows would drop what proves it."""
    fix = "dayfirst=True or dayfirst=False states the order (--dayfirst yes), or date_format="
    if "order" not in table.unclear and "proves" not in table.unclear:
        fix = 'date_format="%d/%m/%Y" states one format (--date-format on the command line)'
    message = f"timestamps must be clear: {table.unclear}"
    return [Defect("unclear_timestamps", len(table), message, fix)]


def _timestamp_faults(table: Table) -> list[Defect | None]:
    if table.unclear:
        return _unclear_timestamps(table)
    unreadable = table.faults == Fault.UNREADABLE
    zone = str(table.timezone)
    how = f" ({table.read_as})" if table.read_as else ""
    by_hand = f"give times with an offset or in UTC, or another timezone= than {zone}"
    kinds = (
        (Fault.MISSING, "missing_timestamp", "timestamps must not be missing", DROP),
        (
            Fault.UNREADABLE,
            "unreadable_timestamp",
            f"timestamps must be dates of one format{how}",
            drop_fix(
                table, unreadable, "write ISO dates such as 2020-01-31, or state date_format="
            ),
        ),
        (
            Fault.NONEXISTENT,
            "nonexistent_time",
            f"local times must exist in {zone}, which these do not, as the clock moved forward",
            by_hand,
        ),
        (
            Fault.AMBIGUOUS,
            "ambiguous_time",
            f"local times must be clear in {zone}; these happen twice, as the clock moved back",
            by_hand,
        ),
    )
    return [
        row_defect(table, kind, table.faults == fault, rule, fix, table.show_raw_time)
        for fault, kind, rule, fix in kinds
    ]


def _unsorted(table: Table) -> Defect | None:
    known = np.flatnonzero(table.times != NAT)

    def show(row: int) -> str:
        previous = int(known[np.searchsorted(known, row) - 1])
        return f"row {table.rows[row]}, after {table.show_time(previous)}"

    return row_defect(
        table, "unsorted", out_of_order(table), "timestamps must ascend", 'repair="sort"', show
    )


def _running(table: Table) -> Defect | None:
    """A last row between two dates of the others is the bar of a period that is not over."""
    if not table.running:
        return None
    broken = np.zeros(len(table), np.bool_)
    broken[int(np.argmax(np.where(table.times == NAT, np.iinfo(np.int64).min, table.times)))] = True
    return row_defect(
        table,
        "running_bar",
        broken,
        f"the last row must be a whole bar as all others are, not the bar of a {table.running} "
        "that is not over",
        'repair="drop_running" leaves it out',
        table.show_raw_time,
    )


def _duplicates(table: Table) -> list[Defect | None]:
    """Rows with one timestamp: copies of each other, or different bars, for which causes differ."""
    again = repeats(table, keep="first")
    if not again.any():
        return []
    same = again & _copies(table)
    different = again & ~same
    clock = _clock_change(table, different)
    hour = ", and these are in the hour that a clock is put back" if clock else ""
    if clock:
        fix = f"timezone= states the zone of the clock, such as {clock}; no row is dropped then"
    else:
        fix = (
            "correct the data: the rows differ, so that each may be the right one (other symbols, "
            "revisions, or files joined that overlap)"
        )
    return [
        row_defect(
            table,
            "duplicate_timestamp",
            same,
            "each timestamp must occur once",
            'repair="drop_duplicates" keeps the last row of each timestamp',
            lambda row: f"again in row {table.rows[row]}",
        ),
        row_defect(
            table,
            "different_bars",
            different,
            f"each timestamp must have one bar{hour}",
            fix,
            lambda row: f"again in row {table.rows[row]}, with other values",
        ),
    ]


def _copies(table: Table) -> BoolArray:
    """Rows whose values are those of the first row with the same timestamp, [row]."""
    columns = {name: table.values[name] for name in table.used_names}
    frame = pd.DataFrame({"times": table.times, **columns})
    return frame.duplicated(keep="first").to_numpy()


_CLOCKS = (
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "America/Chicago",
    "Australia/Sydney",
)


def _clock_change(table: Table, rows: BoolArray) -> str:
    """A zone in which all of these times happen twice; "" if there is none."""
    times = table.times[rows]
    if len(times) == 0 or str(table.timezone) != "UTC":
        return ""
    clock = pd.DatetimeIndex(times.view("M8[ns]"))
    for zone in _CLOCKS:
        if bool(clock.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna().all()):
            return repr(zone)
    return ""
