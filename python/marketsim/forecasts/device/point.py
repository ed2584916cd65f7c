"""Point forecasts of records on a device, equal to the host's bit for bit.

Means, standard deviations and interpolated quantiles are elementwise operations in float64, in the
order of `marketsim.models`; a device kernel computes quantiles and trimmed means of mixtures.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from marketsim import _core
from marketsim.errors import CudaError
from marketsim.forecasts.device.schema import sums_on_device
from marketsim.forecasts.schema import Schema, mixture_fields
from marketsim.kernels.cuda.arrays import address
from marketsim.kernels.cuda.place import Place, launch_guard
from marketsim.models.distribution import mean_between, quantile_at
from marketsim.models.mixture import with_normal
from marketsim.models.pointwise import Aggregated

if TYPE_CHECKING:
    import torch


def point_on_device(
    schema: Schema, records: torch.Tensor, aggregate: str, place: Place | None
) -> torch.Tensor:
    """Compute point forecasts float64 [...] of records [..., field], on their device.

    Args:
        schema: fields of a record.
        records: float32.
        aggregate: a name of `marketsim.models.aggregation`.
        place: the device in the kernels' terms; None for the CPU.

    Raises:
        UnknownNameError: an unknown aggregate.
        CudaError: the build has no kernel for mixtures, or its launch failed.
    """
    values = records.double()
    points: Aggregated
    if schema.samples:
        points = _Samples(values)
    elif schema.components:
        points = _Mixtures(values, place)
    else:
        points = _Quantiles(schema.levels, values)
    found: torch.Tensor = points.point(aggregate)
    return found


class _Quantiles(Aggregated):
    """Stored mean, standard deviation and quantiles; see `QuantileDistribution`."""

    def __init__(self, levels: tuple[float, ...], values: torch.Tensor) -> None:
        self._levels, self._values = levels, values

    @property
    def mean(self) -> torch.Tensor:
        return self._values[..., 0]

    @property
    def std(self) -> torch.Tensor:
        return self._values[..., 1]

    def _at_level(self, level: float) -> Any:
        return quantile_at(self._levels, self._values[..., 2:], level)

    def _trimmed_mean(self, below: float, above: float) -> Any:
        return mean_between(self._levels, self._values[..., 2:], below, 1.0 - above)


class _Samples(Aggregated):
    """Draws; see `SampleDistribution`."""

    def __init__(self, values: torch.Tensor) -> None:
        self._sorted = values.sort(dim=-1).values

    @property
    def mean(self) -> torch.Tensor:
        return self._trimmed_mean(0.0, 0.0)

    @property
    def std(self) -> torch.Tensor:
        centred = self._sorted - self.mean[..., None]
        return _root(_divided(sums_on_device(centred * centred), centred.shape[-1]))

    def _at_level(self, level: float) -> torch.Tensor:
        most = self._sorted.shape[-1] - 1
        place = level * most
        below = min(int(place), most)
        low, high = self._sorted[..., below], self._sorted[..., min(below + 1, most)]
        return low + (high - low) * (place - below)

    def _trimmed_mean(self, below: float, above: float) -> torch.Tensor:
        n = self._sorted.shape[-1]
        kept = self._sorted[..., int(n * below) : n - int(n * above)]
        return _divided(sums_on_device(kept), kept.shape[-1])


class _Mixtures(Aggregated):
    """Mixtures of Student-t distributions; see `StudentTMixture`."""

    def __init__(self, values: torch.Tensor, place: Place | None) -> None:
        self._parts = mixture_fields(values)
        self._shape = tuple(values.shape[:-1])
        self._place = place

    @property
    def mean(self) -> torch.Tensor:
        return self._moments[0]

    @property
    def std(self) -> torch.Tensor:
        return self._moments[1]

    @functools.cached_property
    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, as in `marketsim.models.mixture.mixture_moments`."""
        df, location, scale, weights = self._parts
        total = sums_on_device(weights)
        mean = sums_on_device(weights * location) / total
        size = scale * _root(df / (df - 2.0))
        size = size.where(df > 2.0, float("inf"))
        part = weights * (size * size + (location - mean[..., None]).square())
        variance = sums_on_device(part.where(weights != 0.0, 0.0))
        return mean, _root(variance / total)

    def _at_level(self, level: float) -> torch.Tensor:
        levels = [with_normal(level)]
        return self._run("mixture_quantiles", [levels])

    def _trimmed_mean(self, below: float, above: float) -> torch.Tensor:
        if below == 0.0 and above == 0.0:
            return self.mean
        ends = [with_normal(below), with_normal(1.0 - above)]
        return self._run("mixture_means_between", ends)

    def _run(self, name: str, arguments: list[Any]) -> torch.Tensor:
        """Run a kernel by name; returns one value per mixture."""
        import torch

        rows = [part.reshape(-1, part.shape[-1]).contiguous() for part in self._parts]
        if self._place is None:
            values = getattr(_core, name)(*(part.numpy() for part in rows), *arguments)
            return torch.from_numpy(values).reshape(self._shape)
        kernel = getattr(self._place.platform.module, name, None)
        if kernel is None:
            raise CudaError(
                f"this build's GPU module has no {name}: rebuild marketsim, compute point "
                "forecasts on the host (ForecastCube.point), or use another aggregate, such as mean"
            )
        out = self._place.empty((rows[0].shape[0],), torch.float64)
        with launch_guard():
            kernel(
                *map(address, rows), *rows[0].shape, *arguments, address(out), **self._place.queue
            )
        return out.reshape(self._shape)


def _root(values: torch.Tensor) -> torch.Tensor:
    """Compute correctly rounded square roots; torch rounds them correctly on a GPU only."""
    import torch

    if values.device.type != "cpu":
        return values.sqrt()
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.sqrt(np.asarray(values)))


def _divided(values: torch.Tensor, by: int) -> torch.Tensor:
    """Compute correctly rounded quotients; torch on a GPU multiplies by a scalar's inverse."""
    return values / values.new_full((), by)
