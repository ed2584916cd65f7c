"""Synthetic bars for tests above the kernels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketsim.bars import Bars, read_bars


def random_frame(count: int, seed: int = 0, *, weekends: bool = False) -> pd.DataFrame:
    """Daily bars of a random walk with consistent open, high, low, close and volume."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0002, 0.012, count)))
    open_ = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.004, count))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0.0, 0.005, count)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0.0, 0.005, count)))
    return pd.DataFrame(
        {
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": rng.integers(1_000, 100_000, count).astype(np.float64),
        },
        index=pd.date_range("2015-01-01", periods=count, freq="D" if weekends else "B"),
    )


def random_bars(count: int, seed: int = 0, *, weekends: bool = False) -> Bars:
    """`random_frame` as Bars of the symbol TEST."""
    return read_bars(random_frame(count, seed, weekends=weekends), symbol="TEST")


def changed_from(frame: pd.DataFrame, row: int, seed: int = 99) -> pd.DataFrame:
    """The frame with every value from `row` on replaced, and everything before it untouched."""
    rng = np.random.default_rng(seed)
    changed = frame.copy()
    scale = np.exp(rng.normal(0.3, 0.2, len(frame) - row))
    for name in ("open", "high", "low", "close"):
        changed.iloc[row:, changed.columns.get_loc(name)] *= scale
    changed.iloc[row:, changed.columns.get_loc("volume")] += 17.0
    return changed
