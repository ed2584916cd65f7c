"""Input of TimesFM 2.5 and the way back to the units of a series.

Location and scale of a patch are the mean and the standard deviation (divided by the count) of all
values up to its end, from running sums in float64 (Welford, Technometrics 4, 1962), so that they do
not depend on what follows.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.models.neural.batching import Batch, Indices, padded

Array: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Values: TypeAlias = npt.NDArray[np.float32]

# A smaller deviation does not scale the input.
_LEAST_SCALE = 1e-6
_LARGEST = float(np.finfo(np.float32).max)


class Panel(NamedTuple):
    """Series of a batch, each from its first observed value on.

    Attributes:
        values: float32 [series, time], whole patches.
        known: bool [series, time]; False where something only fills up.
        skipped: int64 [series], patches of the batch's row that come before the series.
    """

    values: Values
    known: Flags
    skipped: Indices

    def rows(self, index: slice) -> Panel:
        """Select some of the series."""
        return Panel(self.values[index], self.known[index], self.skipped[index])


def read_panel(batch: Batch, patch: int) -> Panel:
    """Return the series [row * variate] of a batch, values that are missing interpolated.

    As the original, a series begins with its first observed value, and a missing one lies on the
    line between the two beside it; at the end it is the last one observed.
    """
    values, observed = padded(batch, patch)
    shape = (-1, values.shape[-1])
    values, observed = values.reshape(shape), observed.reshape(shape)
    known, skipped = observed.copy(), np.zeros(len(values), dtype=np.int64)
    variates = batch.rows[0].variates
    for i in range(len(batch.rows) * variates):
        stop = batch.rows[i // variates].patches(patch) * patch
        first = int(observed[i].argmax())
        if not observed[i, first:stop].all():
            at = np.flatnonzero(observed[i])
            inner = np.arange(first, stop)
            values[i, first:stop] = np.interp(inner, at, values[i, at].astype(np.float64))
            known[i, first:stop] = True
        values[i, :first] = 0.0
        skipped[i] = first // patch
        if skipped[i]:
            before = int(skipped[i]) * patch
            for part in (values[i], known[i]):
                part[:-before] = part[before:].copy()
                part[-before:] = 0
    return Panel(values, known, skipped)


def patch_units(values: Values, known: Flags, patch: int) -> tuple[Array, Array]:
    """Compute location and scale [series, patch number] of values [series, time]."""
    x, weight = values.astype(np.float64), known.astype(np.float64)
    count = np.maximum(np.cumsum(weight, axis=-1), 1.0)
    mean = np.cumsum(x * weight, axis=-1) / count
    before = np.concatenate([np.zeros_like(mean[..., :1]), mean[..., :-1]], axis=-1)
    squares = np.cumsum((x - before) * (x - mean) * weight, axis=-1)
    last = slice(patch - 1, None, patch)
    # Rounding can take the sum of squares of equal values below zero.
    return mean[..., last], np.sqrt(np.maximum(squares, 0.0) / count)[..., last]


def network_patches(values: Values, known: Flags, units: tuple[Array, Array], patch: int) -> Values:
    """Build the network's input float32 [series, 1, patch number, 2 * patch]."""
    location, scale = (part[..., None] for part in units)
    x = values.reshape(len(values), -1, patch).astype(np.float64)
    seen = known.reshape(x.shape)
    result = np.empty((*x.shape[:-1], 2 * patch), dtype=np.float32)
    scaled = (x - location) / np.where(scale < _LEAST_SCALE, 1.0, scale)
    result[..., :patch] = np.where(seen, scaled, 0.0)
    result[..., patch:] = ~seen
    return np.expand_dims(result, 1)


def mirrored(patches: Values) -> Values:
    """Return the network's input of the negated series."""
    result = patches.copy()
    result[..., : patches.shape[-1] // 2] *= -1.0
    return result


def in_order(quantiles: Array) -> Array:
    """Make quantiles [..., level] ascend, outwards from the median, and fit float32."""
    middle = quantiles.shape[-1] // 2
    low = np.minimum.accumulate(quantiles[..., middle::-1], axis=-1)[..., ::-1]
    high = np.maximum.accumulate(quantiles[..., middle:], axis=-1)[..., 1:]
    return np.asarray(np.clip(np.concatenate([low, high], axis=-1), -_LARGEST, _LARGEST))
