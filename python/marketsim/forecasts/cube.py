"""All forecasts of a run: one float32 cube that the simulations slice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS
from marketsim.forecasts.schema import Schema, Stored
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.device.cube import DeviceCube

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForecastCube:
    """Forecasts of the one-bar returns of each target.

    Attributes:
        first: row number in the bars of the first day; the days follow one another.
        schema: what the fields of a record are.
        records: float32 [day, target, field].
    """

    first: int
    schema: Schema
    records: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels that are stored; empty where something else is."""
        return self.schema.levels

    @cached_property
    def distribution(self) -> Stored:
        """The forecasts as one distribution of shape [day, target]."""
        with stage("head"):
            return self.schema.decode(self.records)

    def point(self, aggregate: str) -> Floats:
        """Point forecasts [day, target] by an aggregate's name."""
        with stage("head"):
            return self.distribution.aggregate(aggregate)

    def slice(self, start: int, stop: int) -> ForecastCube:
        """The part for the days from row `start` to before row `stop` of the bars; a view."""
        records = self.records[start - self.first : stop - self.first]
        return ForecastCube(start, self.schema, records)

    def to(self, device: str) -> DeviceCube:
        """The same on a device: one asynchronous copy on torch's current stream.

        Args:
            device: "cpu", "cuda" or "cuda:<index>".

        Raises:
            UnknownNameError: a device of another name.
            CudaUnavailableError: a GPU that cannot be had.
            CudaError: the GPU has no memory left.
        """
        from marketsim.forecasts.device.cube import to_device

        return to_device(self, device)


def target_index(name: str) -> int:
    """Position of a target on the cube's second axis."""
    return TARGETS.index(name)
