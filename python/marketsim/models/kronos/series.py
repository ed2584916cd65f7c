"""Check and scale bars given as frames or arrays with timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from blake3 import blake3

from marketsim.arguments import as_numbers
from marketsim.bars import Bars
from marketsim.errors import ArgumentError
from marketsim.models.kronos.config import CLOCK, COLUMNS

Values: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int64]
# One series: bars, a frame with named columns, or rows of open, high, low, close, volume, amount.
OneSeries: TypeAlias = "Bars | pd.DataFrame | npt.ArrayLike"

_PRICES = COLUMNS[:4]
# Added to the standard deviations that columns are divided by.
_LEAST = 1e-5


@dataclass(frozen=True)
class BarSeries:
    """A series to forecast.

    Attributes:
        values: float32 [time, column], as given.
        clock: int64 [time + horizon, 5], minute, hour, weekday, day and month of its timestamps
            and of those to come; what is not known of these, of which no forecast reads any, is 0.
        mean, deviation: float32 [column], what its columns are scaled by.
        clip: where scaled values end, on both sides.
    """

    values: Values
    clock: Indices
    mean: Values
    deviation: Values
    clip: float

    @property
    def scaled(self) -> Values:
        """Float32 [time, column]."""
        scaled: Values = (self.values - self.mean) / self._unit
        return scaled.clip(-self.clip, self.clip)

    def unscaled(self, scaled: Values) -> Values:
        """Values of scaled ones, float32 [..., column]."""
        return scaled * self._unit + self.mean

    def key(self, seed: int) -> npt.NDArray[np.uint64]:
        """Two words that follow from its content and a seed."""
        past = len(self.values)
        digest = blake3(f"kronos paths 1 {seed} {past} ".encode())
        digest.update(np.ascontiguousarray(self.values).tobytes())
        digest.update(np.ascontiguousarray(self.clock[:past]).tobytes())
        return np.frombuffer(digest.digest(16), dtype="<u8").astype(np.uint64)

    @property
    def _unit(self) -> Values:
        return self.deviation + np.float32(_LEAST)


def read_series(
    bars: Sequence[OneSeries] | npt.NDArray[Any],
    timestamps: Sequence[Any] | None,
    future_timestamps: Sequence[Any] | None,
    horizon: int,
    clip: float,
) -> list[BarSeries]:
    """The series of a call of `Kronos.predict_bars`.

    Raises:
        ArgumentError: what they hold cannot be forecast, with the number of the series.
    """
    if isinstance(bars, (Bars, pd.DataFrame, str, bytes)) or not hasattr(bars, "__len__"):
        raise ArgumentError(
            f"bars must be a sequence of series, or an array [series, time, column]: got one "
            f"{type(bars).__name__}; put it in a list"
        )
    count = len(bars)
    for name, given in (("timestamps", timestamps), ("future_timestamps", future_timestamps)):
        if given is not None and (not hasattr(given, "__len__") or len(given) != count):
            size = len(given) if hasattr(given, "__len__") else type(given).__name__
            raise ArgumentError(f"{name} must be one for each of the {count} series: got {size}")
    result = []
    for i, one in enumerate(bars):
        where = f"series {i}"
        values, own = _values(one, where)
        past = own if timestamps is None else timestamps[i]
        after = None if future_timestamps is None else future_timestamps[i]
        clock = _clock(past, after, len(values), horizon, where)
        mean, deviation = _statistics(values)
        if not np.isfinite(deviation).all():
            raise ArgumentError(f"{where} holds values whose differences float32 cannot hold")
        result.append(BarSeries(values, clock, mean, deviation, clip))
    return result


def _values(one: OneSeries, where: str) -> tuple[Values, pd.DatetimeIndex | None]:
    """Float32 [time, column], with the columns that were missing, and timestamps if there are."""
    index: pd.DatetimeIndex | None = None
    if isinstance(one, Bars):
        one = one.frame
    if isinstance(one, pd.DataFrame):
        found = one.index
        index = found if isinstance(found, pd.DatetimeIndex) else None
        columns = _frame_columns(one, where)
    else:
        array = as_numbers(where, one, np.float64)
        if array.ndim != 2 or not len(_PRICES) <= array.shape[1] <= len(COLUMNS):
            raise ArgumentError(
                f"{where} must be [time, column] with {len(_PRICES)} to {len(COLUMNS)} columns, "
                f"{', '.join(COLUMNS)}: got shape {array.shape}"
            )
        columns = dict(zip(COLUMNS, array.T, strict=False))
    values = _completed(columns)
    if not len(values):
        raise ArgumentError(f"{where} holds no rows")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ArgumentError(
            f"{where} must hold finite numbers, within what float32 can hold: "
            f"{COLUMNS[column]} of row {row} is not"
        )
    return values, index


def _frame_columns(frame: pd.DataFrame, where: str) -> dict[str, npt.NDArray[np.float64]]:
    """The columns that Kronos reads, by their names in lower case."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for place, label in enumerate(frame.columns):
        name = str(label).lower()
        if name not in COLUMNS:
            continue
        if name in columns:
            raise ArgumentError(f"{where} has two columns called {name}, but for their case")
        columns[name] = as_numbers(f"{name} of {where}", frame.iloc[:, place], np.float64)
    missing = [name for name in _PRICES if name not in columns]
    if missing:
        raise ArgumentError(f"{where} lacks the columns {', '.join(missing)}")
    return columns


