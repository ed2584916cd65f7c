"""Readable references of the kernels; every backend is tested against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import float32 as f32

from marketsim.kernels.rules import FEE_RULES, LEGACY_FILLS, FillCosts, RuleCodes, rule_codes
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
    open: npt.ArrayLike | None,
    high_offset: float = 0.0,
    low_offset: float = 0.0,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
) -> FloatArray:
    """Compute `profit` for scalar offsets: the readable reference of the kernels."""
    rules = rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    days = (np.asarray(v, f32) for v in (close, high, low, high_pred, low_pred, position))
    c, a, b, p, q, s = days
    o = np.zeros_like(c) if open is None else np.asarray(open, f32)
    with np.errstate(all="ignore"):
        sell, buy, size = p + f32(high_offset), q + f32(low_offset), np.abs(np.clip(s, -10, 10))
        if fill in LEGACY_FILLS:
            sell, buy = np.clip(sell, f32(0), f32(10)), np.clip(buy, f32(-1), f32(0))
            net = _legacy_profit(c, a, b, sell, buy, s, size, rules, fill)
        else:
            long = _long_profit(o, a, b, c, sell, buy, size, rules, fill)
            # A short is a mirrored long: it buys at -H and sells at -L.
            short = _long_profit(-o, -b, -a, -c, -buy, -sell, size, rules, fill)
            net = np.where(s > 0, long, np.where(s < 0, short, f32(0)))
        finite = np.isfinite(np.stack([c, a, b, p, q, s, o])).all(axis=0)
    return np.where(finite, net, f32(0)).astype(f32)


def _long_profit(
    o: FloatArray,
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    sell: FloatArray,
    buy: FloatArray,
    size: FloatArray,
    rules: RuleCodes,
    fill: str,
) -> FloatArray:
    """Compute the profit of a long that buys at `buy` and sells at `sell`."""
    at_open = buy > o
    entry = np.where(at_open, o, buy)
    exit_price = np.where(at_open, np.maximum(sell, o), sell)
    proof = {"optimistic": a, "open_aware": c, "close_only": np.full_like(c, -np.inf)}[fill]
    at_limit = sell < np.where(at_open & (fill != "close_only"), a, proof)
    gross = size * (np.where(at_limit, exit_price, c) - entry)
    cost = np.where(at_limit, f32(rules.limit_cost), f32(rules.close_cost)) * size
    return np.where(buy > b, gross - cost, f32(0)).astype(f32)


def _legacy_profit(
    c: FloatArray,
    a: FloatArray,
    b: FloatArray,
    sell: FloatArray,
    buy: FloatArray,
    s: FloatArray,
    size: FloatArray,
    rules: RuleCodes,
    fill: str,
) -> FloatArray:
    """Compute the profit by the legacy formulas, at clamped levels."""
    if fill == "legacy":
        long_exits, short_exits = sell <= a, buy >= b
    elif fill == "legacy_proven":
        long_exits, short_exits = sell <= c, buy >= c
    else:
        long_exits = short_exits = np.zeros(c.shape, bool)
    long_enters, short_enters = (s > 0) & (buy > b), (s < 0) & (sell < a)
    long_gross = size * (np.where(long_exits, sell, c) - buy)
    short_gross = size * (sell - np.where(short_exits, buy, c))
    gross = np.where(long_enters, long_gross, np.where(short_enters, short_gross, f32(0)))
    if FEE_RULES[rules.fee_rule] == "per_entry":
        pays = long_enters | short_enters
    elif fill == "legacy_close_only":
        pays = (sell < a) | (buy > b)
    else:
        pays = (sell < a) & (buy > b)
    return (gross - np.where(pays, f32(rules.close_cost) * size, f32(0))).astype(f32)


@np.errstate(all="ignore")  # extreme input overflows as it does in the kernels
def best_offsets_reference(
    close: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    high_pred: npt.ArrayLike,
    low_pred: npt.ArrayLike,
    position: npt.ArrayLike,
    *,
    open: npt.ArrayLike | None,
    bounds: Bounds = DEFAULT_BOUNDS,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
    always_on: bool = False,
    long_only: bool = False,
    margin: float = 0.0,
) -> Offsets:
    """Compute `best_offsets` for one problem: the profit of every candidate pair.

    Between two floats at which some condition on H changes, a bar's float32 profit does not fall
    as h grows: rounding is monotone, and so is adding in a fixed order. The best h is therefore the
    last float before a change, or the bound; likewise the best l is the first float after one. For
    the same reason the floats below a best h > 0 that give the same total form one interval that
    ends at h.
    """
    at_open = np.zeros(np.shape(close)) if open is None else open
    days = np.array([close, high, low, high_pred, low_pred, position, at_open], dtype=f32)
    usable = np.asarray(np.isfinite(days).all(axis=0))
    p, q, s = days[3:6]
    s = np.where(usable, s, f32(0))
    parts = [np.maximum(s, f32(0)) if long_only else s]
    if always_on:
        ones = usable.astype(f32)
        parts = [ones] if long_only else [ones, -ones]

    rules: dict[str, Any] = {"fee": fee, "costs": costs, "fill": fill, "fee_rule": fee_rule}

    def total(h: float, low_offset: float, narrowing: float) -> float:
        result = 0.0
        for part in parts:
            at = {"high_offset": h, "low_offset": low_offset}
            of_days = _profit_with_margin(days, part, f32(narrowing), at, rules)
            result += sum(of_days.tolist())
        return result

    (h_min, h_max), (l_min, l_max) = check_bounds(bounds)
    h_bounds, l_bounds = inward(h_min, h_max), inward(l_min, l_max)
    highs, lows = {_clip(0.0, h_bounds), h_bounds[1]}, {_clip(0.0, l_bounds), l_bounds[0]}
    for part in parts:
        for t in np.flatnonzero(part):
            high_limits, low_limits = _limits(part[t] > 0, days[:, t], f32(margin), rules)
            highs |= {_clip(_last_offset(p[t], v), h_bounds) for v in high_limits}
            lows |= {_clip(-_last_offset(-q[t], -v), l_bounds) for v in low_limits}

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


def _profit_with_margin(
    days: FloatArray,
    part: FloatArray,
    margin: np.float32,
    at: dict[str, Any],
    rules: dict[str, Any],
) -> FloatArray:
    """Compute the profit of bars whose prices must exceed a level by `margin` to fill it."""
    c, a, b, p, q, _, o = days
    legacy = rules["fill"] in LEGACY_FILLS
    bar = (c, a - margin, b + margin, p, q, part)
    if legacy or margin == 0 or rules["fill"] == "close_only":
        return profit_reference(*bar, open=None if legacy else o, **(at | rules))
    codes = rule_codes(rules["fill"], None, rules["fee"], rules["costs"], has_open=True)
    sell, buy = p + f32(at["high_offset"]), q + f32(at["low_offset"])
    profits: FloatArray = np.zeros_like(c)
    for t in np.flatnonzero(part):
        mirror = part[t] < 0
        e, x = (-sell[t], -buy[t]) if mirror else (buy[t], sell[t])
        open_, top, bottom, end = (
            (-o[t], -b[t], -a[t], -c[t]) if mirror else (o[t], a[t], b[t], c[t])
        )
        if not e > bottom + margin:
            continue
        at_open = e > open_ + margin
        reach = top if at_open or rules["fill"] == "optimistic" else end
        at_limit = x < reach - margin
        price = max(x, open_) if at_open else x
        size = min(abs(part[t]), f32(10))
        gross = size * ((price if at_limit else end) - (open_ if at_open else e))
        profits[t] = gross - f32(codes.limit_cost if at_limit else codes.close_cost) * size
    return profits


def _limits(
    is_long: bool, day: FloatArray, margin: np.float32, rules: dict[str, Any]
) -> tuple[list[np.float32], list[np.float32]]:
    """Return the last H below, and the first L above, each change of a bar's trade.

    Only changes at which the profit may fall as H rises past them, or L falls.
    """
    c, a, b, _, _, _, o = day
    fill = rules["fill"]
    if fill in LEGACY_FILLS:
        return _legacy_limits(is_long, a - margin, b + margin, rules)
    codes = rule_codes(fill, None, rules["fee"], rules["costs"], has_open=True)
    highs, lows = [], []  # H below these, L above those
    if fill != "close_only" or not is_long:
        highs.append(a - margin)
    if fill != "close_only" or is_long:
        lows.append(b + margin)
    if fill != "close_only":
        (lows if is_long else highs).append(o + margin if is_long else o - margin)
    # At H = close the exit price is the close on both sides: only the cost of the exit changes.
    if fill == "open_aware" and f32(codes.limit_cost) < f32(codes.close_cost):
        (highs if is_long else lows).append(c - margin if is_long else c + margin)
    below = [np.nextafter(v, f32(-np.inf)) for v in highs]
    above = [np.nextafter(v, f32(np.inf)) for v in lows]
    return below, above


def _legacy_limits(
    is_long: bool, high: np.float32, low: np.float32, rules: dict[str, Any]
) -> tuple[list[np.float32], list[np.float32]]:
    below_high, above_low = np.nextafter(high, f32(-np.inf)), np.nextafter(low, f32(np.inf))
    reach_matters = rules["fill"] == "legacy"
    highs = [below_high] if not is_long else [high] if reach_matters else []
    lows = [above_low] if is_long else [low] if reach_matters else []
    if rules["fee_rule"] == "touched_both":
        (highs if is_long else lows).append(below_high if is_long else above_low)
    # H is in 0 .. 10 and L in -1 .. 0: beyond that a condition always or never holds.
    return [v for v in highs if 0 <= v < 10], [v for v in lows if -1 < v <= 0]


def _last_offset(p: np.float32, limit: np.float32) -> float:
    """Return the largest float32 h with float32(p + h) <= limit."""
    above = _first_rank(-0x7F7FFFFF, 0x7F7FFFFF, lambda rank: not p + _float_at(rank) <= limit)
    return float(_float_at(above - 1)) + 0.0


def _first_float(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Return the first float32 above `low` where `holds` is true, as it is from there to `high`."""
    first, last = (int(np.float32(v).view(np.int32)) for v in (abs(low), high))
    return float(_float_at(_first_rank(first, last, lambda rank: holds(float(_float_at(rank))))))


