"""Locate the device kernels run on: the compiled module, loaded at first use, and a torch device.

Memory and streams are torch's: a kernel's arrays and workspace come from torch's allocator, and it
is launched on torch's current stream of the device. Only copies to NumPy wait for the device.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marketsim.build_info import cuda_state
from marketsim.errors import (
    ArgumentError,
    CudaError,
    CudaMemoryError,
    CudaUnavailableError,
    MarketsimError,
    UnknownNameError,
)

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda", "cuda:<index>", "auto")

# Least work for which `device="auto"` copies NumPy arrays to the GPU and back. Not measured yet:
# estimated from the latency of a transfer (about 20 us) and the speed of one CPU core.
# `make bench-gpu` measures where the two cross.
LEAST_PROFITS = 1 << 24  # days times candidates
LEAST_SUMS = 1 << 22  # days times candidates
LEAST_OFFSET_DAYS = 1 << 16  # days of all problems

# Device types of DLPack.
_DLPACK = {"cpu": (1,), "cuda": (2, 13)}


@dataclass(frozen=True)
class Platform:
    """Compiled module of the kernels and its device type; tests substitute an emulation.

    Attributes:
        module: `marketsim._cuda`, or a module with the same functions.
        kind: type of the torch devices whose memory it uses.
    """

    module: Any
    kind: str

    def place(self, index: int | None) -> Place:
        """Return a device by its number; None is torch's current one.

        Raises:
            CudaUnavailableError: the device does not exist.
        """
        import torch

        if self.kind != "cuda":
            return Place(self, torch.device(self.kind))
        count = torch.cuda.device_count()
        if index is not None and index >= count:
            raise CudaUnavailableError(
                f"device='cuda:{index}' does not exist: there are {count} GPUs, from 'cuda:0' on"
            )
        return Place(
            self,
            torch.device("cuda", torch.cuda.current_device())
            if index is None
            else torch.device("cuda", index),
        )


@dataclass(frozen=True)
class Place:
    """Device with torch's memory and current stream."""

    platform: Platform
    device: torch.device

    @property
    def queue(self) -> dict[str, int]:
        """Device and torch's current stream, as arguments of the compiled functions."""
        if self.platform.kind != "cuda":
            return {"device": 0, "stream": 0}
        import torch

        stream = torch.cuda.current_stream(self.device).cuda_stream
        return {"device": self.device.index or 0, "stream": stream}

    def settle(self) -> None:
        """Wait for the current stream only."""
        if self.platform.kind == "cuda":
            import torch

            torch.cuda.current_stream(self.device).synchronize()

    def mark(self) -> Callable[[], None]:
        """Record an event on the current stream; calling it waits for the work queued so far."""
        if self.platform.kind != "cuda":
            return lambda: None
        import torch

        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return event.synchronize

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Allocate device memory.

        Raises:
            CudaMemoryError: the device has not enough memory.
        """
        import torch

        size = functools.reduce(int.__mul__, shape, dtype.itemsize)
        with memory_guard(self, size):
            return torch.empty(tuple(shape), dtype=dtype, device=self.device)

    def staging(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Allocate pinned host memory."""
        import torch

        return torch.empty(tuple(shape), dtype=dtype, pin_memory=self.platform.kind == "cuda")

    def workspace(self, least: int, most: int) -> torch.Tensor:
        """Allocate between `least` and `most` bytes, as many as are free, aligned to 256.

        Raises:
            CudaMemoryError: fewer than `least` bytes are free.
        """
        import torch

        size = most
        while True:
            try:
                memory = self.empty((size + 255,), torch.uint8)
                start = -memory.data_ptr() % 256
                return memory[start : start + size]
            except CudaMemoryError:
                if size <= least:
                    raise
                size = max(size // 2, least)


@functools.cache
def platform() -> Platform:
    """Return the compiled module and its device type.

    Raises:
        CudaUnavailableError: it cannot be used; the message says why and what to do.
    """
    import importlib

    state = cuda_state()
    if not state["usable"]:
        raise CudaUnavailableError(f"a GPU cannot be used: {state['reason']}; or use device='cpu'")
    return Platform(importlib.import_module("marketsim._cuda"), "cuda")


def find_place(
    device: object, arrays: dict[str, Any], work: int = 0, least: int = 0
) -> Place | None:
    """Choose the device to run on; None for the CPU.

    "auto" is the device of the tensors; for other arrays a GPU if one is available and `work` is at
    least `least`.

    Args:
        device: one of `DEVICES`.
        arrays: bars by name; tensors stay on their device.
        work, least: amount of work, and the amount from which a transfer pays.

    Raises:
        UnknownNameError: an unknown device.
        CudaUnavailableError: a GPU is requested and none is usable.
        ArgumentError: tensors on another device than the requested one.
    """
    name = device if isinstance(device, str) else str(device)
    if name == "cpu":
        return None
    found = re.fullmatch(r"cuda(?::(\d{1,4}))?", name)
    if name != "auto" and found is None:
        raise UnknownNameError("device", device, DEVICES)
    if found is None:
        on_device = any(_is_on(array, "cuda") for array in arrays.values())
        if not on_device and (work < least or not _usable()):
            return None
    loaded = platform()
    tensors = {n: array for n, array in arrays.items() if is_tensor(array, loaded.kind)}
    requested = loaded.place(int(found[1])) if found and found[1] else None
    for tensor_name, tensor in tensors.items():
        own = as_tensor(tensor_name, tensor).device
        if own.type != loaded.kind or (requested is not None and own != requested.device):
            raise ArgumentError(
                f"{tensor_name} is on {own}, but device={name!r} was requested: move it there, or "
                "give NumPy arrays, which are copied there and back"
            )
        return Place(loaded, own)
    return requested or loaded.place(None)


def _usable() -> bool:
    try:
        platform()
    except CudaUnavailableError:
        return False
    return True


def is_tensor(array: object, kind: str) -> bool:
    """Whether an array is a torch tensor, or another library's array on that kind of device."""
    import sys

    torch = sys.modules.get("torch")
    return (torch is not None and isinstance(array, torch.Tensor)) or _is_on(array, kind)


def _is_on(array: object, kind: str) -> bool:
    """Whether an array reports that device type by DLPack; NumPy arrays are on the host."""
    import numpy as np

    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack_device__"):
        return False
    try:
        return array.__dlpack_device__()[0] in _DLPACK[kind]
    except (TypeError, ValueError, RuntimeError, BufferError):  # for example sparse tensors
        return False


def as_tensor(name: str, array: Any) -> torch.Tensor:
    """Return a tensor unchanged; wrap another library's array by DLPack, without a copy.

    torch passes its current stream to the producer, which makes the data ready on it.

    Raises:
        ArgumentError: the array cannot be shared without a copy.
    """
    import torch
    import torch.utils.dlpack

    if isinstance(array, torch.Tensor):
        return array
    try:
        found: torch.Tensor = torch.utils.dlpack.from_dlpack(array)
        return found
    except (BufferError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(
            f"{name} must be a tensor, or an array that DLPack can share: got "
            f"{type(array).__name__} ({error})"
        ) from None


@contextmanager
def memory_guard(place: Place, size: int) -> Iterator[None]:
    """Convert torch's out-of-memory error into CudaMemoryError.

    Raises:
        CudaMemoryError: states the memory requested, the memory free, and what to do.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        free = ""
        if place.platform.kind == "cuda":
            left, total = torch.cuda.mem_get_info(place.device)
            free = f", {left / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free"
        raise CudaMemoryError(
            f"{place.device} has no memory for {size / 2**20:,.1f} MiB{free}: give fewer "
            "candidates or problems at a time, use marketsim.profit_sums instead of profit, or "
            "free tensors (torch.cuda.empty_cache() releases torch's cached memory)"
        ) from error


@contextmanager
def launch_guard() -> Iterator[None]:
    """Convert an error of the compiled module into CudaError.

    Raises:
        CudaError: the kernel could not be launched.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, MarketsimError):
            raise
        raise CudaError(f"the GPU kernel could not be launched: {error}") from None
