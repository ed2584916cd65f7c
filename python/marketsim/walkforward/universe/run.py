"""Walk-forward runs over a universe of symbols at once, on a device."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from marketsim.arguments import check_whole
from marketsim.bars import TARGETS, Bars, simple_moves
from marketsim.bars.market import AssetClass
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.forecasts import (
    DeviceCube,
    ForecastCube,
    ForecastPlan,
    ForecastStore,
    ReturnTable,
    StoreLike,
    open_store,
    run_plans_on,
    target_index,
)
from marketsim.forecasts.device.cube import to_device_together
from marketsim.forecasts.device.point import point_on_device
from marketsim.kernels.cuda.place import Place, find_place
from marketsim.kernels.rules import Fill, fill_code
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds, check_bounds
from marketsim.models import Model, load_model, parse_aggregate
from marketsim.models.traits import TargetKind
from marketsim.progress import Progress
from marketsim.strategies import Strategy
from marketsim.strategies.on_device import fitted_strategies
from marketsim.timing import stage
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import moves_from_close
from marketsim.walkforward.universe.days import (
    SymbolRun,
    UniverseDays,
    as_bars,
    lay_out,
    plan_symbols,
    with_costs,
)
from marketsim.walkforward.universe.fits import Levels, fit_universe
from marketsim.walkforward.universe.result import UniverseResult

if TYPE_CHECKING:
    import torch

_TARGETS = ("high", "low")
STRATEGIES = ("maxdiff", "maxdiff_always_on")


def walk_forward_universe(
    bars: Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = "range",
    *,
    cubes: Sequence[ForecastCube | DeviceCube] | None = None,
    simulations: int = 70,
    window: int = 7,
    strategies: Iterable[str | Strategy] | str = STRATEGIES,
    fills: Iterable[Fill] | Fill = ("open_aware",),
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    store: StoreLike = None,
    progress: Progress = True,
    purge: int = 0,
    embargo: int = 0,
    asset_class: AssetClass | None = None,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    targets: TargetKind | None = None,
    device: str = "cpu",
) -> UniverseResult:
    """Run `walk_forward` for strategies that fit offsets, over all symbols and policies at once.

    On a GPU everything from the forecasts to the sums of the simulations stays on the device, and
    one launch fits the offsets of all symbols, bars, strategies and policies for up to 16
    combinations of policy, strategy and costs. The CPU kernels give the same numbers.

    Offsets equal those of `walk_forward` bit for bit. Profits are float32 sums of float32 parts:
    the profit of a bar differs from `walk_forward` by at most 2**-24 of the sum of the absolute
    profits of its long, its short and both together.

    Args:
        bars: bars of each symbol, with distinct names; lengths may differ.
        model, store, progress: as in `walk_forward`; forecasts are made on the device if the model
            is on it, see `marketsim.forecasts.run_plans_on`.
        cubes: forecasts of each symbol in the order of `bars`, instead of a model and a store;
            each covers at least the bars from the first fit window to the last bar. All of one
            schema, on the device or on the host; host cubes are uploaded together.
        simulations, window, fee, aggregate, offset_window, purge, embargo, asset_class,
            offset_bounds, targets: as in `walk_forward`; costs and `long_only` follow from each
            symbol's asset class by default.
        strategies: strategies with fitted offsets: maxdiff and maxdiff_always_on.
        fills: fill policies, each evaluated as a run of its own.
        device: "cpu", "cuda", "cuda:<index>", or "auto" for a GPU if one is available.

    Returns:
        `UniverseResult`: tensors on the device, computed asynchronously; its methods return tidy
        frames.

    Raises:
        NotEnoughBarsError: a symbol has too few bars for one simulation.
        UnknownNameError: an unknown model, strategy, policy, aggregate, asset class or device.
        ArgumentError: a value out of range, a strategy without device code, or cubes that do not
            cover the bars.
        MissingDependencyError: torch is not installed.
        CudaUnavailableError, CudaError: as `marketsim.best_offsets`.

    Example:
        >>> import marketsim as ms
        >>> found = ms.walk_forward_universe([ms.demo_bars()], device="cpu")  # doctest: +SKIP
        >>> found.simulations()  # doctest: +SKIP
    """
    universe = Universe.of(
        bars, simulations=simulations, window=window, fee=fee, offset_window=offset_window,
        purge=purge, embargo=embargo, asset_class=asset_class, device=device,
    )  # fmt: skip
    chosen, policies = fitted_strategies(strategies), _policies(fills)
    parse_aggregate(aggregate)
    bounds = check_bounds(offset_bounds)
    if cubes is None:
        made = universe.make_forecasts(
            _loaded(model), store=open_store(store), progress=progress, targets=targets
        )
    else:
        made = universe.join_forecasts(cubes)
    return universe.evaluate(
        made, strategies=chosen, fills=policies, aggregate=aggregate, offset_bounds=bounds
    )


def _loaded(model: str | os.PathLike[str] | Model) -> Model:
    return load_model(model) if isinstance(model, (str, os.PathLike)) else model


def prepare_universe(
    bars: Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model,
    *,
    store: StoreLike,
    progress: Progress,
    targets: TargetKind | None = None,
    device: str = "cpu",
    **windows: Any,
) -> PreparedUniverse:
    """Lay out a universe and make its forecasts; arguments as in `walk_forward_universe`."""
    universe = Universe.of(bars, device=device, **windows)
    made = universe.make_forecasts(
        _loaded(model), store=open_store(store), progress=progress, targets=targets
    )
    return PreparedUniverse(universe, made)


@dataclass(frozen=True)
class Universe:
    """Bars and windows of many symbols, laid out on a device to be evaluated many times.

    Attributes:
        device: name of the device.
        runs: bars, windows and costs of each symbol.
        days: bars of all symbols on the device.
    """

    device: str
    runs: tuple[SymbolRun, ...]
    days: UniverseDays

    @classmethod
    def of(
        cls,
        bars: Mapping[str, Bars] | Sequence[Bars],
        *,
        simulations: int = 70,
        window: int = 7,
        fee: float | Costs | None = None,
        offset_window: int = 60,
        purge: int = 0,
        embargo: int = 0,
        asset_class: AssetClass | None = None,
        device: str = "cpu",
    ) -> Universe:
        """Plan the windows and upload the bars; see `walk_forward_universe` for the arguments."""
        if find_spec("torch") is None:
            raise MissingDependencyError(
                "a universe run needs torch, which is not installed: "
                "pip install '.[models]' in the checkout"
            )
        place = find_place(device, {}, work=1)
        check_whole("offset_window", offset_window, 1)
        runs = plan_symbols(
            as_bars(bars), fee, asset_class, simulations=simulations, window=window,
            offset_window=offset_window, purge=purge, embargo=embargo,
        )  # fmt: skip
        with stage("slices"):
            return cls(device, runs, lay_out(runs, place))

    @property
    def place(self) -> Place | None:
        """Device of the universe; None for the CPU."""
        return self.days.place

    @property
    def plans(self) -> list[tuple[Bars, ForecastPlan]]:
        """Plans of the forecasts that the universe needs, in the order of its bars."""
        return [(self.runs[i].bars, plan) for i in self.days.order for plan in self.runs[i].plans]

    def make_forecasts(
        self,
        model: Model,
        *,
        store: ForecastStore | None,
        progress: Progress,
        targets: TargetKind | None = None,
    ) -> DeviceCube:
        """Make the forecasts that the universe needs; see `run_plans_on`."""
        with stage("forecasts"):
            planned = [
                (ReturnTable.for_model(bars, model, targets), plan) for bars, plan in self.plans
            ]
            # Moves against the close are put in order, which takes all four.
            own = bool(planned) and planned[0][0].targets == "own"
            cubes = run_plans_on(
                planned, model, self.device, store=store, progress=progress,
                targets=_TARGETS if own else TARGETS,
            )  # fmt: skip
            return self._together(cubes)

    def join_forecasts(self, cubes: Sequence[ForecastCube | DeviceCube]) -> DeviceCube:
        """Join the forecasts that the universe needs from one cube per symbol.

        Raises:
            ArgumentError: a wrong number of cubes, a cube with too few bars, or cubes that differ
                in schema or device.
        """
        if len(cubes) != len(self.runs):
            raise ArgumentError(
                f"cubes must be one per symbol: got {len(cubes)} for {len(self.runs)} symbols"
            )
        on_host = [cube for cube in cubes if isinstance(cube, ForecastCube)]
        moved = iter(to_device_together(on_host, self.place))
        on_device = [next(moved) if isinstance(cube, ForecastCube) else cube for cube in cubes]
        device = self.days.before.device
        needed = []
        for i in self.days.order:
            run, cube = self.runs[i], on_device[i]
            if cube.schema != on_device[0].schema or cube.records.device != device:
                raise ArgumentError(
                    f"cubes must share one schema and be on {device}: got {cube.schema.text} on "
                    f"{cube.records.device} for {run.bars.symbol}, {on_device[0].schema.text} for "
                    "the first"
                )
            try:
                needed += [cube.slice(plan.first, plan.stop) for plan in run.plans]
            except ArgumentError as error:
                raise ArgumentError(f"{run.bars.symbol}: {error}") from None
        return self._together(needed)

    def _together(self, cubes: Sequence[DeviceCube]) -> DeviceCube:
        import torch

        records = torch.cat([cube.records for cube in cubes])
        return DeviceCube(0, cubes[0].schema, records, self.place).ordered()

    def evaluate(
        self,
        forecasts: DeviceCube,
        *,
        strategies: Iterable[str | Strategy] | str = STRATEGIES,
        fills: Iterable[Fill] | Fill = ("open_aware",),
        aggregate: str = "trimmed_mean_10",
        offset_bounds: Bounds = DEFAULT_BOUNDS,
    ) -> UniverseResult:
        """Evaluate strategies on forecasts that `make_forecasts` or `join_forecasts` returned.

        Asynchronous: nothing is copied to the host. Arguments and errors as in
        `walk_forward_universe`.
        """
        chosen, policies = fitted_strategies(strategies), _policies(fills)
        if len(forecasts) != self.days.count:
            raise ArgumentError(
                f"forecasts must cover {self.days.count} bars, as make_forecasts() returns: got "
                f"{len(forecasts)}"
            )
        levels = self._levels(forecasts, aggregate)
        fitted = fit_universe(self.days, levels, chosen, policies, offset_bounds, self._windows)
        return UniverseResult(
            runs=self.runs,
            strategies=tuple(strategy.name for strategy in chosen),
            fills=policies,
            days_at=self.days.days,
            simulations_at=self.days.simulations,
            place=self.place,
            **fitted._asdict(),
        )

    def with_costs(self, fee: float | Costs | None, asset_class: str | None) -> Universe:
        """Return the universe under other costs or asset class; the order of the bars stays."""
        runs, days = with_costs(self.days, self.runs, fee, asset_class)
        return Universe(self.device, runs, days)

    @property
    def _windows(self) -> tuple[int, int, int]:
        """(bars of a fit window, bars from its last one to the bar decided, bars to sum)."""
        windows = self.runs[0].windows
        return windows.offset_window, windows.purge + 1, windows.window

    def _levels(self, forecasts: DeviceCube, aggregate: str) -> Levels:
        """Return forecast moves of high and low, as in `decision_view`."""
        first, second = (target_index(name) for name in _TARGETS)
        with stage("head"):
            if forecasts.schema.targets == "close":
                moves: Any = simple_moves(forecasts.point(aggregate)[:, first : second + 1])
            else:
                records = forecasts.records[:, 0, first : second + 1]
                returns: torch.Tensor = point_on_device(
                    forecasts.schema, records, aggregate, forecasts.kernels_place()
                )
                moves = moves_from_close(returns, self.days.before)
                moves = moves.masked_fill((returns == 0.0).all(dim=1, keepdim=True), 0.0)
        return Levels(moves[:, 0], moves[:, 1])


@dataclass(frozen=True, eq=False)
class PreparedUniverse:
    """Universe with its forecasts, to be evaluated many times; made by `marketsim.prepare`.

    Attributes:
        universe: bars and windows, laid out on a device.
        forecasts: forecasts of the universe's plans.
    """

    universe: Universe
    forecasts: DeviceCube

    def __repr__(self) -> str:
        runs = self.universe.runs
        return f"PreparedUniverse({len(runs)} symbols, on {self.universe.device})"

    def evaluate(
        self,
        strategies: Iterable[str | Strategy] | str | None = None,
        *,
        fill: Iterable[Fill] | Fill = "open_aware",
        fee: float | Costs | None = None,
        asset_class: AssetClass | None = None,
        aggregate: str = "trimmed_mean_10",
        offset_bounds: Bounds = DEFAULT_BOUNDS,
    ) -> UniverseResult:
        """Evaluate strategies on all symbols; makes no forecast, key or plan again.

        Args:
            strategies: strategies with fitted offsets; None for all of them.
            fill: one or several fill policies, each evaluated as a run of its own.
            fee, asset_class, aggregate, offset_bounds: as in `walk_forward`.

        Raises:
            UnknownNameError, ArgumentError: as `walk_forward_universe`.
        """
        chosen = fitted_strategies(STRATEGIES if strategies is None else strategies)
        return self.universe.with_costs(fee, asset_class).evaluate(
            self.forecasts,
            strategies=chosen,
            fills=_policies(fill),
            aggregate=aggregate,
            offset_bounds=check_bounds(offset_bounds),
        )


def _policies(fills: Iterable[Fill] | Fill) -> tuple[Fill, ...]:
    found: tuple[Fill, ...] = (fills,) if isinstance(fills, str) else tuple(fills)
    for fill in found:
        fill_code(fill)
    if not found or len(set(found)) < len(found):
        raise ArgumentError(f"fills must be different policies, at least one: got {list(found)}")
    return found
