"""Tail probabilities of standard tests, without SciPy: Student's t, chi-square, the binomial.

Accurate to about 1e-12; `tests/metrics/test_probability.py` compares them with SciPy.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_share
from marketsim.errors import ArgumentError

Floats = npt.NDArray[np.float64]
NORMAL = NormalDist()
_TINY = 1e-300


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Evaluate the regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.

    Source: Press et al., Numerical Recipes, 3rd edition (2007), section 6.4.
    """
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0):
        raise ArgumentError(f"expected a, b > 0 and x in [0, 1]: got {a!r}, {b!r}, {x!r}")
    if x in (0.0, 1.0):
        return x
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return front * value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def student_t_p_value(statistic: float, freedom: float) -> float:
    """Return the two-sided p-value of a t statistic; NaN for NaN.

    Example:
        >>> round(student_t_p_value(2.0, 10.0), 6)
        0.073388
    """
    if math.isnan(statistic):
        return math.nan
    if math.isinf(statistic):
        return 0.0
    return incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + statistic * statistic))


def chi_square_p_value(statistic: float, freedom: float) -> float:
    """Return the probability that a chi-square variable exceeds the statistic.

    Example:
        >>> round(chi_square_p_value(3.841459, 1.0), 6)
        0.05
    """
    if math.isnan(statistic):
        return math.nan
    a, x = freedom / 2.0, statistic / 2.0
    if x <= 0.0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:  # the series of the lower part
        term = total = 1.0 / a
        n = a
        while term > total * 1e-16:
            n += 1.0
            term *= x / n
            total += term
        return max(0.0, 1.0 - front * total)
    b = x + 1.0 - a  # the continued fraction of the upper part
    c, d = 1.0 / _TINY, 1.0 / b
    value = d
    for i in range(1, 10_000):
        step = -i * (i - a)
        b += 2.0
        d = 1.0 / _away(step * d + b)
        c = _away(b + step / c)
        value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return front * value


def share_interval(
    hits: npt.ArrayLike, count: npt.ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Compute score intervals of binomial shares (Wilson, 1927); NaN where count is 0.

    It holds its level at every share and count better than the normal or the exact interval: Brown,
    Cai and DasGupta, Interval estimation for a binomial proportion, Statistical Science 16 (2001).

    Example:
        >>> low, high = share_interval(80, 100)
        >>> round(float(low), 4), round(float(high), 4)
        (0.7112, 0.8666)
    """
    as_share("confidence", confidence)
    z = NORMAL.inv_cdf(0.5 + confidence / 2.0)
    n = np.asarray(count, dtype=np.float64)
    n = np.where(n > 0.0, n, np.nan)
    share = np.asarray(hits, dtype=np.float64) / n
    center = (share + z * z / (2.0 * n)) / (1.0 + z * z / n)
    reach = z * np.sqrt(share * (1.0 - share) / n + (z / (2.0 * n)) ** 2) / (1.0 + z * z / n)
    return np.maximum(center - reach, 0.0), np.minimum(center + reach, 1.0)
