"""Forecasts as mixtures of Student-t distributions, the output of Toto 1.0."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_numbers
from marketsim.errors import ArgumentError
from marketsim.models.pointwise import PointwiseDistribution, checked_levels

Array = npt.NDArray[np.float64]

# How far the weights of a forecast may sum to something else than 1: what a softmax in single
# precision leaves is far below it, what was never normalised is far above.
WEIGHT_TOLERANCE = 1e-4
_NORMAL = NormalDist()


class StudentTMixture(PointwiseDistribution):
    """Forecasts as exact mixtures of Student-t distributions; nothing is sampled.

    Component i of a forecast is loc + scale * T, T of Student's distribution with df degrees of
    freedom, and is taken with probability weight / sum of the weights. Mean and standard deviation
    are closed forms; quantiles are found by a safeguarded search of third order, closer than 1e-8
    of the mixture's spread; trimmed means follow from them by the partial first moment of the
    t distribution. They are the limits of what infinitely many samples give. Each result depends
    on the parameters of its own forecast alone, bit for bit, whatever stands beside it.

    The weights are kept as given, and count relative to their sum.

    Args:
        df: [..., horizon, component], degrees of freedom above 1: up to 1 there is no mean. The
            standard deviation is infinite where a component with weight has 2 or less.
        loc: of the same shape, centres in the unit of what is forecast.
        scale: of the same shape, positive, in the same unit.
        weights: of the same shape, not negative, summing to 1 within 1e-4 over the components.

    Raises:
        ArgumentError: shapes that differ or have no components, values that are not finite, or out
            of the ranges above.

    Example:
        >>> d = StudentTMixture([[5.0, 5.0]], [[-1.0, 1.0]], [[0.5, 0.5]], [[0.5, 0.5]])
        >>> d.mean.tolist(), d.aggregate("p90").round(6).tolist()
        ([0.0], [1.464385])
    """

    def __init__(
        self,
        df: npt.ArrayLike,
        loc: npt.ArrayLike,
        scale: npt.ArrayLike,
        weights: npt.ArrayLike,
    ) -> None:
        self.df = as_numbers("df", df, np.float64)
        self.loc = as_numbers("loc", loc, np.float64)
        self.scale = as_numbers("scale", scale, np.float64)
        self.weights = as_numbers("weights", weights, np.float64)
        self._check()
        # [row, component] in the order that the kernels read.
        parts = (self.df, self.loc, self.scale, self.weights)
        df, loc, scale, weights = (
            np.ascontiguousarray(part.reshape(-1, part.shape[-1])) for part in parts
        )
        self._rows = (df, loc, scale, weights)

    @property
    def mean(self) -> Array:
        """Expected values [..., horizon]."""
        return mixture_moments(self.df, self.loc, self.scale, self.weights)[0]

    @property
    def std(self) -> Array:
        """Standard deviations [..., horizon]; infinite where a component's variance is."""
        return mixture_moments(self.df, self.loc, self.scale, self.weights)[1]

    def cdf(self, values: npt.ArrayLike) -> Array:
        """Probabilities [..., horizon] of at most `values`, a number or one for each forecast.

        Small probabilities are accurate relative to themselves; those of more than `values` are
        one minus these.

        Raises:
            ArgumentError: values that are no numbers, NaN, or of another shape.
        """
        at = as_numbers("values", values, np.float64)
        shape = self.df.shape[:-1]
        if at.ndim and at.shape != shape:
            raise ArgumentError(f"values must be a number or have shape {shape}: got {at.shape}")
        if np.isnan(at).any():
            raise ArgumentError("values must not be NaN")
        flat = np.ascontiguousarray(np.broadcast_to(at, shape).reshape(-1))
        return _core.mixture_cdf(*self._rows, flat).reshape(shape)

    def quantile(self, levels: npt.ArrayLike) -> Array:
        """Quantiles [..., horizon, level] at levels in (0, 1), each as if requested alone."""
        wanted = checked_levels(levels)
        found = _core.mixture_quantiles(*self._rows, [with_normal(level) for level in wanted])
        return found.reshape(*self.df.shape[:-1], len(wanted))

    def sample(self, n: int, seed: int) -> Array:
        """`n` draws of each forecast [n, ..., horizon]; the same for the same seed.

        Every forecast has a stream of its own, which follows from the seed and its place in the
        batch: its draws depend neither on how many forecasts stand beside it nor on `n`.
        """
        if n < 1:
            raise ArgumentError(f"n must be at least 1: got {n}")
        key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        rows = self._rows[0].shape[0]
        draws = np.empty((rows, n))
        for row in range(rows):
            # The counter's third word is the place; a stream never gets that far by itself.
            stream = np.random.Philox(key=key, counter=np.array([0, 0, row, 0], dtype=np.uint64))
            uniform = np.random.Generator(stream).random((n, 3))
            draws[row] = _draw(uniform, *(part[row] for part in self._rows))
        return np.ascontiguousarray(draws.T).reshape(n, *self.df.shape[:-1])

    def _at_level(self, level: float) -> Array:
        return self.quantile([level])[..., 0]

    def _trimmed_mean(self, below: float, above: float) -> Array:
        """See `PointwiseDistribution`.

        The mean of the part of loc + scale * T between two values is loc + scale * (m(a) - m(b)) /
        (F(b) - F(a)) with m(t) = (df + t^2) / (df - 1) * f(t), because m' = -t f; a and b are the
        quantiles of the mixture as values of T, F and f its distribution and density (McNeil, Frey
        and Embrechts, Quantitative Risk Management, 2005, example 2.19, has it for b at infinity).
        """
        if below == 0.0 and above == 0.0:
            return self.mean
        ends = with_normal(below), with_normal(1.0 - above)
        return _core.mixture_means_between(*self._rows, *ends).reshape(self.df.shape[:-1])

    def _check(self) -> None:
        shape = self.df.shape
        parts = {"df": self.df, "loc": self.loc, "scale": self.scale, "weights": self.weights}
        if len(shape) < 2 or shape[-1] < 1:
            raise ArgumentError(f"df must have shape [..., horizon, component]: got {shape}")
        for name, part in parts.items():
            if part.shape != shape:
                raise ArgumentError(f"{name} must have the shape of df, {shape}: got {part.shape}")
            if not np.isfinite(part).all():
                raise ArgumentError(f"{name} must be finite")
        if not (self.df > 1.0).all():
            raise ArgumentError(
                "df must be above 1: with 1 degree of freedom or less a Student-t distribution has "
                f"no mean; got {float(self.df.min())}"
            )
        if not (self.scale > 0.0).all():
            raise ArgumentError(f"scale must be positive: got {float(self.scale.min())}")
        if not (self.weights >= 0.0).all():
            raise ArgumentError(f"weights must not be negative: got {float(self.weights.min())}")
        off = np.abs(weight_sums(self.weights) - 1.0)
        if not (off <= WEIGHT_TOLERANCE).all():
            at = np.unravel_index(int(np.argmax(off)), off.shape)
            total = float(self.weights[at].sum())
            raise ArgumentError(
                f"weights must sum to 1 over the components, within {WEIGHT_TOLERANCE:g}: "
                f"got {total} at {tuple(map(int, at))}"
            )


