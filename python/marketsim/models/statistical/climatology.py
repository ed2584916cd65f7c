"""Climatology: the quantiles of the last values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.models.statistical.base import Array, StatisticalModel, checked_window


class ClimatologyModel(StatisticalModel):
    """The empirical quantiles, mean and standard deviation of the last `window` values.

    What a forecast of a distribution has to beat. All later steps have the distribution of the
    next one.
    """

    name = "climatology"
    version = 1

    def __init__(self, *, window: int = 250) -> None:
        super().__init__()
        self._window = checked_window(window)

    @property
    def window(self) -> int:
        """Number of last values that give the distribution."""
        return self._window

    @property
    def context_length(self) -> int:
        """The last `window` values."""
        return self.window

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {"window": self.window, "levels": self.levels}

    def _forecasts(self, series: Array, start: int) -> tuple[Array, Array, Array]:
        """Compute (mean, std, quantiles) of the last known values."""
        ends = np.arange(start, series.size + 1)
        known = ~np.isnan(series)
        if known.all():
            values = np.ascontiguousarray(series[None])
            quantiles = _core.rolling_quantiles(values, start, self.window, self._levels)[0]
        else:
            quantiles = np.array([self._of_known(series[:end]) for end in ends.tolist()])
        mean, std = self._moments(np.where(known, series, 0.0), known, ends)
        empty = np.isnan(mean)  # no value in the window: the last one that is known
        mean[empty], std[empty] = quantiles[empty, 0], 0.0
        return mean, std, quantiles

    def _of_known(self, past: Array) -> Array:
        part = past[-self.window :]
        part = part[~np.isnan(part)]
        if not part.size:
            part = past[~np.isnan(past)][-1:]
        found = _core.rolling_quantiles(part[None].copy(), part.size, self.window, self._levels)
        return np.asarray(found[0, 0])

    def _moments(
        self, values: Array, known: npt.NDArray[np.bool_], ends: npt.NDArray[np.int64]
    ) -> tuple[Array, Array]:
        """Compute means and standard deviations of the last `window` values before each end.

        Added value by value, the oldest first, so that none depends on how many are computed.
        """
        room = np.zeros(self.window)
        padded = np.concatenate([room, values])
        weight = np.concatenate([room, known.astype(np.float64)])
        total, count, square = (np.zeros(ends.size) for _ in range(3))
        for k in range(self.window):
            total += padded[ends + k]
            count += weight[ends + k]
        with np.errstate(invalid="ignore"):
            mean = total / count
            for k in range(self.window):
                off = padded[ends + k] - mean
                square += weight[ends + k] * off * off
            return mean, np.sqrt(square / count)

    def _spread(self, step: int) -> float:
        return 1.0
