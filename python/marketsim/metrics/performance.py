"""How a sequence of daily net returns did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError

Floats = npt.NDArray[np.float64]


class Performance(NamedTuple):
    """Figures of a period; NaN where one has no meaning.

    Attributes:
        total_return: compounded: the product of 1 + r, minus 1; a lost capital stays lost.
        annual_return: the constant yearly return that compounds to it.
        mean_return: arithmetic mean a day.
        volatility: standard deviation (ddof 1) a year.
        sharpe: mean / standard deviation (ddof 1), annualised by the square root of the periods.
        sharpe_error: its standard error for returns that need not be normal: Mertens, The variance
            of the IID estimator in Lo (2002), 2002. It takes the days as independent.
        max_drawdown: largest fall of the compounded equity from a peak, as a fraction.
        hit_rate: share of the active days with a net return above 0.
        active_days: days in the market.
    """

    total_return: Floats
    annual_return: Floats
    mean_return: Floats
    volatility: Floats
    sharpe: Floats
    sharpe_error: Floats
    max_drawdown: Floats
    hit_rate: Floats
    active_days: Floats


def windowed_performance(
    net: Floats,
    active: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.int64],
    length: int,
    periods_per_year: float,
) -> Performance:
    """Performance of each window of `length` days, for each strategy.

    Args:
        net: [strategy, day], net returns.
        active: [strategy, day], whether the strategy was in the market.
        starts: [window], the first day of each window.
        length: days a window.
        periods_per_year: days a year, for annualisation.

    Returns:
        Arrays [window, strategy].
    """
    from marketsim.kernels.loops import window_metrics

    if not periods_per_year > 0.0:
        raise ArgumentError(f"periods_per_year must be above 0: got {periods_per_year!r}")
    raw = window_metrics(net, active, starts, length)
    total, mean, std, sharpe, error, drawdown, hits, days = np.moveaxis(raw, 2, 0)
    root = np.sqrt(periods_per_year)
    with np.errstate(over="ignore"):
        annual = (1.0 + total) ** (periods_per_year / length) - 1.0
    return Performance(
        total, annual, mean, std * root, sharpe * root, error * root, drawdown, hits, days
    )


def performance(net: npt.ArrayLike, *, periods_per_year: float) -> Performance:
    """Performance of one sequence of daily net returns [day]; every day counts as active.

    Raises:
        ArgumentError: not 1-D, empty, not finite, or periods_per_year not above 0.

    Example:
        >>> round(float(performance([0.01, -0.02, 0.03], periods_per_year=252).max_drawdown), 6)
        0.02
    """
    returns = np.asarray(net, dtype=np.float64)
    if returns.ndim != 1 or returns.size == 0 or not np.isfinite(returns).all():
        raise ArgumentError(
            f"net returns must be a 1-D array of finite numbers: got shape {returns.shape}"
        )
    whole = windowed_performance(
        returns[None],
        np.ones((1, returns.size), dtype=np.bool_),
        np.zeros(1, dtype=np.int64),
        returns.size,
        periods_per_year,
    )
    return Performance(*(value[0, 0] for value in whole))
