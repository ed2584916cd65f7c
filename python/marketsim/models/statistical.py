"""Models that need no weights: persistence, and an exponentially weighted volatility.

Both treat each series by itself, run in time proportional to its length for all days together, and
compute in float64.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import as_number, as_numbers
from marketsim.models.distribution import QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.protocol import Contexts

LEVELS = (0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99)

Array = npt.NDArray[np.float64]


class StatisticalModel(ABC):
    """The part that the statistical models share: shapes, masks, and the fingerprint."""

    name: ClassVar[str]
    # Part of the fingerprint: raise it with every change that may change a forecast.
    version: ClassVar[int]

    def __init__(self, levels: tuple[float, ...] = LEVELS) -> None:
        self._levels = np.asarray(levels, dtype=np.float64)
        self._normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        self.levels = tuple(float(level) for level in levels)

    @property
    def identity(self) -> ModelIdentity:
        """Everything that a forecast depends on besides its context."""
        return ModelIdentity(
            name=self.name,
            code=f"marketsim.models.statistical {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            configuration=self.options(),
        )

    @property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        return self.identity.fingerprint

    @property
    @abstractmethod
    def context_length(self) -> int | None:
        """How many last values a forecast depends on; None for all."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Everything that changes a forecast, for the fingerprint."""

    @abstractmethod
    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        """(mean, std, quantiles) of one series for every t in start .. len(series)."""

    @abstractmethod
    def _spread(self, step: int) -> float:
        """The factor of the one-step spread at a later step, from 1."""

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Raises:
            ArgumentError: a context without an observed value, an infinite value, or shapes that
                differ.

        Example:
            >>> PersistenceModel().predict([[0.01, 0.02]]).mean.tolist()
            [[0.02]]
        """
        rows, shape = _context_rows(contexts, mask)
        parts = [self._forecasts(_checked(row, i), row.size) for i, row in enumerate(rows)]
        mean = np.array([part[0][0] for part in parts]).reshape(shape)
        std = np.array([part[1][0] for part in parts]).reshape(shape)
        quantiles = np.array([part[2][0] for part in parts]).reshape(*shape, len(self.levels))
        return self._over_horizon(mean, std, quantiles, horizon)

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model.predict_each`.

        Example:
            >>> PersistenceModel().predict_each([0.01, 0.02, 0.03], start=1).mean.tolist()
            [[0.01], [0.02], [0.03]]
        """
        array = as_numbers("series", series, np.float64)
        if array.ndim not in (1, 2):
            raise ArgumentError(
                f"series must be [time] or [variate, time]: got shape {array.shape}"
            )
        size = array.shape[-1]
        if not _is_whole(start) or not 1 <= start <= size:
            raise ArgumentError(
                f"start must be a whole number in 1 .. {size}, the length: got {start!r}"
            )
        rows = _rows(array)
        if not rows:
            raise ArgumentError(f"series must hold at least one variate: got shape {array.shape}")
        parts = []
        for i, row in enumerate(rows):
            _checked(row[:start], i)
            parts.append(self._forecasts(_checked(row, i), start))
        mean, std, quantiles = (np.stack([part[j] for part in parts], axis=1) for j in range(3))
        if array.ndim == 1:
            mean, std, quantiles = mean[:, 0], std[:, 0], quantiles[:, 0]
        return self._over_horizon(mean, std, quantiles, horizon)

    def _over_horizon(
        self, mean: Array, std: Array, quantiles: Array, horizon: int
    ) -> QuantileDistribution:
        if not _is_whole(horizon) or horizon < 1:
            raise ArgumentError(f"horizon must be a whole number of at least 1: got {horizon!r}")
        spread = np.array([self._spread(step) for step in range(1, horizon + 1)])
        center = mean[..., None, None]
        # quantiles: [..., horizon, level]
        wide = quantiles[..., None, :]
        if horizon > 1:
            wide = center + (wide - center) * spread[:, None]
        means = np.repeat(mean[..., None], horizon, axis=-1)
        return QuantileDistribution(self.levels, wide, means, std[..., None] * spread)


