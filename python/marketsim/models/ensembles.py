"""Average the quantiles of models, weighted equally or by past scores."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.calibration import FIRST, Array, LearningModel, load_given
from marketsim.models.protocol import Model
from marketsim.models.statistical.base import LEVELS

WEIGHTS = ("equal", "crps")
_LEAST = 20  # outcomes before weights differ


def ensemble(
    models: Iterable[str | os.PathLike[str] | Model],
    weights: str = "equal",
    *,
    window: int = 250,
    name: str | None = None,
) -> EnsembleModel:
    """Combine models: quantiles are the weighted means of their quantiles.

    Averaging quantiles keeps the shape and the width of what is averaged, where averaging
    probabilities widens it. With weights="crps" each model counts by the inverse of its mean
    quantile loss on the last `window` outcomes before a bar, per target and step, which is half its
    continuous ranked probability score; equal weights until 20 outcomes are known.

    Args:
        models: at least two, as `load_model` takes them or models that `calibrated` takes.
        weights: "equal" or "crps".
        window: how many last outcomes give the weights, at least 50.
        name: display name; by default the names with + between.

    Raises:
        UnknownNameError: other weights.
        ArgumentError: fewer than two models, a window below 50, or models that share no kind of
            targets or cannot be asked about their past (see `calibrated`).

    Example:
        >>> ensemble(["ewma", "climatology"]).name
        'ewma + climatology'

    Source: Lichtendahl, Grushka-Cockayne and Winkler, Is it better to average probabilities or
    quantiles? (2013).
    """
    if weights not in WEIGHTS:
        raise UnknownNameError("weights", str(weights), WEIGHTS)
    if not is_whole(window) or not 50 <= window <= 100_000:
        raise ArgumentError(f"window must be a whole number in 50 .. 100,000: got {window!r}")
    given = [load_given(model) for model in models]
    if len(given) < 2:
        raise ArgumentError(f"an ensemble needs at least two models: got {len(given)}")
    return EnsembleModel(given, weights, int(window), name)


class EnsembleModel(LearningModel):
    """See `ensemble`, which builds it."""

    # Part of the fingerprint: raise it with every change that may change a forecast.
    version = 1

    def __init__(
        self, models: Iterable[Model], weights: str, window: int, name: str | None = None
    ) -> None:
        given = list(models)
        self.weights = weights
        self.name = " + ".join(model.name for model in given) if name is None else name
        super().__init__(given, window, LEVELS)

    def _options(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def _levels_asked(self) -> tuple[float, ...]:
        return self.levels

    def _combined(
        self, made: list[Array], outcomes: Array, begin: int, start: int, late: int
    ) -> Array:
        ends = np.arange(start, begin + len(outcomes))
        shares = np.full((len(made), len(ends)), 1.0 / len(made))
        if self.weights == "crps":
            losses = np.stack([_loss(outcomes, one, self.levels) for one in made])
            shares = self._shares(losses, ends, begin, late)
        found = shares[0][:, None] * made[0][start - begin :]
        for share, one in itertools.islice(zip(shares, made, strict=True), 1, None):
            found = found + share[:, None] * one[start - begin :]
        # Rounding must not put two levels that are equal in all models out of order.
        return np.maximum.accumulate(found, axis=1)

    def _shares(self, losses: Array, ends: Any, begin: int, late: int) -> Array:
        """Compute weights [model, end] from the losses before each end.

        Added one by one, the oldest first: no weight depends on how many are computed.
        """
        low = np.maximum(FIRST, ends - self.window) - begin
        high = ends - late - begin
        known = np.where(np.isnan(losses), 0.0, losses)
        total = np.zeros((len(losses), len(ends)))
        for k in range(self.window):
            at = low + k
            inside = at < high
            total += np.where(inside, known[:, np.minimum(at, known.shape[1] - 1)], 0.0)
        inverse = 1.0 / np.maximum(total, 1e-300)
        norm = inverse[0].copy()
        for one in inverse[1:]:
            norm = norm + one
        shares = inverse / norm
        return np.where(high - low >= _LEAST, shares, 1.0 / len(losses))


def _loss(outcomes: Array, quantiles: Array, levels: tuple[float, ...]) -> Array:
    """Compute the mean quantile loss [end]; NaN for an unknown outcome."""
    total = np.zeros(len(outcomes))
    for i, level in enumerate(levels):
        error = outcomes - quantiles[:, i]
        total = total + np.maximum(level * error, (level - 1.0) * error)
    return total / len(levels)
