"""Which one-step forecasts simulations need, and from what: each of them once.

A simulation of n rows asks, for each price, for the forecasts of its last `horizon` days, each from
the days before. So two simulations of the same data ask for much the same, and 70 of them for 76
days instead of 490.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.forecasts import ForecastPlan, ReturnTable
from marketsim.legacy.price_frame import KEYS, Prices, finite_or_zero, relative_moves
from marketsim.legacy.quirks import Quirks

Array = npt.NDArray[np.float64]
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