def _completed(columns: dict[str, npt.NDArray[np.float64]]) -> Values:
    """Float32 [time, column] of the columns there are, those missing put in as the original does.

    Without a volume there is no amount either; without an amount it is the volume times the mean
    of the four prices.
    """
    prices = [columns[name] for name in _PRICES]
    zeros = np.zeros(len(prices[0]))
    volume = columns.get("volume", zeros)
    amount = zeros
    if "volume" in columns:
        open_, high, low, close = prices
        amount = columns.get("amount", volume * ((open_ + high + low + close) / 4.0))
    with np.errstate(over="ignore"):
        return np.stack([*prices, volume, amount], axis=1).astype(np.float32)


def _statistics(values: Values) -> tuple[Values, Values]:
    """Means and standard deviations of the columns, added up in float32 as the original does it.

    Its rows come from a frame, which keeps columns contiguous, and the order of adding follows
    from that: at a high level it decides the last digits of the deviations.
    """
    by_column = np.asfortranarray(values)
    with np.errstate(over="ignore", invalid="ignore"):
        return by_column.mean(axis=0), by_column.std(axis=0)


def _clock(past: Any, after: Any, size: int, horizon: int, where: str) -> Indices:
    """What is read off the timestamps, int64 [time + horizon, 5]; see `BarSeries.clock`."""
    if past is None:
        raise ArgumentError(
            f"{where} has no timestamps: give them, or a frame that is indexed by time"
        )
    if after is None and horizon > 1:
        raise ArgumentError(
            f"a horizon of {horizon} needs future_timestamps: those of the {horizon} bars to come"
        )
    before = _timestamps(past, size, f"timestamps of {where}")
    result = np.zeros((size + horizon, len(CLOCK)), dtype=np.int64)
    result[:size] = _fields(before)
    if after is not None:
        coming = _timestamps(after, horizon, f"future_timestamps of {where}")
        if (before.tz is None) != (coming.tz is None):
            raise ArgumentError(f"{where}: either all timestamps have a time zone, or none")
        if not coming[0] > before[-1]:
            raise ArgumentError(
                f"future_timestamps of {where} must be after its last bar, {before[-1]}: "
                f"the first is {coming[0]}"
            )
        result[size:] = _fields(coming)
    return result


def _timestamps(given: Any, size: int, what: str) -> pd.DatetimeIndex:
    try:
        found = pd.DatetimeIndex(given)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} cannot be read as such: {error}") from None
    if len(found) != size:
        raise ArgumentError(f"{what} must be {size}: got {len(found)}")
    if found.hasnans or not found.is_monotonic_increasing or not found.is_unique:
        raise ArgumentError(f"{what} must be known and ascending, each later than the one before")
    return found


def _fields(times: pd.DatetimeIndex) -> Indices:
    """Int64 [time, 5], on the clock of the time zone that timestamps have."""
    names = ["day_of_week" if name == "weekday" else name for name in CLOCK]
    return np.stack([np.asarray(getattr(times, name), np.int64) for name in names], axis=1)
