"""Which days a run needs forecasts of, and the forecasts of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from marketsim.bars import Bars
from marketsim.forecasts import ForecastCube, ForecastPlan, ForecastStore, run_plans
from marketsim.models import Model, PersistenceModel
from marketsim.timing import stage
from marketsim.walkforward.windows import Stretch, Windows


def forecast_plans(windows: Windows) -> tuple[ForecastPlan, ...]:
    """What a run needs: a plan for each run of days without a gap, ascending.

    There are several only where an embargo leaves days that no simulation uses, not even to fit
    offsets on.
    """
    groups: list[list[Stretch]] = []
    for stretch in windows.stretches:
        if groups and stretch.first_fit <= groups[-1][-1].stop:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    plans = []
    for group in groups:
        first, stop = group[0].first_fit, group[-1].stop
        inside = (windows.as_of >= first) & (windows.as_of < stop)
        plans.append(ForecastPlan(first, stop, int(inside.sum()), windows.window))
    return tuple(plans)


@dataclass(frozen=True)
class Forecasts:
    """The forecasts of a run: one cube a plan, ascending."""

    cubes: tuple[ForecastCube, ...]

    @classmethod
    def made(
        cls,
        bars: Bars,
        model: Model,
        plans: Sequence[ForecastPlan],
        *,
        store: ForecastStore | None,
        progress: bool,
    ) -> Forecasts:
        """Run the plans; raises as `run_plans`."""
        with stage("forecasts"):
            wanted = [(bars, plan) for plan in plans]
            return cls(tuple(run_plans(wanted, model, store=store, progress=progress)))

    def between(self, start: int, stop: int) -> ForecastCube:
        """The forecasts of the rows start .. stop - 1, which lie within one plan; a view."""
        cube = next(cube for cube in reversed(self.cubes) if cube.first <= start)
        return cube.slice(start, stop)

    def evaluated(self, windows: Windows) -> ForecastCube:
        """The forecasts of `windows.days`, in this order; a view where there is no gap."""
        parts = [self.between(stretch.first, stretch.stop) for stretch in windows.stretches]
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts])
        return ForecastCube(parts[0].first, parts[0].schema, records)


def naive_forecasts(bars: Bars, windows: Windows) -> ForecastCube:
    """Those of the persistence model for `windows.days`: what forecast skill is relative to."""
    # In one go even where windows lie apart: for this model a day costs less than a call.
    first, stop = windows.first_day, windows.stop_day
    plan = ForecastPlan(first, stop, len(windows.as_of), windows.window)
    with stage("metrics", whole=True):  # no forecasts of the run
        made = Forecasts.made(bars, PersistenceModel(), [plan], store=None, progress=False)
        return made.evaluated(windows)
