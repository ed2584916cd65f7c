"""The old module `src.optimization_utils`: the offsets of limit orders that would have paid most.

The old functions searched by some hundred evaluations, 45 ms a call; these find the exact maximum
in microseconds. MARKETSIM_USE_DIRECT_OPTIMIZER=1 brings back SciPy's DIRECT with the old budgets
(100 evaluations with MARKETSIM_FAST_OPTIMIZE=1), 0 its differential evolution; SciPy is imported
only then. Fitted offsets are in-sample figures, found exactly or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from marketsim._core import best_offsets_of_tensors, environment_variable
from marketsim.errors import ArgumentError, LegacyReplacementError
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.assignments import watch_callee
from marketsim.legacy.stock.offset_search import (
    EXACT_FILL,
    EXACT_FILL_AT_CLOSE,
    EXACT_RULES,
    find_offsets,
)
from marketsim.legacy.stock.scipy_search import (
    Effort,
    evolve,
    minimize,
    scipy_optimize,
    searches,
)
from marketsim.legacy.stock.settings import assigned, setting

__all__ = [
    "ENTRY_EXIT_OPTIMIZER_BACKEND",
    "optimize_always_on_multipliers",
    "optimize_entry_exit_multipliers",
    "optimize_entry_exit_multipliers_with_callback",
    "optimize_single_parameter",
    "run_bounded_optimizer",
]

ENTRY_EXIT_OPTIMIZER_BACKEND = "marketsim-exact"
# As a dict, which is read in half the time.
_FEES = vars(loss_utils)


def __getattr__(name: str) -> Any:
    """Flags that the environment decides, and SciPy's functions.

    A program may set them: `_USE_DIRECT = False` asks for differential evolution, `_FAST_MODE` for
    100 evaluations where DIRECT searches, `direct` and `differential_evolution` are called.
    """
    if name == "_USE_DIRECT":
        return setting("optimizer") != "differential_evolution"
    if name == "_FAST_MODE":
        return bool(setting("fast_optimize"))
    if name in _SCIPY:
        return getattr(scipy_optimize(), name)
    if name in _OBJECTIVES:
        return getattr(loss_utils, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_SCIPY = ("direct", "differential_evolution")
_FLAGS = ("_USE_DIRECT", "_FAST_MODE", *_SCIPY)
# What the old module called for each pair of offsets; the kernels call no function.
_OBJECTIVES = (
    "calculate_profit_torch_with_entry_buysell_profit_values",
    "calculate_trading_profit_torch_with_entry_buysell",
)

_ASSIGNABLE = (*_OBJECTIVES, *_FLAGS)
for _name in _ASSIGNABLE:  # where the module is reloaded, what was assigned is gone, as it was
    globals().pop(_name, None)
del _name


def _optimizer() -> Any:
    """The optimizer that is set, by this module's flags before the environment."""
    if len(_OWN) == _OWN_NAMES and not (searches or assigned or environment_variable(_VARIABLE)):
        return "exact"
    asked: str = setting("optimizer")
    own = _OWN
    if not searches and own.keys().isdisjoint(_ASSIGNABLE):
        return asked
    if not own.keys().isdisjoint(_OBJECTIVES):
        replaced = next(name for name in _OBJECTIVES if name in own)
        raise LegacyReplacementError(
            f"src.optimization_utils.{replaced} was replaced, which has no effect: kernels compute "
            "the profits. Delete it, and hand your own objective to run_bounded_optimizer or "
            "optimize_entry_exit_multipliers_with_callback"
        )
    if not own.keys().isdisjoint(_FLAGS):
        searches.clear()
        searches.update({name: own[name] for name in _FLAGS[1:] if name in own})
        if "_USE_DIRECT" in own and not own["_USE_DIRECT"]:
            asked = "differential_evolution"
        elif asked == "differential_evolution" and "_USE_DIRECT" in own:
            asked = "direct"
    elif searches:
        searches.clear()
    return asked


class _EntryExitObjective:
    """Minus the total profit at a pair of offsets; can be handed to other processes."""

    def __init__(
        self,
        close_actual: torch.Tensor,
        positions: torch.Tensor,
        high_actual: torch.Tensor,
        high_pred: torch.Tensor,
        low_actual: torch.Tensor,
        low_pred: torch.Tensor,
        close_at_eod: bool,
        trading_fee: float | None,
    ) -> None:
        self._levels = (high_actual, high_pred, low_actual, low_pred)
        self._close = close_actual
        self._positions: tuple[torch.Tensor, ...] = (positions,)
        self._close_at_eod, self._fee = close_at_eod, trading_fee

    def __call__(self, multipliers: Sequence[float]) -> float:
        high, low = (float(offset) for offset in multipliers)
        day_high, high_pred, day_low, low_pred = self._levels
        levels = (day_high, high_pred + high, day_low, low_pred + low)
        values = loss_utils.calculate_profit_torch_with_entry_buysell_profit_values
        totals = (
            values(
                self._close,
                *levels,
                position,
                close_at_eod=self._close_at_eod,
                trading_fee=self._fee,
            )
            .sum()
            .item()
            for position in self._positions
        )
        return -float(sum(totals))


