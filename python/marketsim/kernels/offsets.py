"""The best entry and exit offsets over a window of days, found exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim import _core
from marketsim.arguments import as_argument_error, as_flag, as_number
from marketsim.errors import ArgumentError
from marketsim.kernels.profit import as_float32, profit_reference
from marketsim.kernels.rules import check_fee, fee_rule_code, fill_code
from marketsim.kernels.shapes import by_name
from marketsim.timing import stage

Bounds = tuple[tuple[float, float], tuple[float, float]]
DEFAULT_BOUNDS: Bounds = ((-0.03, 0.03), (-0.03, 0.03))


class Offsets(NamedTuple):
    """Offsets of the forecast high and low, and the total profit they give.

    Floats for one problem; for a batch arrays [problem]: float32 offsets, float64 profit.
    """

    high: float | npt.NDArray[np.float32]
    low: float | npt.NDArray[np.float32]
    profit: float | npt.NDArray[np.float64]


def best_offsets(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    bounds: Bounds = DEFAULT_BOUNDS,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    always_on: bool = False,
    long_only: bool = False,
    open: npt.ArrayLike | None = None,
    margin: float = 0.0,
    device: str = "cpu",
) -> Offsets:
    """The pair of offsets with the highest total of `profit` over the days: the global maximum.

    The total is the float64 sum, in the order of the days, of the float32 profit of each day. No
    float32 pair within the bounds has a higher one.

    Of equal totals the candidate nearest to (0, 0) wins, then the smaller |high| and |low|.
    Candidates are all pairs of 0, the upper high bound and the last floats before the high offset
    changes the course of a day, with 0, the lower low bound and the first floats after the low
    offset does (0: or the bound nearest to it). High, and after it low, is then drawn in towards 0
    as far as the total stays the same: no pair with the same total has one offset equal and the
    other one nearer to 0.

    An optimum lies on the edge of a fill by nature: see `margin`. What it gains over a coarser
    search it gains in sample; this is for speed and determinism, not for better trading.

    Args:
        close, high, low, high_pred, low_pred, open: returns and forecasts as in `profit`, one
            problem [day] or a batch [problem, day]. Batches use all cores, without the GIL.
        position: as in `profit`; with `always_on` only whether it is finite matters.
        bounds: ((lowest, highest) high offset, (lowest, highest) low offset).
        fee, fee_rule, fill: as in `profit`.
        always_on: trade +1 and -1 on every day; the total is that of all longs plus that of all
            shorts.
        long_only: days with a negative position do not trade; with `always_on`, +1 only.
        margin: while searching, a level must lie this far inside the day's high and low to count
            as touched; the profit returned is that without it.
        device: as in `profit`; the answers are the same to the last bit. Answers of tensors are
            tensors.

    Returns:
        `Offsets`. Days with a value that is not finite do not trade; without any trade the offsets
        are the pair nearest to (0, 0) and the profit is 0.

    Raises:
        ArgumentError: shapes differ, values are no numbers, bounds or margin are out of range, or
            "open_aware" without `open`.
        UnknownNameError: an unknown fill policy, fee rule or device.
        CudaUnavailableError, CudaError: as `profit`.

    Example:
        >>> import marketsim as ms
        >>> ms.best_offsets([0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0]).profit
        0.04999999701976776
    """
    (high_min, high_max), (low_min, low_max) = check_bounds(bounds)
    narrowing = as_number("margin", margin, "a number in [0, 1)")
    if not 0.0 <= narrowing < 1.0:
        raise ArgumentError(f"margin must lie in [0, 1): got {margin!r}")
    if device != "cpu":
        from marketsim.kernels import cuda_calls

        days = by_name(close, high, low, high_pred, low_pred, position, open)
        on_device = cuda_calls.best_offsets(
            days, device=device, bounds=bounds, fee=fee, fee_rule=fee_rule, fill=fill,
            always_on=always_on, long_only=long_only, margin=margin,
        )  # fmt: skip
        if on_device is not None:
            return on_device
    with stage("offsets"):
        rows = as_float32(close, high, low, high_pred, low_pred, position, open)
        try:
            found = _core.best_offsets(
                *rows,
                high_min,
                high_max,
                low_min,
                low_max,
                fill_code(fill),
                fee_rule_code(fee_rule),
                check_fee(fee),
                narrowing,
                as_flag("always_on", always_on),
                as_flag("long_only", long_only),
            )
        except ValueError as error:
            raise as_argument_error(error) from None
    if rows[0].ndim == 1:
        return Offsets(found[0].item(), found[1].item(), found[2].item())
    return Offsets(*found)


@np.errstate(all="ignore")  # extreme input overflows as it does in the kernels
def best_offsets_reference(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    bounds: Bounds = DEFAULT_BOUNDS,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    always_on: bool = False,
    long_only: bool = False,
    open: npt.ArrayLike | None = None,
    margin: float = 0.0,
) -> Offsets:
    """`best_offsets` for one problem, written to be read: every candidate pair by `profit`.

    Between two floats at which some condition on H changes, a day's float32 profit does not fall
    as h grows; rounding is monotone and so is adding in a fixed order. So the best h is the last
    float before a change, or the bound; likewise the best l is the first float after one. The
    floats between the change before and a best h > 0 that give the same total are for the same
    reason those from some float on.
    """
    at_open = np.zeros(np.shape(close)) if open is None else open
    days = np.array([close, high, low, high_pred, low_pred, position, at_open], dtype=f32)
    usable = np.asarray(np.isfinite(days).all(axis=0))
    c, a, b, p, q, s, o = days
    s = np.where(usable, s, f32(0))
    parts = [np.maximum(s, f32(0)) if long_only else s]
    if always_on:
        ones = usable.astype(f32)
        parts = [ones] if long_only else [ones, -ones]

    def total(h: float, low_offset: float, narrowing: float) -> float:
        result = 0.0
        for part in parts:
            of_days = profit_reference(
                c, a - f32(narrowing), b + f32(narrowing), p, q, part,
                high_offset=h, low_offset=low_offset, fee=fee, fee_rule=fee_rule, fill=fill, open=o,
            )  # fmt: skip
            result += sum(of_days.tolist())
        return result

    (h_min, h_max), (l_min, l_max) = check_bounds(bounds)
    h_bounds, l_bounds = inward(h_min, h_max), inward(l_min, l_max)
    highs, lows = {_clip(0.0, h_bounds), h_bounds[1]}, {_clip(0.0, l_bounds), l_bounds[0]}
    for part in parts:
        for t in np.flatnonzero(part):
            bar = a[t] - f32(margin), b[t] + f32(margin), o[t]
            high_limits, low_limits = _limits(part[t] > 0, *bar, fill, fee_rule)
            # H lies in 0 .. 10 and L in -1 .. 0: beyond that a condition always or never holds.
            highs |= {_clip(_last_offset(p[t], v), h_bounds) for v in high_limits if 0 <= v < 10}
            lows |= {_clip(-_last_offset(-q[t], -v), l_bounds) for v in low_limits if -1 < v <= 0}

    pairs = [(h, low_offset) for h in highs for low_offset in lows]

    def order(at: tuple[float, float]) -> tuple[float, ...]:
        distance = at[0] ** 2 + at[1] ** 2
        return (-total(*at, margin), distance, abs(at[0]), abs(at[1]), *at)

    h, low_offset = min(pairs, key=order)
    best = total(h, low_offset, margin)
    if h > max(0.0, h_bounds[0]):
        inner = max(v for v in highs if v < h)
        h = _first_float(inner, h, lambda v: total(v, low_offset, margin) == best)
    if low_offset < min(0.0, l_bounds[1]):
        inner = -min(v for v in lows if v > low_offset)
        low_offset = -_first_float(inner, -low_offset, lambda v: total(h, -v, margin) == best)
    return Offsets(h, low_offset, total(h, low_offset, 0.0))


def _limits(
    is_long: bool, high: np.float32, low: np.float32, at_open: np.float32, fill: str, fee_rule: str
) -> tuple[list[np.float32], list[np.float32]]:
    """Values of H up to which, and of L from which on, a condition of a day's trade holds.

    An exit that counts only where the close proves it changes nothing at its limit: there the exit
    price is the close either way.
    """
    below_high, above_low = np.nextafter(high, f32(-np.inf)), np.nextafter(low, f32(np.inf))
    reach_matters = fill in ("optimistic", "open_aware")
    highs = [below_high] if not is_long else [high] if reach_matters else []
    lows = [above_low] if is_long else [low] if reach_matters else []
    if fill == "open_aware":
        (lows if is_long else highs).append(at_open)
    if fee_rule == "touched_both":
        (highs if is_long else lows).append(below_high if is_long else above_low)
    return highs, lows


def _last_offset(p: np.float32, limit: np.float32) -> float:
    """The largest float32 h with float32(p + h) <= limit."""
    above = _first_rank(-0x7F7FFFFF, 0x7F7FFFFF, lambda rank: not p + _float_at(rank) <= limit)
    return float(_float_at(above - 1)) + 0.0


def _first_float(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """The first float32 above `low` for which it holds; from there on up to `high` it does."""
    first, last = (int(np.float32(v).view(np.int32)) for v in (abs(low), high))
    return float(_float_at(_first_rank(first, last, lambda rank: holds(float(_float_at(rank))))))


def _float_at(rank: int) -> np.float32:
    """float32 values in ascending order of rank, 0 at 0."""
    bits = np.int64(rank if rank >= 0 else -(2**31) - rank)
    return bits.astype(np.int32).view(np.float32)


def _first_rank(fails: int, holds: int, condition: Callable[[int], bool]) -> int:
    """Bisection for the first rank for which the condition holds."""
    while holds - fails > 1:
        middle = (fails + holds) // 2
        if condition(middle):
            holds = middle
        else:
            fails = middle
    return holds


def _clip(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def inward(low: float, high: float) -> tuple[float, float]:
    """The outermost float32 values that do not lie beyond the bounds."""
    low32, high32 = np.float32(low), np.float32(high)
    if float(low32) < low:
        low32 = np.nextafter(low32, np.float32(np.inf))
    if float(high32) > high:
        high32 = np.nextafter(high32, np.float32(-np.inf))
    return float(low32) + 0.0, float(high32) + 0.0


def check_bounds(bounds: Bounds) -> Bounds:
    """`bounds` as floats if they are ordered and within [-1, 1]; raises ArgumentError otherwise."""
    try:
        (high_min, high_max), (low_min, low_max) = bounds
        ordered = -1.0 <= high_min <= high_max <= 1.0 and -1.0 <= low_min <= low_max <= 1.0
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ArgumentError(
            "bounds must be ((min, max) of the high offset, (min, max) of the low offset) "
            f"with -1 <= min <= max <= 1: got {bounds!r}"
        )
    return (float(high_min), float(high_max)), (float(low_min), float(low_max))
