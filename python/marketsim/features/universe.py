"""Features across symbols: where a symbol stands among the others at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.features.pipeline import FeatureTable

Array = npt.NDArray[np.float64]
WAYS = ("demean", "rank", "zscore")


class CrossSection(NamedTuple):
    """A feature across symbols: values float64 [time, symbol], NaN where a symbol has none."""

    timestamps: npt.NDArray[np.datetime64]
    symbols: tuple[str, ...]
    values: Array

    def of(self, symbol: str, stamps: npt.NDArray[np.datetime64]) -> Array:
        """The column of one symbol at its own rows, an extra column for a pipeline.

        Raises:
            ArgumentError: a timestamp at which no symbol has a row.
        """
        if symbol not in self.symbols:
            raise UnknownNameError("symbol", symbol, self.symbols)
        at = np.searchsorted(self.timestamps, stamps)
        there = at < len(self.timestamps)
        there[there] = self.timestamps[at[there]] == stamps[there]
        if not there.all():
            raise ArgumentError(
                f"no symbol has a row at {stamps[int(np.argmin(there))]}: expected timestamps of "
                "the tables; `join` brings features to other times"
            )
        return np.asarray(self.values[at, self.symbols.index(symbol)])


def cross_section(
    tables: Mapping[str, FeatureTable], feature: str, how: str = "rank"
) -> CrossSection:
    """A feature of every symbol against that of the others at the same timestamp.

    Args:
        tables: features by symbol; a symbol may lack timestamps that others have.
        feature: its name.
        how: see `across`.

    Example:
        >>> day = np.array(["2024-01-01"], "datetime64[ns]")
        >>> high, low = (FeatureTable(np.array([[x]]), ("up",), day) for x in (3.0, 1.0))
        >>> cross_section({"A": high, "B": low}, "up").values.tolist()
        [[1.0, 0.0]]

    """
    if not tables:
        raise ArgumentError("tables: expected at least one symbol")
    for symbol, table in tables.items():
        if (np.diff(table.timestamps.astype("datetime64[ns]").astype(np.int64)) <= 0).any():
            raise ArgumentError(f"{symbol}: timestamps must ascend, each once")
    symbols = tuple(tables)
    stamps = np.unique(np.concatenate([table.timestamps for table in tables.values()]))
    values = np.full((len(stamps), len(symbols)), np.nan)
    for i, table in enumerate(tables.values()):
        values[np.searchsorted(stamps, table.timestamps), i] = table[feature]
    return CrossSection(stamps, symbols, across(values, how))


def across(values: Array, how: str = "rank") -> Array:
    """Each number against the others of its row, float64 [..., symbol]; NaN does not count.

    how: "rank": 0 for the smallest to 1 for the largest, the mean of their ranks for equal ones,
    0.5 for one alone; "demean": less the mean; "zscore": less the mean, in population deviations,
    NaN where all are equal.

    Example:
        >>> across(np.array([1.0, 3.0, 3.0, np.nan])).tolist()
        [0.0, 0.75, 0.75, nan]

    """
    if how not in WAYS:
        raise UnknownNameError("cross-section", how, WAYS)
    rows = np.asarray(values, dtype=np.float64)
    if rows.shape[-1] == 0:
        return rows.copy()
    there = ~np.isnan(rows)
    count = there.sum(-1, keepdims=True)
    if how == "rank":
        return np.asarray(_ranks(rows, there, count))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(there, rows - _sum(np.where(there, rows, 0.0)) / count, np.nan)
        if how == "demean":
            return np.asarray(apart)
        spread = np.sqrt(_sum(np.where(there, apart * apart, 0.0)) / count)
        return np.where(spread > 0, apart / spread, np.nan)


def _sum(values: Array) -> Array:
    """From the first symbol to the last: the same bits for one row and for many."""
    total: Array = np.zeros((*values.shape[:-1], 1))
    for i in range(values.shape[-1]):
        total = total + values[..., i : i + 1]
    return total


def _ranks(rows: Array, there: npt.NDArray[np.bool_], count: npt.NDArray[np.int64]) -> Array:
    flat, known = rows.reshape(-1, rows.shape[-1]), there.reshape(-1, rows.shape[-1])
    ranks = np.full(flat.shape, np.nan)
    for row, mask, rank in zip(flat, known, ranks, strict=True):
        ordered = np.sort(row[mask])
        below = np.searchsorted(ordered, row[mask], side="left")
        through = np.searchsorted(ordered, row[mask], side="right")
        rank[mask] = (below + through - 1) / 2.0
    among: Array = ranks.reshape(rows.shape) / np.maximum(count - 1, 1)
    return np.where(count > 1, among, np.where(there, 0.5, np.nan))