def _float_at(rank: int) -> np.float32:
    """Return the float32 value of a rank; ranks ascend with values, and 0 has rank 0."""
    bits = np.int64(rank if rank >= 0 else -(2**31) - rank)
    return bits.astype(np.int32).view(np.float32)


def _first_rank(fails: int, holds: int, condition: Callable[[int], bool]) -> int:
    """Bisect for the first rank where the condition holds."""
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
    open: npt.ArrayLike | None,
    high_offset: float = 0.0,
    low_offset: float = 0.0,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
) -> ProfitSums:
    """Compute `profit_sums` of one problem and scalar offsets: the readable reference."""
    days = (close, high, low, high_pred, low_pred, position)
    profits = profit_reference(
        *days, high_offset=high_offset, low_offset=low_offset,
        fee=fee, costs=costs, fill=fill, fee_rule=fee_rule, open=open,
    ).tolist()  # fmt: skip
    total = squares = 0.0
    for value in profits:
        total += value
        squares += value * value

    _, a, b, p, q, s = (np.asarray(values, f32) for values in days)
    known = [*days, *([] if open is None else [open])]
    finite = np.isfinite(np.asarray(known, f32)).all(axis=0)
    sell, buy = p + f32(high_offset), q + f32(low_offset)
    if fill in LEGACY_FILLS:
        sell, buy = np.clip(sell, 0, 10), np.clip(buy, -1, 0)
    entered = finite & (((s > 0) & (buy > b)) | ((s < 0) & (sell < a)))
    return ProfitSums(
        total,
        squares,
        wins=sum(value > 0 for value in profits),
        trades=int(entered.sum()),
        days=len(profits),
    )
