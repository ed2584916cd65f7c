"""Defects of timestamps: what cannot be read, stands out of order, or is there twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY, HOUR, spacing_words
from marketsim.bars.dates import can_be_date
from marketsim.bars.defect import Defect, counted
from marketsim.bars.lengths import find_change
from marketsim.bars.table import Table
from marketsim.bars.zones import NAT, BoolArray, Fault

SHOWN = 3
_LOOKED_AT = 20


def time_defects(table: Table) -> list[Defect | None]:
    """Every kind of defect of the timestamps of a table."""
    if table.unclear:
        return _unclear_timestamps(table)
    duplicates = _duplicates(table)
    put_back = any(d is not None and "a clock is put back" in d.message for d in duplicates)
    order = None if put_back else _unsorted(table)  # the repeated hour is the cause
    if order is not None and any(d is not None and d.kind == "different_bars" for d in duplicates):
        fix = "read the parts by themselves, if they are of other symbols or of files that overlap"
        order = replace(order, fix=fix)
    lengths = _lengths(table)
    strays = None if lengths is not None else _strays(table)
    return [*_timestamp_faults(table), order, _running(table), lengths, strays, *duplicates]


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
    cause, _, fix = table.unclear.partition("; ")
    if not fix and ("order" in cause or "proves" in cause):
        fix = "dayfirst=True or dayfirst=False states the order, or date_format= the whole format"
    message = f"timestamps must be clear: {cause}"
    fix = fix or 'date_format="%d/%m/%Y" states one format'
    return [Defect("unclear_timestamps", len(table), message, fix)]


def _unreadable(table: Table, broken: BoolArray) -> Defect | None:
    """Cells that no format of the others reads; only those that are no dates can be dropped."""
    how = f" ({table.read_as})" if table.read_as else ""
    fix = "write ISO dates such as 2020-01-31, or state date_format="
    cells = [table.raw_time(row) for row in np.flatnonzero(broken)[:_LOOKED_AT].tolist()]
    if not any(isinstance(cell, str) and can_be_date(cell) for cell in cells):
        fix = drop_fix(table, broken, fix)
    if table.read_as.endswith("as stated"):
        fix = "state the format that all cells have, or leave date_format= away"
    rule = f"timestamps must be dates of one format{how}"
    return row_defect(table, "unreadable_timestamp", broken, rule, fix, table.show_raw_time)


def _timestamp_faults(table: Table) -> list[Defect | None]:
    zone = str(table.timezone)
    by_hand = f"write times with an offset or in UTC, or state another timezone= than {zone}"
    kinds = (
        (
            Fault.MISSING,
            "missing_timestamp",
            "timestamps must not be missing",
            drop_fix(table, table.faults == Fault.MISSING, "correct the data"),
        ),
        (
            Fault.NONEXISTENT,
            "nonexistent_time",
            f"local times must exist in {zone}: these were skipped, as the clock moved forward",
            by_hand,
        ),
        (
            Fault.AMBIGUOUS,
            "ambiguous_time",
            f"local times must be clear in {zone}; these happened twice, as the clock moved back",
            by_hand,
        ),
    )
    found = [
        row_defect(table, kind, table.faults == fault, rule, fix, table.show_raw_time)
        for fault, kind, rule, fix in kinds
    ]
    return [found[0], _unreadable(table, table.faults == Fault.UNREADABLE), *found[1:]]


def _unsorted(table: Table) -> Defect | None:
    known = np.flatnonzero(table.times != NAT)

    broken = out_of_order(table)
    fix = 'repair="sort"'
    if _halves_lost(table, broken):
        fix = (
            "write AM or PM, or hours from 0 to 23: all hours are from 1 to 12, and the times go "
            "on 12 hours later, so the half of the day was lost, and sorting would mix the halves"
        )

    def show(row: int) -> str:
        previous = int(known[np.searchsorted(known, row) - 1])
        return f"row {table.rows[row]}, after {table.show_time(previous)}"

    return row_defect(table, "unsorted", broken, "timestamps must ascend", fix, show)


def _halves_lost(table: Table, broken: BoolArray) -> bool:
    """Whether hours are those of a 12-hour clock without AM and PM."""
    rows = np.flatnonzero(broken)
    if len(rows) == 0 or (table.times == NAT).any():
        return False
    stamps = pd.DatetimeIndex(table.times.view("M8[ns]")).tz_localize("UTC")
    hours = stamps.tz_convert(table.timezone).hour.to_numpy()
    if hours.min() < 1 or hours.max() > 12:
        return False
    steps = np.diff(table.times)
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else 0
    return bool((12 * HOUR + steps[rows - 1] == usual).all())


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


def _lengths(table: Table) -> Defect | None:
    """Bars of two lengths, one after the other: files joined."""
    known = np.flatnonzero(table.times != NAT)
    known = known[np.argsort(table.times[known], kind="stable")]
    change = find_change(table.times[known])
    if change is None:
        return None
    before, after = (_words_of(step) for step in (change.before, change.after))
    row = int(known[change.row])
    return Defect(
        "different_lengths",
        len(known) - change.row,
        f"bars of one table must cover the same time: these are of {before}, and of {after} from "
        f"{table.show_time(row)} (row {table.rows[row]}) on",
        "read each part by itself: split the file at this row",
        tuple(table.rows[known[change.row :]].tolist()),
    )


def _words_of(step: int) -> str:
    """A step in words; months have 28 to 31 days, and other bars at least a day are as long."""
    for days, words in ((365, "1 year"), (91, "1 quarter"), (30, "1 month"), (7, "1 week")):
        if abs(step - days * DAY) <= 0.02 * days * DAY + (days > 7) * DAY:
            return words
    return spacing_words(step)


def _strays(table: Table) -> Defect | None:
    """Rows within a day among bars of days, which are another bar of that day or a part of it."""
    rest = np.sort(table.times[~table.strays & (table.times != NAT)])
    if len(rest) > 1 and np.median(np.diff(rest[:9])) < DAY // 2:
        return row_defect(
            table,
            "days_after_parts",
            table.strays,
            "bars of one table must cover the same time, and these are of days, after bars of "
            "parts of a day: rows of another file",
            "read each part by itself: split the file at this row",
            lambda row: f"row {table.rows[row]}, {table.show_raw_time(row)}",
        )
    if len(rest) > 1 and not (table.times[table.strays] % DAY).any():
        return row_defect(
            table,
            "within_a_week",
            table.strays,
            "bars of weeks must have one row a week, and these lie between two that are a week "
            "apart: bars of weeks that were not over, or rows of another file",
            "remove these rows",
            lambda row: f"row {table.rows[row]}",
        )
    return row_defect(
        table,
        "within_a_day",
        table.strays,
        "bars of days must have one row a day, and these have a time of the day among dates: bars "
        "of days that were not over, or rows of another file",
        "remove these rows; where one is the whole bar of its day, write its date alone",
        lambda row: f"row {table.rows[row]}, {table.show_raw_time(row)}",
    )


def _duplicates(table: Table) -> list[Defect | None]:
    """Rows with one timestamp: copies of each other, or different bars, for which causes differ."""
    again = repeats(table, keep="first")
    if not again.any():
        return []
    same = again & _copies(table)
    different = again & ~same
    clock = _clock_change(table, again)
    hour = ", and these are in the hour that a clock is put back" if clock else ""
    if clock:
        fix = f"timezone= states the zone of the clock, such as {clock}; no row is dropped then"
        copies = fix
    elif table.clock:
        fix = f'columns={{"time": "{table.clock}"}} adds the times of the day to the dates'
        copies = fix
    else:
        copies = 'repair="drop_duplicates" keeps the last row of each timestamp'
        fix = (
            "correct the data: the rows differ, so that each may be the right one (other symbols, "
            "revisions, or files joined that overlap)"
        )
    return [
        row_defect(
            table,
            "duplicate_timestamp",
            same,
            f"each timestamp must occur once{hour}",
            copies,
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
