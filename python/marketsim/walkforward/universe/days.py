"""The days of many symbols, one after the other on a device, and the windows in them."""

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
    """How one symbol is run, as `walk_forward` would.

    Attributes:
        bars: its bars.
        windows: its simulations.
        plans: which forecasts they need.
        costs: rates of fills, as `marketsim.profit` takes them.
        long_only: shorts are not possible.
    """

    bars: Bars
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    costs: FillCosts
    long_only: bool


class Share(NamedTuple):
    """Evaluated days start .. stop - 1 of all, which are charged and limited alike."""

    start: int
    stop: int
    costs: FillCosts
    long_only: bool


@dataclass(frozen=True)
class UniverseDays:
    """The days of all symbols, those that are charged alike side by side.

    A symbol's days are those of its plans; evaluated are fewer, and simulations overlap in them.

    Attributes:
        place: the device; None for the CPU.
        order: [symbol], numbers of the symbols in the order of their days.
        market: float32 tensors [day] by name: open, high, low and close against the close before.
        before: float64 tensor [day, 2], high and low of the day before against its close.
        long_only: bool tensor [day].
        fillable: bool tensor [day], False for a bar without volume where the bars have volumes.
        fit_starts: int64 tensor [evaluated], the day where the window that is fitted on begins.
        sum_starts: int64 tensor [simulation], its first evaluated day.
        shares: the evaluated days in parts that are charged alike.
        days, simulations: int64 [symbol, place], which evaluated day or simulation of all is there;
            -1 where a symbol has fewer than others: its last ones are in the last places.
        day_index, simulation_index: the same as tensors, the number one past the last for -1.
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
        """How many days there are."""
        return int(self.long_only.shape[0])

    @property
    def evaluated(self) -> int:
        """How many of them are evaluated."""
        return int(self.fit_starts.shape[0])


def plan_symbols(
    bars: Sequence[Bars],
    fee: float | Costs | None,
    asset: str | None,
    **windows: int,
) -> tuple[SymbolRun, ...]:
    """How each symbol is run; `windows` as for `plan_windows`.

    Raises:
        NotEnoughBarsError: a symbol has too few bars for one simulation; those with too few for
            all simulations are counted in a warning.
        ArgumentError: two symbols of one name, none at all, or a number out of range.
        UnknownNameError: no such asset class.
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
        warnings.simplefilter("ignore")  # of one symbol: they are counted
        try:
            return plan_windows(len(bars), **windows)
        except NotEnoughBarsError as error:
            raise NotEnoughBarsError(f"{bars.symbol}: {error}, or leave the symbol out") from None


def lay_out(runs: Sequence[SymbolRun], place: Place | None) -> UniverseDays:
    """The days of all symbols on the device, and the windows in them."""
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
    """The evaluated days in parts that are charged alike, as they lie in this order of symbols."""
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


def charged(
    days: UniverseDays, runs: Sequence[SymbolRun], fee: float | Costs | None, asset: str | None
) -> tuple[tuple[SymbolRun, ...], UniverseDays]:
    """The same runs and days under other costs, or as another asset class; nothing is laid out."""
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
    """The day where the window of each evaluated day begins; the symbol's first day is `at`."""
    windows, parts = run.windows, []
    for plan in run.plans:
        mine = windows.days[(windows.days >= plan.first) & (windows.days < plan.stop)]
        parts.append(at + mine - plan.first - (windows.offset_window + windows.purge))
        at += plan.days
    return np.concatenate(parts).astype(np.int64)


def _placed(parts: Sequence[Rows], order: Sequence[int]) -> Rows:
    """Numbers [symbol, place] of what each symbol has, in the order of symbols."""
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
    """What came on the days, what was known before them, whether shorts and fills are possible."""
    came: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in _PRICES}
    before, long_only, fillable = [], [], []
    for i in order:
        for plan in runs[i].plans:
            bars, rows = runs[i].bars, slice(plan.first - 1, plan.stop - 1)
            days = MarketDays.of(bars, plan.first, plan.stop)
            for name, parts in came.items():
                parts.append(getattr(days, name).astype(np.float32))
            close = bars.close[rows]
            before.append(np.stack([bars.high[rows] / close, bars.low[rows] / close], axis=1))
            long_only.append(np.full(plan.days, runs[i].long_only))
            fillable.append(np.ones(plan.days, bool) if days.value is None else days.value > 0.0)
    market = _uploaded(place, [np.concatenate(parts) for parts in came.values()])
    (known,) = _uploaded(place, [np.concatenate(before)])
    only, can = _uploaded(place, [np.concatenate(long_only), np.concatenate(fillable)])
    return dict(zip(came, market, strict=True)), known, only, can


def _uploaded(place: Place | None, arrays: list[npt.NDArray[np.generic]]) -> list[torch.Tensor]:
    """Arrays on the device, in one copy; on the CPU as they are."""
    if place is not None:
        return upload(place, arrays)
    import torch

    return [torch.from_numpy(array) for array in arrays]


def as_bars(bars: Mapping[str, Bars] | Sequence[Bars]) -> tuple[Bars, ...]:
    """Bars of many symbols; raises ArgumentError for anything else."""
    found: tuple[object, ...] = tuple(bars.values() if isinstance(bars, Mapping) else bars)
    for one in found:
        if not isinstance(one, Bars):
            raise ArgumentError(
                f"bars must be a list of Bars, or a mapping to them such as read_folder gives: got "
                f"{one!r}; read_bars makes them"
            )
    return cast(tuple[Bars, ...], found)
