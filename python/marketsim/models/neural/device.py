"""Execution of networks: device, precision, compilation, and memory limit."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from marketsim import _core
from marketsim.errors import (
    ArgumentError,
    CudaUnavailableError,
    MissingDependencyError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

# Names of instruction sets in torch.
_CAPABILITIES = {"baseline": "DEFAULT", "avx2": "AVX2", "avx512": "AVX512"}
DTYPES = ("float32", "float16", "bfloat16")
# Patches a batch: beyond this a processor is as busy as it can be, and its caches only get colder.
_CPU_TOKENS = 1024
_CUDA_TOKENS = 65_536
# Bytes a batch. Arrays of more than 32 MiB are given back to the system each time and cleared by it
# when they are wanted again.
_CPU_SHARE = 192 << 20
# More than the buckets of all three sizes of a batch can make.
_MOST_SHAPES = 4096


@dataclass(frozen=True)
class Execution:
    """Device, precision and compilation of a network.

    Attributes:
        device: "cpu", "cuda" or "cuda:<index>".
        dtype: precision of the matrix products; all else is float32, statistics are float64.
        compile: whether torch.compile translates the network for the shapes that it meets.
        quantize: "int8" to keep the weights of the layers in 8 bits, with a scale for each output,
            through torchao; None as they are. What embeds patches and what reads the forecasts off
            stays as it is.
    """

    device: str = "cpu"
    dtype: str = "float32"
    compile: bool = False
    quantize: str | None = None

    def check(self) -> Execution:
        """Return the execution; raise if this machine does not support it.

        Raises:
            UnknownNameError: no such precision.
            CudaUnavailableError: a GPU that is not there.
            ArgumentError: a precision that the device lacks.
            MissingDependencyError: torch, safetensors or torchao is not installed.
        """
        if self.dtype not in DTYPES:
            raise UnknownNameError("dtype", self.dtype, DTYPES)
        if self.quantize not in (None, "int8"):
            raise UnknownNameError("quantize", str(self.quantize), ("int8",))
        for package, extra in (("torch", "models"), ("safetensors", "models"), ("torchao", "int8")):
            if find_spec(package) is None and (package != "torchao" or self.quantize):
                raise MissingDependencyError(
                    f"models with weights need {package}, which is not installed: "
                    f"pip install '.[{extra}]' in the checkout"
                )
        if self.device == "cpu":
            if self.dtype == "float16":
                raise ArgumentError(
                    "float16 is not for the CPU, which has no arithmetic for it: use "
                    "dtype='bfloat16' (half the memory, faster where the processor has AVX-512 or "
                    "AMX instructions for it) or 'float32'"
                )
        else:
            check_cuda(self.device)
        return self

    @property
    def kernel(self) -> str:
        """Name the library kernels in use, which differ in the last digits."""
        parts = [self.device.partition(":")[0], "compiled" if self.compile else "eager"]
        if self.quantize:
            parts.append(f"{self.quantize} layers")
        if not shares_forecasts():
            parts.append(self._processor())
        return ", ".join(parts)

    def _processor(self) -> str:
        """Name what decides the last bits of a sum: instruction set or GPU, and torch's modes."""
        if self.device == "cpu" and "torch" not in sys.modules:
            # A run that finds all its forecasts does without torch: this is what it would say.
            chosen = os.environ.get("ATEN_CPU_CAPABILITY") or _core.supported_isas()[-1]
            return f"{_CAPABILITIES.get(chosen.lower(), chosen.upper())}, matmul highest"
        import torch

        if self.device == "cpu":
            place = torch.backends.cpu.get_cpu_capability()
        else:
            place = torch.cuda.get_device_name(self.torch_device)
        modes = [f"matmul {torch.get_float32_matmul_precision()}"]
        if torch.are_deterministic_algorithms_enabled():
            modes.append("deterministic")
        return ", ".join([place, *modes])

    @property
    def libraries(self) -> dict[str, str]:
        """Versions of the libraries in use."""
        from importlib.metadata import version  # slow to import

        names = ["torch", *(["torchao"] if self.quantize else [])]
        return {name: version(name) for name in names}

    @property
    def torch_device(self) -> torch.device:
        """Device as a torch object."""
        import torch

        return torch.device(self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        """Precision as a torch dtype."""
        import torch

        dtype = getattr(torch, self.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype

    def settle(self) -> None:
        """Wait for a GPU's queued work; only timing needs it."""
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize(self.torch_device)

    def max_tokens(self, bytes_per_token: int) -> int:
        """Return the maximum number of patches of a batch."""
        most = _CPU_TOKENS if self.device == "cpu" else _CUDA_TOKENS
        return max(16, min(most, self.batch_bytes() // bytes_per_token))

    def batch_bytes(self) -> int:
        """Return the maximum memory of a batch, in bytes."""
        if self.device == "cpu":
            free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            return min(_CPU_SHARE, free // 4)
        import torch

        free, _ = torch.cuda.mem_get_info(self.torch_device)
        return int(free // 2)

    def prepare(self, network: Any) -> Any:
        """Move the network to its device in evaluation mode; quantise its `layers` if requested."""
        network = network.eval().requires_grad_(False).to(self.torch_device)
        if self.quantize == "int8":
            from torchao.quantization import Int8WeightOnlyConfig, quantize_

            # The settings of torch's compiler are the user's.
            quantize_(network.layers, Int8WeightOnlyConfig(set_inductor_config=False))
        return network


def shares_forecasts() -> bool:
    """Whether stored forecasts of other processors, which differ in the last digits, are accepted.

    MARKETSIM_SHARE=tolerance makes it so: then a fingerprint says nothing of the processor, and
    machines can share a store. Forecasts agree to 1e-5 of their value in float32, no closer.

    Raises:
        UnknownNameError: the variable says something else.
    """
    share = os.environ.get("MARKETSIM_SHARE") or "exact"
    if share not in ("exact", "tolerance"):
        raise UnknownNameError("MARKETSIM_SHARE", share, ("exact", "tolerance"))
    return share == "tolerance"


def compiled(network: Any, execution: Execution) -> Callable[..., Any]:
    """Compile the network by torch.compile, once for each shape of a batch."""
    import torch

    # On a GPU the launches of a batch are recorded and replayed as one.
    mode = None if execution.device == "cpu" else "reduce-overhead"
    translated: Any = torch.compile(network, dynamic=False, mode=mode)

    def call(*arguments: Any) -> Any:
        # Else it goes back to the network as it is, after eight shapes.
        names = ("recompile_limit", "accumulated_recompile_limit")
        with torch._dynamo.config.patch(dict.fromkeys(names, _MOST_SHAPES)):
            return translated(*arguments)

    return call


def check_cuda(device: str) -> None:
    """Raise unless torch can compute on this GPU.

    Raises:
        UnknownNameError: no device of that name.
        CudaUnavailableError: it cannot be had.
    """
    kind, _, index = device.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise UnknownNameError("device", device, ("cpu", "cuda", "cuda:<index>"))
    import torch

    if not torch.cuda.is_available():
        why = (
            "this build of torch has no CUDA"
            if torch.version.cuda is None
            else "torch finds no GPU or driver"
        )
        raise CudaUnavailableError(f"device={device!r} cannot be had: {why}; use device='cpu'")
    if index and int(index) >= torch.cuda.device_count():
        raise CudaUnavailableError(
            f"device={device!r} does not exist: there are {torch.cuda.device_count()} GPUs"
        )
