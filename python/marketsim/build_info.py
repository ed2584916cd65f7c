"""Describe this installation: versions, compiler, devices."""

from __future__ import annotations

import importlib.util
import platform
import sys


def version() -> str:
    """Version of marketsim."""
    from importlib import metadata  # slow to import

    return metadata.version("marketsim")


def versions() -> dict[str, str]:
    """Versions of marketsim and of the packages that its figures depend on."""
    from importlib import metadata

    from marketsim import _core

    return {
        "marketsim": version(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "pandas": metadata.version("pandas"),
        "instruction_set": _core.isa(),
    }


def optional_versions() -> dict[str, str]:
    """Versions of optional packages, or what each is needed for."""
    from importlib import metadata

    uses = {
        "pyarrow": 'Parquet files: pip install ".[parquet]" in the checkout',
        "arch": 'demo data: pip install ".[demo]" in the checkout',
        "torch": 'models with weights: pip install ".[models]" in the checkout',
        "safetensors": 'models with weights: pip install ".[models]" in the checkout',
        "huggingface_hub": 'models from a hub: pip install ".[models]" in the checkout',
    }
    found = {}
    for package, use in uses.items():
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = f"not installed ({use})"
    return found


def cuda_state() -> dict[str, object]:
    """Whether the CUDA kernels can be used, the reason if not, and their facts."""
    if importlib.util.find_spec("marketsim._cuda") is None:
        return _unusable(
            "this build has no CUDA kernels; install it where nvcc is: "
            "pip install . -C cmake.define.MARKETSIM_CUDA=ON"
        )
    try:
        module = importlib.import_module("marketsim._cuda")
    except ImportError as error:
        return _unusable(f"the CUDA kernels of this build cannot be loaded ({error})")
    facts: dict[str, object] = {"built_for": module.ARCHITECTURES, "driver": module.driver_state()}
    devices = [module.device_name(i) for i in range(module.device_count())]
    if not devices:
        return _unusable(f"there is no GPU that can be used ({module.driver_state()})", facts)
    facts["devices"] = devices
    if importlib.util.find_spec("torch") is None:
        return _unusable(
            "GPU memory is allocated through torch, which is not installed: "
            "pip install '.[models]' in the checkout",
            facts,
        )
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        own = torch.version.cuda
        why = f"torch {torch.__version__} has no CUDA" if own is None else "torch finds no GPU"
        return _unusable(
            f"{why}, and GPU memory is allocated through torch: see pytorch.org", facts
        )
    return {"usable": True, "reason": f"{len(devices)} GPUs and torch {torch.__version__}"} | facts


def _unusable(reason: str, facts: dict[str, object] | None = None) -> dict[str, object]:
    return {"usable": False, "reason": reason} | (facts or {})


def doctor() -> dict[str, object]:
    """Facts for a bug report, and for finding why a run is slow."""
    from marketsim import _core

    return {
        "versions": versions(),
        "optional": optional_versions(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "compiler": _core.compiler(),
        "instruction_set": {"used": _core.isa(), "supported": _core.supported_isas()},
        "threads": _core.thread_limit(),
        "cuda": cuda_state(),
    }
