"""What runs the kernels: the CPU, a GPU, and the GPU's kernels on the host; one test for all."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import marketsim as ms
from marketsim import _core
from marketsim.build_info import cuda_state
from marketsim.kernels.cuda import place as cuda
from marketsim.kernels.types import Offsets

# A name is that of an instruction set, of the emulation or of the GPU; "-tensors": tensors in.
DEVICES = [
    "emulation",
    "emulation-tensors",
    pytest.param("cuda", marks=pytest.mark.cuda),
    pytest.param("cuda-tensors", marks=pytest.mark.cuda),
]
BACKENDS = [*_core.supported_isas(), *DEVICES]
# For tests that draw many examples.
FEW_BACKENDS = ["cpu", "emulation", pytest.param("cuda", marks=pytest.mark.cuda)]

REAL_PLATFORM = cuda.platform  # what a test may have replaced when another one begins


@dataclass(frozen=True)
class Backend:
    """The public functions on a device; all take and give NumPy arrays."""

    device: str = "cpu"
    tensors: bool = False

    def profit(self, **arguments: Any) -> Any:
        return self._call(ms.profit, arguments)

    def profit_sums(self, **arguments: Any) -> Any:
        return ms.ProfitSums(*self._call(ms.profit_sums, arguments))

    def best_offsets(self, **arguments: Any) -> Offsets:
        found = Offsets(*self._call(ms.best_offsets, arguments))
        return found if np.ndim(found.high) else Offsets(*(float(value) for value in found))

    def _call(self, function: Any, arguments: dict[str, Any]) -> Any:
        if self.tensors:
            arguments = {name: self._tensor(value) for name, value in arguments.items()}
        found = function(**arguments, device=self.device)
        if not self.tensors:
            return found
        return tuple(map(_array, found)) if isinstance(found, tuple) else _array(found)

    def _tensor(self, value: Any) -> Any:
        import torch

        if not isinstance(value, (np.ndarray, list)):
            return value
        array = np.asarray(value, dtype=np.float32)
        on = "cpu" if cuda.platform().kind == "cpu" else self.device
        return torch.from_numpy(np.array(array, order="C")).to(on)


def _array(value: Any) -> Any:
    if not hasattr(value, "cpu"):
        return value
    return value.cpu().numpy()[()]


_cuda_state = functools.cache(cuda_state)


@contextmanager
def on_backend(name: str) -> Iterator[Backend]:
    """A backend by its name; skips where it cannot be had."""
    if name == "cpu" or name in _core.supported_isas():
        before = _core.isa()
        _core.set_isa(before if name == "cpu" else name)
        try:
            yield Backend()
        finally:
            _core.set_isa(before)
        return
    kind, _, tensors = name.partition("-")
    if kind == "cuda":
        state = _cuda_state()
        if not state["usable"]:
            pytest.skip(f"no GPU: {state['reason']}")
        yield Backend("cuda", bool(tensors))
        return
    native = pytest.importorskip("marketsim._cuda_emulation", reason="built without the emulation")
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "platform", lambda: cuda.Platform(native, "cpu"))
        yield Backend("cuda", bool(tensors))
