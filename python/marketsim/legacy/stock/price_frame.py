"""Prices of a frame, their moves, and which one-step forecasts simulations need: each once.

Columns have names of any case. A simulation of n rows asks, for each price, for the forecasts of
its last `horizon` days, each from the days before. So two simulations of the same data ask for much
the same, and 70 of them for 76 days instead of 490.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.forecasts import ForecastPlan, ReturnTable
from marketsim.legacy.stock.quirks import Quirks

Array = npt.NDArray[np.float64]

KEYS = ("Close", "Low", "High", "Open")
"""What is forecast, in the order of the old code."""


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """The label of a column: the name itself, or the first that differs in case only.

    Raises:
        UnknownNameError: there is none.

    Example:
        >>> column_of(pd.DataFrame({"close": [1.0]}), "Close")
        'close'
    """
    label = _find(frame, name)
    if label is None:
        raise UnknownNameError("column", name, map(str, frame.columns))
    return label


def _find(frame: pd.DataFrame, name: str) -> Any:
    if name in frame.columns:
        return name
    wanted = name.lower()
    return next((c for c in frame.columns if str(c).lower() == wanted), None)


def column_values(frame: pd.DataFrame, name: str) -> Array:
    """A column as float64 [row]; of columns of one name the first.

    Raises:
        UnknownNameError: there is no such column.
        ArgumentError: it does not hold numbers.
    """
    values = frame[column_of(frame, name)]
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0]
    try:
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu":
            return np.asarray(values.to_numpy(), dtype=np.float64)
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"column {name} must hold numbers: {error}") from None


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    """`column_values` of several columns, [name, row]."""
    labels = [column_of(frame, name) for name in names]
    if len(frame.columns) == len(set(labels)):
        # These are all there are: they come out of the frame together much faster.
        values = frame.to_numpy()
        if values.dtype == np.float64:
            at = [frame.columns.get_loc(label) for label in labels]
            found: Array = values.T[at]  # type: ignore[index]
            return found
    return np.stack([column_values(frame, label) for label in labels])


@dataclass(frozen=True)
class Prices:
    """Open, high, low and close, and the volume where there is one.

    Attributes:
        index: the frame's.
        values: float64 [price, row], prices in the order `KEYS`.
        volume: float64 [row]; None if the frame has none.
    """

    index: pd.Index
    values: Array
    volume: Array | None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Prices:
        """Raises what `column_values` raises."""
        if not isinstance(frame, pd.DataFrame):
            raise ArgumentError(f"data must be a DataFrame of prices: got {type(frame).__name__}")
        if _find(frame, "Volume") is None:
            return cls(frame.index, _columns(frame, KEYS), None)
        values = _columns(frame, (*KEYS, "Volume"))
        return cls(frame.index, values[:-1], values[-1])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: str) -> Array:
        column: Array = self.values[KEYS.index(key)]
        return column


def relative_moves(values: Array) -> Array:
    """(x[t] - x[t-1]) / x[t-1] of rows 1 and on, [.., row - 1]; 0 where that is not finite."""
    before = values[..., :-1]
    with np.errstate(all="ignore"):
        moves = values[..., 1:] - before
        moves /= before
        return finite_or_zero(moves)


def finite_or_zero(values: Array) -> Array:
    """The values, with 0 in the place of those that are not finite numbers; changed in place."""
    with np.errstate(all="ignore"):
        if not np.isfinite(np.add.reduce(values, axis=None)):  # finite ones may add up to infinity
            values[~np.isfinite(values)] = 0.0
    return values


def pre_process_data(x_train: pd.DataFrame, key_to_predict: str) -> pd.DataFrame:
    """A copy of the frame in which one column holds its own moves: 1.0 first, then as fractions.

    A move from 0, or one that is not a finite number, is 0.

    Raises:
        UnknownNameError: the frame has no such column, in any case of its name.
        ArgumentError: the column does not hold numbers.

    Example:
        >>> frame = pd.DataFrame({"Close": [10.0, 11.0], "Volume": [5, 6]})
        >>> pre_process_data(frame, "Close")["Close"].round(6).tolist()
        [1.0, 0.1]
    """
    label = column_of(x_train, key_to_predict)
    changed = x_train.copy(deep=True)
    values = column_values(x_train, label)
    if len(values):
        changed[label] = np.concatenate(([1.0], relative_moves(values)))
    return changed


Indices = npt.NDArray[np.int64]

# By the unit of an index; the last time that nanoseconds reach.
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_LAST = (1 << 63) - 1
_IN_ORDER_OF_TARGETS = [KEYS.index(target.capitalize()) for target in TARGETS]


@dataclass(frozen=True)
class Series:
    """The returns of one price: what forecasts are made of and from.

    Attributes:
        key: "Close", "Low", "High" or "Open".
        prices: float64 [row of the data].
        rows: int64 [move], rows of the data that are used: those that miss no other price.
        known: int64 [rows of the data + 1]: how many moves a simulation of so many rows has.
    """

    key: str
    prices: Array
    rows: Indices
    known: Indices

    def moves_at(self, which: Indices) -> Array:
        """Some moves, float64 [...]: the returns at rows[which] + 1, by the old formula."""
        rows = self.rows[which]
        before = self.prices[rows]
        with np.errstate(all="ignore"):
            return finite_or_zero((self.prices[rows + 1] - before) / before)

    @classmethod
    def all_of(cls, prices: Prices) -> dict[str, Series]:
        """The series of the four prices of some data.

        A row that misses another price is left out, as the old code did; a missing price of its own
        counts as no move.
        """
        number = len(prices)
        missing: npt.NDArray[np.bool_] = np.isnan(prices.values)
        if not missing.any():  # all four have the same rows
            known = np.arange(-1, number)
            known[0] = 0
            rows = known[1:number]
            return {key: cls(key, prices.values[i], rows, known) for i, key in enumerate(KEYS)}
        found = {}
        for i, key in enumerate(KEYS):
            others = np.delete(missing, i, axis=0)
            used = ~np.logical_or.reduce(others, axis=0)[:-1]  # the last row has no next one yet
            known = np.zeros(number + 1, dtype=np.int64)
            known[2:] = np.cumsum(used)
            found[key] = cls(key, prices.values[i], np.flatnonzero(used), known)
        return found

    @staticmethod
    def have_same_rows(series: Mapping[str, Series]) -> bool:
        """Whether no price misses a row that another one has."""
        first = series[KEYS[0]].rows
        rows = (one.rows for one in series.values())
        return all(one is first or np.array_equal(one, first) for one in rows)


def all_moves(prices: Prices, series: Mapping[str, Series]) -> list[npt.NDArray[np.float32]]:
    """All moves of each price, float32 [move], in the order `KEYS`; see `Series.moves_at`."""
    moves = relative_moves(prices.values).astype(np.float32)
    used = [series[key].rows for key in KEYS]
    return [
        of_price if len(rows) == len(of_price) else of_price[rows]
        for of_price, rows in zip(moves, used, strict=True)
    ]


def last_moves(series: Mapping[str, Series], rows: Sequence[int], quirks: Quirks) -> Indices:
    """The last move that simulations of so many rows have forecast, int64 [price, simulation].

    It may be one that is still to come. It is 0 or -1 where nothing is forecast: a move before it
    is needed.
    """
    back = 1 if quirks.stale_forecasts else 0
    return np.array([series[key].known[rows] for key in KEYS]) - back


def moves_before(last: Indices, number: int) -> Indices:
    """The last `number` moves up to the last ones, [.., forecast] of [..]."""
    return last[..., None] + np.arange(1 - number, 1)


def return_table(prices: Prices, series: Series, symbol: str) -> ReturnTable:
    """The moves of all prices at the rows that one price uses, for the prediction store.

    Where the data are complete these are exactly the returns that the native functions forecast, so
    that records serve both.
    """
    rows = series.rows
    stamps = _timestamps(prices.index)
    first = stamps[:1] if len(stamps) else np.zeros(1, dtype=np.int64)
    returns = _returns(prices.values[_IN_ORDER_OF_TARGETS])
    if len(rows) < len(prices) - 1:
        returns = np.ascontiguousarray(returns[:, rows])
    return ReturnTable(symbol, np.concatenate((first, stamps[rows + 1])), returns)


def plan_for(ends: tuple[int, int], simulations: int, horizon: int) -> ForecastPlan:
    """The plan whose days are the moves first .. last: that of move i is day i + 1 of its table."""
    return ForecastPlan(ends[0] + 1, ends[1] + 2, simulations, horizon)


def _returns(values: Array) -> Array:
    """x[t] / x[t-1] - 1 as the native functions have it; 0 where that is not a finite number."""
    with np.errstate(all="ignore"):
        ratios = values[..., 1:] / values[..., :-1]
        ratios -= 1.0
        return finite_or_zero(ratios)


def _timestamps(index: pd.Index) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 of each row; of an index without dates, the rows' numbers."""
    if not isinstance(index, pd.DatetimeIndex):
        return np.arange(len(index), dtype=np.int64)
    stamps = np.asarray(index.asi8, dtype=np.int64)  # of an index with a time zone, too, in UTC
    factor = _NANOSECONDS[index.unit]
    if factor == 1:
        return stamps
    if len(stamps) and max(-int(stamps.min()), int(stamps.max())) > _LAST // factor:
        return np.asarray(index.as_unit("ns").asi8, dtype=np.int64)  # a missing one, or an error
    return stamps * factor
