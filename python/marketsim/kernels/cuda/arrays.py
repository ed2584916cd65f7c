"""Arrays of days on a device: tensors used in place, NumPy arrays copied through pinned memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_numbers
from marketsim.errors import ArgumentError
from marketsim.kernels.cuda.place import Place, as_tensor, is_tensor
from marketsim.kernels.shapes import DAY_NAMES, is_batch
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch

Kind = TypeVar("Kind", bound=np.generic)

# For tensors without elements, which have no address: 0 means that there is no array at all.
_NOWHERE = 256


class DeviceDays(NamedTuple):
    """The days of one problem or of many.

    Attributes:
        place: the device.
        rows: close, high, low, high_pred, low_pred, position and open (None without), float32
            [problem, day]; the days of a row lie side by side, rows anywhere.
        batched: whether they were given so; [day] otherwise, and here one problem.
        from_host: they were NumPy arrays, and so answers are to be.
        offsets: what was uploaded with them.
    """

    place: Place
    rows: tuple[torch.Tensor | None, ...]
    batched: bool
    from_host: bool
    offsets: tuple[torch.Tensor, ...] = ()

    @property
    def problems(self) -> int:
        """How many problems."""
        return int(self.first.shape[0])

    @property
    def length(self) -> int:
        """Days a problem."""
        return int(self.first.shape[1])

    @property
    def first(self) -> torch.Tensor:
        """The closes; every caller gives them."""
        assert self.rows[0] is not None
        return self.rows[0]

    def windows(self) -> dict[str, Any]:
        """The days as the compiled module takes them."""
        return {
            "days": [0 if row is None else address(row) for row in self.rows],
            "strides": [0 if row is None else row.stride(0) for row in self.rows],
            "starts": 0,
            "problems": self.problems,
            "day_count": self.length,
        }


def address(tensor: torch.Tensor) -> int:
    """Address of a tensor's first element."""
    return tensor.data_ptr() or _NOWHERE


def device_days(
    place: Place, days: dict[str, Any], offsets: dict[str, npt.NDArray[np.float32]] | None = None
) -> DeviceDays:
    """The days on the device; `offsets` are those of NumPy, uploaded with NumPy's days.

    Raises:
        ArgumentError: tensors of another device, dtype or layout, or that require a gradient;
            shapes that differ; tensors and other arrays mixed.
        CudaMemoryError: the device has no room.
    """
    kind = place.platform.kind
    given = {name: values for name, values in days.items() if values is not None}
    if any(is_tensor(values, kind) for values in given.values()):
        tensors = {name: checked_tensor(place, name, values) for name, values in given.items()}
        batched = is_batch({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        rows = tuple(
            None if name not in tensors else tensors[name] if batched else tensors[name][None]
            for name in DAY_NAMES
        )
        return DeviceDays(place, rows, batched, from_host=False)
    arrays = {name: as_numbers(name, values, np.float32) for name, values in given.items()}
    batched = is_batch({name: array.shape for name, array in arrays.items()})
    wanted = [array if batched else array[None] for array in arrays.values()]
    found = upload(place, [*wanted, *(offsets or {}).values()])
    by_name = dict(zip(arrays, found, strict=False))
    rows = tuple(by_name.get(name) for name in DAY_NAMES)
    return DeviceDays(place, rows, batched, True, tuple(found[len(arrays) :]))


def checked_tensor(place: Place, name: str, values: Any, *, dense: bool = True) -> torch.Tensor:
    """A float32 tensor as a kernel reads it; `dense`: the values of its last axis side by side.

    Raises:
        ArgumentError: it is something else; the text says what, and how to make it so.
    """
    import torch

    if not is_tensor(values, place.platform.kind):
        raise ArgumentError(
            f"{name} is of type {type(values).__name__}, and others are tensors: give tensors of "
            "one device, or NumPy arrays throughout"
        )
    tensor = as_tensor(name, values)
    if tensor.device != place.device:
        raise ArgumentError(
            f"tensors must be on one device: {name} is on {tensor.device}, others on {place.device}"
        )
    if tensor.dtype != torch.float32:
        raise ArgumentError(f"{name} must be float32: got {tensor.dtype}; use {name}.float()")
    if tensor.requires_grad:
        raise ArgumentError(
            f"{name} requires a gradient, and profits have none that is of use: they jump where an "
            f"order is just filled; pass {name}.detach()"
        )
    if tensor.layout != torch.strided or tensor.is_neg():
        raise ArgumentError(
            f"{name} must be a dense tensor of plain values: got {tensor.layout}; "
            f"use {name}.to_dense().resolve_neg()"
        )
    rows = dense and tensor.ndim > 0 and tensor.numel() > 0
    if rows and tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        raise ArgumentError(
            f"the values of {name} along its last axis must lie side by side: got strides "
            f"{tuple(tensor.stride())} for shape {tuple(tensor.shape)}; use {name}.contiguous()"
        )
    return tensor


def upload(place: Place, arrays: Sequence[npt.NDArray[Kind]]) -> list[torch.Tensor]:
    """Arrays of one dtype, of at most two axes, on the device: one copy, from pinned memory.

    Overlapping rows, as of a sliding window, are copied once and overlap on the device.

    Raises:
        CudaMemoryError: the device has no room.
    """
    import torch

    with stage("transfer", settle=place.settle):
        flat = [_flat(array) for array in arrays]
        dtype = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
        total = sum(values.size for values, _ in flat)
        staged = place.staging((total,), dtype)
        on_device = place.empty((total,), dtype)
        at, found = 0, []
        for array, (values, stride) in zip(arrays, flat, strict=True):
            staged.numpy()[at : at + values.size] = values
            strides = () if array.ndim == 0 else (1,) if array.ndim == 1 else (stride, 1)
            found.append((array.shape, strides, at))
            at += values.size
        # torch reuses the pinned memory only after this copy is done.
        on_device.copy_(staged, non_blocking=True)
    return [on_device.as_strided(shape, strides, at) for shape, strides, at in found]


def _flat(array: npt.NDArray[Kind]) -> tuple[npt.NDArray[Kind], int]:
    """The values that rows consist of, and the stride between rows."""
    if array.ndim == 2 and array.size:
        rows, days = array.shape
        step, item = array.strides[0], array.itemsize
        overlaps = 0 <= step < days * item and step % item == 0
        if overlaps and (days == 1 or array.strides[1] == item):
            span = (rows - 1) * (step // item) + days
            return np.lib.stride_tricks.as_strided(array, (span,), (item,)), step // item
    return array.reshape(-1), array.shape[-1] if array.ndim else 1


def download(place: Place, tensors: Sequence[torch.Tensor]) -> list[npt.NDArray[Any]]:
    """The tensors as NumPy arrays, through pinned memory; waits for the current stream."""
    with stage("transfer", settle=place.settle):
        staged = []
        for tensor in tensors:
            pinned = place.staging(tensor.shape, tensor.dtype)
            staged.append(pinned.copy_(tensor, non_blocking=True))
        place.settle()
        # Copied once more, so that the results do not keep pinned memory allocated.
        return [np.array(pinned.numpy()) for pinned in staged]
