"""Bars of many symbols, concatenated on a device, and the windows in them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars, asset_class
from marketsim.errors import ArgumentError, NotEnoughBarsError
from marketsim.forecasts import ForecastPlan
from marketsim.kernels.cuda.arrays import upload
from marketsim.kernels.cuda.place import Place
from marketsim.kernels.rules import FillCosts
from marketsim.walkforward.costs import Costs, check_asset_class, resolve_costs
from marketsim.walkforward.inputs import MarketDays, forecast_plans
from marketsim.walkforward.windows import Windows, plan_windows

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.int64]
_PRICES = ("open", "high", "low", "close")


class SymbolRun(NamedTuple):
    """Bars, windows and costs of one symbol, as `walk_forward` would use them.

    Attributes:
        bars: bars of the symbol.
        windows: windows of its simulations.
        plans: plans of the forecasts that they need.
        costs: rates of fills, as in `marketsim.profit`.
        long_only: whether shorts are excluded.
    """

    bars: Bars
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    costs: FillCosts
    long_only: bool


class Share(NamedTuple):
    """Evaluated bars start .. stop - 1 of the universe, with equal costs and `long_only`."""

    start: int
    stop: int
    costs: FillCosts
    long_only: bool


@dataclass(frozen=True)
class UniverseDays:
    """Bars of all symbols, concatenated; symbols with equal costs are adjacent.

    A symbol contributes the bars of its plans. Only some are evaluated, and simulations overlap in
    these.

    Attributes:
        place: the device; None for the CPU.
        order: symbol numbers [symbol], in the order of their bars.
        market: float32 tensors [bar] by name: open, high, low and close against the previous close.
        before: float64 tensor [bar, 2], high and low of the previous bar against its close.
        long_only: bool tensor [bar].
        fillable: bool tensor [bar], False for bars with volume 0 where the bars have volumes.
        fit_starts: int64 tensor [evaluated], first bar of each fit window.
        sum_starts: int64 tensor [simulation], first evaluated bar of each simulation.
        shares: evaluated bars in parts with equal costs.
        days, simulations: int64 [symbol, place], number of the evaluated bar or simulation at each
            place; symbols with fewer than others are padded in front with -1.
        day_index, simulation_index: the same as tensors, with one past the last number for -1.
    """

    place: Place | None
    order: tuple[int, ...]
    market: dict[str, torch.Tensor]
    before: torch.Tensor
    long_only: torch.Tensor
    fillable: torch.Tensor
    fit_starts: torch.Tensor
    sum_starts: torch.Tensor
    shares: tuple[Share, ...]
    days: Rows
    simulations: Rows
    day_index: torch.Tensor
    simulation_index: torch.Tensor

    @property
    def count(self) -> int:
        """Number of bars."""
        return int(self.long_only.shape[0])

    @property
    def evaluated(self) -> int:
        """Number of evaluated bars."""
        return int(self.fit_starts.shape[0])


def plan_symbols(
    bars: Sequence[Bars],
    fee: float | Costs | None,
    asset: str | None,
    **windows: int,
) -> tuple[SymbolRun, ...]:
    """Plan the run of each symbol; `windows` as in `plan_windows`.

    A warning counts the symbols with too few bars for all requested simulations.

    Raises:
        NotEnoughBarsError: a symbol has too few bars for one simulation.
        ArgumentError: two symbols of one name, no symbol, or a number out of range.
        UnknownNameError: an unknown asset class.
    """
    symbols = [one.symbol for one in bars]
    if not symbols or len(set(symbols)) < len(symbols):
        raise ArgumentError(f"bars must be those of different symbols, at least one: got {symbols}")
    found = []
    for one in bars:
        kind = check_asset_class(asset_class(one) if asset is None else asset)
        planned = _planned(one, windows)
        costs = resolve_costs(fee, kind).rates
        found.append(SymbolRun(one, planned, forecast_plans(planned), costs, kind == "crypto"))
    short = [run for run in found if len(run.windows.as_of) < windows["simulations"]]
    if short:
        fewest = min(short, key=lambda run: len(run.windows.as_of))
        warnings.warn(
            f"{len(short)} of {len(found)} symbols have too few bars for the "
            f"{windows['simulations']} simulations requested; the fewest are the "
            f"{len(fewest.windows.as_of)} of {fewest.bars.symbol}",
            stacklevel=4,
        )
    return tuple(found)


def _planned(bars: Bars, windows: dict[str, int]) -> Windows:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `plan_symbols` warns once, for all symbols
        try:
            return plan_windows(len(bars), **windows)
        except NotEnoughBarsError as error:
            raise NotEnoughBarsError(f"{bars.symbol}: {error}, or leave the symbol out") from None


def lay_out(runs: Sequence[SymbolRun], place: Place | None) -> UniverseDays:
    """Concatenate the bars of all symbols on the device and locate the windows in them."""
    order = sorted(range(len(runs)), key=lambda i: (runs[i].costs, runs[i].long_only))
    fits: list[Rows] = []
    sums: list[Rows] = []
    day_at, evaluated = 0, 0
    for i in order:
        run = runs[i]
        fits.append(_fit_starts(run, day_at))
        sums.append(evaluated + np.searchsorted(run.windows.days, run.windows.starts))
        day_at += sum(plan.days for plan in run.plans)
        evaluated += len(fits[-1])
    days, simulations = (_placed(parts, order) for parts in (fits, sums))
    whole = [np.concatenate(parts) for parts in (fits, sums)]
    index = [
        np.where(at < 0, len(of), at) for at, of in zip((days, simulations), whole, strict=True)
    ]
    found = _uploaded(place, [*whole, *(at.reshape(-1) for at in index)])
    market, before, long_only, fillable = _market(runs, order, place)
    return UniverseDays(
        place, tuple(order), market, before, long_only, fillable, found[0], found[1],
        shares_of(runs, order), days, simulations, *found[2:],
    )  # fmt: skip


def shares_of(runs: Sequence[SymbolRun], order: Sequence[int]) -> tuple[Share, ...]:
    """Split the evaluated bars, in this order of symbols, into parts with equal costs."""
    shares: list[Share] = []
    at = 0
    for i in order:
        run = runs[i]
        stop = at + len(run.windows.days)
        if shares and shares[-1][2:] == (run.costs, run.long_only):
            shares[-1] = shares[-1]._replace(stop=stop)
        else:
            shares.append(Share(at, stop, run.costs, run.long_only))
        at = stop
    return tuple(shares)


def with_costs(
    days: UniverseDays, runs: Sequence[SymbolRun], fee: float | Costs | None, asset: str | None
) -> tuple[tuple[SymbolRun, ...], UniverseDays]:
    """Change costs or asset class of runs and bars; the layout on the device stays."""
    kinds = [
        check_asset_class(run.bars.market.asset_class if asset is None else asset) for run in runs
    ]
    changed = tuple(
        run._replace(costs=resolve_costs(fee, kind).rates, long_only=kind == "crypto")
        for run, kind in zip(runs, kinds, strict=True)
    )
    only = [
        np.full(sum(plan.days for plan in changed[i].plans), changed[i].long_only)
        for i in days.order
    ]
    (long_only,) = _uploaded(days.place, [np.concatenate(only)])
    return changed, replace(days, long_only=long_only, shares=shares_of(changed, days.order))


def _fit_starts(run: SymbolRun, at: int) -> Rows:
    """Return the first bar of each evaluated bar's fit window; the symbol's first bar is `at`."""
    windows, parts = run.windows, []
    for plan in run.plans:
        own = windows.days[(windows.days >= plan.first) & (windows.days < plan.stop)]
        parts.append(at + own - plan.first - (windows.offset_window + windows.purge))
        at += plan.days
    return np.concatenate(parts).astype(np.int64)


def _placed(parts: Sequence[Rows], order: Sequence[int]) -> Rows:
    """Number the parts of each symbol [symbol, place], padded in front with -1."""
    most = max(len(part) for part in parts)
    found = np.full((len(parts), most), -1, dtype=np.int64)
    at = 0
    for i, part in zip(order, parts, strict=True):
        found[i, most - len(part) :] = np.arange(at, at + len(part))
        at += len(part)
    return found


def _market(
    runs: Sequence[SymbolRun], order: Sequence[int], place: Place | None
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Upload (market moves, previous high and low, long_only, fillable) of all bars."""
    moves: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in _PRICES}
    before, long_only, fillable = [], [], []
    for i in order:
        for plan in runs[i].plans:
            bars, rows = runs[i].bars, slice(plan.first - 1, plan.stop - 1)
            days = MarketDays.of(bars, plan.first, plan.stop)
            for name, parts in moves.items():
                parts.append(getattr(days, name).astype(np.float32))
            close = bars.close[rows]
            before.append(np.stack([bars.high[rows] / close, bars.low[rows] / close], axis=1))
            long_only.append(np.full(plan.days, runs[i].long_only))
            fillable.append(np.ones(plan.days, bool) if days.value is None else days.value > 0.0)
    market = _uploaded(place, [np.concatenate(parts) for parts in moves.values()])
    (known,) = _uploaded(place, [np.concatenate(before)])
    only, can = _uploaded(place, [np.concatenate(long_only), np.concatenate(fillable)])
    return dict(zip(moves, market, strict=True)), known, only, can


def _uploaded(place: Place | None, arrays: list[npt.NDArray[np.generic]]) -> list[torch.Tensor]:
    """Upload arrays to the device in one copy; on the CPU wrap them without a copy."""
    if place is not None:
        return upload(place, arrays)
    import torch

    return [torch.from_numpy(array) for array in arrays]


def as_bars(bars: Mapping[str, Bars] | Sequence[Bars]) -> tuple[Bars, ...]:
    """Return the bars as a tuple; raise ArgumentError for anything but `Bars`."""
    found: tuple[object, ...] = tuple(bars.values() if isinstance(bars, Mapping) else bars)
    for one in found:
        if not isinstance(one, Bars):
            raise ArgumentError(
                f"bars must be a list of Bars, or a mapping to Bars as read_folder returns: got "
                f"{one!r}; make Bars by read_bars"
            )
    return cast(tuple[Bars, ...], found)
