"""What this installation is made of, and what it can run on."""

from __future__ import annotations

import platform
import sys
from importlib import metadata


def version() -> str:
    """Version of marketsim."""
    return metadata.version("marketsim")


def versions() -> dict[str, str]:
    """Versions of marketsim and of what its figures depend on."""
    from marketsim import _core

    return {
        "marketsim": version(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "pandas": metadata.version("pandas"),
        "numba": metadata.version("numba"),
        "instruction_set": _core.isa(),
    }


def optional_versions() -> dict[str, str]:
    """Versions of optional packages, or what they would be installed for."""
    uses = {
        "pyarrow": 'Parquet files: pip install "marketsim[parquet]"',
        "arch": 'demo data: pip install "marketsim[demo]"',
        "torch": 'models with weights: pip install "marketsim[models]"',
        "safetensors": 'models with weights: pip install "marketsim[models]"',
        "huggingface_hub": 'models from a hub: pip install "marketsim[models]"',
    }
    found = {}
    for package, use in uses.items():
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = f"not installed ({use})"
    return found


def cuda_state() -> tuple[bool, str]:
    """Whether the CUDA kernels can be used, and why (not)."""
    import importlib.util

    if importlib.util.find_spec("marketsim._cuda") is None:
        return False, "this build has no CUDA kernels; everything runs on the CPU"
    return False, "the CUDA kernels are not loaded by this version"


def doctor() -> dict[str, object]:
    """Facts for a bug report, and for somebody who wonders why it is slow."""
    from marketsim import _core

    usable, reason = cuda_state()
    return {
        "versions": versions(),
        "optional": optional_versions(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "compiler": _core.compiler(),
        "instruction_set": {"used": _core.isa(), "supported": _core.supported_isas()},
        "threads": _core.thread_limit(),
        "cuda": {"usable": usable, "reason": reason},
    }
