"""Recorded runs and unit cases of the second old system.

In $MARKETSIM_GENESIS_GOLDEN, else in genesis of `golden`.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import golden_folder, why_missing

from marketsim.legacy.genesis.candles import Candles

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(os.environ.get("MARKETSIM_GENESIS_GOLDEN") or golden_folder("genesis"))
needs_golden = pytest.mark.skipif(not FOLDER.is_dir(), reason=why_missing(FOLDER))


@cache
def manifest() -> dict[str, Any]:
    path = FOLDER / "manifest.json"
    return json.loads(path.read_text()) if path.is_file() else {"runs": {}, "indicators": {}}


def run_names() -> list[str]:
    return list(manifest()["runs"])


@cache
def units() -> dict[str, Any]:
    path = FOLDER / "unit_cases.json.gz"
    return json.loads(gzip.decompress(path.read_bytes())) if path.is_file() else {}


@cache
def recorded(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by name [bar], and the run's text."""
    with np.load(FOLDER / "runs" / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    packed = (FOLDER / "runs" / f"{name}.json.gz").read_bytes()
    return arrays, json.loads(gzip.decompress(packed))


@cache
def inputs(name: str) -> Candles:
    with np.load(FOLDER / "inputs.npz", allow_pickle=False) as file:
        columns = [file[f"{name}/{x}"] for x in ("open", "high", "low", "close", "volume")]
        return Candles(*columns, time=file[f"{name}/timestamp_ns"])


def frame_of(candles: Candles) -> Any:
    import pandas as pd

    stamps = pd.to_datetime(candles.time)
    columns = {x: getattr(candles, x) for x in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"timestamp": stamps, **columns})


def same(x: Any, y: Any, tolerance: float = 0.0) -> bool:
    """Equal values of equal kinds, numbers to a relative tolerance, keys as text."""
    if isinstance(x, dict) and isinstance(y, dict):
        left, right = ({str(k): v for k, v in d.items()} for d in (x, y))
        return left.keys() == right.keys() and all(same(left[k], right[k], tolerance) for k in left)
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
        return len(x) == len(y) and all(same(a, b, tolerance) for a, b in zip(x, y, strict=True))
    if isinstance(x, bool) or isinstance(y, bool) or x is None or y is None:
        return x is y
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        if x != x or y != y:
            return x != x and y != y
        return x == y or abs(x - y) <= tolerance * max(abs(x), abs(y))
    return str(x) == str(y)
