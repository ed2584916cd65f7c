"""Forecasts given by samples: means, quantiles and trimmed means of what was drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.aggregation import parse_aggregate

Array = npt.NDArray[np.float64]


class SampleDistribution:
    """Forecasts given by draws; all that is said of them is said of the draws.

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
        return self._mean_of(0, len(self._sorted))

    @property
    def std(self) -> Array:
        """Standard deviations [..., horizon] of the draws as a population."""
        centred = self._sorted - self.mean
        return np.sqrt(_sum(centred * centred) / len(self._sorted))

    def quantile(self, levels: npt.ArrayLike) -> Array:
        """Quantiles [..., horizon, level] at levels in (0, 1)."""
        wanted = np.atleast_1d(np.asarray(levels, dtype=np.float64))
        if wanted.ndim != 1 or not ((wanted > 0.0) & (wanted < 1.0)).all():
            raise ArgumentError(f"levels must be 1-D and lie in (0, 1): got {levels!r}")
        return np.stack([self._at_level(float(level)) for level in wanted], axis=-1)

    def sample(self, n: int, seed: int) -> Array:
        """`n` of the draws, with replacement, [n, ..., horizon]; the same for the same seed."""
        if n < 1:
            raise ArgumentError(f"n must be at least 1: got {n}")
        generator = np.random.Generator(np.random.Philox(seed))
        picks = generator.integers(len(self.samples), size=(n, *self.samples.shape[1:]))
        return np.take_along_axis(self.samples, picks, axis=0)

    def aggregate(self, spec: str) -> Array:
        """Point forecasts [..., horizon] by a name of `marketsim.models.aggregation`."""
        form, numbers = parse_aggregate(spec)
        n = len(self._sorted)
        match form:
            case "mean":
                return self.mean
            case "median":
                return self._at_level(0.5)
            case "trimmed_mean":
                cut = int(n * numbers[0])
                return self._mean_of(cut, n - cut)
            case "lower_trimmed_mean":
                return self._mean_of(0, n - int(n * numbers[0]))
            case "upper_trimmed_mean":
                return self._mean_of(int(n * numbers[0]), n)
            case "mean_minus_std":
                return self.mean - numbers[0] * self.std
            case "mean_plus_std":
                return self.mean + numbers[0] * self.std
            case "mean_quantile_mix":
                return numbers[1] * self.mean + (1.0 - numbers[1]) * self._at_level(numbers[0])
            case "quantile_plus_std":
                return self._at_level(numbers[0]) + numbers[1] * self.std
            case _:  # quantile, p
                return self._at_level(numbers[0])

    def _at_level(self, level: float) -> Array:
        place = level * (len(self._sorted) - 1)
        below = min(int(place), len(self._sorted) - 1)
        above = min(below + 1, len(self._sorted) - 1)
        low, high = self._sorted[below], self._sorted[above]
        return np.asarray(low + (high - low) * (place - below), dtype=np.float64)

    def _mean_of(self, start: int, stop: int) -> Array:
        """The mean of the draws from place `start` to before `stop` of their order."""
        return _sum(self._sorted[start:stop]) / (stop - start)


def _sum(values: Array) -> Array:
    """The sum over the first axis, added one by one: what stands beside does not change it."""
    total = np.zeros(values.shape[1:])
    for row in values:
        total += row
    return total
