"""Bars for first tries: the S&P 500 from the files of the arch package, and simulated ones."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd

from marketsim.bars.bars import Bars
from marketsim.bars.read import read_bars
from marketsim.errors import ArgumentError, BarsFileNotFoundError, MissingDependencyError


def demo_bars() -> Bars:
    """Read the daily bars of the S&P 500 index from 1999 to 2018.

    Returns:
        Bars with the symbol "SP500", dates at midnight UTC, prices in index points.

    Raises:
        MissingDependencyError: the arch package, which carries the data, is not installed.
        BarsFileNotFoundError: it is installed without this data set.

    Example:
        >>> demo_bars()
        Bars('SP500', 5,031 bars of 1 day, 1999-01-04 to 2018-12-31)

    """
    # Only located: importing arch takes seconds, and its code is not needed.
    spec = importlib.util.find_spec("arch")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "the demo data are part of the arch package, which is not installed: "
            'pip install ".[demo]" in the checkout'
        )
    file = Path(next(iter(spec.submodule_search_locations)), "data", "sp500", "sp500.csv.gz")
    if not file.is_file():
        raise BarsFileNotFoundError(
            f"the demo data {file} do not exist: expected them in the arch package; "
            'pip install --force-reinstall "arch>=7.0"'
        )
    return read_bars(file, symbol="SP500")


def simulated_bars(count: int = 2_500, *, seed: int = 0, symbol: str = "DEMO") -> Bars:
    """Simulate daily OHLCV bars of a stock that does not exist.

    Volatility clusters, opens gap, and high and low enclose 32 simulated trades a day. The same
    arguments give the same bars.

    Args:
        count: how many business days, at least 1; the last is 2025-12-31.
        seed: of the random numbers, at least 0.
        symbol: of the bars.

    Raises:
        ArgumentError: `count` or `seed` out of range.

    Example:
        >>> simulated_bars(300)
        Bars('DEMO', 300 bars of 1 day, 2024-11-07 to 2025-12-31)
    """
    if count < 1 or seed < 0:
        raise ArgumentError(f"expected count >= 1 and seed >= 0: got {count} and {seed}")
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=count)
    spread = np.empty(count)
    level = 0.0
    for t in range(count):  # the logarithm of the volatility returns to its mean
        spread[t] = 0.013 * math.exp(level)
        level = 0.97 * level + 0.08 * shocks[t]
    steps = rng.normal(size=(count, 32)) * spread[:, None] / math.sqrt(32)
    gaps = rng.normal(size=count) * 0.4 * spread + 0.0003
    path = np.cumsum(np.concatenate([gaps[:, None], steps], axis=1).ravel()).reshape(count, 33)
    prices = np.round(100.0 * np.exp(path), 2).clip(0.01)
    volume = np.round(1e6 * spread / 0.013 * np.exp(0.3 * rng.normal(size=count)))
    index = pd.bdate_range(end="2025-12-31", periods=count, name="date", tz="UTC")
    columns = {
        "open": prices[:, 0], "high": prices.max(axis=1), "low": prices.min(axis=1),
        "close": prices[:, -1], "volume": volume,
    }  # fmt: skip
    return Bars(pd.DataFrame(columns, index), symbol)
