"""Bands around figures by the stationary bootstrap, and the length of its blocks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_number, as_share, check_seed
from marketsim.errors import ArgumentError
from marketsim.kernels.performance import WINDOW_FIGURES, flag_rows, net_rows
from marketsim.metrics.performance import least_bars

Floats = npt.NDArray[np.float64]


def check_block_length(length: object, repetitions: object, bars: int) -> None:
    """Raise for a block length outside 1 .. bars, or repetitions that are no whole number above 0.

    Raises:
        ArgumentError: a block length or number of repetitions out of range.
    """
    if (
        not 1.0
        <= as_number("block_length", length, f"a number in 1 .. {bars} bars")
        <= max(bars, 1)
    ):
        raise ArgumentError(f"block_length must lie in 1 .. {bars} bars: got {length!r}")
    whole = isinstance(repetitions, (int, np.integer)) and not isinstance(repetitions, bool)
    if not whole or not 1 <= int(repetitions) <= 10_000_000:  # type: ignore[call-overload]
        raise ArgumentError(f"repetitions must be a whole number from 1 on: got {repetitions!r}")


def optimal_block_length(values: npt.ArrayLike) -> Floats:
    """Estimate the best mean block length of the stationary bootstrap for a series, in bars.

    (2 g^2 / d)^(1/3) n^(1/3) with flat-top weights over the autocovariances up to twice the lag
    from which they are insignificant; at least 1, at most min(3 sqrt(n), n / 3).

    Args:
        values: [bar] or [strategy, bar].

    Returns:
        A number or [strategy]; 1 where a series does not vary or has fewer than 9 bars.

    Raises:
        ArgumentError: values that are not finite.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=2000)
        >>> trend = np.convolve(noise, np.ones(20), "valid")
        >>> bool(optimal_block_length(trend) > 2 * optimal_block_length(noise))
        True

    Sources: Politis and White, Automatic block-length selection for the dependent bootstrap (2004);
    Patton, Politis and White, Correction (2009).
    """
    rows = net_rows(values, "values")
    found = np.array([_block_length(row) for row in rows])
    return found[0] if np.ndim(values) == 1 else found


def _block_length(row: Floats) -> float:
    n = len(row)
    centered = row - row.mean()
    squares = centered * centered
    if n < 9 or squares.sum() <= 1e-24 * (row * row).sum():
        return 1.0
    limit = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    run = max(5, int(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + run, n - 2)
    covariance = np.array([centered[lag:] @ centered[: n - lag] for lag in range(most + 1)])
    total = np.cumsum(squares)
    # The bars that both factors of a lag have.
    early = total[n - 2 - np.arange(most + 1)]
    late = total[-1] - total[: most + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.abs(covariance) / np.sqrt(early * late)
    small = correlation < 2.0 * math.sqrt(math.log10(n) / n)
    streaks = np.convolve(small, np.ones(run), "valid")[: most + 1 - run]
    quiet = np.flatnonzero(streaks == run)
    lags = min(2 * max(int(quiet[0]), 1), most) if len(quiet) else most
    at = np.arange(1, lags + 1)
    taper = np.where(at / lags <= 0.5, 1.0, 2.0 * (1.0 - at / lags))
    covariance /= n
    g = float((2.0 * taper * at * covariance[1 : lags + 1]).sum())
    long_run = float(covariance[0] + (2.0 * taper * covariance[1 : lags + 1]).sum())
    if long_run == 0.0:
        return 1.0
    return float(min(max((g * g / (long_run * long_run)) ** (1 / 3) * n ** (1 / 3), 1.0), limit))


class Bands(NamedTuple):
    """Intervals of figures by resampling blocks of bars, by name.

    Attributes:
        low, high: of each figure, numbers or [strategy]: the percentiles of the resampled figures.
            NaN where the figure has no value in most samples, or the span is too short to
            annualise.
        confidence: how much of the resampled figures they hold.
        block_length: mean bars of a block, a number or [strategy].
        repetitions, seed: of the bootstrap.
    """

    low: dict[str, Floats]
    high: dict[str, Floats]
    confidence: float
    block_length: Floats
    repetitions: int
    seed: int


def bootstrap_bands(
    net: npt.ArrayLike,
    *,
    periods_per_year: float,
    active: npt.ArrayLike | None = None,
    confidence: float = 0.9,
    block_length: float | None = None,
    repetitions: int = 1_000,
    seed: int = 0,
    sessions_per_year: float | None = None,
) -> Bands:
    """Compute bands of total and annual return, volatility, Sharpe ratio, drawdown, hit rate.

    Resamples blocks of bars with replacement: the bands state the uncertainty of a track record
    of this length; a change of the market is not covered.

    Args:
        net: [bar] or [strategy, bar], net returns.
        periods_per_year: bars a year.
        active: booleans likewise, bars in the market; None: all.
        confidence: between the bands, in (0, 1).
        block_length: mean bars of a block; None: `optimal_block_length` of each strategy.
        repetitions, seed: of the bootstrap.
        sessions_per_year: see `least_bars`.

    Raises:
        ArgumentError: shapes that do not fit, values that are not finite, numbers out of range.

    Example:
        >>> net = np.random.default_rng(0).normal(0.001, 0.01, 500)
        >>> bands = bootstrap_bands(net, periods_per_year=252)
        >>> sharpe = net.mean() / net.std(ddof=1) * 252**0.5
        >>> bool(bands.low["sharpe"] < sharpe < bands.high["sharpe"])
        True

    Source: Politis and Romano, The stationary bootstrap (1994); percentile intervals.
    """
    rows = net_rows(net)
    flags = flag_rows(active, rows)
    bars = rows.shape[1]
    as_share("confidence", confidence)
    if block_length is not None:
        check_block_length(block_length, repetitions, bars)
    least = least_bars(periods_per_year, sessions_per_year)
    scale = float(periods_per_year) if bars >= least else math.nan
    lengths = (
        np.atleast_1d(optimal_block_length(rows))
        if block_length is None
        else np.full(len(rows), block_length, dtype=np.float64)
    )
    low: dict[str, list[float]] = {}
    high: dict[str, list[float]] = {}
    tail = (1.0 - confidence) / 2.0
    for i, length in enumerate(lengths):
        check_block_length(float(length), repetitions, bars)
        part = None if flags is None else flags[i : i + 1]
        drawn = _core.bootstrap_performance(
            rows[i : i + 1], part, float(length), check_seed(seed), repetitions
        )
        for name, values in _figures(drawn[0], bars, scale).items():
            a, b = _percentiles(values, tail)
            low.setdefault(name, []).append(a)
            high.setdefault(name, []).append(b)
    single = np.ndim(net) == 1

    def shaped(values: Any) -> Floats:
        array: Floats = np.asarray(values, dtype=np.float64)
        return array[0] if single else array

    return Bands(
        {name: shaped(values) for name, values in low.items()},
        {name: shaped(values) for name, values in high.items()},
        confidence,
        shaped(lengths),
        repetitions,
        seed,
    )


def _figures(drawn: Floats, bars: int, scale: float) -> dict[str, Floats]:
    own = dict(zip(WINDOW_FIGURES, drawn.T, strict=True))
    root = math.sqrt(scale)
    with np.errstate(over="ignore"):
        annual = (1.0 + own["total_return"]) ** (scale / bars) - 1.0
    return {
        "total_return": own["total_return"],
        "annual_return": annual,
        "mean_return": own["mean_return"],
        "volatility": own["std_return"] * root,
        "sharpe": own["sharpe"] * root,
        "max_drawdown": own["max_drawdown"],
        "hit_rate": own["hit_rate"],
    }


def _percentiles(values: Floats, tail: float) -> tuple[float, float]:
    """Return both percentiles of the values that are not NaN; NaN where less than half are."""
    known = values[~np.isnan(values)]
    if 2 * len(known) < len(values) or not len(known):
        return math.nan, math.nan
    a, b = np.quantile(known, (tail, 1.0 - tail))
    return float(a), float(b)
