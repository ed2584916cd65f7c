"""Sizes of entries, one a bar: what `replay(size=...)` takes.

    from marketsim.replay.sizing import fixed_risk, volatility_target

    replay(bars, entries, exits, size=volatility_target(bars, 0.15))
    replay(bars, entries, exits, size=fixed_risk(0.01, stop), stop_loss=stop)

A size of your own is an array [bar] too: element t may use bars 0 .. t.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number
from marketsim.bars import Bars
from marketsim.errors import ArgumentError
from marketsim.indicators import close_volatility

Floats = npt.NDArray[np.float64]


def volatility_target(
    bars: Bars,
    target: float,
    *,
    window: int = 20,
    most: float = 1.0,
    periods_per_year: float | None = None,
) -> Floats:
    """Fractions of the equity [bar] whose yearly volatility is `target`, by the last bars.

    target / (standard deviation of the last `window` log returns * sqrt(periods a year)), at most
    `most`. NaN, so that no entry is taken, in the first `window` bars and where nothing moved.

    Args:
        bars: the close of each bar counts.
        target: volatility a year as a fraction, such as 0.15.
        window: returns.
        most: the largest fraction; above 1 needs an account with leverage.
        periods_per_year: None takes it from the bars' market.

    Raises:
        ArgumentError: numbers that are not above 0.

    Example:
        >>> import marketsim as ms
        >>> sizes = volatility_target(ms.demo_bars(), 0.1)
        >>> bool(np.nanmax(sizes) <= 1.0)
        True
    """
    wanted, cap = _above_zero("target", target), _above_zero("most", most)
    per_year = bars.market.periods_per_year if periods_per_year is None else periods_per_year
    yearly = close_volatility(bars.close, window) * np.sqrt(_above_zero("periods", per_year))
    return np.minimum(wanted / np.where(yearly > 0.0, yearly, np.nan), cap)


def fixed_risk(risk: float, stop_loss: npt.ArrayLike, *, most: float = 1.0) -> Floats:
    """Fractions of the equity that lose `risk` of it where the stop is hit at its level.

    risk / stop_loss, at most `most`. A bar that opens beyond the stop loses more.

    Args:
        risk: fraction of the equity, such as 0.01.
        stop_loss: distance of the stop as a fraction of the price, one number or one a bar (NaN:
            no entry).
        most: the largest fraction; above 1 needs an account with leverage.

    Raises:
        ArgumentError: numbers that are not above 0.

    Example:
        >>> fixed_risk(0.01, [0.02, 0.05, np.nan]).round(12).tolist()
        [0.5, 0.2, nan]
    """
    wanted, cap = _above_zero("risk", risk), _above_zero("most", most)
    distance = np.asarray(stop_loss, dtype=np.float64)
    if not (np.isnan(distance) | (distance > 0.0)).all():
        raise ArgumentError("stop_loss must be above 0, a fraction of the price, or NaN")
    return np.minimum(wanted / distance, cap)


def _above_zero(name: str, value: object) -> float:
    number = as_number(name, value)
    if not (np.isfinite(number) and number > 0.0):
        raise ArgumentError(f"{name} must be finite and above 0: got {value!r}")
    return number
