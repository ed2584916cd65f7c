"""Causal scaler of Toto 2.0, the network's input, and the conversion back to the series' units.

Location and scale of a patch come from all steps up to its end, in float64, from running sums as
the original takes them (Welford, Note on a method for calculating corrected sums of squares and
products, Technometrics 4, 1962), so that they do not depend on what follows.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Values: TypeAlias = npt.NDArray[np.float32]

_LEAST_SCALE = 1e-6
_LARGEST = float(np.finfo(np.float32).max)


class Units(NamedTuple):
    """Units of the forecasts made from each patch; arrays [...].

    Attributes:
        location, scale: float32.
        lowest, highest: float64, what forecasts are confined to; infinite where nothing confines
            them.
    """

    location: Values
    scale: Values
    lowest: Array
    highest: Array

    def at(self, index: object) -> Units:
        """Select the units of some patches."""
        return Units(*(part[index] for part in self))  # type: ignore[call-overload]


def patch_units(values: Values, observed: Flags, patch: int, fallback: int, cap: float) -> Units:
    """Compute units [..., patch number] of values [..., time].

    Args:
        values, observed: [..., time], whole patches.
        patch: steps a patch.
        fallback: patches with fewer observed values than this up to their end take location and
            scale from the first so many observed values of the series; 0 for never.
        cap: forecasts are confined to the range of the values observed up to the patch's end,
            widened by that many scales on both sides; 0 for no limit.
    """
    x = values.astype(np.float64)
    weight = observed.astype(np.float64)
    count = np.cumsum(weight, axis=-1)
    divisor = np.maximum(count, 1.0)
    mean = np.cumsum(x * weight, axis=-1) / divisor
    before = np.concatenate([np.zeros_like(mean[..., :1]), mean[..., :-1]], axis=-1)
    squares = np.cumsum((x - before) * (x - mean) * weight, axis=-1)
    # Rounding can take the sum of squares of equal values below zero.
    variance = np.maximum(squares, 0.0) / np.maximum(divisor - 1.0, 1.0)
    last = slice(patch - 1, None, patch)
    location = mean[..., last]
    scale = np.maximum(np.sqrt(variance[..., last]), _LEAST_SCALE)
    if fallback > 0:
        first_location, first_scale = _first_values(x, observed, count, fallback)
        short = count[..., last] < fallback
        location = np.where(short, first_location, location)
        scale = np.where(short, first_scale, scale)
    narrow = scale.astype(np.float32)
    lowest, highest = _limits(x, observed, narrow, last, cap)
    return Units(location.astype(np.float32), narrow, lowest, highest)


def _first_values(x: Array, observed: Flags, count: Array, most: int) -> tuple[Array, Array]:
    """Compute location and scale [..., 1] of the first observed values of x [..., time]."""
    weight = (observed & (count <= most)).astype(np.float64)
    # Running sums, so that they do not depend on how long the series is.
    number = np.maximum(np.cumsum(weight, axis=-1)[..., -1:], 1.0)
    location = np.cumsum(x * weight, axis=-1)[..., -1:] / number
    squares = np.cumsum(((x - location) * weight) ** 2, axis=-1)[..., -1:]
    variance = squares / np.maximum(number - 1.0, 1.0)
    return location, np.maximum(np.sqrt(variance), _LEAST_SCALE)


def _limits(
    x: Array, observed: Flags, scale: Values, last: slice, cap: float
) -> tuple[Array, Array]:
    """Compute the limits (lowest, highest) [..., patch number] of forecasts."""
    if cap <= 0.0:
        return np.full(scale.shape, -np.inf), np.full(scale.shape, np.inf)
    reach = cap * scale.astype(np.float64)
    least = np.minimum.accumulate(np.where(observed, x, np.inf), axis=-1)[..., last]
    most = np.maximum.accumulate(np.where(observed, x, -np.inf), axis=-1)[..., last]
    none = least > most
    return np.where(none, 0.0, least) - reach, np.where(none, 0.0, most) + reach


def network_patches(values: Values, observed: Flags, units: Units, patch: int) -> Values:
    """Build the network's input float32 [..., patch number, 2 * patch] of values [..., time].

    The first half are the values in units of their patch, compressed by asinh, 0 where none is
    observed; the second half is 1 where none is observed.
    """
    shape = (*values.shape[:-1], -1, patch)
    x, seen = values.reshape(shape), observed.reshape(shape)
    scaled = (x.astype(np.float64) - units.location[..., None]) / units.scale[..., None]
    result = np.empty((*scaled.shape[:-1], 2 * patch), dtype=np.float32)
    result[..., :patch] = np.arcsinh(np.where(seen, scaled, 0.0))
    result[..., patch:] = ~seen
    return result


def in_units(outputs: Values, units: Units) -> Array:
    """Convert quantiles [..., step, level] to units of the series, before `confined`.

    Args:
        outputs: float32, what the network says: asinh of scaled values.
        units: [...], of the patches that the forecasts were made from.
    """
    scale = units.scale.astype(np.float64)[..., None, None]
    # What float64 cannot hold becomes infinite, and `confined` deals with it.
    with np.errstate(over="ignore"):
        return np.sinh(outputs.astype(np.float64)) * scale + units.location[..., None, None]


def too_large(quantiles: Array) -> Flags:
    """Return which forecasts [forecast, ...] have a value beyond float32."""
    beyond = np.abs(quantiles) > _LARGEST
    return np.asarray(beyond.reshape(len(beyond), -1).any(axis=-1))


def confined(quantiles: Array, units: Units) -> Array:
    """Make quantiles [..., step, level] finite, within their limits and ascending.

    A value that float32 cannot hold becomes the largest, or smallest, one of its level and patch
    that it can; so `quantiles` must have all steps of the patch where there is one. Where no step
    has any, it becomes the largest number itself.
    """
    if too_large(quantiles[None])[0]:
        fits = np.abs(quantiles) <= _LARGEST
        most = np.where(fits, quantiles, -np.inf).max(axis=-2, keepdims=True)
        least = np.where(fits, quantiles, np.inf).min(axis=-2, keepdims=True)
        most = np.where(np.isfinite(most), most, _LARGEST)
        least = np.where(np.isfinite(least), least, -_LARGEST)
        quantiles = np.where(quantiles > _LARGEST, most, quantiles)
        quantiles = np.where(quantiles < -_LARGEST, least, quantiles)
    limits = (part[..., None, None] for part in (units.lowest, units.highest))
    return np.sort(np.clip(quantiles, *limits), axis=-1)
