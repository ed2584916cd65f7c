"""Realised volatility a bar: not annualised (multiply by the root of bars a year)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketsim.indicators.compute import Array, Lags, one

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def close_volatility(
    close: ArrayLike,
    window: int | ArrayLike = 20,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The sample deviation of the last `window` log returns of the close.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> close_volatility([1.0, 2.0, 4.0, 2.0], 2).round(6).tolist()
        [nan, nan, 0.0, 0.980258]

    """
    return one("close_volatility", "", (close,), (lookback, lag, out), window=window)


def parkinson_volatility(
    high: ArrayLike,
    low: ArrayLike,
    window: int | ArrayLike = 20,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Volatility from high and low of the last `window` bars.

    Five times as efficient as closes; blind to gaps.
    Source: Parkinson, Journal of Business 53, 1980.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> parkinson_volatility([2.0, 2.0], [1.0, 1.0], 2).round(6).tolist()
        [nan, 0.416277]

    """
    return one("parkinson_volatility", "", (high, low), (lookback, lag, out), window=window)


def garman_klass_volatility(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 20,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Volatility from open, high, low and close of the last `window` bars.

    Blind to gaps. Source: Garman and Klass, Journal of Business 53, 1980.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = garman_klass_volatility(
        ...     [1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [1.0, 1.0],
        ...     2
        ... )
        >>> result.round(6).tolist()
        [nan, 0.490129]

    """
    return one(
        "garman_klass_volatility", "", (open, high, low, close), (lookback, lag, out), window=window
    )


def yang_zhang_volatility(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 20,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Volatility with gaps and drift from open, high, low and close of the last `window` bars.

    Source: Yang and Zhang, Journal of Business 73, 2000.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = yang_zhang_volatility(
        ...     [1.0, 2.0, 2.0], [2.0, 2.0, 4.0], [1.0, 1.0, 2.0], [2.0, 1.0, 3.0],
        ...     2
        ... )
        >>> result.round(6).tolist()
        [nan, nan, 0.615951]

    """
    return one(
        "yang_zhang_volatility", "", (open, high, low, close), (lookback, lag, out), window=window
    )
