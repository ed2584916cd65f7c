"""A walk-forward run over a universe in one go, on a device."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from marketsim.arguments import check_whole
from marketsim.bars import Bars
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.forecasts import (
    DeviceCube,
    ForecastCube,
    ForecastPlan,
    ForecastStore,
    StoreLike,
    open_store,
    run_plans,
    run_plans_on,
    target_index,
)
from marketsim.forecasts.device.cube import to_device_together
from marketsim.forecasts.device.point import point_on_device
from marketsim.kernels.cuda.place import Place, find_place
from marketsim.kernels.rules import fill_code
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds, check_bounds
from marketsim.models import Model, load_model, parse_aggregate
from marketsim.models.traits import traits_of
from marketsim.strategies import Strategy
from marketsim.strategies.on_device import fitted_strategies
from marketsim.timing import stage
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import moves_from_close
from marketsim.walkforward.universe.days import (
    SymbolRun,
    UniverseDays,
    as_bars,
    charged,
    lay_out,
    plan_symbols,
)
from marketsim.walkforward.universe.fits import Levels, fit_universe
from marketsim.walkforward.universe.result import UniverseResult

if TYPE_CHECKING:
    import torch

_TARGETS = ("high", "low")
STRATEGIES = ("maxdiff", "maxdiff_always_on")


def walk_forward_universe(
    bars: Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = "ewma",
    *,
    cubes: Sequence[ForecastCube | DeviceCube] | None = None,
    simulations: int = 70,
    window: int = 7,
    strategies: Iterable[str | Strategy] | str = STRATEGIES,
    fills: Iterable[str] | str = ("open_aware",),
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    store: StoreLike = None,
    progress: bool = True,
    purge: int = 0,
    embargo: int = 0,
    asset_class: str | None = None,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    device: str = "cpu",
) -> UniverseResult:
    """`walk_forward` of the strategies that fit offsets, for all symbols and fill policies at once.

    On a GPU everything from the forecasts to the sums of the simulations stays on it, and the
    offsets of all symbols, days, strategies and policies are one launch for up to 16 combinations
    of policy, strategy and costs. The CPU gives the same numbers by its own kernels.

    Offsets are those of `walk_forward`, bit for bit. Profits are float32 sums of float32 parts: of
    a day they differ from `walk_forward` by at most 2**-24 of the profit of its long, plus that of
    its short, plus their sum, all without their signs.

    Args:
        bars: of each symbol; their names differ. Numbers of bars may differ, too.
        model, store, progress: as in `walk_forward`; the forecasts are made on the device where the
            model is on it, see `marketsim.forecasts.run_plans_on`.
        cubes: the forecasts of each symbol, in the order of the bars, in place of a model and a
            store: at least from the first day that offsets are fitted on to the last one. Of one
            schema, and on the device or on the host, from where they are copied together.
        simulations, window, fee, aggregate, offset_window, purge, embargo, asset_class,
            offset_bounds: as in `walk_forward`; costs and whether shorts are possible follow from
            each symbol's own asset class where they are not given.
        strategies: those whose offsets are fitted: maxdiff and maxdiff_always_on.
        fills: fill policies, each a run of its own.
        device: "cpu", "cuda", "cuda:<index>", or "auto" for a GPU where there is one.

    Returns:
        `UniverseResult`: tensors on the device, computed asynchronously; its methods give tidy
        frames.

    Raises:
        NotEnoughBarsError: not one simulation of a symbol fits.
        UnknownNameError: an unknown model, strategy, policy, aggregate, asset class or device.
        ArgumentError: a value out of range, a strategy that does not run like this, or cubes that
            do not fit.
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
        made = universe.made(_loaded(model), store=open_store(store), progress=progress)
    else:
        made = universe.joined(cubes)
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
    progress: bool,
    device: str = "cpu",
    **windows: Any,
) -> PreparedUniverse:
    """Lay out a universe and make its forecasts; arguments of `walk_forward_universe`."""
    universe = Universe.of(bars, device=device, **windows)
    made = universe.made(_loaded(model), store=open_store(store), progress=progress)
    return PreparedUniverse(universe, made)


