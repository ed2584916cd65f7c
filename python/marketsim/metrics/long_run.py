"""The variance of the mean of a series whose bars depend on one another."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.metrics.probability import NORMAL, student_t_p_value

Floats = npt.NDArray[np.float64]
_MOST_PERSISTENCE = 0.97


class LongRunVariance(NamedTuple):
    """Variance of a mean, times the bars, with the noise of its own estimate.

    Attributes:
        variance: [strategy]; 0 of a series that does not vary.
        freedom: [strategy], degrees of freedom of the chi-square that such an estimate is like.
    """

    variance: Floats
    freedom: Floats


def long_run_variance(rows: Floats) -> LongRunVariance:
    """Estimate the variance of each row's mean, times its bars: [strategy, bar] to [strategy].

    A first-order autoregression is taken out, the autocovariances of what is left are summed with
    flat-top weights up to twice the lag from which they are insignificant, and the autoregression
    is put back: less biased than the variance of a bootstrap with blocks of any length. Fewer than
    12 bars are taken as independent.

    Sources: Andrews and Monahan, An improved heteroskedasticity and autocorrelation consistent
    covariance matrix estimator (1992); Politis, Adaptive bandwidth choice (2003).
    """
    found = [_of_row(row) for row in rows]
    return LongRunVariance(*(np.array(values) for values in zip(*found, strict=True)))


def _of_row(row: Floats) -> tuple[float, float]:
    """(variance, degrees of freedom) of a row."""
    bars = len(row)
    centered = row - row.mean()
    total = float(centered @ centered)
    if total <= 1e-24 * float(row @ row) or bars < 2:
        return 0.0, 1.0
    if bars < 12:
        return total / (bars - 1), bars - 1.0
    slope = float(centered[1:] @ centered[:-1]) / total
    slope += (1.0 + 3.0 * slope) / bars  # the estimate is too small by this
    slope = min(max(slope, -_MOST_PERSISTENCE), _MOST_PERSISTENCE)
    left = centered[1:] - slope * centered[:-1]
    left -= left.mean()
    covariance = _autocovariances(left)
    weight = _weights(covariance, bars)
    variance = float(covariance[0]) * bars / (bars - 2.0)
    if len(weight):
        variance += 2.0 * float(weight @ covariance[1 : len(weight) + 1])
        if variance <= 0.0:
            variance = float(covariance[0])
        variance /= 1.0 - 2.0 * float(weight.sum()) / bars  # what centering took away
    noise = 1.0 + 2.0 * float(weight @ weight) + 2.0 * (1.0 + slope) / (1.0 - slope)
    return variance / (1.0 - slope) ** 2, bars / noise


def _autocovariances(left: Floats) -> Floats:
    count = len(left)
    most = min(math.ceil(math.sqrt(count)) + 5, count - 2)
    return np.array([left[lag:] @ left[: count - lag] for lag in range(most + 1)]) / count


def _weights(covariance: Floats, bars: int) -> Floats:
    """Flat-top weights of the lags 1, 2, ...; none where no lag is significant."""
    if covariance[0] <= 0.0:
        return np.zeros(0)
    limit = 2.0 * math.sqrt(math.log10(bars) / bars)
    small = np.abs(covariance[1:] / covariance[0]) < limit
    run = min(5, len(small))
    quiet = np.flatnonzero(np.convolve(small, np.ones(run), "valid") == run)
    most = min(len(small), bars // 8)
    lags = min(2 * int(quiet[0]), most) if len(quiet) else most
    share = np.arange(1, lags + 1) / max(lags, 1)
    weights: Floats = np.where(share <= 0.5, 1.0, 2.0 * (1.0 - share))
    return weights


def normal_score(statistic: float, freedom: float) -> float:
    """The standard normal value that is as rare as a Student's t value; itself at or below 0.

    Example:
        >>> round(normal_score(2.0, 10.0), 3)
        1.79
    """
    if not statistic > 0.0:
        return statistic
    return -NORMAL.inv_cdf(max(0.5 * student_t_p_value(statistic, freedom), 1e-300))
