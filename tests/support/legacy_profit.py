"""The profit of a day as the old stack computed it, and the best offsets by trying them all.

Slow and written out on purpose, in float32 torch operations in the old order: what the tests of
`marketsim.legacy` expect comes from here and from nothing of the package. Tensors are [day] unless
said otherwise; prices are returns against the previous close.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from problems import awkward_days

Tensor = torch.Tensor
BOUNDS = (-0.03, 0.03)


class Days(NamedTuple):
    """What one problem is made of: actual returns and forecasts, float32."""

    close: Tensor
    high: Tensor
    high_pred: Tensor
    low: Tensor
    low_pred: Tensor


class Choice(NamedTuple):
    """A pair of offsets, and whether positions close at the close only."""

    high: float
    low: float
    close_at_eod: bool


class OldCodeFailsError(Exception):
    """The old code raised here, or had no answer: there is nothing to compare with."""


def awkward_problem(kind: int, count: int = 9, seed: int = 0) -> tuple[Days, Tensor]:
    """Days of one of the kinds of problems.py, and positions."""
    drawn = awkward_days(np.random.default_rng([seed, kind]), count, kind)
    tensors = {name: torch.from_numpy(value) for name, value in drawn.items()}
    return Days(*(tensors[name] for name in Days._fields)), tensors["position"]


def profit_of_days(
    days: Days, position: Tensor, *, fee: float, close_at_eod: bool, per_entry: bool = False
) -> Tensor:
    """Profit of each day; any shapes that broadcast.

    One fee for a day that touches both levels (either of them where positions close at the close
    only), or with `per_entry` one for each entry.
    """
    buy_at = torch.clamp(days.low_pred, -1, 0)
    sell_at = torch.clamp(days.high_pred, 0, 10)
    long, short = torch.clip(position, 0, 10), torch.clip(position, -10, 0)
    bought, sold = buy_at > days.low, sell_at < days.high
    long_profit = long * (days.close - buy_at) * bought
    short_profit = short * (days.close - sell_at) * sold
    either = torch.logical_or(bought, sold)
    if not close_at_eod:
        to_high = (sell_at - buy_at) * (sell_at <= days.high) * long * bought
        long_profit = to_high + long_profit * (sell_at > days.high)
        to_low = (buy_at - sell_at) * (buy_at >= days.low) * short * sold
        short_profit = to_low + short_profit * (buy_at < days.low)
        either = torch.logical_and(sold, bought)
    if per_entry:
        fees = long * fee * bought + torch.abs(short) * fee * sold
    else:
        fees = (torch.abs(position) * fee) * either
    return long_profit + short_profit - fees


def known(profit: Tensor) -> Tensor:
    """Profits with 0 for days that miss a forecast or a price: they do not trade.

    The old code failed on them: no total was above "nothing found yet".
    """
    return torch.nan_to_num(profit, nan=0.0, posinf=torch.inf, neginf=-torch.inf)


def shifted(days: Days, high: float, low: float) -> Days:
    """The days with both forecasts moved by an offset, in one float32 rounding."""
    return days._replace(high_pred=days.high_pred + high, low_pred=days.low_pred + low)


def neighbours(points: Tensor, steps: int) -> Tensor:
    """Float32 values and those up to `steps` floats beside them."""
    found = [points]
    above = below = points
    for _ in range(steps):
        above = torch.nextafter(above, torch.tensor(torch.inf))
        below = torch.nextafter(below, torch.tensor(-torch.inf))
        found += [above, below]
    return torch.cat(found)


def candidates(forecast: Tensor, limits: list[Tensor], clamps: tuple[float, float]) -> Tensor:
    """Offsets at which some day may change what it does, two floats around each, and some between.

    A day changes where its level crosses a price of the day or a clamp. The level is rounded to
    float32, so what counts is every price, the floats beside it, and the midpoints between them.
    """
    points = []
    for day, predicted in enumerate(forecast):
        own = torch.stack([limit[day] for limit in limits] + [torch.tensor(c) for c in clamps])
        around = neighbours(own, 2).unique().double()
        ticks = torch.cat([around, (around[1:] + around[:-1]) / 2])
        points.append(neighbours((ticks - predicted.double()).float(), 2))
    ends = torch.tensor([BOUNDS[0], 0.0, BOUNDS[1]])
    points += [neighbours(ends, 1), torch.linspace(*BOUNDS, 9)]
    found = torch.cat(points).unique()
    exact = found.double()  # the float32 next to a bound may lie beyond it
    found = found[(exact >= BOUNDS[0]) & (exact <= BOUNDS[1])]
    # Offsets that lead to the same levels on all days are one candidate: the nearest to 0.
    found = found[torch.argsort(found.abs(), stable=True)]
    levels = torch.clamp(forecast[None, :] + found[:, None], *clamps).numpy()
    _, first = np.unique(levels, axis=0, return_index=True)
    return found[torch.from_numpy(first)]


def totals(
    days: Days, sides: list[Tensor], highs: Tensor, lows: Tensor, **rule: float | bool
) -> Tensor:
    """Total profit of every pair: [high, low] in float64, days added one after the other."""
    result = torch.zeros(len(highs), len(lows), dtype=torch.float64)
    for position in sides:
        of_side = torch.zeros_like(result)
        for day in range(len(days.close)):
            one = Days(*(values[day] for values in days))
            pairs = shifted(one, highs[:, None], lows[None, :])
            of_side += known(profit_of_days(pairs, position[day], **rule)).double()
        result += of_side
    return result


def best_total(days: Days, sides: list[Tensor], **rule: float | bool) -> float:
    """The highest total of any pair of offsets within the bounds, by trying them all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many small operations: threads only wait for each other
    try:
        highs = candidates(days.high_pred, [days.high], (0.0, 10.0))
        lows = candidates(days.low_pred, [days.low], (-1.0, 0.0))
        found = totals(days, sides, highs, lows, **rule)
    finally:
        torch.set_num_threads(threads)
    return float(found.max())


def confirm(
    days: Days,
    sides: list[Tensor],
    reported: Choice,
    *,
    fee: float,
    per_entry: bool = False,
    policies: tuple[bool, ...] = (False, True),
) -> Choice:
    """The choice that marketsim reports, once it is shown to be a best one.

    No pair of any candidate offsets may have a higher total, under either policy; without
    close_at_eod wins where both are worth the same; and (0, 0) wins wherever it is as good.
    """
    fees = {"fee": fee, "per_entry": per_entry}
    best = {policy: best_total(days, sides, close_at_eod=policy, **fees) for policy in policies}
    policy = reported.close_at_eod
    assert policy in best, f"close_at_eod={policy} was not asked for"
    for offset in reported[:2]:
        assert BOUNDS[0] <= offset <= BOUNDS[1]
        assert offset == float(torch.tensor(offset)), f"{offset} is no float32"
    pairs = (torch.tensor([reported.high]), torch.tensor([reported.low]))
    total = float(totals(days, sides, *pairs, close_at_eod=policy, **fees))
    assert total >= best[policy] - 1e-13, f"{reported} is worth {total}, the best {best[policy]}"
    zero = torch.zeros(1)
    if float(totals(days, sides, zero, zero, close_at_eod=policy, **fees)) == total:
        assert reported[:2] == (0.0, 0.0), f"(0, 0) is worth as much as {reported}"
    if len(best) == 2:
        # Totals of two policies that are not the same float may still tie as the old code added
        # them (in float32, in no stated order): then either is right.
        gain = best[True] - best[False]
        if gain <= 0.0 or gain > 1e-7:
            assert policy == (gain > 0.0), f"closing at the close only gains {gain}: got {policy}"
    return reported