@dataclass(frozen=True)
class Universe:
    """Bars of many symbols with their windows, laid out on a device to be evaluated many times.

    Attributes:
        device: its name.
        runs: how each symbol is run.
        days: all days, on the device.
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
        asset_class: str | None = None,
        device: str = "cpu",
    ) -> Universe:
        """Plan the windows and upload the days; arguments and errors of `walk_forward_universe`."""
        if find_spec("torch") is None:
            raise MissingDependencyError(
                "a universe is computed with torch, which is not installed: "
                "pip install 'marketsim[models]'"
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
        """The device; None for the CPU."""
        return self.days.place

    @property
    def plans(self) -> list[tuple[Bars, ForecastPlan]]:
        """The forecasts that are needed, in the order of the days."""
        return [(self.runs[i].bars, plan) for i in self.days.order for plan in self.runs[i].plans]

    def made(self, model: Model, *, store: ForecastStore | None, progress: bool) -> DeviceCube:
        """The forecasts that are needed, by a model and a store; see `run_plans_on`."""
        with stage("forecasts"):
            if "own" not in traits_of(model).targets:
                made = run_plans(self.plans, model, store=store, progress=progress)
                own = [
                    cube.own_returns(bars) for cube, (bars, _) in zip(made, self.plans, strict=True)
                ]
                return self._together(to_device_together(own, self.place))
            cubes = run_plans_on(
                self.plans, model, self.device, store=store, progress=progress, targets=_TARGETS
            )
            return self._together(cubes)

    def joined(self, cubes: Sequence[ForecastCube | DeviceCube]) -> DeviceCube:
        """The forecasts that are needed, out of one cube a symbol.

        Raises:
            ArgumentError: another number of cubes, or one that holds too few days, another schema
                than the others, or lies on another device.
        """
        if len(cubes) != len(self.runs):
            raise ArgumentError(f"give one cube a symbol: got {len(cubes)} for {len(self.runs)}")
        on_host = [cube for cube in cubes if isinstance(cube, ForecastCube)]
        moved = iter(to_device_together(on_host, self.place))
        on_device = [next(moved) if isinstance(cube, ForecastCube) else cube for cube in cubes]
        device = self.days.before.device
        wanted = []
        for i in self.days.order:
            run, cube = self.runs[i], on_device[i]
            if cube.schema != on_device[0].schema or cube.records.device != device:
                raise ArgumentError(
                    f"cubes must be of one schema and on {device}: that of {run.bars.symbol} is of "
                    f"{cube.schema.text}, on {cube.records.device}, the first of "
                    f"{on_device[0].schema.text}"
                )
            try:
                wanted += [cube.slice(plan.first, plan.stop) for plan in run.plans]
            except ArgumentError as error:
                raise ArgumentError(f"{run.bars.symbol}: {error}") from None
        return self._together(wanted)

    def _together(self, cubes: Sequence[DeviceCube]) -> DeviceCube:
        import torch

        records = torch.cat([cube.records for cube in cubes])
        return DeviceCube(0, cubes[0].schema, records, self.place)

    def evaluate(
        self,
        forecasts: DeviceCube,
        *,
        strategies: Iterable[str | Strategy] | str = STRATEGIES,
        fills: Iterable[str] | str = ("open_aware",),
        aggregate: str = "trimmed_mean_10",
        offset_bounds: Bounds = DEFAULT_BOUNDS,
    ) -> UniverseResult:
        """From forecasts, as `made` or `joined` gives them, to the sums of the simulations.

        Nothing comes to the host and nothing waits; arguments and errors of
        `walk_forward_universe`.
        """
        chosen, policies = fitted_strategies(strategies), _policies(fills)
        if len(forecasts) != self.days.count:
            raise ArgumentError(
                f"forecasts must be those of {self.days.count} days, as joined() gives them: got "
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

    def charged(self, fee: float | Costs | None, asset_class: str | None) -> Universe:
        """The same under other costs, or as another asset class; the order of the days stays."""
        runs, days = charged(self.days, self.runs, fee, asset_class)
        return Universe(self.device, runs, days)

    @property
    def _windows(self) -> tuple[int, int, int]:
        """Days that offsets are fitted on, days from there to the day decided, days to sum."""
        windows = self.runs[0].windows
        return windows.offset_window, windows.purge + 1, windows.window

    def _levels(self, forecasts: DeviceCube, aggregate: str) -> Levels:
        """Forecast moves of high and low against the close before, as `decision_view` has them."""
        first, second = (target_index(name) for name in _TARGETS)
        with stage("head"):
            records = forecasts.records[:, 0, first : second + 1]
            returns: torch.Tensor = point_on_device(
                forecasts.schema, records, aggregate, forecasts.kernels_place()
            )
            moves: Any = moves_from_close(returns, self.days.before)
            moves = moves.masked_fill((returns == 0.0).all(dim=1, keepdim=True), 0.0)
        return Levels(moves[:, 0], moves[:, 1])


@dataclass(frozen=True, eq=False)
class PreparedUniverse:
    """A universe with its forecasts: make it by `marketsim.prepare`, evaluate it many times.

    Attributes:
        universe: bars, windows and days, laid out on a device.
        forecasts: those that are needed.
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
        fill: Iterable[str] | str = "open_aware",
        fee: float | Costs | None = None,
        asset_class: str | None = None,
        aggregate: str = "trimmed_mean_10",
        offset_bounds: Bounds = DEFAULT_BOUNDS,
    ) -> UniverseResult:
        """Run strategies on all symbols; no forecast, key or plan is made again.

        Args:
            strategies: those whose offsets are fitted; None for all of them.
            fill: a fill policy, or several, each a run of its own.
            fee, asset_class, aggregate, offset_bounds: as in `walk_forward`.

        Raises:
            UnknownNameError, ArgumentError: as `walk_forward_universe`.
        """
        chosen = fitted_strategies(STRATEGIES if strategies is None else strategies)
        return self.universe.charged(fee, asset_class).evaluate(
            self.forecasts,
            strategies=chosen,
            fills=_policies(fill),
            aggregate=aggregate,
            offset_bounds=check_bounds(offset_bounds),
        )


def _policies(fills: Iterable[str] | str) -> tuple[str, ...]:
    found = (fills,) if isinstance(fills, str) else tuple(fills)
    for fill in found:
        fill_code(fill)
    if not found or len(set(found)) < len(found):
        raise ArgumentError(f"fills must be different policies, at least one: got {list(found)}")
    return found
