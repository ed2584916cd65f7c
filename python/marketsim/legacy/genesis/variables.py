"""Variables of the old system that have nothing left to change."""

from __future__ import annotations

import os

_NO_CACHE = "no result is looked up in a cache"
_NO_FILE_CACHE = "a file is read as it is now"
NO_EFFECT = {
    "GENESIS_FEATURE_CACHE_SIZE": _NO_CACHE,
    "GENESIS_FAST_HASH": _NO_CACHE,
    "GENESIS_DISABLE_INDICATOR_CACHE": _NO_CACHE,
    "GENESIS_OPTIMIZER_JSON_CACHE": _NO_FILE_CACHE,
    "GENESIS_OPTIMIZER_JSON_CACHE_SIZE": _NO_FILE_CACHE,
    "GENESIS_DISABLE_METRICS": "there are no counters",
    "GENESIS_DEBUG_BACKTEST": "no error of a bar is swallowed",
}


def without_effect() -> list[str]:
    """A line for each of them that is set."""
    return [f"{name}: accepted; {why}" for name, why in NO_EFFECT.items() if name in os.environ]
