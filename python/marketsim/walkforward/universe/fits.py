"""Fit and apply the offsets of a universe: on a GPU in one launch, or by the CPU kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.kernels.cuda import windows as cuda_windows
from marketsim.kernels.cuda.windows import WindowIndex, sum_windows
from marketsim.kernels.types import Bounds, ProfitSums
from marketsim.kernels.windows import (
    LimitDays,
    LimitRules,
    fit_windows,
    net_of_days,
    sum_windows_on_cpu,
)
from marketsim.strategies import Strategy
from marketsim.strategies.on_device import DeviceOrders, device_orders
from marketsim.walkforward.universe.days import Share, UniverseDays

if TYPE_CHECKING:
    import torch


class Levels(NamedTuple):
    """Forecast moves against the previous close; float64 tensors [bar]."""

    high: torch.Tensor
    low: torch.Tensor


class UniverseFits(NamedTuple):
    """Fitted offsets and profits of a universe; tensors [fill, strategy, symbol, bar].

    Attributes:
        high_offset, low_offset: float32, fitted offsets.
        in_sample: float64, total net of the offsets on their fit window.
        net: float32, profit of each bar.
        sums: sums over each simulation's bars, [fill, strategy, symbol, simulation]; its trades
            count the bars with an entry.
        entries: int32, positions opened in each simulation, likewise; a long and a short of one bar
            count as two.
    """

    high_offset: torch.Tensor
    low_offset: torch.Tensor
    in_sample: torch.Tensor
    net: torch.Tensor
    sums: ProfitSums
    entries: torch.Tensor


class _Problem(NamedTuple):
    """One strategy under one policy on one share of the evaluated bars; tensors [bar]."""

    share: Share
    fill: str
    position: torch.Tensor
    always_on: bool


def fit_universe(
    days: UniverseDays,
    levels: Levels,
    strategies: Sequence[Strategy],
    fills: Sequence[str],
    bounds: Bounds,
    windows: tuple[int, int, int],
) -> UniverseFits:
    """Fit all offsets, apply them, and sum the profits of the simulations.

    Args:
        days, levels: market moves and forecast levels.
        strategies, fills: strategies and fill policies, the first axes of the result.
        bounds: bounds of the offsets.
        windows: (bars of a fit window, bars from its last one to the bar decided, bars of a
            simulation).
    """
    import torch

    high, low = levels.high.float(), levels.low.float()
    orders = [_orders(one, levels, days) for one in strategies]
    problems = [
        _Problem(share, fill, order.position, order.always_on)
        for fill in fills
        for order in orders
        for share in days.shares
    ]
    fit = _fit_on_cpu if days.place is None else _fit_on_device
    found = fit(days, (high, low), problems, bounds, windows)
    shape = (len(fills), len(strategies), days.evaluated)
    columns = [torch.cat(parts).reshape(shape) for parts in zip(*found, strict=True)]
    entered = _entered(days, (high, low), orders, columns[0], columns[1], windows)
    sums = _sums(days, columns[3].reshape(-1), shape, windows[2])
    sums = sums._replace(trades=_window_counts(days, entered > 0, windows[2]))
    entries = _window_counts(days, entered, windows[2])
    high_offset, low_offset, in_sample, net = (
        _placed(column, days.day_index, days.days.shape) for column in columns
    )
    spread = sums.each(lambda of: _placed(of, days.simulation_index, days.simulations.shape))
    counted = _placed(entries, days.simulation_index, days.simulations.shape)
    return UniverseFits(high_offset, low_offset, in_sample, net, spread, counted)


def _orders(strategy: Strategy, levels: Levels, days: UniverseDays) -> DeviceOrders:
    """Return the orders of a strategy, without those on bars that fill nothing."""
    import torch

    found = device_orders(strategy, levels.high, levels.low, days.long_only)
    nothing = torch.full_like(found.position, float("nan"))
    return found._replace(position=torch.where(days.fillable, found.position, nothing))


def _entered(
    days: UniverseDays,
    levels: tuple[torch.Tensor, torch.Tensor],
    orders: Sequence[DeviceOrders],
    high_offset: torch.Tensor,
    low_offset: torch.Tensor,
    windows: tuple[int, int, int],
) -> torch.Tensor:
    """Count the positions opened in each evaluated bar, int32 [fill, strategy, evaluated].

    Under every fill policy a side enters where the price trades through its level.
    """
    import torch

    at = days.fit_starts + (windows[0] + windows[1] - 1)
    long_level = levels[1][at] + low_offset
    short_level = levels[0][at] + high_offset
    long_fills, short_fills = (
        long_level > days.market["low"][at],
        short_level < days.market["high"][at],
    )
    long, short = [], []
    for order in orders:
        position = order.position[at]
        both = torch.isfinite(position) & order.always_on
        long.append(both | (position > 0.0))
        short.append((both & ~days.long_only[at]) | (position < 0.0))
    entered = (long_fills & torch.stack(long)).int() + (short_fills & torch.stack(short)).int()
    return entered.int()


def _window_counts(days: UniverseDays, of: torch.Tensor, window: int) -> torch.Tensor:
    """Sum whole numbers [fill, strategy, evaluated] to [fill, strategy, simulation]."""
    import torch

    total = torch.nn.functional.pad(of.int().cumsum(-1, dtype=torch.int32), (1, 0))
    return total[..., days.sum_starts + window] - total[..., days.sum_starts]


def _fit_on_device(
    days: UniverseDays,
    levels: tuple[torch.Tensor, torch.Tensor],
    problems: Sequence[_Problem],
    bounds: Bounds,
    windows: tuple[int, int, int],
) -> list[tuple[torch.Tensor, ...]]:
    length, behind, _ = windows
    assert days.place is not None
    whole = WindowIndex(days.place, days.fit_starts, length, behind, days.count)
    fits = [
        cuda_windows.Fit(
            *levels, of.position, fill=of.fill, always_on=of.always_on,
            long_only=of.share.long_only, costs=of.share.costs,
            windows=whole._replace(starts=days.fit_starts[of.share.start : of.share.stop]),
        )
        for of in problems
    ]  # fmt: skip
    found = cuda_windows.fit_windows(days.market, fits, whole, bounds=bounds)
    return [(one.high, one.low, one.profit, one.net.reshape(-1)) for one in found]


def _fit_on_cpu(
    days: UniverseDays,
    levels: tuple[torch.Tensor, torch.Tensor],
    problems: Sequence[_Problem],
    bounds: Bounds,
    windows: tuple[int, int, int],
) -> list[tuple[torch.Tensor, ...]]:
    import torch

    length, behind, _ = windows
    starts = days.fit_starts.numpy()
    market: dict[str, Any] = {name: values.numpy() for name, values in days.market.items()}
    high, low = (values.numpy() for values in levels)
    found = []
    for of in problems:
        given = LimitDays(**market, high_pred=high, low_pred=low, position=of.position.numpy())
        rules = LimitRules(of.fill, of.always_on, of.share.long_only, of.share.costs, bounds)
        own = starts[of.share.start : of.share.stop]
        best = fit_windows(given, rules, own, length)
        traded = given.at(own + (length + behind - 1))
        net = net_of_days(traded, best.high, best.low, rules)
        found.append(tuple(torch.from_numpy(values) for values in (*best, net)))
    return found


def _sums(
    days: UniverseDays, net: torch.Tensor, shape: tuple[int, int, int], window: int
) -> ProfitSums:
    """Sum profits over the bars of each simulation, [fill, strategy, simulation]."""
    import torch

    rows = torch.arange(shape[0] * shape[1], device=net.device)[:, None] * days.evaluated
    starts = (rows + days.sum_starts).reshape(-1)
    if days.place is None:
        found = sum_windows_on_cpu(net.numpy(), starts.numpy(), window).each(torch.from_numpy)
    else:
        found = sum_windows(net, WindowIndex(days.place, starts, window, 0, len(net)))
    return found.each(lambda of: of.reshape(*shape[:2], -1))


def _placed(values: torch.Tensor, index: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Place values [fill, strategy, number] at [fill, strategy, symbol, place].

    Empty places are NaN, or 0 for integers.
    """
    import torch

    nothing = float("nan") if values.is_floating_point() else 0
    known = torch.cat([values, values.new_full((*values.shape[:2], 1), nothing)], dim=-1)
    return known.index_select(-1, index).reshape(*values.shape[:2], *shape)
