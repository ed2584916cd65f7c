"""Net returns of an account: ruin, months and years, a benchmark on the same days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.kernels.performance import net_rows

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


class AccountReturns(NamedTuple):
    """Returns of accounts that can be ruined.

    Attributes:
        returns: [strategy, bar]: the net returns up to the ruin, which counts as -1, then 0.
        ruin_bar: [strategy], the bar that lost everything; -1 for none.
    """

    returns: Floats
    ruin_bar: npt.NDArray[np.int64]


def account_returns(net: npt.ArrayLike) -> AccountReturns:
    """Convert net returns to those of an account: a return at or below -1 ends the strategy.

    Nobody can lose more than the equity or go on without any: the bar of ruin counts as -1 and
    later bars as 0.

    Args:
        net: [bar] or [strategy, bar], net returns as fractions of the equity.

    Raises:
        ArgumentError: no bar, or a value that is not finite.

    Example:
        >>> account_returns([0.1, -1.4, 0.5]).returns.tolist()
        [[0.1, -1.0, 0.0]]
    """
    rows = net_rows(net)
    lost = rows <= -1.0
    ruined = lost.any(axis=1)
    bars = np.where(ruined, lost.argmax(axis=1), -1)
    if not ruined.any():
        return AccountReturns(rows.copy(), bars)
    returns = rows.copy()
    for row in np.flatnonzero(ruined):
        returns[row, bars[row]] = -1.0
        returns[row, bars[row] + 1 :] = 0.0
    return AccountReturns(returns, bars)


class PeriodReturns(NamedTuple):
    """Compounded returns of calendar periods.

    Attributes:
        periods: [period], the first day of each month or year, as datetime64[D].
        returns: [strategy, period], compounded over the bars of each period, as fractions. The
            first and the last period may be incomplete.
        bars: [period], bars of each.
    """

    periods: npt.NDArray[np.datetime64]
    returns: Floats
    bars: npt.NDArray[np.int64]


def period_returns(
    net: npt.ArrayLike, times: npt.ArrayLike, period: Literal["month", "year"] = "month"
) -> PeriodReturns:
    """Compound returns by calendar month or year: the product of 1 + r, minus 1.

    Args:
        net: [bar] or [strategy, bar], net returns.
        times: [bar], ascending timestamps (datetime64 or a DatetimeIndex; a time zone's own
            calendar decides).
        period: "month" or "year".

    Raises:
        ArgumentError: lengths that differ, times that do not ascend, another period.

    Example:
        >>> days = np.array(["2024-01-30", "2024-01-31", "2024-02-01"], dtype="datetime64[D]")
        >>> period_returns([0.1, 0.1, -0.5], days).returns.round(6).tolist()
        [[0.21, -0.5]]
    """
    units = {"month": "datetime64[M]", "year": "datetime64[Y]"}
    if period not in units:
        raise ArgumentError(f"period must be 'month' or 'year': got {period!r}")
    rows = account_returns(net).returns
    stamps = _local(times)
    if stamps.shape != (rows.shape[1],):
        raise ArgumentError(
            f"times must be one for each of the {rows.shape[1]} bars: got shape {stamps.shape}"
        )
    if (stamps[1:] < stamps[:-1]).any() or np.isnat(stamps).any():
        raise ArgumentError("times must ascend and none may be missing: sort the bars by time")
    labels = stamps.astype(units[period])
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    rows += 1.0
    compounded = np.multiply.reduceat(rows, first, axis=1) - 1.0
    counts = np.diff(np.r_[first, rows.shape[1]])
    return PeriodReturns(labels[first].astype("datetime64[D]"), compounded, counts)


def _local(times: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
    """Return timestamps without a time zone, by the clock of their own zone."""
    if getattr(times, "tz", None) is not None:
        times = times.tz_localize(None)  # type: ignore[union-attr]
    stamps = np.asarray(times)
    if stamps.dtype.kind != "M":
        raise ArgumentError(f"times must be datetime64: got {stamps.dtype}")
    return stamps


def align_benchmark(benchmark: object, index: pd.DatetimeIndex) -> Floats:
    """Align the returns of a benchmark series with the bars of `index`, exactly one for each.

    Both are compared by calendar day where the bars are daily or longer, so that a benchmark
    without a time zone fits bars with one; else by timestamp.

    Args:
        benchmark: pandas Series of returns (not prices) by ascending date.
        index: ascending timestamps of the bars.

    Raises:
        ArgumentError: no overlap, bars without a benchmark return (how many, the first), dates that
            repeat, or values that are not finite or below -1.
    """
    import pandas as pd

    if not isinstance(benchmark, pd.Series) or not isinstance(benchmark.index, pd.DatetimeIndex):
        raise ArgumentError(
            "benchmark must be a pandas Series of returns with a DatetimeIndex: "
            f"got {type(benchmark).__name__}"
        )
    own, theirs = _keys(index), _keys(benchmark.index)
    if not theirs.is_unique:
        raise ArgumentError(
            f"benchmark must have one return for each date: got {theirs[theirs.duplicated()][0]} "
            "twice; drop one"
        )
    at = theirs.get_indexer(own)
    missing = np.flatnonzero(at < 0)
    if len(missing) == len(own):
        have = f"{theirs.min()} to {theirs.max()}" if len(theirs) else "nothing"
        raise ArgumentError(
            f"the benchmark does not overlap with the bars: it covers {have}, "
            f"the bars {own.min()} to {own.max()}"
        )
    if len(missing):
        raise ArgumentError(
            f"the benchmark has no return for {len(missing)} of {len(own)} bars, "
            f"first {own[missing[0]]}: reindex it, or evaluate the days that it covers"
        )
    values = benchmark.to_numpy(dtype=np.float64)[at]
    wrong = np.flatnonzero(~((values >= -1.0) & (values < np.inf)))
    if len(wrong):
        raise ArgumentError(
            "benchmark must hold finite returns of at least -1, as fractions: got "
            f"{float(values[wrong[0]])} at {own[wrong[0]]} ({len(wrong)} of {len(own)} bars)"
        )
    return values


def _keys(index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return calendar days by the index's clock, or UTC instants where bars share a day."""
    days = index.tz_localize(None).normalize()
    return days if days.is_unique else index.tz_convert(None) if index.tz else index
