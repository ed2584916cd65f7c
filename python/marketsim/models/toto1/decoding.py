"""Decode horizons of several patches, each from those before, with a key-value cache.

The context is read once. What is appended to it, means or draws, is scaled by the statistics of all
that stands before it, forecasts included, as the original does.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Protocol

import numpy as np

from marketsim.models.neural.batching import Batch, Indices, padded
from marketsim.models.neural.decoding import DecodedModel
from marketsim.models.neural.model import Array, Values
from marketsim.models.toto1.scaler import in_units, patch_scales, scaled_patches

if TYPE_CHECKING:
    from marketsim.models.toto1.network import Cached

_MOST = float(np.finfo(np.float32).max) / 2


class Toto1Decoded(DecodedModel, Protocol):
    """Members of a Toto 1.0 model that decoding uses."""

    decoding: str


def decode_means(model: Toto1Decoded, batch: Batch, horizon: int) -> Array:
    """Decode mixtures [row, variate, horizon, 4 * component]; means are fed back."""
    decoder = Decoder(model, batch)
    parts = [decoder.first]
    while len(parts) * model.patch < horizon:
        parts.append(decoder.extend(means(parts[-1])))
    return np.concatenate(parts, axis=2)[:, :, :horizon]


def means(mixtures: Array) -> Values:
    """Compute the expected values of mixtures [..., 4 * component] to append to a context."""
    _, location, _, weight = np.split(mixtures, 4, axis=-1)
    return appended((weight * location).sum(axis=-1))


def appended(values: Array) -> Values:
    """Return values to append: 0 where float32 would overflow, as in the original."""
    fits = np.abs(values) < _MOST
    return np.where(fits, values, 0.0).astype(np.float32)


class Decoder:
    """State of decoding: contexts that were read, and values appended since.

    Attributes:
        first: mixtures [row, variate, patch, 4 * component] of the patch after the contexts.
    """

    def __init__(self, model: Toto1Decoded, batch: Batch) -> None:
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
        """Return a decoder for some of the rows; rows may be repeated."""
        other = copy(self)
        other.first = self.first[rows]
        other._values, other._observed = self._values[rows], self._observed[rows]
        variates = self._values.shape[1]
        tokens = (rows[:, None] * variates + np.arange(variates)).reshape(-1)
        at = self._model.to_device(tokens)
        other._cache = [(keys[at], values[at]) for keys, values in self._cache]
        return other

    def extend(self, values: Values) -> Array:
        """Append a patch of values [row, variate, patch]; return the mixtures of the next patch."""
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
