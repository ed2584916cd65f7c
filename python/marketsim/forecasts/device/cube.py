"""Forecasts of a run on a device: uploaded once, then sliced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.forecasts.order import ordered_points, ordered_records
from marketsim.forecasts.schema import Schema
from marketsim.kernels.cuda.arrays import upload
from marketsim.kernels.cuda.place import Place, find_place
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch


class HostCube(Protocol):
    """Members of a `ForecastCube` that are copied to a device."""

    @property
    def first(self) -> int:
        """Row of the first bar."""
        ...

    @property
    def schema(self) -> Schema:
        """Fields of a record."""
        ...

    @property
    def records(self) -> npt.NDArray[np.float32]:
        """Records [bar, horizon, target, field]."""
        ...

    @property
    def horizons(self) -> tuple[int, ...]:
        """Steps ahead, ascending."""
        ...


@dataclass(frozen=True)
class DeviceCube:
    """A `ForecastCube` on a device.

    Attributes:
        first: row of the first bar; the bars are consecutive.
        schema: fields of a record.
        records: float32 tensor [bar, horizon, target, field].
        place: the device in the kernels' terms; None on the CPU, and for GPU cubes made from a
            tensor.
        horizons: steps ahead, ascending.
    """

    first: int
    schema: Schema
    records: torch.Tensor
    place: Place | None = None
    horizons: tuple[int, ...] = (1,)

    def __len__(self) -> int:
        return int(self.records.shape[0])

    def slice(self, start: int, stop: int) -> DeviceCube:
        """Slice the cube to rows start .. stop - 1; a view.

        Raises:
            ArgumentError: rows outside the cube.
        """
        self._require(start, stop)
        records = self.records[start - self.first : stop - self.first]
        return DeviceCube(start, self.schema, records, self.place, self.horizons)

    def windows(self, starts: npt.ArrayLike, length: int) -> torch.Tensor:
        """Gather windows that begin at these rows: [window, bar, horizon, target, field].

        Gathered on the device; only the row numbers are uploaded.

        Raises:
            ArgumentError: rows outside the cube.
        """
        import torch

        rows = np.asarray(starts, dtype=np.int64).reshape(-1)
        if rows.size:
            self._require(int(rows.min()), int(rows.max()) + length)
        index = (rows - self.first)[:, None] + np.arange(length)
        place = self.kernels_place()
        found = (
            torch.from_numpy(index).to(self.records.device)
            if place is None
            else upload(place, [index])[0]
        )
        gathered = self.records.index_select(0, found.reshape(-1))
        return gathered.reshape(*index.shape, *self.records.shape[1:])

    def ordered(self) -> DeviceCube:
        """Put the forecasts in order, low <= open, close <= high; see `ForecastCube.ordered`."""
        records, _ = ordered_records(self.schema, self.records)
        return DeviceCube(self.first, self.schema, records, self.place, self.horizons)

    def point(self, aggregate: str) -> Any:
        """Compute point forecasts float64 [bar, target] of the first horizon, equal to the host's.

        Records are assumed valid, as a store and a model give them; `ForecastCube` validates them,
        which here would wait for the device.

        Raises:
            UnknownNameError: an unknown aggregate.
            CudaUnavailableError, CudaError: the records are on a GPU whose kernels cannot be used.
        """
        from marketsim.forecasts.device.point import point_on_device

        with stage("head"):
            found = point_on_device(
                self.schema, self.records[:, 0], aggregate, self.kernels_place()
            )
        return ordered_points(found) if self.schema.targets == "close" else found

    def kernels_place(self) -> Place | None:
        """Return the device whose kernels read the records; None for the CPU.

        Raises:
            CudaUnavailableError: the records are on a GPU that the kernels cannot use.
        """
        return self.place or find_place(str(self.records.device), {"records": self.records})

    def _require(self, start: int, stop: int) -> None:
        last = self.first + len(self)
        if not self.first <= start <= stop <= last:
            raise ArgumentError(
                f"the cube holds rows {self.first} to {last - 1}: got {start} to {stop - 1}"
            )


def to_device(cube: HostCube, device: Any) -> DeviceCube:
    """Copy a cube to a device asynchronously, from pinned memory on torch's current stream.

    Raises:
        UnknownNameError, CudaUnavailableError, CudaError: as `marketsim.profit`.
    """
    return to_device_together([cube], find_place(device, {}, work=1))[0]


def to_device_together(cubes: Sequence[HostCube], place: Place | None) -> list[DeviceCube]:
    """Copy cubes to a device in one transfer; they are adjacent in one allocation."""
    import torch

    if not cubes:
        return []
    flat = [cube.records.reshape(-1) for cube in cubes]
    if place is None:
        whole = torch.from_numpy(np.concatenate(flat))
        found = list(torch.split(whole, [len(part) for part in flat]))
    else:
        found = upload(place, flat)
    return [
        DeviceCube(
            cube.first, cube.schema, records.reshape(cube.records.shape), place, cube.horizons
        )
        for cube, records in zip(cubes, found, strict=True)
    ]
