"""Predictive distributions: forecasts of future values."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.models.pointwise import PointwiseDistribution

Array = npt.NDArray[np.float64]
_NORMAL = NormalDist()


@runtime_checkable
class Distribution(Protocol):
    """Forecasts of a batch, each for `horizon` steps: all shapes are [..., horizon].

    For `Model.predict` the leading axes are those of the contexts; for `Model.predict_each` the
    first axis is the day.
    """

    @property
    def mean(self) -> Array:
        """Expected values [..., horizon]."""
        ...

    @property
    def std(self) -> Array:
        """Standard deviations [..., horizon]."""
        ...

    def quantile(self, levels: npt.ArrayLike) -> Array:
        """Quantiles [..., horizon, level] at levels in (0, 1)."""
        ...

    def sample(self, n: int, seed: int) -> Array:
        """`n` draws of each forecast [n, ..., horizon]; the same for the same seed."""
        ...

    def aggregate(self, spec: str) -> Array:
        """Point forecasts [..., horizon] by a name of `marketsim.models.aggregation`."""
        ...


class QuantileDistribution(PointwiseDistribution):
    """Forecasts given by quantiles at fixed levels, and optionally by mean and standard deviation.

    Between two levels the quantile is linear in z, the standard normal's quantile at the level, and
    beyond the outermost levels the outermost pieces continue: a normal distribution is represented
    exactly and tails fall off like its own. Means of parts of the distribution follow in closed
    form, as the limit of infinitely many samples.

    Args:
        levels: [level], ascending in (0, 1), at least two.
        quantiles: [..., horizon, level], not decreasing along the last axis.
        mean, std: [..., horizon]; computed from the quantiles where not given.

    Raises:
        ArgumentError: levels out of order, shapes that differ, or quantiles that decrease.

    Example:
        >>> d = QuantileDistribution([0.1, 0.5, 0.9], [[-1.0, 0.0, 1.0]])
        >>> d.quantile([0.1, 0.5]).tolist(), d.aggregate("median").tolist()
        ([[-1.0, 0.0]], [0.0])
    """

    def __init__(
        self,
        levels: Sequence[float] | npt.NDArray[np.float64],
        quantiles: npt.ArrayLike,
        mean: npt.ArrayLike | None = None,
        std: npt.ArrayLike | None = None,
    ) -> None:
        self.levels = tuple(float(level) for level in levels)
        self.quantiles = np.asarray(quantiles, dtype=np.float64)
        self._z = _normal_quantiles(self.levels)
        if self.quantiles.ndim < 1 or self.quantiles.shape[-1] != len(self.levels):
            raise ArgumentError(
                f"quantiles must end in an axis of {len(self.levels)} levels: "
                f"got shape {self.quantiles.shape}"
            )
        if (self.quantiles[..., 1:] < self.quantiles[..., :-1]).any():
            raise ArgumentError("quantiles must not decrease from level to level: sort them")
        shape = self.quantiles.shape[:-1]
        self._mean = None if mean is None else np.asarray(mean, dtype=np.float64)
        self._std = None if std is None else np.asarray(std, dtype=np.float64)
        for name, value in (("mean", self._mean), ("std", self._std)):
            if value is not None and value.shape != shape:
                raise ArgumentError(f"{name} must have shape {shape}: got {value.shape}")

    @property
    def mean(self) -> Array:
        """Expected values [..., horizon]."""
        return self._mean_between(0.0, 1.0) if self._mean is None else self._mean

    @property
    def std(self) -> Array:
        """Standard deviations [..., horizon]."""
        if self._std is not None:
            return self._std
        # E[x^2] of a + b z over the piece between z0 and z1, summed over the pieces.
        second = np.zeros(self.quantiles.shape[:-1])
        for i, (low, high) in enumerate(_pieces(self._z)):
            p, first, square = _normal_moments(low, high)
            b = (self.quantiles[..., i + 1] - self.quantiles[..., i]) / (
                self._z[i + 1] - self._z[i]
            )
            a = self.quantiles[..., i] - b * self._z[i]
            second += a * a * p + 2.0 * a * b * first + b * b * square
        variance = second - self._mean_between(0.0, 1.0) ** 2
        return np.sqrt(np.maximum(variance, 0.0))

    def sample(self, n: int, seed: int) -> Array:
        """`n` draws of each forecast [n, ..., horizon]; the same for the same seed."""
        if n < 1:
            raise ArgumentError(f"n must be at least 1: got {n}")
        generator = np.random.Generator(np.random.Philox(seed))
        z = generator.standard_normal((n, *self.quantiles.shape[:-1]))
        piece = np.clip(np.searchsorted(self._z, z) - 1, 0, len(self._z) - 2)
        knots = np.asarray(self._z)
        stacked = np.broadcast_to(self.quantiles, (n, *self.quantiles.shape))
        below = np.take_along_axis(stacked, piece[..., None], -1)[..., 0]
        above = np.take_along_axis(stacked, piece[..., None] + 1, -1)[..., 0]
        share = (z - knots[piece]) / (knots[piece + 1] - knots[piece])
        return np.asarray(below + (above - below) * share, dtype=np.float64)

    def _at_level(self, level: float) -> Array:
        return cast(Array, quantile_at(self.levels, self.quantiles, level))

    def _trimmed_mean(self, below: float, above: float) -> Array:
        return self._mean_between(below, 1.0 - above)

    def _mean_between(self, low: float, high: float) -> Array:
        return cast(Array, mean_between(self.levels, self.quantiles, low, high))


def quantile_at(levels: tuple[float, ...], quantiles: Any, level: float) -> Any:
    """The quantile [...] at one level in (0, 1), from those [..., level] at others.

    Of arrays and of tensors alike, elementwise in the same order.
    """
    if level in levels:
        return quantiles[..., levels.index(level)]
    z, at = _normal_quantiles(levels), _NORMAL.inv_cdf(level)
    i = min(max(int(np.searchsorted(z, at)) - 1, 0), len(z) - 2)
    below, above = quantiles[..., i], quantiles[..., i + 1]
    return below + (above - below) * ((at - z[i]) / (z[i + 1] - z[i]))


def mean_between(levels: tuple[float, ...], quantiles: Any, low: float, high: float) -> Any:
    """The mean [...] of the part between two levels: a weighted sum of the quantiles.

    Of arrays and of tensors alike. The terms are added level by level, so that the result of one
    forecast does not depend on how many stand beside it.
    """
    weights = _mean_weights(levels, low, high)
    if isinstance(quantiles, np.ndarray):
        return _core.weighted_sums(np.ascontiguousarray(quantiles), weights)
    result: Any = 0.0
    for i, weight in enumerate(weights):
        result = result + weight * quantiles[..., i]
    return result


@functools.lru_cache(maxsize=256)
def _normal_quantiles(levels: tuple[float, ...]) -> tuple[float, ...]:
    ascending = all(a < b for a, b in itertools.pairwise(levels))
    if len(levels) < 2 or not ascending or not (levels[0] > 0.0 and levels[-1] < 1.0):
        raise ArgumentError(
            f"levels must be at least two, ascending in (0, 1): got {', '.join(map(str, levels))}"
        )
    return tuple(_NORMAL.inv_cdf(level) for level in levels)


def _pieces(z: tuple[float, ...]) -> list[tuple[float, float]]:
    """Where each linear piece applies: the outermost ones reach to infinity."""
    edges = [-math.inf, *z[1:-1], math.inf]
    return list(itertools.pairwise(edges))


def _normal_moments(low: float, high: float) -> tuple[float, float, float]:
    """Integrals of 1, z and z^2 times the standard normal density from low to high."""
    density = [0.0 if math.isinf(v) else _NORMAL.pdf(v) for v in (low, high)]
    edge = [0.0 if math.isinf(v) else v * d for v, d in zip((low, high), density, strict=True)]
    mass = _NORMAL.cdf(high) - _NORMAL.cdf(low)
    return mass, density[0] - density[1], mass + edge[0] - edge[1]


@functools.lru_cache(maxsize=256)
def _mean_weights(levels: tuple[float, ...], low: float, high: float) -> tuple[float, ...]:
    """Weights w with sum(w * quantiles) = the mean of the part between levels low and high."""
    z = _normal_quantiles(levels)
    z_low = -math.inf if low <= 0.0 else _NORMAL.inv_cdf(low)
    z_high = math.inf if high >= 1.0 else _NORMAL.inv_cdf(high)
    weights = [0.0] * len(levels)
    for i, (start, end) in enumerate(_pieces(z)):
        start, end = max(start, z_low), min(end, z_high)
        if start >= end:
            continue
        mass, first, _ = _normal_moments(start, end)
        # a + b z with b = (q1 - q0) / (z1 - z0) and a = q0 - b z0
        share = (first - z[i] * mass) / (z[i + 1] - z[i])
        weights[i] += mass - share
        weights[i + 1] += share
    return tuple(weight / (high - low) for weight in weights)
