"""Benchmark returns on the evaluated bars."""

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
        name: name of its column in `returns` and of its table.
        returns: [bar], fractions.
    """

    name: str
    returns: npt.NDArray[np.float64]


def benchmark_series(benchmark: BenchmarkLike | None, bars: Bars) -> pd.Series[float] | None:
    """Convert a benchmark to returns by date.

    Args:
        benchmark: a Series of returns; or bars, or a path that `read_bars` accepts, whose closes
            give the return from each bar of `bars` to the next.
        bars: the bars of the run.

    Raises:
        ArgumentError: an unsupported type.
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
    own, index = _index(bars), _index(benchmark).tz_convert(_index(bars).tz)
    shared = index.isin(own)
    if not shared.any():  # sessions open at another hour: match by date
        shared = index.normalize().isin(own.normalize())
    if not shared.any():
        shared = np.ones(len(index), dtype=np.bool_)  # the error says what it covers
    closes = pd.Series(benchmark.close[shared], index[shared], name=benchmark.symbol)
    return closes.pct_change().iloc[1:]


def resolve_benchmark(
    series: pd.Series[float] | None, index: pd.DatetimeIndex, taken: tuple[str, ...] = ()
) -> Benchmark | None:
    """Align the benchmark with the evaluated bars; None if there is no benchmark.

    Args:
        series: result of `benchmark_series`.
        index: timestamps of the evaluated bars.
        taken: strategy names, which the benchmark's column must not repeat.

    Raises:
        ArgumentError: no overlap or missing bars, as in `marketsim.metrics.align_benchmark`.
    """
    if series is None:
        return None
    name = "benchmark" if series.name is None else str(series.name)
    return Benchmark("benchmark" if name in taken else name, align_benchmark(series, index))


def _index(bars: Bars) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars.frame.index)
