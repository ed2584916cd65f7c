"""Candles in the old forms, as arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_numbers
from marketsim.errors import ArgumentError, FileFormatError

if TYPE_CHECKING:
    import pandas as pd

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


def read_frame(content: Path | io.BytesIO, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """Columns of a file of candles; timestamps with a zone become naive ones in UTC.

    Raises:
        FileFormatError: it is no Parquet file with these columns.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(content, columns=list(columns))
        stamps = pd.to_datetime(frame["timestamp"])
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = str(error).partition("\n")[0]
        raise FileFormatError(
            f"{path}: expected a Parquet file with {', '.join(columns)}: {reason}"
        ) from error
    if stamps.dt.tz is not None:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    frame["timestamp"] = stamps
    return frame


def within(frame: pd.DataFrame, start: str | None, end: str | None) -> pd.DataFrame:
    """Rows with start <= timestamp <= end; a bare date is its midnight.

    Raises:
        ArgumentError: no date.
    """
    import pandas as pd

    for name, text in (("start", start), ("end", end)):
        if not text:
            continue
        try:
            stamp = pd.Timestamp(text)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"{name}: expected a date YYYY-MM-DD, got {text!r}") from error
        if stamp.tzinfo is not None:
            stamp = stamp.tz_convert("UTC").tz_localize(None)
        stamps = frame["timestamp"]
        frame = frame[stamps >= stamp if name == "start" else stamps <= stamp]
    return frame


def _columns(candles: Any) -> dict[str, Array]:
    missing = [name for name in COLUMNS if candles is None or name not in candles]
    if missing:
        raise ArgumentError(f"candles: {missing[0]!r} is missing: expected {', '.join(COLUMNS)}")
    return {name: np.ascontiguousarray(as_numbers(name, candles[name], np.float64))
            for name in COLUMNS}  # fmt: skip


def from_dict(candles: Mapping[str, Any]) -> Candles:
    """The old dictionary of columns.

    Raises:
        ArgumentError: a column is missing or no numbers, or lengths differ.
    """
    arrays = _columns(candles)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ArgumentError(f"All OHLCV lists must have same length: got {lengths}")
    return Candles(**arrays, time=None)


def from_frame(frame: Any) -> Candles:
    """The old DataFrame with the column `timestamp`.

    Raises:
        ArgumentError: a column is missing or no numbers, or a timestamp is before the one above it.
    """
    arrays = _columns(frame)
    if "timestamp" not in frame:
        raise ArgumentError("candles: 'timestamp' is missing")
    time = nanoseconds(frame["timestamp"])
    if time is not None and len(none := np.flatnonzero(time == np.iinfo(np.int64).min)):
        raise ArgumentError(f"candles: row {int(none[0])} has no timestamp (NaT)")
    if time is not None and len(back := np.flatnonzero(np.diff(time) < 0)):
        row = int(back[0]) + 1
        raise ArgumentError(
            f"candles: timestamps must ascend: row {row}, {np.datetime64(int(time[row]), 'ns')}, "
            f"is before row {row - 1}; sort the frame by timestamp"
        )
    return Candles(**arrays, time=time)


def from_rows(rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows (timestamp, open, high, low, close, volume) as the dictionary of columns."""
    return {name: [row[k] for row in rows] for k, name in enumerate(COLUMNS, start=1)}