def mixture_moments(df: Array, loc: Array, scale: Array, weights: Array) -> tuple[Array, Array]:
    """Return (means, standard deviations) [...] of mixtures [..., component]; unchecked.

    With means m_i = loc_i and variances v_i = scale_i^2 df_i / (df_i - 2), infinite up to 2 degrees
    of freedom, the mean is sum(w_i m_i) and the variance sum(w_i (v_i + (m_i - mean)^2)). What is
    out of range gives NaN or infinity.
    """
    count = df.shape[-1]
    mean, variance = np.zeros(df.shape[:-1]), np.zeros(df.shape[:-1])
    with np.errstate(all="ignore"):
        total = weight_sums(weights)
        # Component by component, so that a result does not depend on what stands beside it.
        for i in range(count):
            mean += weights[..., i] * loc[..., i]
        mean /= total
        for i in range(count):
            size = scale[..., i] * np.sqrt(df[..., i] / (df[..., i] - 2.0))
            size = np.where(df[..., i] > 2.0, size, np.inf)
            part = weights[..., i] * (size * size + (loc[..., i] - mean) ** 2)
            variance += np.where(weights[..., i] == 0.0, 0.0, part)
        return mean, np.sqrt(variance / total)


def weight_sums(weights: Array) -> Array:
    """Sum over the last axis in order, independent of the other rows."""
    total = np.zeros(weights.shape[:-1])
    for i in range(weights.shape[-1]):
        total += weights[..., i]
    return total


def with_normal(level: float) -> tuple[float, float]:
    """Return a level with its standard normal quantile, the start of a search; none at 0 and 1."""
    return level, _NORMAL.inv_cdf(level) if 0.0 < level < 1.0 else 0.0


def _draw(uniform: Array, df: Array, loc: Array, scale: Array, weights: Array) -> Array:
    """Draw one value [n] of a mixture for each three uniform numbers [n, 3] in [0, 1)."""
    edges = np.cumsum(weights)
    # The last component with weight takes what rounding leaves above the last edge.
    last = int(np.flatnonzero(weights)[-1])
    which = np.minimum(np.searchsorted(edges, uniform[:, 0] * edges[-1], side="right"), last)
    t = student_t_draws(df[which], uniform[:, 1], uniform[:, 2])
    return np.asarray(loc[which] + scale[which] * t, dtype=np.float64)


def student_t_draws(df: Array, u: Array, v: Array) -> Array:
    """Draw from Student's t, two uniform numbers in [0, 1) each; all of one shape.

    They are sqrt(df (u^(-2 / df) - 1)) cos(2 pi v) (Bailey, Polar generation of random variates
    with the t-distribution, Mathematics of Computation 62, 1994).
    """
    radius = np.sqrt(df * np.expm1(-2.0 / df * np.log1p(-u)))
    return np.asarray(radius * np.cos(2.0 * np.pi * v), dtype=np.float64)
