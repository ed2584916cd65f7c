"""Facts of a node that decide whether it gives the bytes that the driver would give."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from blake3 import blake3

# Versions that must be equal on the driver and on every node: forecasts depend on them.
SAME = ("python", "marketsim", "code", "numpy", "pandas", "ray")


@dataclass(frozen=True)
class NodeFacts:
    """A node of a cluster, as one of its workers describes it.

    Attributes:
        id: the node's id in Ray.
        host: name of its machine.
        cpus, gpus: its resources, as Ray counts them.
        versions: versions by name: python, marketsim, numpy, pandas, ray, torch where installed,
            and `code`, a digest of marketsim's own modules.
        instruction_set: instruction set that its kernels use.
    """

    id: str
    host: str
    cpus: float
    gpus: float
    versions: Mapping[str, str] = field(default_factory=dict)
    instruction_set: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {**vars(self), "versions": dict(self.versions)}


def versions_here() -> dict[str, str]:
    """Return the versions of this process, by name; see `NodeFacts.versions`."""
    found = {"python": platform.python_version(), "code": _code()}
    for package in ("marketsim", "numpy", "pandas", "ray", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of marketsim's modules: two checkouts may have one version."""
    root = Path(__file__).parent.parent
    digest = blake3()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest(length=8)


def describe_here() -> dict[str, Any]:
    """Describe this process to the driver; runs on a node."""
    from marketsim import _core

    return {
        "host": platform.node(),
        "process": os.getpid(),
        "versions": versions_here(),
        "instruction_set": _core.isa(),
    }


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Describe the versions of a node that differ from the driver's.

    Example:
        >>> differences({"numpy": "2.1.0"}, {"numpy": "2.2.0"})
        ['numpy 2.2.0 instead of 2.1.0']
    """
    names = [name for name in SAME if name in ours or name in theirs]
    names += [name for name in ("torch",) if name in ours and name in theirs]
    return [
        f"{name} {theirs.get(name, 'missing')} instead of {ours.get(name, 'none')}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]
