"""Persistence: forecasts repeat the last value."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim import _core
from marketsim.models.statistical.base import Array, StatisticalModel, checked_window


class PersistenceModel(StatisticalModel):
    """The last value, with the last `window` one-step changes around it.

    The quantiles lie symmetrically around the last value, by those of the absolute changes; at step
    k they are sqrt(k) times as wide, as those of a random walk.
    """

    name = "persistence"
    version = 1

    def __init__(self, *, window: int = 500) -> None:
        super().__init__()
        self._window = checked_window(window)

    @property
    def window(self) -> int:
        """Number of last changes that give the shape."""
        return self._window

    @property
    def context_length(self) -> int:
        """Number of values in the last `window` changes."""
        return self.window + 1

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {"window": self.window, "levels": self.levels}

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        return _core.persistence_forecasts(series, start, self.window, self._levels, self._normal)

    def _spread(self, step: int) -> float:
        return float(np.sqrt(step))
