"""Candles in the old forms, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError

Array = npt.NDArray[np.float64]
COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Candles:
    """Bars as float64 arrays [row]; `time` in nanoseconds, None where it is not needed."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    time: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.close)

    def upto(self, row: int) -> Candles:
        """The rows up to and including one."""
        end = row + 1
        return Candles(
            self.open[:end],
            self.high[:end],
            self.low[:end],
            self.close[:end],
            self.volume[:end],
            self.time,
        )


def nanoseconds(stamps: Any) -> npt.NDArray[np.int64] | None:
    """Timestamps of any of the old forms (dates, text, integers of nanoseconds) as integers."""
    if stamps is None or len(stamps) == 0:
        return None
    array = np.asarray(stamps)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind != "M":
        import pandas as pd

        index = pd.DatetimeIndex(pd.to_datetime(list(stamps)))
        if index.tz is not None:
            index = index.tz_convert("UTC").tz_localize(None)
        array = index.to_numpy()
    whole: npt.NDArray[np.int64] = array.astype("datetime64[ns]").astype(np.int64)
    return whole


def from_dict(candles: Mapping[str, Any]) -> Candles:
    """The old dictionary of columns.

    Raises:
        ArgumentError: a column is missing, or lengths differ.
    """
    missing = [name for name in COLUMNS if name not in candles]
    if missing:
        raise ArgumentError(f"candles: {missing[0]!r} is missing: expected {', '.join(COLUMNS)}")
    arrays = {name: np.ascontiguousarray(candles[name], np.float64) for name in COLUMNS}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ArgumentError(f"All OHLCV lists must have same length: got {lengths}")
    return Candles(**arrays, time=None)


def from_frame(frame: Any) -> Candles:
    """The old DataFrame with the column `timestamp`."""
    arrays = {name: np.ascontiguousarray(frame[name], np.float64) for name in COLUMNS}
    return Candles(**arrays, time=nanoseconds(frame["timestamp"]))


def from_rows(rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows (timestamp, open, high, low, close, volume) as the dictionary of columns."""
    return {name: [row[k] for row in rows] for k, name in enumerate(COLUMNS, start=1)}
