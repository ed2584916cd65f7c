"""Statistics of the last rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketsim.indicators.compute import Array, Lags, one

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def rolling_std(
    values: ArrayLike,
    window: int | ArrayLike,
    ddof: int = 0,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The standard deviation of the last `window` rows, with `ddof` taken off the count.

    Two passes over each window: no cancellation, however large the mean.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> rolling_std([1.0, 3.0, 3.0], 2).round(6).tolist()
        [nan, 1.0, 0.0]

    """
    return one("rolling_std", "", (values,), (lookback, lag, out), window=window, ddof=ddof)


def zscore(
    values: ArrayLike,
    window: int | ArrayLike,
    ddof: int = 0,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """How many standard deviations the newest of the last `window` rows lies from their mean.

    NaN where all rows of the window are equal.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> zscore([1.0, 3.0, 3.0], 2).round(6).tolist()
        [nan, 1.0, nan]

    """
    return one("zscore", "", (values,), (lookback, lag, out), window=window, ddof=ddof)


def rolling_min(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The smallest of the last `window` rows.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> rolling_min([3.0, 1.0, 2.0, 5.0], 2).round(6).tolist()
        [nan, 1.0, 1.0, 2.0]

    """
    return one("rolling_min", "", (values,), (lookback, lag, out), window=window)


def rolling_max(
    values: ArrayLike,
    window: int | ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The largest of the last `window` rows.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> rolling_max([3.0, 1.0, 2.0, 5.0], 2).round(6).tolist()
        [nan, 3.0, 2.0, 5.0]

    """
    return one("rolling_max", "", (values,), (lookback, lag, out), window=window)


def rolling_quantile(
    values: ArrayLike,
    window: int | ArrayLike,
    level: float | ArrayLike = 0.5,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The value below which the share `level` of the last `window` rows lies.

    Linear between order statistics (Hyndman and Fan, 1996, definition 7; NumPy's default).

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> rolling_quantile([3.0, 1.0, 2.0, 5.0], 3).round(6).tolist()
        [nan, nan, 2.0, 2.0]

    """
    return one("rolling_quantile", "", (values,), (lookback, lag, out), window=window, level=level)


def correlation(
    x: ArrayLike,
    y: ArrayLike,
    window: int | ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Pearson's correlation of two series over the last `window` rows.

    NaN where one of them does not move.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> correlation([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], 3).round(6).tolist()
        [nan, nan, 0.981981]

    """
    return one("correlation", "", (x, y), (lookback, lag, out), window=window)
