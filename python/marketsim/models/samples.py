"""Forecasts as samples: means, quantiles and trimmed means of the draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.pointwise import PointwiseDistribution

Array = npt.NDArray[np.float64]


class SampleDistribution(PointwiseDistribution):
    """Forecasts as samples; every statistic is that of the samples.

    Trimmed means leave out int(n * fraction) of the n draws, quantiles are linear between the draws
    in order, and the standard deviation divides by n.

    Args:
        samples: [sample, ..., horizon].

    Raises:
        ArgumentError: no samples, or values that are not finite.

    Example:
        >>> SampleDistribution([[3.0], [1.0], [2.0]]).aggregate("median").tolist()
        [2.0]
    """

    def __init__(self, samples: npt.ArrayLike) -> None:
        self.samples = np.asarray(samples, dtype=np.float64)
        if self.samples.ndim < 2 or self.samples.shape[0] < 1:
            raise ArgumentError(
                f"samples must have shape [sample, ..., horizon]: got {self.samples.shape}"
            )
        if not np.isfinite(self.samples).all():
            raise ArgumentError("samples must be finite")
        self._sorted = np.sort(self.samples, axis=0)

    @property
    def mean(self) -> Array:
        """Means [..., horizon]."""
        return self._trimmed_mean(0.0, 0.0)

    @property
    def std(self) -> Array:
        """Standard deviations [..., horizon] of the draws as a population."""
        centred = self._sorted - self.mean
        return np.sqrt(_sum(centred * centred) / len(self._sorted))

    def sample(self, n: int, seed: int) -> Array:
        """`n` of the draws, with replacement, [n, ..., horizon]; the same for the same seed."""
        if n < 1:
            raise ArgumentError(f"n must be at least 1: got {n}")
        generator = np.random.Generator(np.random.Philox(seed))
        picks = generator.integers(len(self.samples), size=(n, *self.samples.shape[1:]))
        return np.take_along_axis(self.samples, picks, axis=0)

    def _at_level(self, level: float) -> Array:
        place = level * (len(self._sorted) - 1)
        below = min(int(place), len(self._sorted) - 1)
        above = min(below + 1, len(self._sorted) - 1)
        low, high = self._sorted[below], self._sorted[above]
        return np.asarray(low + (high - low) * (place - below), dtype=np.float64)

    def _trimmed_mean(self, below: float, above: float) -> Array:
        n = len(self._sorted)
        kept = self._sorted[int(n * below) : n - int(n * above)]
        return _sum(kept) / len(kept)


def _sum(values: Array) -> Array:
    """Sum over the first axis in order, independent of the other columns."""
    total = np.zeros(values.shape[1:])
    for row in values:
        total += row
    return total
