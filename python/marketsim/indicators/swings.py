"""Confirmed swing highs and lows, and Fibonacci levels between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from marketsim.indicators.compute import Array, Lags, several

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RATIOS = (0.382, 0.5, 0.618, 0.786)


class Swings(NamedTuple):
    """The newest swing high and low that each row knows: float64 [..., row] each.

    Attributes:
        high: price of the newest swing high.
        high_row: its row.
        high_known_at: the row from which it is known: `depth` rows later.
        highs: how many swing highs there are; 0 where the largest high so far stands in for one,
            which is known at its own row.
        low: price of the newest swing low; low_row, low_known_at, lows as for the high.
    """

    high: Array
    high_row: Array
    high_known_at: Array
    highs: Array
    low: Array
    low_row: Array
    low_known_at: Array
    lows: Array


def swings(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    *,
    depth: int = 6,
    most: int = 8,
    reach: int = 250,
    spacing: int = 10,
    threshold: float = 1.1,
    least: float = 0.45,
    step: float = 0.2,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Swings:
    """The newest swing high and low that is known at each row, with the row it became known at.

    A row is a swing high when the `depth` highs on either side are all below it, so it is known
    `depth` rows later, and no value uses it before. It counts where high - low is at least a
    multiple of the average true range (exponential, 14 rows, from the first row's range): first
    `threshold`, then less by `step` down to `least`, until there is both a high and a low. Those
    more than `reach` rows before the newest are dropped; of the others one stays when it is more
    than `spacing` rows after the last that stayed; the newest `most` stay. Where none is left, the
    first row of the largest high (smallest low) so far stands in.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`. Rows count from the first of the
    arrays, with lookback too.

    Example:
        >>> high = [1.0, 2.0, 1.5, 1.0, 0.5]
        >>> found = swings(high, high, high, depth=1, least=0.0)
        >>> found.high_row.tolist(), found.high_known_at.tolist()
        ([0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 2.0, 2.0])

    """
    found = several(
        "swings",
        "",
        (high, low, close),
        (lookback, lag, out),
        depth=depth,
        most=most,
        reach=reach,
        spacing=spacing,
        threshold=threshold,
        least=least,
        step=step,
    )
    return Swings(*found)


def fibonacci_levels(high: ArrayLike, low: ArrayLike, ratios: Sequence[float] = RATIOS) -> Array:
    """Prices high - ratio * (high - low): float64 [..., ratio].

    Example:
        >>> fibonacci_levels(110.0, 100.0, (0.5, 0.618)).tolist()
        [105.0, 103.82]

    """
    top, bottom = np.asarray(high, float)[..., None], np.asarray(low, float)[..., None]
    return np.asarray(top - np.asarray(ratios, float) * (top - bottom))


def fibonacci_distances(
    price: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    scale: ArrayLike,
    ratios: Sequence[float] = RATIOS,
) -> Array:
    """How far the price stands above each level, in units of `scale` (an ATR): [..., ratio].

    Example:
        >>> fibonacci_distances(106.0, 110.0, 100.0, 2.0, (0.5,)).tolist()
        [0.5]

    """
    apart = np.asarray(price, float)[..., None] - fibonacci_levels(high, low, ratios)
    return np.asarray(apart / np.asarray(scale, float)[..., None])
