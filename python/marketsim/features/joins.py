"""Columns from elsewhere, each at the row from which it is known.

- `join`: features of a higher timeframe, used only after its bar closed.
- `forecast_columns`: stored forecasts of a model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.features.pipeline import FeatureTable

if TYPE_CHECKING:
    from marketsim.forecasts.cube import ForecastCube

Array = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.datetime64]


def _nanoseconds(name: str, duration: str) -> int:
    import pandas as pd

    try:
        length = int(pd.Timedelta(duration).value)
    except (ValueError, TypeError) as reason:
        raise ArgumentError(
            f'{name}: expected a duration such as "1D" or "15min": got {duration!r} ({reason})'
        ) from reason
    if length <= 0:
        raise ArgumentError(f"{name} must be longer than nothing: got {duration!r}")
    return length


def join(
    table: FeatureTable,
    stamps: Stamps,
    *,
    table_bar: str,
    bar: str,
    prefix: str,
    stale: str | None = None,
) -> dict[str, Array]:
    """Features of a higher timeframe as extra columns of a lower one.

    A row takes the newest higher bar that had closed when the row's own bar closed. Timestamps are
    those of opens, so a bar closes its duration after its timestamp.

    Args:
        table: features of the higher timeframe, as of their own row ("current").
        stamps: timestamps of the lower timeframe's rows.
        table_bar: how long a higher bar lasts, for example "1D".
        bar: how long a lower bar lasts, for example "1h".
        prefix: of the columns' names.
        stale: NaN where the higher bar closed longer ago than this.

    Returns:
        float64 columns by name, NaN where no higher bar had closed.

    Example:
        >>> days = np.array(["2024-01-01", "2024-01-02"], "datetime64[ns]")
        >>> table = FeatureTable(np.array([[1.0], [2.0]]), ("trend",), days)
        >>> hours = np.array(["2024-01-01T23", "2024-01-02T00"], "datetime64[ns]")
        >>> join(table, hours, table_bar="1D", bar="1h", prefix="daily.")["daily.trend"].tolist()
        [1.0, 1.0]

    """
    closed = _as_numbers(table.timestamps) + _nanoseconds("table_bar", table_bar)
    now = _as_numbers(stamps) + _nanoseconds("bar", bar)
    if (np.diff(closed) <= 0).any() or (np.diff(now) <= 0).any():
        raise ArgumentError("join: timestamps must ascend, each once")
    at = np.searchsorted(closed, now, side="right") - 1
    known = at >= 0
    if stale is not None and len(closed):
        known &= now - closed[at] <= _nanoseconds("stale", stale)
    if not len(closed):
        return {prefix + name: np.full(len(now), np.nan) for name in table.names}
    return {prefix + name: np.where(known, table[name][at], np.nan) for name in table.names}


class JoinStream:
    """The same, bar by bar: `higher` as a higher bar closes, `at` for each lower bar."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        table_bar: str,
        bar: str,
        prefix: str,
        stale: str | None = None,
    ) -> None:
        self._names = [prefix + name for name in names]
        self._table_bar = _nanoseconds("table_bar", table_bar)
        self._bar = _nanoseconds("bar", bar)
        self._stale = None if stale is None else _nanoseconds("stale", stale)
        self._waiting: deque[tuple[int, Array]] = deque()
        self._known: tuple[int, Array] | None = None
        self._newest: int | None = None  # close of the newest higher bar
        self._now: int | None = None  # close of the newest lower bar

    def higher(self, stamp: Any, values: Array) -> None:
        """Hand in a higher bar's features; they are used once it has closed."""
        closes = _number_of(stamp) + self._table_bar
        if self._newest is not None and closes <= self._newest:
            raise ArgumentError(f"higher: expected a bar after the one before: got {stamp}")
        row = np.array(values, dtype=np.float64)
        if row.shape != (len(self._names),):
            raise ArgumentError(
                f"higher: expected {len(self._names)} features: got shape {row.shape}"
            )
        self._newest = closes
        self._waiting.append((closes, row))

    def at(self, stamp: Any) -> dict[str, float]:
        """The columns at a lower bar."""
        now = _number_of(stamp) + self._bar
        if self._now is not None and now <= self._now:
            raise ArgumentError(f"at: expected a bar after the one before: got {stamp}")
        self._now = now
        while self._waiting and self._waiting[0][0] <= now:
            self._known = self._waiting.popleft()
        known = self._known
        if known is None or (self._stale is not None and now - known[0] > self._stale):
            return dict.fromkeys(self._names, float("nan"))
        return dict(zip(self._names, known[1].tolist(), strict=True))


def forecast_columns(
    cube: ForecastCube,
    rows: int,
    *,
    target: str = "close",
    levels: Sequence[float] = (0.1, 0.9),
    prefix: str = "forecast.",
) -> dict[str, Array]:
    """Stored forecasts as extra columns: mean, quantiles, and the band between the outer ones.

    Row t holds the forecast *of* row t, which was made from the rows before it alone; so it may be
    used at row t whatever the as-of row is.

    Args:
        cube: from `PredictionStore.cube(bars, model)`.
        rows: of the bars.
        target: open, high, low or close.
        levels: of the quantiles, at least one.
        prefix: of the columns' names.

    Returns:
        `<prefix><target>.mean`, `.q<level>` each and `.band`: float64 [row], log moves against the
        previous close; NaN where there is no forecast.
    """
    from marketsim.bars import TARGETS
    from marketsim.errors import UnknownNameError

    if target not in TARGETS:
        raise UnknownNameError("target", target, TARGETS)
    if not levels or not all(0 < level < 1 for level in levels):
        raise ArgumentError(f"levels: expected numbers between 0 and 1: got {list(levels)}")
    column = list(TARGETS).index(target)
    distribution = cube.distribution
    quantiles = np.asarray(distribution.quantile(sorted(levels)))[:, column]
    found = {"mean": np.asarray(distribution.mean)[:, column]}
    found |= {f"q{level:g}": quantiles[:, i] for i, level in enumerate(sorted(levels))}
    found["band"] = quantiles[:, -1] - quantiles[:, 0]
    columns = {}
    if rows < cube.first + len(quantiles):
        raise ArgumentError(
            f"rows: the forecasts reach row {cube.first + len(quantiles) - 1}: expected those of "
            f"their bars, got {rows}"
        )
    for name, values in found.items():
        whole = np.full(rows, np.nan)
        whole[cube.first : cube.first + len(values)] = values
        columns[f"{prefix}{target}.{name}"] = whole
    return columns


def _number_of(stamp: Any) -> int:
    moment = np.datetime64(stamp, "ns")
    if np.isnat(moment):
        raise ArgumentError("stamp: expected a time: got NaT")
    return int(moment.astype(np.int64))


def _as_numbers(stamps: Stamps) -> npt.NDArray[np.int64]:
    return np.asarray(stamps).astype("datetime64[ns]").astype(np.int64)
