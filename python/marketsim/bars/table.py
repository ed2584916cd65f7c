"""The columns of one source as numbers, before any judgement, with what was not a number."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.columns import ADJUSTED_CLOSE, PRICES, Selection
from marketsim.bars.timestamps import (
    NAT,
    BoolArray,
    IntArray,
    ObjectArray,
    parse_timestamps,
)

FloatArray = npt.NDArray[np.float64]


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
        adjusted: the caller's choice about the adjusted close.

    """

    rows: IntArray
    times: IntArray
    faults: npt.NDArray[np.uint8]
    values: dict[str, FloatArray]
    text: dict[str, BoolArray]
    selection: Selection
    timezone: dt.tzinfo
    read_as: str
    adjusted: bool | None

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
            values={name: column[chosen] for name, column in self.values.items()},
            text={name: column[chosen] for name, column in self.text.items()},
        )

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
        """Write the timestamp of a row as given."""
        raw = self.selection.timestamps
        assert raw is not None, "only rows of a source of timestamps have a fault"
        position = int(self.rows[row])
        return quoted(raw[position] if isinstance(raw, pd.Index) else raw.iloc[position])


def quoted(cell: object) -> str:
    """Write a cell of the source for a message, at most 40 characters."""
    text = repr(cell) if isinstance(cell, str) else repr(str(cell))
    return text if len(text) <= 40 else f"{text[:36]}...'"


def build_table(
    frame: pd.DataFrame, selection: Selection, timezone: dt.tzinfo, adjusted: bool | None
) -> Table:
    """Convert the selected columns of a frame."""
    count = len(frame)
    values, text = {}, {}
    for name, column in selection.columns.items():
        if name != ADJUSTED_CLOSE or adjusted is not False:
            values[name], text[name] = to_numbers(column)
    times, faults, read_as = np.full(count, NAT, np.int64), np.zeros(count, np.uint8), ""
    if selection.timestamps is not None:
        parsed = parse_timestamps(selection.timestamps, timezone)
        times, faults, read_as = parsed.values, parsed.faults, parsed.read_as
    return Table(
        rows=np.arange(count, dtype=np.int64),
        times=times,
        faults=faults,
        values=values,
        text=text,
        selection=selection,
        timezone=timezone,
        read_as=read_as,
        adjusted=adjusted,
    )


def to_numbers(column: pd.Series) -> tuple[FloatArray, BoolArray]:
    """Convert a column to float64 [row], with a mask of the cells that are not numbers.

    Missing cells become NaN and are not in the mask. Text is read as Python's float() reads it,
    which rounds correctly, so a number next to a bad cell keeps its last bit.
    """
    kinds = pd.api.types
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column, dtype = column.astype(object), np.dtype(object)
    clean = np.zeros(len(column), np.bool_)
    plain = kinds.is_float_dtype(dtype) or kinds.is_integer_dtype(dtype)
    if plain:
        return column.to_numpy(dtype=np.float64, na_value=np.nan), clean
    missing = np.asarray(column.isna(), dtype=np.bool_)
    if not (kinds.is_object_dtype(dtype) or kinds.is_string_dtype(dtype)):
        return np.full(len(column), np.nan), ~missing  # booleans, dates, durations, complex
    cells: ObjectArray = column.to_numpy(dtype=object, na_value=np.nan)
    if kinds.infer_dtype(cells, skipna=True) in ("string", "empty", "integer", "floating"):
        try:
            return cells.astype(np.float64), clean
        except (ValueError, TypeError, OverflowError):
            pass  # some cell is not a number: find out which
    numbers = [np.nan if gap else _number(cell) for cell, gap in zip(cells, missing, strict=True)]
    text = np.array([number is None for number in numbers], np.bool_)
    return np.array([np.nan if n is None else n for n in numbers], np.float64), text


def _number(cell: object) -> float | None:
    if isinstance(cell, bool | np.bool_ | complex | np.complexfloating):
        return None
    try:
        return float(cell)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return None
