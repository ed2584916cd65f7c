"""Momentum of the close: RSI, MACD, Bollinger bands, stochastic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.indicators.compute import Array, Lags, one, several
from marketsim.indicators.specs import power_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Macd(NamedTuple):
    """Results of `macd`: float64 [..., row] each."""

    macd: Array
    signal: Array
    histogram: Array


class Bollinger(NamedTuple):
    """Results of `bollinger`: float64 [..., row] each."""

    middle: Array
    upper: Array
    lower: Array
    deviation: Array
    width: Array
    position: Array


class Stochastic(NamedTuple):
    """Results of `stochastic`: float64 [..., row] each."""

    k: Array
    d: Array


def rsi(
    close: ArrayLike,
    window: int | ArrayLike = 14,
    *,
    convention: str = "wilder",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Relative strength index, 0 .. 100, of moves averaged by Wilder's smoothing.

    The first `window` moves are averaged plainly. convention "wilder": NaN in the first `window`
    rows, 100 where nothing was lost; "talib": 0 where nothing moved at all; "neutral": 50 in the
    first `window` rows. Source: Wilder, 1978.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> rsi([1.0, 2.0, 1.5, 2.5], 2).round(6).tolist()
        [nan, nan, 66.666667, 85.714286]

    """
    return one("rsi", convention, (close,), (lookback, lag, out), window=window)


def macd(
    close: ArrayLike,
    fast: int | ArrayLike = 12,
    slow: int | ArrayLike = 26,
    signal: int | ArrayLike = 9,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Macd:
    """Moving average convergence divergence: fast EMA - slow EMA, its EMA, and their difference.

    seed "mean": each average starts at a mean, the fast one at row slow - 1 too; NaN before the
    signal has its own (as TA-Lib). "first": all start at the first row. Source: Appel, 1979.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> macd([1.0, 2.0, 3.0, 4.0], 1, 2, 1).macd.round(6).tolist()
        [nan, 0.5, 0.5, 0.5]

    """
    return Macd(
        *several("macd", seed, (close,), (lookback, lag, out), fast=fast, slow=slow, signal=signal)
    )


def bollinger(
    close: ArrayLike,
    window: int | ArrayLike = 20,
    multiple: float | ArrayLike = 2.0,
    *,
    root: str = "sqrt",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Bollinger:
    """The mean of the last `window` rows, and it plus and minus `multiple` population deviations.

    width is (upper - lower) / middle, 0 where the middle is 0; position is where the newest row
    lies between the bands, 0 .. 1, 0.5 where they meet. root "power" takes
    the deviation as variance ** 0.5, which differs from the square root in the last bit once in a
    thousand, for the same bits as code that writes it so.
    Source: Bollinger on Bollinger Bands, 2001.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> bollinger([1.0, 3.0, 3.0], 2).upper.round(6).tolist()
        [nan, 4.0, 3.0]

    """
    return Bollinger(
        *several(
            "bollinger",
            "",
            (close,),
            (lookback, lag, out),
            window=window,
            multiple=multiple,
            power=power_of(root),
        )
    )


def stochastic(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 14,
    slow: int | ArrayLike = 3,
    signal: int | ArrayLike = 3,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Stochastic:
    """%K, where the close lies between lowest low and highest high in percent, and %D, its mean.

    %K is averaged over `slow` bars, %D over `signal` more; 0 where high and low of the window meet
    (as TA-Lib's STOCH).

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = stochastic(
        ...     [3.0, 5.0, 4.0], [1.0, 2.0, 3.0], [2.0, 4.0, 4.0],
        ...     2, 1, 1
        ... )
        >>> result.k.round(6).tolist()
        [nan, 75.0, 66.666667]

    """
    return Stochastic(
        *several(
            "stochastic",
            "",
            (high, low, close),
            (lookback, lag, out),
            window=window,
            slow=slow,
            signal=signal,
        )
    )
