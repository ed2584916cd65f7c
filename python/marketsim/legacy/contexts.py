"""Which one-step forecasts simulations need, and from what: each of them once.

A simulation of n rows asks, for each price, for the forecasts of its last `horizon` days, each from
the days before. So two simulations of the same data ask for much the same, and 70 of them for 76
days instead of 490.
"""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Series:
    """The returns of one price: what forecasts are made of and from.

    Attributes:
        key: "Close", "Low", "High" or "Open".
        moves: float64 [move], the return at row rows[i] + 1, by the old formula.
        rows: int64 [move], rows of the data that are used: those that miss no other price.
        known: int64 [rows of the data + 1]: how many moves a simulation of so many rows has.
    """

    key: str
    moves: Array
    rows: Indices
    known: Indices

    @classmethod
    def all_of(cls, prices: Prices) -> dict[str, Series]:
        """The series of the four prices of some data.

        A row that misses another price is left out, as the old code did; a missing price of its own
        counts as no move.
        """
        number = len(prices)
        missing = {key: np.isnan(prices[key]) for key in KEYS}
        found = {}
        for key in KEYS:
            moves = relative_moves(prices[key])
            others = [missing[other] for other in KEYS if other != key]
            gaps = (others[0] | others[1] | others[2])[:-1]  # the last row has no next one yet
            known = np.zeros(number + 1, dtype=np.int64)
            known[2:] = np.cumsum(~gaps)
            found[key] = cls(key, moves[~gaps], np.flatnonzero(~gaps), known)
        return found


def asked_moves(
    series: Mapping[str, Series], rows: int, horizon: int, quirks: Quirks
) -> dict[str, Indices]:
    """Which moves of each price a simulation of so many rows has forecast, int64 [forecast].

    They are the last `horizon` ones, or as many as have a move before them; equally many of each
    price, and the last may be one that is still to come. Where there are none, nothing is forecast.
    """
    back = 1 if quirks.stale_forecasts else 0
    last = {key: int(one.known[rows]) - back for key, one in series.items()}
    number = min(horizon, *(max(end, 0) for end in last.values()))
    return {key: np.arange(end - number + 1, end + 1, dtype=np.int64) for key, end in last.items()}


def return_table(prices: Prices, series: Series, symbol: str) -> ReturnTable:
    """The moves of all prices at the rows that one price uses, for the prediction store.

    Where the data are complete these are exactly the returns that the native functions forecast, so
    that records serve both.
    """
    rows = series.rows
    stamps = _timestamps(prices.index)
    first = stamps[:1] if len(stamps) else np.zeros(1, dtype=np.int64)
    whole = len(rows) == len(prices) - 1
    returns = np.empty((len(TARGETS), len(rows)))
    for i, target in enumerate(TARGETS):
        values = _returns(prices[target.capitalize()])
        returns[i] = values if whole else values[rows]
    return ReturnTable(symbol, np.concatenate((first, stamps[rows + 1])), returns)


def plan_for(ends: tuple[int, int], simulations: int, horizon: int) -> ForecastPlan:
    """The plan whose days are the moves first .. last: that of move i is day i + 1 of its table."""
    return ForecastPlan(ends[0] + 1, ends[1] + 2, simulations, horizon)


def _returns(values: Array) -> Array:
    """x[t] / x[t-1] - 1 as the native functions have it; 0 where that is not a finite number."""
    with np.errstate(all="ignore"):
        return finite_or_zero(values[1:] / values[:-1] - 1.0)


def _timestamps(index: pd.Index) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 of each row; of an index without dates, the rows' numbers."""
    if not isinstance(index, pd.DatetimeIndex):
        return np.arange(len(index), dtype=np.int64)
    stamps = index if index.unit == "ns" else index.as_unit("ns")
    return np.asarray(stamps.asi8, dtype=np.int64)  # of an index with a time zone, too, in UTC
