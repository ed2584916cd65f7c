"""Statistics shared by distributions that give quantiles and trimmed means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.aggregation import parse_aggregate

Array = npt.NDArray[np.float64]


class Aggregated(ABC):
    """Point forecasts by name, for NumPy arrays and tensors [..., horizon]."""

    @property
    @abstractmethod
    def mean(self) -> Any:
        """Expected values."""

    @property
    @abstractmethod
    def std(self) -> Any:
        """Standard deviations."""

    @abstractmethod
    def _at_level(self, level: float) -> Any:
        """The quantile at one level in (0, 1)."""

    @abstractmethod
    def _trimmed_mean(self, below: float, above: float) -> Any:
        """The mean without the lowest fraction `below` and the highest `above`."""

    def __repr__(self) -> str:
        shape = tuple(self.mean.shape)
        return f"{type(self).__name__}(forecasts of shape {shape})"

    def _repr_html_(self) -> str:
        """Show mean, standard deviation and quantiles of the first forecasts in a notebook."""
        mean, std = (np.asarray(values, np.float64).reshape(-1) for values in (self.mean, self.std))
        levels = (0.05, 0.25, 0.5, 0.75, 0.95)
        columns = [np.asarray(self._at_level(level), np.float64).reshape(-1) for level in levels]
        head = "".join(
            f"<th>{name}</th>" for name in ("mean", "std", *(f"{p:.0%}" for p in levels))
        )
        count = min(len(mean), 8)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{column[i]:.6g}</td>" for column in (mean, std, *columns))
            + "</tr>"
            for i in range(count)
        )
        rest = f"<p>{len(mean) - count:,} more</p>" if len(mean) > count else ""
        return f"<p>{self!r}</p><table><tr>{head}</tr>{body}</table>{rest}"

    def point(self, spec: str) -> Any:
        """Point forecasts by a name of `marketsim.models.aggregation`."""
        form, numbers = parse_aggregate(spec)
        match form:
            case "mean":
                return self.mean
            case "median":
                return self._at_level(0.5)
            case "trimmed_mean":
                return self._trimmed_mean(numbers[0], numbers[0])
            case "lower_trimmed_mean":
                return self._trimmed_mean(0.0, numbers[0])
            case "upper_trimmed_mean":
                return self._trimmed_mean(numbers[0], 0.0)
            case "mean_minus_std":
                return self.mean - numbers[0] * self.std
            case "mean_plus_std":
                return self.mean + numbers[0] * self.std
            case "mean_quantile_mix":
                return numbers[1] * self.mean + (1.0 - numbers[1]) * self._at_level(numbers[0])
            case "quantile_plus_std":
                return self._at_level(numbers[0]) + numbers[1] * self.std
            case _:  # quantile, p
                return self._at_level(numbers[0])


class PointwiseDistribution(Aggregated):
    """Quantiles at any levels, and point forecasts by name, of forecasts [..., horizon]."""

    @property
    @abstractmethod
    def mean(self) -> Array:
        """Expected values [..., horizon]."""

    @property
    @abstractmethod
    def std(self) -> Array:
        """Standard deviations [..., horizon]."""

    @abstractmethod
    def _at_level(self, level: float) -> Array:
        """The quantile at one level in (0, 1), [..., horizon]."""

    @abstractmethod
    def _trimmed_mean(self, below: float, above: float) -> Array:
        """The mean without the lowest fraction `below` and the highest `above`, [..., horizon]."""

    def quantile(self, levels: npt.ArrayLike) -> Array:
        """Quantiles [..., horizon, level] at levels in (0, 1)."""
        return np.stack([self._at_level(level) for level in checked_levels(levels)], axis=-1)

    def aggregate(self, spec: str) -> Array:
        """Point forecasts [..., horizon] by a name of `marketsim.models.aggregation`."""
        return cast(Array, self.point(spec))


def checked_levels(levels: npt.ArrayLike) -> list[float]:
    """Check levels, one or 1-D, and return them as floats in (0, 1).

    Raises:
        ArgumentError: they are not.
    """
    wanted = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if wanted.ndim != 1 or not ((wanted > 0.0) & (wanted < 1.0)).all():
        raise ArgumentError(f"levels must be 1-D and lie in (0, 1): got {levels!r}")
    return [float(level) for level in wanted]
