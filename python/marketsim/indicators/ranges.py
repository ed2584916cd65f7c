"""Ranges of bars and directions: true range, ATR, ADX, Donchian, Keltner, volatility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.indicators.compute import Array, Lags, one, several

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Adx(NamedTuple):
    """Results of `adx`: float64 [..., row] each."""

    adx: Array
    plus_di: Array
    minus_di: Array


class Donchian(NamedTuple):
    """Results of `donchian`: float64 [..., row] each."""

    upper: Array
    lower: Array
    middle: Array


class Bands(NamedTuple):
    """Results of `keltner`: float64 [..., row] each."""

    middle: Array
    upper: Array
    lower: Array


def true_range(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    *,
    first: str = "range",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The larger of high - low, |high - close before| and |low - close before|.

    The first row has no close before it: first="range" takes its own close, "nan" gives NaN (as
    TA-Lib).

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> true_range([2.0, 5.0], [1.0, 4.0], [1.5, 4.5]).round(6).tolist()
        [1.0, 3.5]

    """
    return one("true_range", first, (high, low, close), (lookback, lag, out))


def atr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 14,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Average true range by Wilder's smoothing.

    seed "mean": the mean of the first `window` true ranges with a close before them, so the first
    value stands at row `window` (as TA-Lib); "first": the range of the first bar.
    Source: Wilder, 1978.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> atr([2.0, 3.0, 4.0], [1.0, 2.0, 3.0], [1.5, 2.5, 3.5], 2).round(6).tolist()
        [nan, nan, 1.5]

    """
    return one("atr", seed, (high, low, close), (lookback, lag, out), window=window)


def adx(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 14,
    *,
    convention: str = "wilder",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Adx:
    """Average directional index with +DI and -DI, 0 .. 100.

    convention "wilder": sums start after the first bar; DI from row `window`, ADX from row
    2 * window - 1, NaN before (as TA-Lib). "first_bar": the first bar counts with its range; DI
    from row window - 1, ADX from row 2 * window - 2, 0 before. Source: Wilder, 1978.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = adx(
        ...     [2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 3.5, 4.5],
        ...     2
        ... )
        >>> result.adx.round(6).tolist()
        [nan, nan, nan, 100.0]

    """
    return Adx(*several("adx", convention, (high, low, close), (lookback, lag, out), window=window))


def donchian(
    high: ArrayLike,
    low: ArrayLike,
    window: int | ArrayLike = 20,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Donchian:
    """Highest high, lowest low and their middle of the last `window` bars, this one included.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> donchian([3.0, 5.0, 4.0], [1.0, 2.0, 3.0], 2).upper.round(6).tolist()
        [nan, 5.0, 5.0]

    """
    return Donchian(*several("donchian", "", (high, low), (lookback, lag, out), window=window))


def keltner(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    window: int | ArrayLike = 20,
    atr_window: int | ArrayLike = 10,
    multiple: float | ArrayLike = 2.0,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Bands:
    """An EMA of the close, and the EMA plus and minus a multiple of the ATR.

    seed: as for `ema` and `atr`. Source: Raschke's form of Keltner, 1960.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = keltner(
        ...     [3.0, 5.0, 4.0], [1.0, 2.0, 3.0], [2.0, 4.0, 4.0],
        ...     2, 1, 1.0
        ... )
        >>> result.upper.round(6).tolist()
        [nan, 6.0, 4.666667]

    """
    return Bands(
        *several(
            "keltner",
            seed,
            (high, low, close),
            (lookback, lag, out),
            window=window,
            atr_window=atr_window,
            multiple=multiple,
        )
    )


def volatility_ratio(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    short: int | ArrayLike = 14,
    long: int | ArrayLike = 50,
    *,
    seed: str = "mean",
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """The ATR of a short window over that of a long one; 1 where the long one is 0.

    seed: as for `atr`.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> result = volatility_ratio(
        ...     [2.0, 3.0, 5.0], [1.0, 2.0, 3.0], [1.5, 2.5, 4.0],
        ...     1, 2, seed="first"
        ... )
        >>> result.round(6).tolist()
        [1.0, 1.2, 1.333333]

    """
    return one(
        "volatility_ratio", seed, (high, low, close), (lookback, lag, out), short=short, long=long
    )
