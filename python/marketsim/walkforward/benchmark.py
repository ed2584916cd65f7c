"""What a strategy is compared with: the returns of something else on the same bars."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError
from marketsim.metrics import align_benchmark

BenchmarkLike: TypeAlias = "pd.Series[float] | Bars | str | os.PathLike[str]"


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Returns of a benchmark on the evaluated bars.

    Attributes:
        name: of its column in `returns` and of its table.
        returns: [bar], fractions.
    """

    name: str
    returns: npt.NDArray[np.float64]


def benchmark_series(benchmark: BenchmarkLike | None, bars: Bars) -> pd.Series[float] | None:
    """The benchmark as returns by date.

    Args:
        benchmark: a Series of returns; or bars, or what `read_bars` takes of them, whose closes
            give the return from each bar of `bars` to the next.
        bars: what is evaluated.

    Raises:
        ArgumentError: none of these.
        BarsError: as `read_bars`.
    """
    if benchmark is None:
        return None
    if isinstance(benchmark, (str, os.PathLike)):
        benchmark = read_bars(benchmark)
    if isinstance(benchmark, pd.Series):
        return benchmark
    if not isinstance(benchmark, Bars):
        raise ArgumentError(
            "benchmark must be a pandas Series of returns, Bars, or a file of bars: got "
            f"{type(benchmark).__name__}"
        )
    own, theirs = _index(bars), _index(benchmark).tz_convert(_index(bars).tz)
    shared = theirs.isin(own)
    if not shared.any():  # opened at another hour: compared by day
        shared = theirs.normalize().isin(own.normalize())
    if not shared.any():
        shared = np.ones(len(theirs), dtype=np.bool_)  # the error says what it covers
    closes = pd.Series(benchmark.close[shared], theirs[shared], name=benchmark.symbol)
    return closes.pct_change().iloc[1:]


def resolve_benchmark(
    series: pd.Series[float] | None, index: pd.DatetimeIndex, taken: tuple[str, ...] = ()
) -> Benchmark | None:
    """The benchmark on the evaluated bars; None for none.

    Args:
        series: from `benchmark_series`.
        index: of the evaluated bars.
        taken: names of strategies, which the benchmark does not get.

    Raises:
        ArgumentError: as `marketsim.metrics.align_benchmark`: it does not overlap, or lacks bars.
    """
    if series is None:
        return None
    name = "benchmark" if series.name is None else str(series.name)
    return Benchmark("benchmark" if name in taken else name, align_benchmark(series, index))


def _index(bars: Bars) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars.frame.index)