class _AlwaysOnObjective(_EntryExitObjective):
    """The same of two positions a day; of crypto only the first counts."""

    def __init__(
        self,
        close_actual: torch.Tensor,
        buy_indicator: torch.Tensor,
        sell_indicator: torch.Tensor,
        high_actual: torch.Tensor,
        high_pred: torch.Tensor,
        low_actual: torch.Tensor,
        low_pred: torch.Tensor,
        close_at_eod: bool,
        trading_fee: float | None,
        is_crypto: bool,
    ) -> None:
        levels = (high_actual, high_pred, low_actual, low_pred)
        super().__init__(close_actual, buy_indicator, *levels, close_at_eod, trading_fee)
        self._positions = (buy_indicator,) if is_crypto else (buy_indicator, sell_indicator)


class _EntryExitContext(NamedTuple):
    """The tensors of a problem, in one row each."""

    close_actual: torch.Tensor
    positions: torch.Tensor
    high_actual: torch.Tensor
    high_pred: torch.Tensor
    low_actual: torch.Tensor
    low_pred: torch.Tensor


def _prepare_entry_exit_context(*tensors: torch.Tensor, **named: torch.Tensor) -> _EntryExitContext:
    given = _EntryExitContext(*tensors, **named)
    return _EntryExitContext(*(tensor.reshape(-1) for tensor in given))


def _evaluate_entry_exit_profit(
    ctx: _EntryExitContext,
    *,
    high_mult: float,
    low_mult: float,
    close_at_eod: bool,
    trading_fee: float | None,
) -> torch.Tensor:
    """The total profit at a pair of offsets, a tensor of one value; later versions had it."""
    return loss_utils.calculate_trading_profit_torch_with_entry_buysell(
        None,
        None,
        ctx.close_actual,
        ctx.positions,
        ctx.high_actual,
        ctx.high_pred + high_mult,
        ctx.low_actual,
        ctx.low_pred + low_mult,
        close_at_eod=close_at_eod,
        trading_fee=trading_fee,
    )


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
    fee = _FEES["TRADING_FEE"] if trading_fee is None else trading_fee
    optimizer = _optimizer()
    if optimizer == "exact":
        found = best_offsets_of_tensors(
            close_actual, high_actual, low_actual, high_pred, low_pred, positions, None,
            bounds, EXACT_FILL_AT_CLOSE if close_at_eod else EXACT_FILL,
            EXACT_RULES[_FEES["FEE_RULE"]], fee,
        )  # fmt: skip
        if found is not None:
            return found
    return find_offsets(
        (close_actual, high_actual, low_actual, high_pred, low_pred),
        (positions,),
        close_at_eod=close_at_eod,
        fee=fee,
        fee_rule=_FEES["FEE_RULE"],
        bounds=bounds,
        effort=Effort(maxiter, popsize, atol, seed, workers),
        optimizer=optimizer,
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
    fee = _FEES["TRADING_FEE"] if trading_fee is None else trading_fee
    second = None if is_crypto else sell_indicator
    optimizer = _optimizer()
    if optimizer == "exact":
        found = best_offsets_of_tensors(
            close_actual, high_actual, low_actual, high_pred, low_pred, buy_indicator, second,
            bounds, EXACT_FILL_AT_CLOSE if close_at_eod else EXACT_FILL,
            EXACT_RULES[_FEES["FEE_RULE"]], fee,
        )  # fmt: skip
        if found is not None:
            return found
    return find_offsets(
        (close_actual, high_actual, low_actual, high_pred, low_pred),
        (buy_indicator,) if is_crypto else (buy_indicator, sell_indicator),
        close_at_eod=close_at_eod,
        fee=fee,
        fee_rule=_FEES["FEE_RULE"],
        bounds=bounds,
        effort=Effort(maxiter, popsize, atol, seed, workers),
        optimizer=optimizer,
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

    _optimizer()
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

    _optimizer()
    result = evolve(loss, [bounds], Effort(maxiter, popsize, atol, seed, workers))
    return float(result.x[0]), float(-result.fun)


def run_bounded_optimizer(
    objective: Callable[[Sequence[float]], float],
    bounds: Sequence[tuple[float, float]],
    *,
    maxiter: int = 50,
    popsize: int = 10,
    atol: float = 1e-5,
    seed: int | None = 42,
    workers: int = 1,
) -> tuple[tuple[float, ...], float]:
    """The numbers within bounds at which a function of yours is lowest, by DIRECT.

    By differential evolution with MARKETSIM_USE_DIRECT_OPTIMIZER=0; of any number of parameters.

    Returns:
        (numbers, the function's value).

    Raises:
        ArgumentError: no bounds.
        MissingDependencyError: SciPy is not installed.
    """
    if not bounds:
        raise ArgumentError("bounds must hold at least one pair: got none")
    effort = Effort(maxiter, max(popsize, 1), atol, seed, workers)
    result = minimize(objective, list(bounds), effort, _optimizer())
    return tuple(float(value) for value in result.x), float(result.fun)


# Names that a program adds to these (the flags are none of them) make `_optimizer` look at all.
_VARIABLE = "MARKETSIM_USE_DIRECT_OPTIMIZER"
_OWN = globals()
_OWN_NAMES = 0
_OWN_NAMES = len(_OWN)


watch_callee(
    __name__,
    kept=["optimize_always_on_multipliers", "optimize_entry_exit_multipliers"],
    unread=["ENTRY_EXIT_OPTIMIZER_BACKEND"],
    more=_ASSIGNABLE,
)
