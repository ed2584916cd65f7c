"""The kernels written to be read: what every backend is tested against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim.kernels.types import (
    DEFAULT_BOUNDS,
    Bounds,
    FloatArray,
    Offsets,
    ProfitSums,
    check_bounds,
    inward,
)


def profit_reference(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    high_offset: float = 0.0,
    low_offset: float = 0.0,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    open: npt.ArrayLike | None = None,
) -> FloatArray:
    """`profit` for scalar offsets, written to be read: what the kernels are tested against."""
    days = (np.asarray(v, f32) for v in (close, high, low, high_pred, low_pred, position))
    c, a, b, p, q, s = days
    o = np.zeros_like(c) if open is None else np.asarray(open, f32)
    with np.errstate(all="ignore"):
        sell = np.clip(p + f32(high_offset), f32(0), f32(10))
        buy = np.clip(q + f32(low_offset), f32(-1), f32(0))
        x, y = np.clip(s, f32(0), f32(10)), np.clip(s, f32(-10), f32(0))

        # For the long and for the short: the entry price, and whether the exit limit counts.
        long_entry, short_entry = buy, sell
        if fill == "optimistic":
            long_exits, short_exits = sell <= a, buy >= b
        elif fill == "pessimistic":
            long_exits, short_exits = sell <= c, buy >= c
        elif fill == "open_aware":
            long_at_open, short_at_open = buy >= o, sell <= o
            long_entry = np.where(long_at_open, o, buy)
            short_entry = np.where(short_at_open, o, sell)
            long_exits = np.where(long_at_open, sell <= a, sell <= c)
            short_exits = np.where(short_at_open, buy >= b, buy >= c)
        else:
            long_exits = short_exits = np.zeros(c.shape, bool)

        long_enters, short_enters = (x > 0) & (buy > b), (y < 0) & (sell < a)
        long_gross = x * (np.where(long_exits, sell, c) - long_entry)
        short_gross = y * (np.where(short_exits, buy, c) - short_entry)
        gross = np.where(long_enters, long_gross, np.where(short_enters, short_gross, f32(0)))

        if fee_rule == "per_entry":
            pays = long_enters | short_enters
        elif fill == "close_only":
            pays = (sell < a) | (buy > b)
        else:
            pays = (sell < a) & (buy > b)
        net = gross - np.where(pays, f32(fee) * np.abs(x + y), f32(0))
        finite = np.isfinite(np.stack([c, a, b, p, q, s, o])).all(axis=0)
    return np.where(finite, net, f32(0)).astype(f32)


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


@np.errstate(all="ignore")
def profit_sums_reference(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    high_offset: float = 0.0,
    low_offset: float = 0.0,
    fee: float = 0.0,
    fee_rule: str = "per_entry",
    fill: str = "optimistic",
    open: npt.ArrayLike | None = None,
) -> ProfitSums:
    """`profit_sums` of one problem and scalar offsets, written to be read."""
    days = (close, high, low, high_pred, low_pred, position)
    profits = profit_reference(
        *days, high_offset=high_offset, low_offset=low_offset,
        fee=fee, fee_rule=fee_rule, fill=fill, open=open,
    ).tolist()  # fmt: skip
    total = squares = 0.0
    for value in profits:
        total += value
        squares += value * value

    _, a, b, p, q, s = (np.asarray(values, f32) for values in days)
    known = [*days, *([] if open is None else [open])]
    finite = np.isfinite(np.asarray(known, f32)).all(axis=0)
    sell, buy = np.clip(p + f32(high_offset), 0, 10), np.clip(q + f32(low_offset), -1, 0)
    entered = finite & (((s > 0) & (buy > b)) | ((s < 0) & (sell < a)))
    return ProfitSums(
        total,
        squares,
        wins=sum(value > 0 for value in profits),
        trades=int(entered.sum()),
        days=len(profits),
    )
