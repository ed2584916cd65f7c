"""Offsets of a universe, fitted and applied: on a GPU in one launch, or by the CPU's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from marketsim.kernels.cuda.windows import Fit, WindowIndex, fit_windows, sum_windows
from marketsim.kernels.types import Bounds, ProfitSums
from marketsim.kernels.windows import CpuDays, CpuRules, fit_windows_on_cpu, sum_windows_on_cpu
from marketsim.strategies import Strategy
from marketsim.strategies.on_device import device_orders
from marketsim.walkforward.universe.days import Share, UniverseDays

if TYPE_CHECKING:
    import torch


class Levels(NamedTuple):
    """Forecast moves against the close before; float64 tensors [day]."""

    high: torch.Tensor
    low: torch.Tensor


class UniverseFits(NamedTuple):
    """What was fitted and earned; tensors [fill, strategy, symbol, day].

    Attributes:
        high_offset, low_offset: float32.
        in_sample: float64, total of the offsets on the days that they were fitted on.
        net: float32.
        sums: of each simulation's days, [fill, strategy, symbol, simulation].
    """

    high_offset: torch.Tensor
    low_offset: torch.Tensor
    in_sample: torch.Tensor
    net: torch.Tensor
    sums: ProfitSums


class _Problem(NamedTuple):
    """One strategy under one policy on one share of the evaluated days; tensors [day]."""

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
    """Fit all offsets, apply them, and sum what the simulations earn.

    Args:
        days, levels: what came, and what was forecast.
        strategies, fills: the axes of the answers.
        bounds: of the offsets.
        windows: days fitted on, days from the last of them to the day decided, days of a
            simulation.
    """
    import torch

    high, low = levels.high.float(), levels.low.float()
    orders = [device_orders(one, levels.high, levels.low, days.long_only) for one in strategies]
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
    sums = _sums(days, columns[3].reshape(-1), shape, windows[2])
    high_offset, low_offset, in_sample, net = (
        _placed(column, days.day_index, days.days.shape) for column in columns
    )
    spread = sums.each(lambda of: _placed(of, days.simulation_index, days.simulations.shape))
    return UniverseFits(high_offset, low_offset, in_sample, net, spread)


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
        Fit(
            *levels, of.position, fill=of.fill, always_on=of.always_on,
            long_only=of.share.long_only, fee=of.share.rate,
            windows=whole._replace(starts=days.fit_starts[of.share.start : of.share.stop]),
        )
        for of in problems
    ]  # fmt: skip
    found = fit_windows(days.market, fits, whole, bounds=bounds)
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
    came: dict[str, Any] = {name: values.numpy() for name, values in days.market.items()}
    high, low = (values.numpy() for values in levels)
    found = []
    for of in problems:
        given = CpuDays(**came, high_pred=high, low_pred=low, position=of.position.numpy())
        rules = CpuRules(of.fill, of.always_on, of.share.long_only, (of.share.rate,) * 3, bounds)
        mine = starts[of.share.start : of.share.stop]
        made = fit_windows_on_cpu(given, rules, mine, length, behind)
        found.append(tuple(torch.from_numpy(values) for values in made))
    return found


def _sums(
    days: UniverseDays, net: torch.Tensor, shape: tuple[int, int, int], window: int
) -> ProfitSums:
    """Sums [fill, strategy, simulation] over the days of each simulation."""
    import torch

    rows = torch.arange(shape[0] * shape[1], device=net.device)[:, None] * days.evaluated
    starts = (rows + days.sum_starts).reshape(-1)
    if days.place is None:
        made = sum_windows_on_cpu(net.numpy(), starts.numpy(), window)
        found = made.each(torch.from_numpy)
    else:
        found = sum_windows(net, WindowIndex(days.place, starts, window, 0, len(net)))
    return found.each(lambda of: of.reshape(*shape[:2], -1))


def _placed(values: torch.Tensor, index: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Values [fill, strategy, number] at their places [fill, strategy, symbol, place].

    Where there is nothing: NaN, or 0 of whole numbers.
    """
    import torch

    nothing = float("nan") if values.is_floating_point() else 0
    known = torch.cat([values, values.new_full((*values.shape[:2], 1), nothing)], dim=-1)
    return known.index_select(-1, index).reshape(*values.shape[:2], *shape)
