"""Forecasts of a run as one float32 cube that simulations slice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError
from marketsim.forecasts.order import ordered_points, ordered_records
from marketsim.forecasts.schema import Schema, Stored
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.device.cube import DeviceCube

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class ForecastCube:
    """Forecasts of the moves of each target, one or several steps ahead.

    Attributes:
        first: row of the first bar; the bars are consecutive.
        schema: fields of a record.
        records: float32 [bar, horizon, target, field]; those of bar t were made from the rows
            before t, and horizon h forecasts bar t + h - 1.
        horizons: steps ahead, ascending.
    """

    first: int
    schema: Schema
    records: npt.NDArray[np.float32]
    horizons: tuple[int, ...] = (1,)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        steps = ", ".join(map(str, self.horizons))
        return f"ForecastCube({len(self):,} bars from row {self.first:,}, horizons {steps})"

    @property
    def levels(self) -> tuple[float, ...]:
        """Stored quantile levels; empty for samples and mixtures."""
        return self.schema.levels

    @cached_property
    def distribution(self) -> Stored:
        """Forecasts of the first horizon as one distribution of shape [bar, target]."""
        return self.at(self.horizons[0])

    def at(self, horizon: int) -> Stored:
        """Decode the forecasts of one horizon to a distribution of shape [bar, target].

        Raises:
            ArgumentError: a horizon that the cube does not hold.
        """
        with stage("head"):
            return self.schema.decode(self.records[:, step_index(self.horizons, horizon)])

    def point(self, aggregate: str, horizon: int | None = None) -> Floats:
        """Compute point forecasts [bar, target] by an aggregate; default is the first horizon.

        Moves against the close before are in order: low <= open, close <= high.
        """
        made = self.distribution if horizon is None else self.at(horizon)
        with stage("head"):
            found = made.aggregate(aggregate)
        return ordered_points(found) if self.schema.targets == "close" else found

    def quantile(self, levels: npt.ArrayLike, horizon: int | None = None) -> Floats:
        """Quantiles [bar, target, level]; of the first horizon by default.

        Of moves against the close before they are in order: low <= open, close <= high.
        """
        made = self.distribution if horizon is None else self.at(horizon)
        with stage("head"):
            found = made.quantile(levels)
        return ordered_points(found) if self.schema.targets == "close" else found

    def slice(self, start: int, stop: int) -> ForecastCube:
        """Slice the cube to rows start .. stop - 1; a view."""
        records = self.records[start - self.first : stop - self.first]
        return ForecastCube(start, self.schema, records, self.horizons)

    def ordered(self) -> tuple[ForecastCube, int]:
        """Put forecasts in order (low <= open, close <= high); returns (cube, bars changed).

        See `marketsim.forecasts.order`. Forecasts of own returns are not changed.
        """
        records, changed = ordered_records(self.schema, self.records)
        count = int(changed.any(axis=1).sum())
        if not count:
            return self, 0
        return ForecastCube(self.first, self.schema, records, self.horizons), count

    def to(self, device: str) -> DeviceCube:
        """Copy the cube to a device, asynchronously on torch's current stream.

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
    """Return the position of a target on the cube's third axis."""
    return TARGETS.index(name)


def step_index(horizons: tuple[int, ...], horizon: int) -> int:
    """Return the position of a horizon on a cube's second axis; raise ArgumentError without it."""
    if horizon not in horizons:
        raise ArgumentError(
            f"horizon must be one of the cube's {', '.join(map(str, horizons))}: got {horizon!r}"
        )
    return horizons.index(horizon)
