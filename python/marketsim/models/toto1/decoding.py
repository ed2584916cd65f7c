"""Horizons of more than one patch: each patch is forecast from those before, with a cache.

The context is read once. What is appended to it, means or draws, is scaled by the statistics of all
that stands before it, forecasts included, as the original does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from marketsim.models.neural.batches import Batch
from marketsim.models.neural.model import Array, Values, padded
from marketsim.models.toto1.scaler import in_units, patch_scales, scaled_patches

if TYPE_CHECKING:
    from torch import Tensor

    from marketsim.models.toto1.model import Toto1Model
    from marketsim.models.toto1.network import Cached

# Values [row, variate, patch] to go on with, from mixtures [row, variate, patch, 4 * component]
# and the number of the patch, 0 for the first one forecast.
Choice: TypeAlias = Callable[[Array, int], Values]


def decode_means(model: Toto1Model, batch: Batch, horizon: int) -> Array:
    """Mixtures [row, variate, horizon, 4 * component], each patch given the means before it."""
    decoder = Decoder(model, batch)
    parts = [decoder.first]
    while len(parts) * model.patch < horizon:
        parts.append(decoder.extend(means(parts[-1])))
    return np.concatenate(parts, axis=2)[:, :, :horizon]


def means(mixtures: Array) -> Values:
    """Expected values of mixtures [..., 4 * component]."""
    _, location, _, weight = np.split(mixtures, 4, axis=-1)
    return np.asarray((weight * location).sum(axis=-1), dtype=np.float32)


class Decoder:
    """A batch of contexts that have been read, and what has been appended to them since.

    Attributes:
        first: mixtures [row, variate, patch, 4 * component] of the patch after the contexts.
    """

    def __init__(self, model: Toto1Model, batch: Batch) -> None:
        self._model = model
        self._values, self._observed = padded(batch, model.patch)
        self._context = self._values.shape[-1]
        self._cache: list[Cached] = []
        rows = np.arange(len(batch.rows))
        location, scale = self._scales()
        patches = scaled_patches(self._values, location, scale, model.patch)
        centre = 0.0 if model.decoding == "exact" else float((batch.width - 1) // 2)
        made = model.network(
            model.to_device(patches),
            model.to_device(rows * batch.width + batch.width - 1),
            model.rotation(np.arange(batch.width), centre),
            model.patch,
            self._cache,
        )
        self.first = in_units(made.cpu().numpy(), location[..., -1], scale[..., -1])

    def repeat(self, paths: int) -> None:
        """Go on with that many copies of each row, side by side."""
        self._values = self._values.repeat(paths, axis=0)
        self._observed = self._observed.repeat(paths, axis=0)
        variates = self._values.shape[1]
        self._cache = [
            (_repeated(keys, variates, paths), _repeated(values, variates, paths))
            for keys, values in self._cache
        ]

    def extend(self, values: Values) -> Array:
        """Mixtures of the patch after one more patch of values [row, variate, patch]."""
        model = self._model
        self._values = np.concatenate([self._values, values], axis=-1)
        self._observed = np.concatenate([self._observed, np.ones_like(values, np.bool_)], axis=-1)
        location, scale = (part[..., -1:] for part in self._scales())
        number = self._values.shape[-1] // model.patch - 1
        centre = 0.0 if model.decoding == "exact" else float(number // 2)
        made = model.network.step(
            model.to_device(scaled_patches(values, location, scale, model.patch)),
            model.rotation(np.array([number]), centre),
            model.patch,
            self._cache,
        )
        return in_units(made.cpu().numpy(), location[..., 0], scale[..., 0])

    def _scales(self) -> tuple[Values, Values]:
        exponent = self._model.config.clamp_exponent
        patch, context = self._model.patch, self._context
        return patch_scales(self._values, self._observed, patch, exponent, context)


def _repeated(rows: Tensor, variates: int, paths: int) -> Tensor:
    """[row * variate, ...] with each row, all its variates together, that many times."""
    grouped = rows.view(-1, variates, *rows.shape[1:]).repeat_interleave(paths, dim=0)
    return grouped.flatten(0, 1)
