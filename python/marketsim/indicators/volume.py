"""Volume: OBV, VWAP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.indicators.compute import Array, Lags, one

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def obv(
    close: ArrayLike,
    volume: ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """On-balance volume: the volume of rising closes less that of falling ones, from the first on.

    The first row counts its volume (as TA-Lib). Source: Granville, 1963.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> obv([1.0, 2.0, 1.0, 1.0], [10.0, 5.0, 3.0, 2.0]).round(6).tolist()
        [10.0, 15.0, 12.0, 12.0]

    """
    return one("obv", "", (close, volume), (lookback, lag, out))


def vwap(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    session: ArrayLike,
    *,
    lookback: int | None = None,
    lag: Lags = 0,
    out: Any = None,
) -> Array:
    """Volume-weighted mean of (high + low + close) / 3 since the session began.

    session: numbers that change where a session begins; or timestamps, one session for each day of
    theirs: pandas timestamps count the days of their own zone, datetime64 those of UTC (convert
    them to the exchange's zone first). NaN until the session has volume.

    Shapes, NaN, lookback, lag, out: see `marketsim.indicators`.

    Example:
        >>> price = [1.0, 3.0, 5.0]
        >>> vwap(price, price, price, [1.0, 1.0, 2.0], [0, 0, 1]).tolist()
        [1.0, 2.0, 5.0]

    """
    arrays = (high, low, close, volume, session_numbers(session))
    return one("vwap", "", arrays, (lookback, lag, out))


def session_numbers(session: ArrayLike) -> Array:
    """Numbers that change where a session begins; days of timestamps.

    Raises:
        ArgumentError: a session is not known (NaN, NaT).
    """
    clock: Any = getattr(session, "dt", session)  # a Series keeps its clock in `dt`
    zone = getattr(clock, "tz", None)
    values = np.asarray(session if zone is None else clock.tz_localize(None))
    if values.dtype.kind == "M":
        values = values.astype("datetime64[D]")
        missing = np.isnat(values)
        numbers = values.astype(np.int64).astype(np.float64)
    else:
        if values.dtype.kind not in "fiu":
            raise ArgumentError(
                f"vwap: session must hold numbers or timestamps: got {values.dtype}"
            )
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
    if missing.any():
        raise ArgumentError(
            f"vwap: session of row {int(np.argmax(missing))} is missing: expected a number or a "
            "timestamp for every row"
        )
    return numbers
