"""Base of the statistical models: shapes, masks, horizons and the fingerprint.

They need no weights, compute in float64, and forecast all bars of a series in time proportional to
its length.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError
from marketsim.models.contexts import (
    check_horizon,
    check_values,
    read_contexts,
    read_series,
    rows_of,
)
from marketsim.models.distribution import QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.protocol import Contexts
from marketsim.models.shown import ShownModel
from marketsim.models.traits import ModelTraits

LEVELS = (0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99)

Array = npt.NDArray[np.float64]


class StatisticalModel(ShownModel, ABC):
    """Base of the statistical models: shapes, masks and the fingerprint."""

    name: ClassVar[str]
    # Part of the fingerprint: raise it with every change that may change a forecast.
    version: ClassVar[int]

    def __init__(self, levels: tuple[float, ...] = LEVELS) -> None:
        self._levels = np.asarray(levels, dtype=np.float64)
        self._normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        self._stated = tuple(float(level) for level in levels)

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels of the forecasts."""
        return self._stated

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(levels=self.levels, rows=self.context_length)

    @property
    def identity(self) -> ModelIdentity:
        """Identity: everything that a forecast depends on besides its context."""
        return ModelIdentity(
            name=self.name,
            code=f"marketsim.models.statistical {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            configuration=self.options(),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`, which does not change: options are read-only."""
        return self.identity.fingerprint

    @property
    @abstractmethod
    def context_length(self) -> int | None:
        """Number of last values that a forecast depends on; None for all."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""

    @abstractmethod
    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        """Compute (mean, std, quantiles) of one series for every t in start .. len(series)."""

    @abstractmethod
    def _spread(self, step: int) -> float:
        """Return the factor of the one-step spread at a step, counted from 1."""

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Raises:
            ArgumentError: a context without an observed value, an infinite value, or shapes that
                differ.

        Example:
            >>> from marketsim.models import PersistenceModel
            >>> PersistenceModel().predict([[0.01, 0.02]]).mean.tolist()
            [[0.02]]
        """
        rows, masks, shape = read_contexts(contexts, mask)
        if masks is not None:
            rows = [np.where(m, row, np.nan) for row, m in zip(rows, masks, strict=True)]
        parts = [self._forecasts(check_values(row, i), row.size) for i, row in enumerate(rows)]
        mean = np.array([part[0][0] for part in parts]).reshape(shape)
        std = np.array([part[1][0] for part in parts]).reshape(shape)
        quantiles = np.array([part[2][0] for part in parts]).reshape(*shape, len(self.levels))
        return self._over_horizon(mean, std, quantiles, horizon)

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model.predict_each`.

        Example:
            >>> from marketsim.models import PersistenceModel
            >>> PersistenceModel().predict_each([0.01, 0.02, 0.03], start=1).mean.tolist()
            [[0.01], [0.02], [0.03]]
        """
        array = read_series(series, start)
        rows = rows_of(array)
        parts = []
        for i, row in enumerate(rows):
            check_values(row[:start], i)
            parts.append(self._forecasts(check_values(row, i), start))
        mean, std, quantiles = (np.stack([part[j] for part in parts], axis=1) for j in range(3))
        if array.ndim == 1:
            mean, std, quantiles = mean[:, 0], std[:, 0], quantiles[:, 0]
        return self._over_horizon(mean, std, quantiles, horizon)

    def _over_horizon(
        self, mean: Array, std: Array, quantiles: Array, horizon: int
    ) -> QuantileDistribution:
        steps = check_horizon(horizon)
        spread = np.array([self._spread(step) for step in range(1, steps + 1)])
        center = mean[..., None, None]
        # quantiles: [..., horizon, level]
        wide = quantiles[..., None, :]
        if steps > 1:
            wide = center + (wide - center) * spread[:, None]
        means = np.repeat(mean[..., None], steps, axis=-1)
        return QuantileDistribution(self.levels, wide, means, std[..., None] * spread)


def checked_window(window: int) -> int:
    """Check a window of 2 .. 1,000,000 values; raise ArgumentError."""
    if not is_whole(window) or not 2 <= window <= 1_000_000:
        raise ArgumentError(f"window must be a whole number in 2 .. 1,000,000: got {window!r}")
    return int(window)
