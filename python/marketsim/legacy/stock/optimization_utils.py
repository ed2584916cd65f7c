"""The old module `src.optimization_utils`: the offsets of limit orders that would have paid most.

The old functions searched by some hundred evaluations, 45 ms a call; these find the exact maximum
in microseconds. MARKETSIM_USE_DIRECT_OPTIMIZER=1 brings back SciPy's DIRECT with the old budgets
(100 evaluations with MARKETSIM_FAST_OPTIMIZE=1), 0 its differential evolution; SciPy is imported
only then. Fitted offsets are in-sample figures, found exactly or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.offset_search import Effort, evolve, exact_offsets, find_offsets
from marketsim.legacy.stock.settings import setting

__all__ = [
    "optimize_always_on_multipliers",
    "optimize_entry_exit_multipliers",
    "optimize_entry_exit_multipliers_with_callback",
    "optimize_single_parameter",
]


def optimize_entry_exit_multipliers(
    close_actual: torch.Tensor,
    positions: torch.Tensor,
    high_actual: torch.Tensor,
    high_pred: torch.Tensor,
    low_actual: torch.Tensor,
    low_pred: torch.Tensor,
    *,
    close_at_eod: bool = False,
    trading_fee: float | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    maxiter: int = 50,
    popsize: int = 10,
    atol: float = 1e-5,
    seed: int | None = 42,
    workers: int = 1,
) -> tuple[float, float, float]:
    """The offsets of the predicted high and low with the highest total profit.

    Args:
        close_actual, high_actual, low_actual, high_pred, low_pred, positions: tensors [day], as
            for `loss_utils.calculate_profit_torch_with_entry_buysell_profit_values`.
        close_at_eod, trading_fee: as there.
        bounds: ((lowest, highest) high offset, (lowest, highest) low offset) within [-1, 1].
        maxiter, popsize, atol, seed, workers: for SciPy's searches; the exact one needs none.

    Returns:
        (high offset, low offset, profit). Found exactly, the profit is the float64 sum of the days'
        float32 profits; no pair of float32 offsets within the bounds has a higher one.

    Raises:
        ArgumentError: as the profit function; bounds or a fee out of range; float64 tensors of
            more days than can be searched.
        MissingDependencyError: SciPy is asked for and not installed.
    """
    fee = loss_utils.TRADING_FEE if trading_fee is None else trading_fee
    days = (close_actual, high_actual, low_actual, high_pred, low_pred)
    if setting("optimizer") == "exact":
        rule = loss_utils.FEE_RULE
        found = exact_offsets(days, positions, None, bounds, bool(close_at_eod), fee, rule)
        if found is not None:
            return found
    return find_offsets(
        days,
        (positions,),
        close_at_eod=close_at_eod,
        fee=fee,
        fee_rule=loss_utils.FEE_RULE,
        bounds=bounds,
        effort=Effort(maxiter, popsize, atol, seed, workers),
    )


def optimize_always_on_multipliers(
    close_actual: torch.Tensor,
    buy_indicator: torch.Tensor,
    sell_indicator: torch.Tensor,
    high_actual: torch.Tensor,
    high_pred: torch.Tensor,
    low_actual: torch.Tensor,
    low_pred: torch.Tensor,
    *,
    close_at_eod: bool = False,
    trading_fee: float | None = None,
    is_crypto: bool = False,
    bounds: Bounds = DEFAULT_BOUNDS,
    maxiter: int = 30,
    popsize: int = 8,
    atol: float = 1e-5,
    seed: int | None = 42,
    workers: int = -1,
) -> tuple[float, float, float]:
    """As `optimize_entry_exit_multipliers`, of the sum of two positions on each day.

    Args:
        buy_indicator, sell_indicator: tensors [day], the two positions; of crypto only the first
            counts.
        is_crypto: no shorts.
        close_actual, high_actual, high_pred, low_actual, low_pred, close_at_eod, trading_fee,
            bounds, maxiter, popsize, atol, seed, workers: as there.
    """
    fee = loss_utils.TRADING_FEE if trading_fee is None else trading_fee
    days = (close_actual, high_actual, low_actual, high_pred, low_pred)
    second = None if is_crypto else sell_indicator
    if setting("optimizer") == "exact":
        rule = loss_utils.FEE_RULE
        found = exact_offsets(days, buy_indicator, second, bounds, bool(close_at_eod), fee, rule)
        if found is not None:
            return found
    return find_offsets(
        days,
        (buy_indicator,) if is_crypto else (buy_indicator, sell_indicator),
        close_at_eod=close_at_eod,
        fee=fee,
        fee_rule=loss_utils.FEE_RULE,
        bounds=bounds,
        effort=Effort(maxiter, popsize, atol, seed, workers),
    )


def optimize_entry_exit_multipliers_with_callback(
    profit_calculator: Callable[[float, float], float],
    *,
    bounds: Bounds = DEFAULT_BOUNDS,
    maxiter: int = 50,
    popsize: int = 10,
    atol: float = 1e-5,
    seed: int | None = 42,
    workers: int = 1,
) -> tuple[float, float, float]:
    """The pair with the highest profit by a function of yours, by differential evolution.

    Returns:
        (first number, second number, profit).

    Raises:
        MissingDependencyError: SciPy is not installed.
    """

    def loss(offsets: Sequence[float]) -> float:
        return -profit_calculator(float(offsets[0]), float(offsets[1]))

    result = evolve(loss, list(bounds), Effort(maxiter, popsize, atol, seed, workers))
    return float(result.x[0]), float(result.x[1]), float(-result.fun)


def optimize_single_parameter(
    profit_calculator: Callable[[float], float],
    *,
    bounds: tuple[float, float] = (-0.05, 0.05),
    maxiter: int = 30,
    popsize: int = 8,
    atol: float = 1e-5,
    seed: int | None = 42,
    workers: int = 1,
) -> tuple[float, float]:
    """The number with the highest profit by a function of yours, by differential evolution.

    Returns:
        (number, profit).

    Raises:
        MissingDependencyError: SciPy is not installed.
    """

    def loss(parameters: Sequence[float]) -> float:
        return -profit_calculator(float(parameters[0]))

    result = evolve(loss, [bounds], Effort(maxiter, popsize, atol, seed, workers))
    return float(result.x[0]), float(-result.fun)
