"""The columns of one source as numbers, before any judgement, with what was not a number."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.columns import ADJUSTED_CLOSE, PRICES, SPLIT, Selection
from marketsim.bars.dated import dates_of
from marketsim.bars.fractions import read_fractions
from marketsim.bars.layouts.names import volume_unit
from marketsim.bars.numbers import Marks, find_marks, to_numbers, undecided_point
from marketsim.bars.running import find_running, find_strays, is_unfinished
from marketsim.bars.splits import is_overnight, named_splits, split_factors, suspected_splits
from marketsim.bars.time_options import TimeOptions
from marketsim.bars.timestamps import Timestamps, parse_timestamps
from marketsim.bars.unread import maybe_volume, unread_clock
from marketsim.bars.zones import NAT, BoolArray, Fault, IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TableOptions:
    """What is stated of a table, by the caller or by its layout.

    Attributes:
        time: of the timestamps.
        stated_zone: the zone that the caller states; None if it is the default.
        midnight: the zone at whose midnight the layout stamps daily bars.
        adjusted: the caller's choice about the adjusted close.
        decimal: the caller's decimal mark.
        scale: prices are whole numbers, this many to the unit.
        always_open: the market is open on every day, and its dates are those of UTC.

    """

    time: TimeOptions
    stated_zone: dt.tzinfo | None = None
    midnight: dt.tzinfo | None = None
    adjusted: bool | None = None
    decimal: str | None = None
    scale: int = 1
    always_open: bool = False


@dataclass(frozen=True)
class Table:
    """Rows as read; every array has one entry a row, and no array is ever written to.

    Attributes:
        rows: positions in the data as given, int64.
        times: int64 nanoseconds in UTC, NAT where there is a fault; all NAT without a source.
        faults: uint8 codes of `Fault`; all NONE without a source, as that is one defect already.
        values: canonical column name to float64; NaN where a cell was not a number.
        text: canonical column name to True where a cell was something other than a number.
        selection: the source, from which messages quote.
        timezone: in which messages show the timestamps.
        read_as: how the timestamps were understood.
        unclear: why the column of timestamps as a whole cannot be read; empty if it can.
        adjusted: the caller's choice about the adjusted close.
        dated: the bars are of a day or longer, and `times` are their dates at midnight UTC.
        running: the period of the newest row, where it is not over: "day", "week", "month" or
            "period", where a column says it.
        strays: rows within a day among bars of days, the newest left out if it is running [row].
        marks: how numbers are written.
        notes: how the columns were understood.
        clock: a column of times of the day that is not read, beside dates; "" if there is none.
        maybe_volume: a column of whole numbers that may be the volume, where none is; else "".
        owned: nobody else holds the memory of the columns.

    """

    rows: IntArray
    times: IntArray
    faults: npt.NDArray[np.uint8]
    values: dict[str, FloatArray]
    text: dict[str, BoolArray]
    selection: Selection
    timezone: dt.tzinfo
    read_as: str
    unclear: str
    adjusted: bool | None
    dated: bool
    running: str
    strays: BoolArray
    marks: Marks
    notes: tuple[str, ...]
    clock: str = ""
    maybe_volume: str = ""
    owned: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def price_names(self) -> tuple[str, ...]:
        """The price columns that are present and used."""
        wanted = (*PRICES, ADJUSTED_CLOSE) if self.adjusted else PRICES
        return tuple(name for name in wanted if name in self.values)

    @property
    def used_names(self) -> tuple[str, ...]:
        """The price columns, and volume if present."""
        return (*self.price_names, "volume") if "volume" in self.values else self.price_names

    def take(self, chosen: BoolArray | npt.NDArray[np.intp]) -> Table:
        """Select or reorder rows by a mask or by positions."""
        return replace(
            self,
            rows=self.rows[chosen],
            times=self.times[chosen],
            faults=self.faults[chosen],
            strays=self.strays[chosen],
            values={name: column[chosen] for name, column in self.values.items()},
            text={name: column[chosen] for name, column in self.text.items()},
        )

    def split_factors(self) -> FloatArray:
        """Factors of splits that are still in the prices, 1 where there is none [row]."""
        names = (*PRICES, "volume")
        if not all(name in self.values for name in names):
            return np.ones(len(self))
        open_, high, low, close, volume = (self.values[name] for name in names)
        factors = np.ones(len(self))
        if SPLIT in self.values:
            named = self.values[SPLIT]
            factors = np.where(named_splits(named, open_, close), named, 1.0)
        for row, factor in suspected_splits(open_, high, low, close, volume, self.times).items():
            if factors[row] == 1.0 and is_overnight(self.times, row):
                factors[row] = factor
        return factors

    def with_values(self, **columns: FloatArray) -> Table:
        """Replace or add columns; a cell that was text stays marked as text."""
        clean = np.zeros(len(self), np.bool_)
        return replace(
            self,
            values=self.values | columns,
            text=self.text | {name: self.text.get(name, clean) for name in columns},
        )

    def show_time(self, row: int) -> str:
        """Write the timestamp of a row, as a date where it is midnight; else the row number."""
        if self.times[row] == NAT:
            return f"row {self.rows[row]}"
        moment = pd.Timestamp(int(self.times[row]), tz="UTC").tz_convert(self.timezone)
        return str(moment.date()) if moment == moment.normalize() else moment.isoformat(" ")

    def show_cell(self, name: str, row: int) -> str:
        """Write ``name=value`` of a row; text as given."""
        if self.text[name][row]:
            return f"{name}={quoted(self.selection.columns[name].iloc[int(self.rows[row])])}"
        return f"{name}={float(self.values[name][row])!r}"

    def show_raw_time(self, row: int) -> str:
        """Write the timestamp of a row as given, with its time of the day from another column."""
        times = self.selection.times
        if times is None:
            return quoted(self.raw_time(row))
        return quoted(f"{self.raw_time(row)} {times.iloc[int(self.rows[row])]}")

    def raw_time(self, row: int) -> object:
        """The timestamp of a row as given."""
        raw = self.selection.timestamps
        assert raw is not None, "only rows of a source of timestamps have a fault"
        position = int(self.rows[row])
        return raw[position] if isinstance(raw, pd.Index) else raw.iloc[position]


def quoted(cell: object) -> str:
    """Write a cell of the source for a message, at most 40 characters."""
    text = repr(cell) if isinstance(cell, str) else repr(str(cell))
    return text if len(text) <= 40 else f"{text[:36]}...'"


def build_table(
    frame: pd.DataFrame, selection: Selection, options: TableOptions, owned: bool = False
) -> Table:
    """Convert the selected columns of a frame."""
    count = len(frame)
    values, text, marks, notes = _numbers(selection, options)
    table = Table(
        rows=np.arange(count, dtype=np.int64),
        times=np.full(count, NAT, np.int64),
        faults=np.zeros(count, np.uint8),
        values=values,
        text=text,
        selection=selection,
        timezone=options.time.zone,
        read_as="",
        unclear="",
        adjusted=options.adjusted,
        dated=False,
        running="",
        strays=np.zeros(count, np.bool_),
        marks=marks,
        notes=tuple(notes),
        maybe_volume=maybe_volume(frame, selection),
        owned=owned,
    )
    return table if selection.timestamps is None else _with_times(table, frame, options)


def _with_times(table: Table, frame: pd.DataFrame, options: TableOptions) -> Table:
    """The table with the timestamps of its source."""
    selection, timezone, notes = table.selection, options.time.zone, list(table.notes)
    assert selection.timestamps is not None, "the caller looked"
    parsed = parse_timestamps(selection.timestamps, options.time, selection.times)
    parsed, dates, said = dates_of(
        parsed, options.stated_zone, options.midnight, options.always_open
    )
    notes += said
    known, strays = parsed.faults == Fault.NONE, table.strays
    times = parsed.values if dates is None else dates
    if dates is not None:
        running = find_running(times, known)
        if timezone is not dt.UTC or (parsed.wall[known] % DAY).any():
            notes.append("daily bars: dates as the source writes them")
        timezone = dt.UTC
    else:
        running = find_running(parsed.clock, known)
        strays = find_strays(parsed.clock, known, running)
        timezone, said = _clock_of(parsed, options)
        notes += said
    clock, said = unread_clock(frame, selection, parsed.clock)
    return replace(
        table,
        times=times,
        faults=parsed.faults,
        timezone=timezone,
        read_as=parsed.read_as,
        unclear=parsed.unclear,
        dated=dates is not None,
        running=running or is_unfinished(frame, selection.extra, times),
        strays=strays,
        notes=(*notes, *said),
        clock=clock,
    )


def _numbers(
    selection: Selection, options: TableOptions
) -> tuple[dict[str, FloatArray], dict[str, BoolArray], Marks, list[str]]:
    """All columns as numbers, under the one decimal mark that all cells together prove."""
    columns = {
        name: column
        for name, column in selection.columns.items()
        if name != ADJUSTED_CLOSE or options.adjusted is not False
    }
    read = {name: to_numbers(column) for name, column in columns.items()}
    odd = [name for name, (_, mask) in read.items() if mask.any()]
    columns, read, notes = _with_fractions(columns, read, odd)
    odd = [name for name in odd if read[name][1].any()]
    marks = Marks()
    if odd or options.decimal is not None:
        texts = [_strings(columns[name]) for name in (odd if options.decimal is None else columns)]
        marks = find_marks(texts, options.decimal)
        if marks.decimal == "":  # a plain 1.5 in another column proves the point
            marks = find_marks(map(_strings, columns.values()))
        if marks.decimal == "," and options.decimal is None:
            notes.append(f"decimal comma, as in {marks.why!r}")
        again = columns if marks.decimal == "," else odd
        for name in again:
            if name in odd or not _plain(columns[name]):
                read[name] = to_numbers(columns[name], marks)
        if marks.decimal == "." and any(not read[name][1].all() for name in odd) and marks.why:
            cells = [
                cell for cells in texts for cell in cells if isinstance(cell, str) and "," in cell
            ]
            if cells:
                notes.append(f"thousands separators, as in {cells[0]!r}")
    if options.decimal is None and not marks.why and marks.decimal == ".":
        prices = [column for name, column in columns.items() if name in PRICES]
        point = undecided_point(prices, [c for n, c in columns.items() if n not in PRICES])
        marks = Marks("", unclear=point) if point else marks
    values = {name: column for name, (column, _) in read.items()}
    text = {name: mask for name, (_, mask) in read.items()}
    if SPLIT in values:
        values[SPLIT], text[SPLIT] = split_factors(columns[SPLIT], values[SPLIT])
    if "volume" in values and (unit := volume_unit(columns["volume"].name)) != 1:
        values["volume"] = values["volume"] * unit
        notes.append(f"volume in units of {unit:,}, as its name {columns['volume'].name!r} says")
    if options.scale != 1:
        for name in PRICES:
            if name in values:
                values[name] = values[name] / options.scale
    return values, text, marks, notes


_Numbers = dict[str, tuple[FloatArray, BoolArray]]


def _with_fractions(
    columns: dict[str, pd.Series], read: _Numbers, odd: list[str]
) -> tuple[dict[str, pd.Series], _Numbers, list[str]]:
    """Columns and their numbers, where prices are in 32nds or eighths; and what to note."""
    prices = {name: columns[name] for name in odd if name in (*PRICES, ADJUSTED_CLOSE)}
    found, said = read_fractions(prices) if prices else ({}, "")
    if not found:
        return columns, read, []
    numbers = {name: (column, np.zeros(len(column), np.bool_)) for name, column in found.items()}
    plain = {name: pd.Series(column) for name, column in found.items()}
    return columns | plain, read | numbers, [said]


def _plain(column: pd.Series) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_float_dtype(column.dtype) or kinds.is_integer_dtype(column.dtype))


def _strings(column: pd.Series) -> list[object]:
    return list(column.dropna().to_numpy(dtype=object))


def _clock_of(parsed: Timestamps, options: TableOptions) -> tuple[dt.tzinfo, list[str]]:
    """The zone in which times are shown, and what to note of it."""
    zone, said = options.time.zone, []
    if parsed.zone is not None and options.stated_zone is None:
        zone = parsed.zone
        said = [f"the clock is {zone}, as the source says"]
    elif zone is dt.UTC and _has_offsets(parsed):
        said = ["times with offsets are shown in UTC; timezone= states their clock"]
    return zone, said + _stamped_within_a_day(parsed, zone)


def _has_offsets(parsed: Timestamps) -> bool:
    """Whether the first time is written in another clock than UTC."""
    wall = parsed.wall[:1]
    return bool((wall != NAT).any() and (wall != parsed.values[:1]).any())


def _stamped_within_a_day(parsed: Timestamps, zone: dt.tzinfo) -> list[str]:
    """A word on daily instants at one time of the UTC day: midnight elsewhere, as a rule."""
    times = parsed.values
    if zone is not dt.UTC or len(times) < 3 or not parsed.aware:
        return []
    of_day = np.unique(times[:1000] % DAY)
    if len(of_day) > 2 or 0 in of_day or np.median(np.diff(times[:1000])) < 0.95 * DAY:
        return []
    shown = " and ".join(str(np.datetime64(int(t), "ns"))[11:16] for t in of_day.tolist())
    return [f"daily bars at {shown} UTC: dates are UTC's; timezone= gives the exchange's own"]
