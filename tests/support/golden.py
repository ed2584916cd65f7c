"""Recorded results of the original systems: in $MARKETSIM_GOLDEN, else ../shared/golden."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(os.environ.get("MARKETSIM_GOLDEN") or Path(__file__).parents[3] / "shared" / "golden")
LACKS = "the recorded results are not in {}: MARKETSIM_GOLDEN names their folder"


def golden_folder(name: str) -> Path:
    """The folder of one system's results, which may not exist."""
    return GOLDEN / name


def why_missing(path: Path) -> str:
    """The reason to skip a test that needs a path."""
    return LACKS.format(path)
