"""All forecasts of a run: one float32 cube that the simulations slice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS
from marketsim.models import Distribution, QuantileDistribution

Floats = npt.NDArray[np.float64]


def encode(distribution: Distribution, levels: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """One-step forecasts as records: mean, std, and the quantiles, float32 [row, field]."""
    quantiles = distribution.quantile(levels)[..., 0, :]
    parts = [distribution.mean[..., :1], distribution.std[..., :1], quantiles]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def schema_of(levels: tuple[float, ...]) -> str:
    """What the fields of a record are, as part of its key."""
    return f"quantiles({','.join(repr(level) for level in levels)})+mean+std;float32"


@dataclass(frozen=True)
class ForecastCube:
    """Forecasts of the one-bar returns of each target.

    Attributes:
        first: row number in the bars of the first day; the days follow one another.
        levels: quantile levels.
        records: float32 [day, target, field], fields as `encode` orders them.
    """

    first: int
    levels: tuple[float, ...]
    records: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def distribution(self) -> QuantileDistribution:
        """The forecasts as one distribution of shape [day, target]."""
        values = self.records.astype(np.float64)
        return QuantileDistribution(
            self.levels, values[..., 2:], mean=values[..., 0], std=values[..., 1]
        )

    def point(self, aggregate: str) -> Floats:
        """Point forecasts [day, target] by an aggregate's name."""
        return self.distribution.aggregate(aggregate)

    def slice(self, start: int, stop: int) -> ForecastCube:
        """The part for the days from row `start` to before row `stop` of the bars; a view."""
        records = self.records[start - self.first : stop - self.first]
        return ForecastCube(start, self.levels, records)


def target_index(name: str) -> int:
    """Position of a target on the cube's second axis."""
    return TARGETS.index(name)
