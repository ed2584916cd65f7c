"""Checked entry points of the performance kernels: whole sequences, windows, a benchmark.

The readable reference of each figure is `tests/support/performance_reference.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import ArgumentError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Columns of `window_performance`, per bar and not annualised.
WINDOW_FIGURES = (
    "total_return",
    "mean_return",
    "std_return",
    "sharpe",
    "sharpe_error",
    "max_drawdown",
    "hit_rate",
    "active_days",
)
# Columns of `row_performance`.
FIGURES = (
    *WINDOW_FIGURES,
    "skew",
    "excess_kurtosis",
    "downside_deviation",
    "mean_excess",
    "peak_bar",
    "trough_bar",
    "recovery_bar",
    "longest_drawdown",
    "value_at_risk",
    "conditional_value_at_risk",
    "best",
    "best_bar",
    "worst",
    "worst_bar",
    "gains",
    "losses",
    "wins",
    "defeats",
    "ruin_bar",
    "mean_leverage",
    "max_leverage",
    "mean_traded",
)
# Columns of `benchmark_performance`.
BENCHMARK_FIGURES = ("beta", "alpha", "correlation", "active_return", "tracking_error")


def net_rows(net: npt.ArrayLike, name: str = "net returns") -> Floats:
    """Convert net returns to [strategy, bar] in float64, and check that they are finite.

    Raises:
        ArgumentError: not 1-D or 2-D, no bar, or values that are not finite numbers.
    """
    try:
        rows = np.ascontiguousarray(net, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be numbers: {error}") from error
    rows = np.atleast_2d(rows)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ArgumentError(
            f"{name} must be [bar] or [strategy, bar] with at least one bar: "
            f"got shape {np.shape(net)}"
        )
    finite = np.isfinite(rows)
    if not finite.all():
        row, bar = np.argwhere(~finite)[0]
        raise ArgumentError(
            f"{name} must be finite: got {rows[row, bar]} at strategy {row}, bar {bar} "
            f"({int((~finite).sum())} in all); a bar without a position has a return of 0"
        )
    return rows


def flag_rows(active: npt.ArrayLike | None, net: Floats) -> Flags | None:
    """Check the flags of bars in the market; they have the shape of `net`."""
    if active is None:
        return None
    try:
        flags = np.atleast_2d(np.ascontiguousarray(active))
    except ValueError:  # rows of different lengths
        raise ArgumentError(
            f"active must be booleans in the shape of the net returns {net.shape}: got rows of "
            "different lengths"
        ) from None
    if flags.dtype != np.bool_ or flags.shape != net.shape:
        raise ArgumentError(
            f"active must be booleans in the shape of the net returns {net.shape}: "
            f"got {flags.dtype} of shape {flags.shape}"
        )
    return flags


def _called(kernel: Any, *arguments: Any) -> Floats:
    try:
        result: Floats = kernel(*arguments)
    except ValueError as error:
        raise ArgumentError(str(error)) from error
    return result


def window_performance(
    net: Floats,
    active: Flags | None,
    starts: npt.NDArray[np.int64],
    length: int,
    risk_free: Floats | None = None,
) -> Floats:
    """Measure each window of bars, for each strategy.

    Args:
        net: [strategy, bar], net return of each bar as a fraction of the capital.
        active: [strategy, bar], whether the strategy was in the market; None: in all.
        starts: [window], first bar of each window.
        length: bars per window, at least 1.
        risk_free: [bar], risk-free return of each bar; None: 0.

    Returns:
        [window, strategy, figure] in the order of WINDOW_FIGURES.
    """
    return _called(_core.window_performance, net, active, starts, length, risk_free)


def row_performance(
    net: Floats,
    active: Flags | None,
    tail: float,
    risk_free: Floats | None = None,
    position: Floats | None = None,
    traded: Floats | None = None,
) -> Floats:
    """Measure whole rows of net returns.

    Args:
        net: [strategy, bar], net return of each bar as a fraction of the capital.
        active: [strategy, bar], in the market; None: where `position` is not 0, or all.
        tail: tail probability of value at risk, in (0, 1).
        risk_free: [bar], risk-free return of each bar; None: 0.
        position: [strategy, bar], as a multiple of the equity, or None.
        traded: [strategy, bar], value bought and sold as a multiple of the equity, or None.

    Returns:
        [strategy, figure] in the order of FIGURES.
    """
    return _called(_core.row_performance, net, active, tail, risk_free, position, traded)


def benchmark_performance(
    net: Floats, benchmark: Floats, risk_free: Floats | None = None
) -> Floats:
    """Compare with benchmark returns [bar]: [strategy, figure] as in BENCHMARK_FIGURES."""
    return _called(_core.benchmark_performance, net, benchmark, risk_free)


def rolling_sharpe(net: Floats, window: int, risk_free: Floats | None = None) -> Floats:
    """Compute the Sharpe ratio per bar of the `window` bars up to each bar: [strategy, bar]."""
    return _called(_core.rolling_sharpe, net, window, risk_free)
