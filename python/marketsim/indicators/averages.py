"""Moving averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketsim.indicators.compute import Array, Lags, one

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def sma(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The mean of the last `window` rows.

    Summed from left to right over each window: no drift, however long the series.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> sma([1.0, 2.0, 3.0, 4.0], 2).round(6).tolist()
        [nan, 1.5, 2.5, 3.5]

    """
    return one("sma", "", (values,), (lookback, lag, out), window=window)


def ema(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Exponential moving average: x * k + before * (1 - k), k = 2 / (window + 1).

    seed "mean" starts at the mean of the first `window` rows, NaN before (as TA-Lib); "first"
    starts at the first row.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> ema([1.0, 2.0, 3.0, 4.0], 2).round(6).tolist()
        [nan, 1.5, 2.5, 3.5]

    """
    return one("ema", seed, (values,), (lookback, lag, out), window=window)


def wma(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The mean of the last `window` rows with weights 1 .. window, the newest row the heaviest.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> wma([1.0, 2.0, 6.0], 2).round(6).tolist()
        [nan, 1.666667, 4.666667]

    """
    return one("wma", "", (values,), (lookback, lag, out), window=window)


def wilder(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Wilder's smoothing: before + (x - before) / window.

    seed: as for `ema`. Source: Wilder, New Concepts in Technical Trading Systems, 1978.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> wilder([2.0, 4.0, 5.0], 2).round(6).tolist()
        [nan, 3.0, 4.0]

    """
    return one("wilder", seed, (values,), (lookback, lag, out), window=window)
