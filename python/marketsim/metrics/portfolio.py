"""The portfolio of strategies that run on many symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from marketsim.errors import ArgumentError, UnknownNameError

Weights = Literal["equal", "volatility"]
WEIGHTS: tuple[Weights, ...] = ("equal", "volatility")
VOLATILITY_DAYS = 60


def portfolio_returns(
    returns: Mapping[str, pd.DataFrame],
    *,
    weights: Weights = "equal",
    closes: Mapping[str, pd.Series[float]] | None = None,
) -> pd.DataFrame:
    """Compute net returns [day, strategy] of the portfolio of many symbols.

    The capital is divided anew each day, at no cost, over the symbols that have a return on the
    day. A symbol's weight uses only closes of earlier days.

    Args:
        returns: net returns of each strategy by day (`WalkForwardResult.returns`), by symbol;
            strategies that not every symbol has are left out.
        weights: "equal"; or "volatility": by the inverse of the standard deviation of the last 60
            daily returns of the closes before the day. A symbol with fewer than 20 of them, or
            with none that moves, gets the mean weight of the others.
        closes: daily closes by symbol, for "volatility".

    Returns:
        A row a day that any symbol has, a column a strategy.

    Raises:
        ArgumentError: no symbols, no strategy that all have, or no closes for "volatility".
        UnknownNameError: unknown `weights`.

    Example:
        >>> days = pd.to_datetime(["2024-01-02", "2024-01-03"])
        >>> a = pd.DataFrame({"hold": [0.02, 0.0]}, days)
        >>> b = pd.DataFrame({"hold": [0.04]}, days[:1])
        >>> portfolio_returns({"A": a, "B": b})["hold"].tolist()
        [0.03, 0.0]
    """
    if weights not in WEIGHTS:
        raise UnknownNameError("weights", weights, WEIGHTS)
    if not returns:
        raise ArgumentError("a portfolio needs at least one symbol: got none")
    first = next(iter(returns.values()))
    shared = [name for name in first.columns if all(name in f.columns for f in returns.values())]
    if not shared:
        raise ArgumentError("a portfolio needs a strategy that every symbol has: got none")
    days = pd.DatetimeIndex(sorted(set().union(*(frame.index for frame in returns.values()))))
    cube = np.stack(
        [frame.reindex(days)[shared].to_numpy(np.float64) for frame in returns.values()]
    )
    present = ~np.isnan(cube).any(axis=2)
    if weights == "equal":
        weight = present.astype(np.float64)
    else:
        if closes is None or any(symbol not in closes for symbol in returns):
            raise ArgumentError("volatility weights need the daily closes of every symbol: closes=")
        scale = np.stack([_inverse_volatility(closes[symbol], days) for symbol in returns])
        known = np.where(present, scale, np.nan)
        counts = (~np.isnan(known)).sum(axis=0)
        mean = np.nansum(known, axis=0) / np.maximum(counts, 1)
        mean = np.where(counts > 0, mean, 1.0)
        weight = np.where(present, np.where(np.isnan(known), mean, known), 0.0)
    weight /= weight.sum(axis=0)
    total = (weight[:, :, None] * np.where(present[:, :, None], cube, 0.0)).sum(axis=0)
    return pd.DataFrame(total, index=days, columns=pd.Index(shared))


def _inverse_volatility(
    close: pd.Series[float], days: pd.DatetimeIndex
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return 1 / standard deviation of the last 60 returns before each day; NaN if unknown or 0."""
    moves = close.pct_change()
    spread = moves.rolling(VOLATILITY_DAYS, min_periods=20).std()
    before = np.searchsorted(close.index.to_numpy(), days.to_numpy(), side="left") - 1
    values = spread.to_numpy(np.float64)
    found = np.where(before >= 0, values[np.maximum(before, 0)], np.nan)
    return np.where(found > 0.0, 1.0 / np.where(found > 0.0, found, 1.0), np.nan)
