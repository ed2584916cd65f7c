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
    """What runs the kernels; tests put an emulation in its place.

    Attributes:
        module: `marketsim._cuda`, or a module with the same functions.
        kind: type of the torch devices whose memory it works on.
    """

    module: Any
    kind: str

    def place(self, index: int | None) -> Place:
        """A device by its number; None is torch's current one.

        Raises:
            CudaUnavailableError: there is no such device.
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
    """A device, and its memory and stream as torch has them."""

    platform: Platform
    device: torch.device

    @property
    def queue(self) -> dict[str, int]:
        """The device and torch's current stream of it, as the compiled functions take them."""
        if self.platform.kind != "cuda":
            return {"device": 0, "stream": 0}
        import torch

        stream = torch.cuda.current_stream(self.device).cuda_stream
        return {"device": self.device.index or 0, "stream": stream}

    def settle(self) -> None:
        """Wait for the current stream, and for that alone."""
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
        """Memory of the device.

        Raises:
            CudaMemoryError: there is not enough.
        """
        import torch

        size = functools.reduce(int.__mul__, shape, dtype.itemsize)
        with memory_guard(self, size):
            return torch.empty(tuple(shape), dtype=dtype, device=self.device)

    def staging(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Pinned memory of the host."""
        import torch

        return torch.empty(tuple(shape), dtype=dtype, pin_memory=self.platform.kind == "cuda")

    def workspace(self, least: int, most: int) -> torch.Tensor:
        """Allocate as much as there is between `least` and `most` bytes, aligned to 256.

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
    """The compiled module and the devices that it works on.

    Raises:
        CudaUnavailableError: it cannot be used; the text says why and what to do.
    """
    import importlib

    state = cuda_state()
    if not state["usable"]:
        raise CudaUnavailableError(f"a GPU cannot be used: {state['reason']}; or use device='cpu'")
    return Platform(importlib.import_module("marketsim._cuda"), "cuda")


def find_place(
    device: object, arrays: dict[str, Any], work: int = 0, least: int = 0
) -> Place | None:
    """Where to run: a device, or None for the CPU.

    "auto" is the device that tensors are on, and for all else the GPU where `work` is at least
    `least` and there is a GPU.

    Args:
        device: one of `DEVICES`.
        arrays: the days by their names; tensors stay on their device.
        work, least: how much there is to do, and from what on a transfer pays.

    Raises:
        UnknownNameError: a device of another name.
        CudaUnavailableError: no usable GPU, although one is requested.
        ArgumentError: tensors on another device than the one requested.
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
    wanted = loaded.place(int(found[1])) if found and found[1] else None
    for tensor_name, tensor in tensors.items():
        own = as_tensor(tensor_name, tensor).device
        if own.type != loaded.kind or (wanted is not None and own != wanted.device):
            raise ArgumentError(
                f"{tensor_name} is on {own}, but device={name!r} was requested: move it there, or "
                "give NumPy arrays, which are copied there and back"
            )
        return Place(loaded, own)
    return wanted or loaded.place(None)


def _usable() -> bool:
    try:
        platform()
    except CudaUnavailableError:
        return False
    return True


def is_tensor(array: object, kind: str) -> bool:
    """Whether it is a tensor of torch, or of another library in memory of that kind of device."""
    import sys

    torch = sys.modules.get("torch")
    return (torch is not None and isinstance(array, torch.Tensor)) or _is_on(array, kind)


def _is_on(array: object, kind: str) -> bool:
    """Whether it says by DLPack that it lies on such a device; NumPy's arrays are of the host."""
    import numpy as np

    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack_device__"):
        return False
    try:
        return array.__dlpack_device__()[0] in _DLPACK[kind]
    except (TypeError, ValueError, RuntimeError, BufferError):  # of sparse tensors, for example
        return False


def as_tensor(name: str, array: Any) -> torch.Tensor:
    """A tensor as it is; another library's array as a tensor of the same memory, by DLPack.

    torch tells the producer its current stream, on which the data are ready then.

    Raises:
        ArgumentError: it would need a copy.
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
            f"{name} must be a tensor, or an array of the device that DLPack can hand over: got "
            f"{type(array).__name__} ({error})"
        ) from None


@contextmanager
def memory_guard(place: Place, size: int) -> Iterator[None]:
    """Convert torch's out-of-memory error into ours.

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
            f"{place.device} has no room for {size / 2**20:,.1f} MiB{free}: give fewer candidates "
            "or problems at a time, ask for sums instead of days (marketsim.profit_sums), or free "
            "tensors (torch.cuda.empty_cache() gives back what torch keeps)"
        ) from error


@contextmanager
def launch_guard() -> Iterator[None]:
    """Convert an error of the compiled module into ours.

    Raises:
        CudaError: the kernel could not be started.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, MarketsimError):
            raise
        raise CudaError(f"the GPU's kernel was not started: {error}") from None
