"""Where the old system's files lie: data, config, results, cache.

The old modules took the folder above themselves; these take the current folder, or the one that is
named by `use_root` or MARKETSIM_GENESIS_ROOT.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MARKETSIM_GENESIS_ROOT"
_chosen: list[Path] = []


def use_root(path: str | Path | None) -> None:
    """Take this folder from here on; None: the variable's, else the current one."""
    _chosen[:] = [] if path is None else [Path(path).resolve()]


def project_root() -> Path:
    """The folder that holds `data`, `config` and `results`."""
    if _chosen:
        return _chosen[0]
    named = os.environ.get(VARIABLE)
    return Path(named).resolve() if named else Path.cwd()


def candles_file(symbol: str, timeframe: str) -> tuple[Path | None, list[Path]]:
    """The file of bars, None where there is none, and the places that were looked at."""
    folder = project_root() / "data"
    name = f"{symbol}_{timeframe}.parquet"
    places = [folder / "curated" / "v1" / "candles" / name, folder / "candles" / name]
    return next((place for place in places if place.is_file()), None), places
