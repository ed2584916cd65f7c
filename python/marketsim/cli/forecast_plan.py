"""Plan of `marketsim forecast`: missing forecasts, and the time they are expected to take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from marketsim.cli.store_text import plural, size_text

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.forecasts import ForecastPlan
    from marketsim.models import Cost, Expectation, Model
    from marketsim.models.neural.device import Execution


@dataclass(frozen=True)
class SymbolForecasts:
    """Forecasts of one symbol: needed, stored, missing.

    Attributes:
        symbol: the symbol.
        needed: number of distinct forecasts.
        one_by_one: number of forecasts without sharing between simulations.
        held: number of forecasts that the store held before.
        missing: number of forecasts that it lacked.
        seconds: time to make the missing ones; None if not measured.
        passes: number of series that the model reads for the missing ones; None if not requested or
            unknown to the model.
    """

    symbol: str
    needed: int
    one_by_one: int
    held: int
    missing: int
    seconds: float | None = None
    passes: int | None = None

    @classmethod
    def of(
        cls,
        bars: Bars,
        plans: Sequence[ForecastPlan],
        held: int,
        *,
        seconds: float | None = None,
        passes: int | None = None,
    ) -> SymbolForecasts:
        """Count the forecasts of plans, of which the store holds `held`."""
        needed = sum(plan.forecasts for plan in plans)
        one_by_one = sum(plan.without_sharing for plan in plans)
        return cls(bars.symbol, needed, one_by_one, held, needed - held, seconds, passes)


def plan_forecasts(args: argparse.Namespace, bars: Bars) -> tuple[ForecastPlan, ...]:
    """Plan the forecasts that a backtest with these arguments needs."""
    from marketsim.errors import NotEnoughBarsError
    from marketsim.forecasts import ForecastPlan
    from marketsim.forecasts.plan import LEAST_CONTEXT
    from marketsim.walkforward.inputs import forecast_plans
    from marketsim.walkforward.windows import plan_windows, rows_between

    horizons = tuple(args.horizons)

    if args.all_days:
        first = 1 + LEAST_CONTEXT
        if len(bars) <= first:
            raise NotEnoughBarsError(
                f"too few bars for one forecast: got {len(bars)}, need {first + 1} "
                f"(1 + {LEAST_CONTEXT} returns before it + 1)"
            )
        return (ForecastPlan.of_rows(len(bars), first, None, horizons),)
    windows = plan_windows(
        len(bars),
        simulations=args.simulations,
        window=args.window,
        offset_window=args.offset_window,
        purge=args.purge,
        embargo=args.embargo,
        **rows_between(bars, args.start, args.end),
    )
    return tuple(replace(plan, horizons=horizons) for plan in forecast_plans(windows))


class Planner:
    """Count stored and missing forecasts; no model is run, nothing is written.

    Args:
        args: the command's.
        model: what would forecast.
        path: the store's folder.

    Attributes:
        model: what would forecast.
        cost: what is to be made will cost, all symbols together; None where the model cannot tell.
    """

    def __init__(self, args: argparse.Namespace, model: Model, path: Path) -> None:
        from marketsim.forecasts import PredictionStore
        from marketsim.models import Cost, CostedModel
        from marketsim.models.traits import traits_of

        self._args = args
        self._store = PredictionStore(path, mode="r") if path.is_dir() else None
        self.model = model
        self._costed = cast(CostedModel, model) if traits_of(model).costed else None
        self.cost = None if self._costed is None else Cost()

    def count_all(
        self, group: Sequence[tuple[Bars, Sequence[ForecastPlan]]], _: object = None
    ) -> list[SymbolForecasts]:
        """Count the forecasts of each symbol of a group."""
        return [self._count(bars, plans) for bars, plans in group]

    def _count(self, bars: Bars, plans: Sequence[ForecastPlan]) -> SymbolForecasts:
        import numpy as np

        from marketsim.bars import TARGETS
        from marketsim.forecasts import ReturnTable, cost_of, held
        from marketsim.models import Cost

        cost, found = Cost(), 0
        table = ReturnTable.for_model(bars, self.model, self._args.targets)
        for plan in plans:
            known = np.zeros((plan.days, len(plan.horizons), len(TARGETS)), dtype=np.bool_)
            if self._store is not None:
                known = held(table, self.model, plan, self._store)
            found += int(known.sum())
            if self._costed is not None:
                cost += cost_of(table, self._costed, plan, known)
        if self.cost is None:
            return SymbolForecasts.of(bars, plans, found)
        self.cost += cost
        return SymbolForecasts.of(bars, plans, found, passes=cost.passes)

    @property
    def execution(self) -> Execution:
        """Execution settings of a model that states its cost."""
        assert self._costed is not None
        return self._costed.execution

    def expect(self) -> Expectation | None:
        """Expected seconds on this machine; None if nothing is missing or the cost is unknown."""
        if self._costed is None or self.cost is None or not self.cost.passes:
            return None
        return self._costed.expect(self.cost)


def estimate_facts(planner: Planner) -> dict[str, Any] | None:
    """Cost and expected time as JSON values; None for a model that states neither."""
    cost = planner.cost
    if cost is None:
        return None
    expected = planner.expect()
    return {
        "forecasts": cost.forecasts,
        "passes": cost.passes,
        "batches": cost.batches,
        "patches": cost.patches,
        "batch_shapes": len(cost.shapes),
        "operations": cost.operations + cost.operations_float32,
        "expected": None if expected is None else asdict(expected),
    }


def estimate_lines(planner: Planner) -> list[str]:
    """Cost and expected time as lines of text."""
    cost, expected = planner.cost, planner.expect()
    if cost is None:
        return [f"time and memory: –, {planner.model.name} has no cost model"]
    if expected is None:
        return ["no weights would be loaded"]
    execution = planner.execution
    lines = [
        f"{plural(cost.passes, 'pass', 'passes')} in {plural(cost.batches, 'batch', 'batches')}: "
        f"{plural(cost.patches, 'patch', 'patches')}, {_operations_text(cost)}",
        f"time: about {seconds_text(expected.seconds)} on {execution.device} in {execution.dtype}, "
        f"after about {seconds_text(expected.load_seconds)} of loading",
        f"memory: about {size_text(expected.memory)} beside the libraries, "
        f"{size_text(expected.weights)} of it weights",
        f"estimated from {expected.rate / 1e9:,.0f} billion operations a second, measured on "
        "layers of that size",
    ]
    if execution.compile:
        shapes = plural(len(cost.shapes), "shape")
        lines.append(f"not included: compilation of the network for {shapes} of batches")
    return lines


def _operations_text(cost: Cost) -> str:
    return f"{(cost.operations + cost.operations_float32) / 1e9:,.0f} billion operations"


def seconds_text(seconds: float) -> str:
    """Format a duration: under a second, 12 s, 3 min, 4.5 h."""
    if seconds < 1.0:
        return "a second" if seconds >= 0.5 else "half a second or less"
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    if seconds < 6000.0:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