class EwmaModel(StatisticalModel):
    """Zero-drift returns whose scale is exponentially weighted: RiskMetrics, filtered historical.

    The scale is the root mean square of past values with weights decay^k, normalised. The shape is
    that of the last `window` values divided by the scale that was forecast for them; the normal's
    until there are 20. All later steps have the distribution of the next one.

    References: RiskMetrics Technical Document, 4th edition (1996), section 5.2; Barone-Adesi,
    Giannopoulos and Vosper, VaR without correlations for portfolios of derivative securities,
    Journal of Futures Markets 19 (1999).
    """

    name = "ewma"
    version = 1
    _LEAST_RESIDUALS = 20

    def __init__(self, *, decay: float = 0.94, window: int = 500) -> None:
        value = as_number("decay", decay, "a number in (0, 1)")
        if not 0.0 < value < 1.0:
            raise ArgumentError(f"decay must lie in (0, 1): got {decay!r}")
        super().__init__()
        self.decay = value
        self.window = _checked_window(window)

    @property
    def context_length(self) -> None:
        """None: every value of the past has a weight."""
        return

    def options(self) -> dict[str, Any]:
        """Everything that changes a forecast, for the fingerprint."""
        return {"decay": self.decay, "window": self.window, "levels": self.levels}

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        return _core.ewma_forecasts(
            series,
            start,
            self.decay,
            self.window,
            self._LEAST_RESIDUALS,
            self._levels,
            self._normal,
        )

    def _spread(self, step: int) -> float:
        return 1.0


class PersistenceModel(StatisticalModel):
    """The last value again, with the size of the last `window` one-step changes around it.

    The quantiles lie symmetrically around the last value, by those of the absolute changes; at step
    k they are sqrt(k) times as wide, as those of a random walk.
    """

    name = "persistence"
    version = 1

    def __init__(self, *, window: int = 500) -> None:
        super().__init__()
        self.window = _checked_window(window)

    @property
    def context_length(self) -> int:
        """The values that the last `window` changes are made of."""
        return self.window + 1

    def options(self) -> dict[str, Any]:
        """Everything that changes a forecast, for the fingerprint."""
        return {"window": self.window, "levels": self.levels}

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        return _core.persistence_forecasts(series, start, self.window, self._levels, self._normal)

    def _spread(self, step: int) -> float:
        return float(np.sqrt(step))


def _checked_window(window: int) -> int:
    if not _is_whole(window) or not 2 <= window <= 1_000_000:
        raise ArgumentError(f"window must be a whole number in 2 .. 1,000,000: got {window!r}")
    return int(window)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _checked(row: Array, index: int) -> Array:
    if np.isinf(row).any():
        at = int(np.flatnonzero(np.isinf(row))[0])
        raise ArgumentError(f"context {index} holds an infinite value at {at}")
    if np.isnan(row).all():
        raise ArgumentError(f"context {index} holds no observed value (length {row.size})")
    return np.ascontiguousarray(row)


def _context_rows(
    contexts: Contexts, mask: npt.ArrayLike | None
) -> tuple[list[Array], tuple[int, ...]]:
    """Contexts as 1-D rows with NaN where unobserved, and the shape of the batch."""
    masks: list[npt.NDArray[np.bool_]] | None = None
    if isinstance(contexts, (list, tuple)) and _differ_in_length(contexts):
        rows = [
            as_numbers(f"context {i}", context, np.float64) for i, context in enumerate(contexts)
        ]
        if any(row.ndim != 1 for row in rows):
            shapes = ", ".join(str(row.shape) for row in rows[:5])
            raise ArgumentError(
                f"a list of contexts of different lengths must hold 1-D arrays: got {shapes}"
            )
        shape: tuple[int, ...] = (len(rows),)
        if mask is not None:
            masks = [_flags(m) for m in mask] if isinstance(mask, (list, tuple)) else [_flags(mask)]
    else:
        array = as_numbers("contexts", contexts, np.float64)
        if array.ndim not in (2, 3):
            raise ArgumentError(
                "contexts must be [batch, time], [batch, variate, time] or a list of 1-D arrays: "
                f"got shape {array.shape}"
            )
        shape = array.shape[:-1]
        rows = _rows(array)
        if mask is not None:
            observed = _flags(mask)
            if observed.shape != array.shape:
                raise ArgumentError(
                    f"mask must have the shape of the contexts {array.shape}: got {observed.shape}"
                )
            masks = _rows(observed)
    if masks is not None:
        if [m.shape for m in masks] != [row.shape for row in rows]:
            raise ArgumentError(
                "mask must have the lengths of the contexts "
                f"{[row.size for row in rows[:5]]}: got {[m.shape for m in masks[:5]]}"
            )
        rows = [np.where(m, row, np.nan) for row, m in zip(rows, masks, strict=True)]
    return rows, shape


def _differ_in_length(contexts: Sequence[Any]) -> bool:
    try:
        return len({np.size(context) for context in contexts}) > 1
    except (TypeError, ValueError):  # one of them is no array: the next step says which
        return True


def _rows(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The rows along the last axis, which may be empty."""
    return list(array.reshape(math.prod(array.shape[:-1]), array.shape[-1]))


def _flags(mask: object) -> npt.NDArray[np.bool_]:
    try:
        return np.asarray(mask, dtype=np.bool_)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"mask must be True or False for each value of the contexts: got {mask!r} ({error})"
        ) from None
