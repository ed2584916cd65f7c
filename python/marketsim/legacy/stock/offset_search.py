"""The best offsets of limit orders given as tensors: found exactly, or searched as the old way was.

Exactly is the default. On a processor, float32 tensors go straight to the compiled search, a call
of a few microseconds; those of a GPU are searched there. float64 tensors, and fees and bounds that
the kernels do not take, are searched by trying all pairs of offsets at which a fill changes.
DIRECT and differential evolution are SciPy's, on the same profit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from marketsim import _core
from marketsim.arguments import as_argument_error, as_number
from marketsim.errors import ArgumentError, CudaUnavailableError
from marketsim.kernels.cuda import place as cuda
from marketsim.kernels.offsets import best_offsets
from marketsim.kernels.rules import FEE_RULES, check_fee, fee_rule_code, fill_code
from marketsim.kernels.types import Bounds, check_bounds
from marketsim.legacy.stock.scipy_search import Effort, minimize
from marketsim.legacy.stock.settings import setting
from marketsim.legacy.stock.tensor_profit import check_tensors, limit_order_profit
from marketsim.text import get_logger

logger = get_logger(__name__)

# Searched pair by pair, where the work grows with the third power of the days. More days start from
# the maximum of float32, and improve one offset after the other.
MOST_PAIRED_DAYS = 128
# Limits are cut to [-1, 10]: larger levels, infinite ones too, mean what these mean.
_LARGEST_LEVEL = 1000.0

Found = tuple[float, float, float]
_FILLS = ("legacy", "legacy_close_only")
_CODES = tuple(fill_code(fill, legacy=True) for fill in _FILLS)


class _FeeRules(dict[str, int]):
    """Codes of fee rules, asked for by name; an unknown name is an ArgumentError."""

    def __missing__(self, rule: str) -> int:
        return fee_rule_code(rule)


# For `_core.best_offsets_of_tensors`, which answers from the memory of 1-D float32 tensors on a
# processor, and None for other tensors, infinite levels, bounds or fees that the kernels lack.
EXACT_FILL, EXACT_FILL_AT_CLOSE = _CODES
EXACT_RULES = _FeeRules({rule: fee_rule_code(rule) for rule in FEE_RULES})


@dataclass(frozen=True)
class Problem:
    """Days, forecasts and positions of which the best offsets are asked.

    Attributes:
        days: tensors [day]: close, high, low, high_pred, low_pred.
        positions: tensors [day]; the total is that of all of them. One or two.
        close_at_eod: leave at the close.
        fee, fee_rule: see `marketsim.kernels.rules`.
    """

    days: tuple[torch.Tensor, ...]
    positions: tuple[torch.Tensor, ...]
    close_at_eod: bool
    fee: float
    fee_rule: str

    @property
    def fits_kernel(self) -> bool:
        """Whether the fee is one that the kernels know."""
        try:
            check_fee(self.fee)
        except ArgumentError:
            return False
        return True

    def totals(self, high: float, low: float) -> float:
        """The profit of one pair of offsets, positions added in double precision, as it was."""
        parts = (Problem(self.days, (one,), *self._terms()) for one in self.positions)
        return sum(float(part.total(high, low).item()) for part in parts)

    def _terms(self) -> tuple[bool, float, str]:
        return self.close_at_eod, self.fee, self.fee_rule

    def total(self, high: float | torch.Tensor, low: float | torch.Tensor) -> torch.Tensor:
        """The profit over all days, of offsets [...] that broadcast against [..., day]."""
        close, day_high, day_low, high_pred, low_pred = self.days
        total: torch.Tensor | None = None
        for position in self.positions:
            values = limit_order_profit(
                close,
                day_high,
                day_low,
                high_pred + high,
                low_pred + low,
                position,
                close_at_eod=self.close_at_eod,
                fee=self.fee,
                fee_rule=self.fee_rule,
            )
            part = values.sum(-1)
            total = part if total is None else total + part
        assert total is not None
        return total


def _fit_kernel(bounds: Bounds) -> bool:
    try:
        check_bounds(bounds)
    except ArgumentError:
        return False
    return True


def check_pairs(bounds: Any) -> Bounds:
    """Bounds of two offsets as numbers.

    Raises:
        ArgumentError: they are not two pairs of finite numbers, each in ascending order.
    """
    try:
        (a, b), (c, d) = ((float(low), float(high)) for low, high in bounds)
    except (TypeError, ValueError):
        a, b, c, d = math.nan, math.nan, math.nan, math.nan
    if math.isfinite(a + b + c + d) and a <= b and c <= d:
        return (a, b), (c, d)
    raise ArgumentError(
        "bounds must be ((lowest, highest) high offset, (lowest, highest) low offset), finite and "
        f"in ascending order: got {bounds!r}"
    )


def without_infinity(levels: Any) -> Any:
    """Levels with finite numbers in the place of infinite ones that mean the same limit."""
    return levels.clip(-_LARGEST_LEVEL, _LARGEST_LEVEL)


def find_offsets(
    days: Sequence[torch.Tensor],
    positions: Sequence[torch.Tensor],
    *,
    close_at_eod: bool,
    fee: float,
    fee_rule: str,
    bounds: Bounds,
    effort: Effort,
    optimizer: str | None = None,
) -> Found:
    """(high offset, low offset, profit) of one problem, by the optimizer that is set.

    Args:
        days: close, high, low, high_pred, low_pred; tensors [day].
        positions: tensors [day], one or two.
        close_at_eod, fee, fee_rule: as for the profit.
        bounds: as for `marketsim.best_offsets`.
        effort: for SciPy.
        optimizer: "exact", "direct" or "differential_evolution"; None: what the environment says.

    Raises:
        ArgumentError: as for the profit, or bounds out of order, or a fee that is no number.
        MissingDependencyError: SciPy is asked for and not installed.
    """
    bounds = check_pairs(bounds)
    expected = "a fraction of the traded value, such as 0.0005"
    fee = as_number("trading_fee", fee, expected)
    if not math.isfinite(fee):
        raise ArgumentError(f"trading_fee must be {expected}: got {fee}")
    problem = _checked(days, positions, bool(close_at_eod), fee, fee_rule)
    optimizer = optimizer or setting("optimizer")
    if optimizer == "exact":
        return _exact(problem, bounds)
    return _searched(problem, bounds, effort, optimizer)


def _checked(
    days: Sequence[torch.Tensor],
    positions: Sequence[torch.Tensor],
    close_at_eod: bool,
    fee: float,
    fee_rule: str,
) -> Problem:
    names = ("close_actual", "high_actual", "low_actual", "high_pred", "low_pred")
    sides = ("positions",) if len(positions) == 1 else ("buy_indicator", "sell_indicator")
    given = dict(zip((*names, *sides), (*days, *positions), strict=True))
    rows = [row.detach() for row in check_tensors(**given)]
    rows = [*rows[:1], *map(without_infinity, rows[1:5]), *rows[5:]]
    rows = list(torch.broadcast_tensors(*rows))
    fee_rule_code(fee_rule)
    return Problem(tuple(rows[:5]), tuple(rows[5:]), close_at_eod, fee, fee_rule)


def _exact(problem: Problem, bounds: Bounds) -> Found:
    """The exact answer for tensors of any layout, device and precision.

    float32 tensors of a GPU are searched there. Where its kernels cannot be used, which is logged,
    and in float64, the search runs on a processor: the days are copied there once, where the old
    search fetched a number for each of its 500 evaluations.
    """
    rows = [*problem.days, *problem.positions]
    dtype = rows[0].dtype
    for row in rows:
        dtype = torch.promote_types(dtype, row.dtype)
    if not problem.fits_kernel or not _fit_kernel(bounds):
        return _by_pairs(problem, bounds, problem.fits_kernel)
    if dtype != torch.float64 and rows[0].is_cuda and _gpu_has_kernels():
        return _exact_on_gpu(problem, bounds, str(rows[0].device))
    rows = [row.detach().cpu().to(dtype).contiguous() for row in rows]
    if dtype == torch.float64:
        own = Problem(
            tuple(rows[:5]), tuple(rows[5:]), problem.close_at_eod, problem.fee, problem.fee_rule
        )
        return _by_pairs(own, bounds, start_in_float32=True)
    numbers = [row.resolve_neg().numpy() for row in _one_problem(rows)]
    try:
        high, low, profit = _core.best_offsets(
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            numbers[4],
            numbers[5],
            None,
            *bounds[0],
            *bounds[1],
            fill=_CODES[problem.close_at_eod],
            fee_rule=fee_rule_code(problem.fee_rule),
            limit_cost=problem.fee,
            close_cost=problem.fee,
            margin=0.0,
            always_on=False,
            long_only=False,
        )
    except ValueError as error:
        raise as_argument_error(error) from None
    return high[0].item(), low[0].item(), profit[0].item()


def _one_problem(rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """float32 days and one position: two positions are the days once with each."""
    rows = [row.to(torch.float32) for row in rows]
    if len(rows) == 6:
        return [row.contiguous() for row in rows]
    return [*(torch.cat((row, row)) for row in rows[:5]), torch.cat(tuple(rows[5:]))]


@functools.cache
def _gpu_has_kernels() -> bool:
    try:
        cuda.platform()
    except CudaUnavailableError as error:
        logger.warning("offsets of tensors on a GPU are searched on the processor: %s", error)
        return False
    return True


def _exact_on_gpu(problem: Problem, bounds: Bounds, device: str) -> Found:
    rows = _one_problem([row.detach() for row in (*problem.days, *problem.positions)])
    days: Any = rows
    found: Any = best_offsets(
        *days,
        open=None,
        bounds=bounds,
        fee=problem.fee,
        fee_rule=problem.fee_rule,
        fill=_FILLS[problem.close_at_eod],
        device=device,
    )
    high, low, profit = torch.stack([value.double() for value in found]).tolist()  # one way back
    return high, low, profit


def _by_pairs(problem: Problem, bounds: Bounds, start_in_float32: bool) -> Found:
    """The best pair of offsets at which a fill changes; of equal totals the one nearest to (0, 0).

    Beyond `MOST_PAIRED_DAYS` not all pairs are tried: from the maximum of float32 (or no offsets)
    each offset in turn goes to its best value for the other one, until neither improves.
    """
    _, day_high, day_low, high_pred, low_pred = problem.days
    (high_min, high_max), (low_min, low_max) = bounds
    # High offsets: the last ones with H <= high and with H < high; low ones with L >= low, L > low.
    highs = _last_offsets(high_pred, day_high).clamp(high_min, high_max)
    lows = (-_last_offsets(-low_pred, -day_low)).clamp(low_min, low_max)
    highs = torch.cat((highs, highs.new_tensor([high_max, min(max(0.0, high_min), high_max)])))
    lows = torch.cat((lows, lows.new_tensor([low_min, min(max(0.0, low_min), low_max)])))
    highs, lows = (offsets[offsets.isfinite()].unique() for offsets in (highs, lows))
    if day_high.numel() > MOST_PAIRED_DAYS:
        start = (0.0, 0.0)
        if start_in_float32 and _fit_kernel(bounds):
            rows = (row.float() for row in (*problem.days, *problem.positions))
            days = list(rows)
            own = Problem(tuple(days[:5]), tuple(days[5:]), *problem._terms())
            start = _exact(own, bounds)[:2]
        return _one_by_one(problem, highs, lows, start)
    best = _Best()
    for low in lows.tolist():
        best.offer(problem.total(highs[:, None], low), highs, low)
    return best.high, best.low, best.total


class _Best:
    """The highest total, and of several the pair nearest to (0, 0)."""

    total = -math.inf
    high = low = 0.0

    def offer(self, totals: torch.Tensor, highs: torch.Tensor, low: float) -> None:
        top = totals.max().item()
        if top < self.total:
            return
        size = self.high * self.high + self.low * self.low
        for high in highs[totals == top].tolist():
            nearer = high * high + low * low < size
            if top > self.total or nearer:
                self.total, self.high, self.low = top, high, low
                size = high * high + low * low


def _one_by_one(
    problem: Problem, highs: torch.Tensor, lows: torch.Tensor, start: tuple[float, float]
) -> Found:
    high, low = start
    best = problem.total(high, low).item()
    while True:
        before = best
        for offsets, is_high in ((highs, True), (lows, False)):
            for part in offsets.split(max(1, 2_000_000 // max(problem.days[0].numel(), 1))):
                pair = (part[:, None], low) if is_high else (high, part[:, None])
                totals = problem.total(*pair)
                at = int(totals.argmax())
                if totals[at].item() > best:
                    best = totals[at].item()
                    high, low = (part[at].item(), low) if is_high else (high, part[at].item())
        if best == before:
            return high, low, best


def _last_offsets(predicted: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
    """For each day an h with predicted + h <= limit, and one with it < limit, none much larger."""
    found = []
    for most in (limit, torch.nextafter(limit, torch.full_like(limit, -torch.inf))):
        h = most - predicted
        for _ in range(2):  # the nearest number may lie above by a rounding
            above = predicted + h > most
            h = torch.where(above, torch.nextafter(h, torch.full_like(h, -torch.inf)), h)
        found.append(h)
    return torch.cat(found)


class _Loss:
    """Minus the profit at a pair of offsets; a class, so that other processes can be handed it."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def __call__(self, offsets: Sequence[float]) -> float:
        return -self._problem.totals(float(offsets[0]), float(offsets[1]))


def _searched(problem: Problem, bounds: Bounds, effort: Effort, optimizer: str) -> Found:
    loss = _Loss(problem)
    result = minimize(loss, list(bounds), effort, optimizer)
    return float(result.x[0]), float(result.x[1]), float(-result.fun)
