"""All forecasts of a run: one float32 cube that the simulations slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import ArgumentError
from marketsim.forecasts.schema import Schema, Stored
from marketsim.models import QuantileDistribution
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.device.cube import DeviceCube

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForecastCube:
    """Forecasts of the moves of each target, one or several steps ahead.

    Attributes:
        first: row number in the bars of the first bar; the bars follow one another.
        schema: what the fields of a record are.
        records: float32 [bar, horizon, target, field]. What stands at bar t was made from the rows
            before t; horizon h of it is of bar t + h - 1.
        horizons: steps ahead, ascending.
    """

    first: int
    schema: Schema
    records: npt.NDArray[np.float32]
    horizons: tuple[int, ...] = (1,)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels that are stored; empty where something else is."""
        return self.schema.levels

    @cached_property
    def distribution(self) -> Stored:
        """The forecasts of the first horizon as one distribution of shape [bar, target]."""
        return self.at(self.horizons[0])

    def at(self, horizon: int) -> Stored:
        """The forecasts of one horizon as a distribution of shape [bar, target].

        Raises:
            ArgumentError: a horizon that the cube does not hold.
        """
        with stage("head"):
            return self.schema.decode(self.records[:, step_index(self.horizons, horizon)])

    def point(self, aggregate: str, horizon: int | None = None) -> Floats:
        """Point forecasts [bar, target] by an aggregate's name; of the first horizon by default."""
        made = self.distribution if horizon is None else self.at(horizon)
        with stage("head"):
            return made.aggregate(aggregate)

    def slice(self, start: int, stop: int) -> ForecastCube:
        """The part for the bars from row `start` to before row `stop`; a view."""
        records = self.records[start - self.first : stop - self.first]
        return ForecastCube(start, self.schema, records, self.horizons)

    def own_returns(self, bars: Bars) -> ForecastCube:
        """The same forecasts as each column's own returns, x[t] / x[t-1] - 1.

        Of log moves m against the close before these are exp(m) close[t-1] / x[t-1] - 1, which
        keeps order: quantiles and draws are exact, means and standard deviations those of the
        distribution between the quantiles. Horizon 1 alone can be converted.

        Raises:
            ArgumentError: other horizons, or forecasts that are mixtures.
        """
        if self.schema.targets == "own":
            return self
        if self.horizons != (1,) or self.schema.components:
            raise ArgumentError(
                "moves against the close before become own returns one step ahead, and if they are "
                f"quantiles or draws: got horizons {self.horizons}, {self.schema.text}"
            )
        rows = np.arange(self.first - 1, self.first - 1 + len(self))
        prices = np.stack([getattr(bars, target)[rows] for target in TARGETS], axis=1)
        base = (bars.close[rows][:, None] / prices)[:, None, :, None]
        schema = replace(self.schema, targets="own")
        moves = self.records.astype(np.float64)
        if schema.samples:
            return ForecastCube(
                self.first, schema, (np.exp(moves) * base - 1.0).astype(np.float32), self.horizons
            )
        quantiles = np.exp(moves[..., 2:]) * base - 1.0
        flat = QuantileDistribution(schema.levels, quantiles.reshape(-1, 1, quantiles.shape[-1]))
        records = schema.encode(flat).reshape(self.records.shape)
        return ForecastCube(self.first, schema, records, self.horizons)

    def to(self, device: str) -> DeviceCube:
        """The same on a device: one asynchronous copy on torch's current stream.

        Args:
            device: "cpu", "cuda" or "cuda:<index>".

        Raises:
            UnknownNameError: an unknown device.
            CudaUnavailableError: no usable GPU.
            CudaError: the GPU has no memory left.
        """
        from marketsim.forecasts.device.cube import to_device

        return to_device(self, device)


def target_index(name: str) -> int:
    """Position of a target on the cube's third axis."""
    return TARGETS.index(name)


def step_index(horizons: tuple[int, ...], horizon: int) -> int:
    """Position of a horizon on a cube's second axis; raises ArgumentError where it is not held."""
    if horizon not in horizons:
        raise ArgumentError(
            f"the forecasts are of horizons {', '.join(map(str, horizons))}: got {horizon!r}"
        )
    return horizons.index(horizon)
