"""The forecasts of a run on a device: uploaded once, sliced there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.forecasts.schema import Schema
from marketsim.kernels.cuda import find_place
from marketsim.kernels.cuda_arrays import upload

if TYPE_CHECKING:
    import torch

    from marketsim.forecasts.cube import ForecastCube


@dataclass(frozen=True)
class DeviceCube:
    """A `ForecastCube` on a device.

    Attributes:
        first: row number in the bars of the first day; the days follow one another.
        schema: what the fields of a record are.
        records: float32 tensor [day, target, field].
    """

    first: int
    schema: Schema
    records: torch.Tensor

    def __len__(self) -> int:
        return int(self.records.shape[0])

    def slice(self, start: int, stop: int) -> DeviceCube:
        """The part for the days from row `start` to before row `stop` of the bars; a view.

        Raises:
            ArgumentError: days beyond the cube's.
        """
        self._require(start, stop)
        return DeviceCube(start, self.schema, self.records[start - self.first : stop - self.first])

    def windows(self, starts: npt.ArrayLike, length: int) -> torch.Tensor:
        """Records [window, day, target, field] of the windows from these rows of the bars on.

        They are gathered on the device; only the rows go there.

        Raises:
            ArgumentError: days beyond the cube's.
        """
        import torch

        rows = np.asarray(starts, dtype=np.int64).reshape(-1)
        if rows.size:
            self._require(int(rows.min()), int(rows.max()) + length)
        index = (rows - self.first)[:, None] + np.arange(length)
        place = find_place(str(self.records.device), {"records": self.records})
        found = (
            torch.from_numpy(index).to(self.records.device)
            if place is None
            else upload(place, [index])[0]
        )
        gathered = self.records.index_select(0, found.reshape(-1))
        return gathered.reshape(*index.shape, *self.records.shape[1:])

    def _require(self, start: int, stop: int) -> None:
        last = self.first + len(self)
        if not self.first <= start <= stop <= last:
            raise ArgumentError(
                f"the cube holds rows {self.first} to {last - 1}: got {start} to {stop - 1}"
            )


def to_device(cube: ForecastCube, device: Any) -> DeviceCube:
    """The cube on a device, by one asynchronous copy from pinned memory on torch's current stream.

    Raises:
        UnknownNameError, CudaUnavailableError, CudaError: as `marketsim.profit`.
    """
    place = find_place(device, {}, work=1)
    if place is None:
        import torch

        return DeviceCube(cube.first, cube.schema, torch.from_numpy(cube.records.copy()))
    (records,) = upload(place, [cube.records.reshape(-1)])
    return DeviceCube(cube.first, cube.schema, records.reshape(cube.records.shape))
