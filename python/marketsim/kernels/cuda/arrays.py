"""Arrays of bars on a device: tensors used in place, NumPy arrays copied through pinned memory."""

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

# Address of tensors without elements, which have none; 0 means a missing array.
_NOWHERE = 256


class DeviceDays(NamedTuple):
    """Bars of one or many problems on a device.

    Attributes:
        place: the device.
        rows: close, high, low, high_pred, low_pred, position and open (or None), float32
            [problem, bar]; the bars of a row are contiguous, rows need not be.
        batched: whether the arguments were [problem, bar]; else [bar], here as one problem.
        from_host: whether the arguments were NumPy arrays; results are then NumPy arrays too.
        offsets: offsets uploaded together with the bars.
    """

    place: Place
    rows: tuple[torch.Tensor | None, ...]
    batched: bool
    from_host: bool
    offsets: tuple[torch.Tensor, ...] = ()

    @property
    def problems(self) -> int:
        """Number of problems."""
        return int(self.first.shape[0])

    @property
    def length(self) -> int:
        """Number of bars per problem."""
        return int(self.first.shape[1])

    @property
    def first(self) -> torch.Tensor:
        """Closes, which every call has."""
        assert self.rows[0] is not None
        return self.rows[0]

    def windows(self) -> dict[str, Any]:
        """Return the bars as arguments of the compiled module."""
        return {
            "days": [0 if row is None else address(row) for row in self.rows],
            "strides": [0 if row is None else row.stride(0) for row in self.rows],
            "starts": 0,
            "problems": self.problems,
            "day_count": self.length,
        }


def address(tensor: torch.Tensor) -> int:
    """Return the address of a tensor's first element."""
    return tensor.data_ptr() or _NOWHERE


def device_days(
    place: Place, days: dict[str, Any], offsets: dict[str, npt.NDArray[np.float32]] | None = None
) -> DeviceDays:
    """Put bars on the device; NumPy `offsets` are uploaded together with NumPy bars.

    Raises:
        ArgumentError: tensors of another device, dtype or layout, or that require a gradient;
            shapes that differ; a mix of tensors and other arrays.
        CudaMemoryError: the device has not enough memory.
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
    host = [array if batched else array[None] for array in arrays.values()]
    found = upload(place, [*host, *(offsets or {}).values()])
    by_name = dict(zip(arrays, found, strict=False))
    rows = tuple(by_name.get(name) for name in DAY_NAMES)
    return DeviceDays(place, rows, batched, True, tuple(found[len(arrays) :]))


def checked_tensor(place: Place, name: str, values: Any, *, dense: bool = True) -> torch.Tensor:
    """Check that a kernel can read a float32 tensor; `dense` requires a contiguous last axis.

    Raises:
        ArgumentError: another type, device, dtype or layout; the message says how to convert it.
    """
    import torch

    if not is_tensor(values, place.platform.kind):
        raise ArgumentError(
            f"{name} must be a tensor like the other arrays: got {type(values).__name__}; give "
            "tensors of one device, or NumPy arrays throughout"
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
            f"{name} requires a gradient, but profit is not differentiable: it jumps at the edge "
            f"of a fill; pass {name}.detach()"
        )
    if tensor.layout != torch.strided or tensor.is_neg():
        raise ArgumentError(
            f"{name} must be a dense tensor of plain values: got {tensor.layout}; "
            f"use {name}.to_dense().resolve_neg()"
        )
    rows = dense and tensor.ndim > 0 and tensor.numel() > 0
    if rows and tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        raise ArgumentError(
            f"{name} must be contiguous along its last axis: got strides "
            f"{tuple(tensor.stride())} for shape {tuple(tensor.shape)}; use {name}.contiguous()"
        )
    return tensor


def upload(place: Place, arrays: Sequence[npt.NDArray[Kind]]) -> list[torch.Tensor]:
    """Upload arrays of one dtype and at most two axes in one copy from pinned memory.

    Overlapping rows, as of a sliding window, are copied once and overlap on the device.

    Raises:
        CudaMemoryError: the device has not enough memory.
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
        # torch reuses the pinned memory only after this copy has finished.
        on_device.copy_(staged, non_blocking=True)
    return [on_device.as_strided(shape, strides, at) for shape, strides, at in found]


def _flat(array: npt.NDArray[Kind]) -> tuple[npt.NDArray[Kind], int]:
    """Return (the values that rows consist of, the stride between rows)."""
    if array.ndim == 2 and array.size:
        rows, days = array.shape
        step, item = array.strides[0], array.itemsize
        overlaps = 0 <= step < days * item and step % item == 0
        if overlaps and (days == 1 or array.strides[1] == item):
            span = (rows - 1) * (step // item) + days
            return np.lib.stride_tricks.as_strided(array, (span,), (item,)), step // item
    return array.reshape(-1), array.shape[-1] if array.ndim else 1


def download(place: Place, tensors: Sequence[torch.Tensor]) -> list[npt.NDArray[Any]]:
    """Download tensors to NumPy arrays through pinned memory; waits for the current stream."""
    with stage("transfer", settle=place.settle):
        staged = []
        for tensor in tensors:
            pinned = place.staging(tensor.shape, tensor.dtype)
            staged.append(pinned.copy_(tensor, non_blocking=True))
        place.settle()
        # Copy once more, so that results do not hold pinned memory.
        return [np.array(pinned.numpy()) for pinned in staged]
