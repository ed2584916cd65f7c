"""Causal scaler of Toto 1.0: location and scale of each patch from all steps up to its end.

In float64, from running sums as the original takes them (Welford, Note on a method for calculating
corrected sums of squares and products, Technometrics 4, 1962), so that they do not depend on what
follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]

_VARIANCE_FLOOR = 0.1
_LEAST_SCALE = float(np.float32(0.1))


class Running(NamedTuple):
    """Statistics of the observed values up to each step [..., time].

    Attributes:
        seen: how many there are.
        mean: their mean, 0 where there are none.
        squares: sum of their squared deviations from the mean.
    """

    seen: Array
    mean: Array
    squares: Array

    @property
    def scale(self) -> Array:
        """Standard deviation with Bessel's correction, after adding 0.1 to the variance."""
        variance = self.squares / np.maximum(np.maximum(self.seen, 1.0) - 1.0, 1.0)
        return np.asarray(np.sqrt(variance + _VARIANCE_FLOOR))

    @property
    def whole_scale(self) -> Array:
        """Standard deviation of all values so far, without Bessel's correction."""
        return np.asarray(np.sqrt(self.squares / np.maximum(self.seen, 1.0) + _VARIANCE_FLOOR))


def running_statistics(values: npt.NDArray[np.float32] | Array, observed: Flags) -> Running:
    """Compute running statistics of values [..., time]."""
    x = values.astype(np.float64)
    weight = observed.astype(np.float64)
    count = np.cumsum(weight, axis=-1)
    mean = np.cumsum(weight * x, axis=-1) / np.maximum(count, 1.0)
    before = np.concatenate([np.zeros_like(mean[..., :1]), mean[..., :-1]], axis=-1)
    squares = np.cumsum((x - before) * (x - mean) * weight, axis=-1)
    return Running(count, mean, squares)


def patch_scales(
    values: npt.NDArray[np.float32],
    observed: Flags,
    patch: int,
    clamp_exponent: float | None,
    context: int | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Compute (location, scale) [..., patch number] of values [..., time].

    Args:
        values, observed: [..., time], whole patches.
        patch: steps a patch.
        clamp_exponent: see Toto1Config.
        context: how many of the steps are the context, from which the bounds of the clamp come;
            None for all. Steps after them are forecasts that have been appended.
    """
    running = running_statistics(values, observed)
    scale = running.scale[..., patch - 1 :: patch]
    if clamp_exponent is not None:
        size = values.shape[-1] if context is None else context
        whole = whole_scale(values[..., :size], observed[..., :size])[..., None]
        factor = 10.0**clamp_exponent
        scale = np.clip(scale, np.maximum(_LEAST_SCALE, whole / factor), whole * factor)
    location = running.mean[..., patch - 1 :: patch]
    return location.astype(np.float32), scale.astype(np.float32)


def whole_scale(values: npt.NDArray[np.float32], observed: Flags) -> Array:
    """Compute the scale [...] of all observed values [..., time], in two passes as the original."""
    x = values.astype(np.float64)
    weight = observed.astype(np.float64)
    count = np.maximum(weight.sum(axis=-1), 1.0)
    mean = (weight * x).sum(axis=-1) / count
    squares = ((weight * (x - mean[..., None])) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(squares / count + _VARIANCE_FLOOR))


def clamp_is_idle(values: npt.NDArray[np.float32], observed: Flags, exponent: float) -> Flags:
    """Whether the clamp changes no patch of values[..., :t], for each t from 1; bool [time].

    Only then do contexts of different lengths see the same scales. Where it is close, the answer
    is no, which costs time and never exactness.
    """
    running = running_statistics(values, observed)
    whole = running.whole_scale
    highest = np.maximum.accumulate(running.scale, axis=-1)
    lowest = np.minimum.accumulate(running.scale, axis=-1)
    factor = 0.5 * 10.0**exponent
    idle = (highest <= whole * factor) & (lowest >= whole / factor)
    return np.asarray(idle.reshape(-1, idle.shape[-1]).all(axis=0))


def scaled_patches(values: Values, location: Values, scale: Values, patch: int) -> Values:
    """Return patches [..., patch number, patch] of values [..., time] in units of their scales.

    Values that are not observed are scaled like the others, as the original does.
    """
    cut = values.reshape(*values.shape[:-1], -1, patch)
    return np.asarray((cut - location[..., None]) / scale[..., None])


def in_units(parameters: Values, location: Values, scale: Values) -> Array:
    """Convert mixtures [..., step, 4 * component] to units of the series.

    Args:
        parameters: df, location, scale and weight of each component.
        location, scale: [...], those of the patch that the forecasts were made from.
    """
    result = parameters.astype(np.float64)
    k = result.shape[-1] // 4
    stretch = scale.astype(np.float64)[..., None, None]
    result[..., k : 3 * k] *= stretch
    result[..., k : 2 * k] += location.astype(np.float64)[..., None, None]
    return result


def in_units_on_device(
    parameters: torch.Tensor, location: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """`in_units` of tensors, on their device: the same operations, and so the same bits."""
    result = parameters.double()
    k = result.shape[-1] // 4
    result[..., k : 3 * k] *= scale.double()[..., None, None]
    result[..., k : 2 * k] += location.double()[..., None, None]
    return result
