"""Horizons of more than one patch: each patch is forecast from those before, with a cache.

The context is read once. What is appended to it, means or draws, is scaled by the statistics of all
that stands before it, forecasts included, as the original does.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from marketsim.models.neural.batching import Batch, BatchRunner, Indices, padded
from marketsim.models.neural.model import Array, Values
from marketsim.models.toto1.scaler import in_units, patch_scales, scaled_patches

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.blocks import Rotation
    from marketsim.models.toto1.network import Cached

_MOST = float(np.finfo(np.float32).max) / 2


class DecodedModel(Protocol):
    """What decoding needs of a model."""

    decoding: str

    @property
    def config(self) -> Any:
        """The network's configuration."""
        ...

    @property
    def network(self) -> Any:
        """The network."""
        ...

    @property
    def batches(self) -> BatchRunner:
        """How rows are put together."""
        ...

    @property
    def patch(self) -> int:
        """How many steps a patch has."""
        ...

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Rotary factors of patch numbers on the model's device."""
        ...

    def to_device(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """An array on the model's device."""
        ...


def decode_means(model: DecodedModel, batch: Batch, horizon: int) -> Array:
    """Mixtures [row, variate, horizon, 4 * component], each patch given the means before it."""
    decoder = Decoder(model, batch)
    parts = [decoder.first]
    while len(parts) * model.patch < horizon:
        parts.append(decoder.extend(means(parts[-1])))
    return np.concatenate(parts, axis=2)[:, :, :horizon]


def means(mixtures: Array) -> Values:
    """Expected values of mixtures [..., 4 * component], as they are appended to a context."""
    _, location, _, weight = np.split(mixtures, 4, axis=-1)
    return appended((weight * location).sum(axis=-1))


def appended(values: Array) -> Values:
    """Values to append: 0, as in the original, where float32 can hardly hold them."""
    fits = np.abs(values) < _MOST
    return np.where(fits, values, 0.0).astype(np.float32)


class Decoder:
    """A batch of contexts that have been read, and the values appended since.

    Attributes:
        first: mixtures [row, variate, patch, 4 * component] of the patch after the contexts.
    """

    def __init__(self, model: DecodedModel, batch: Batch) -> None:
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

    def taking(self, rows: Indices) -> Decoder:
        """A decoder for some of the rows, each of which may be repeated."""
        other = copy(self)
        other.first = self.first[rows]
        other._values, other._observed = self._values[rows], self._observed[rows]
        variates = self._values.shape[1]
        tokens = (rows[:, None] * variates + np.arange(variates)).reshape(-1)
        at = self._model.to_device(tokens)
        other._cache = [(keys[at], values[at]) for keys, values in self._cache]
        return other

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
