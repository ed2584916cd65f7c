"""What a run reads: the forecasts of its days, what came on them, and what was known before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.forecasts import ForecastCube, ForecastPlan, ForecastStore, run_plans, target_index
from marketsim.models import Model, PersistenceModel
from marketsim.strategies import DecisionView
from marketsim.timing import stage
from marketsim.walkforward.windows import Stretch, Windows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelCard:
    """What a result says of the model that forecast; the model itself is needed no more."""

    name: str
    fingerprint: str
    levels: tuple[float, ...]

    @classmethod
    def of(cls, model: Model) -> ModelCard:
        """The card of a model."""
        return cls(model.name, model.fingerprint, tuple(model.levels))


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


@dataclass(frozen=True)
class MarketDays:
    """What came on consecutive days [day], each against the close of the day before.

    Attributes:
        first: row of the first day in the bars.
        previous_close: the close of the day before, in price.
        open, high, low, close: returns.
    """

    first: int
    previous_close: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of(cls, bars: Bars, start: int, stop: int) -> MarketDays:
        """The days of rows start .. stop - 1; start is at least 1."""
        return cls.at(bars, np.arange(start, stop))

    @classmethod
    def at(cls, bars: Bars, rows: npt.NDArray[np.int64]) -> MarketDays:
        """The days of these rows, each at least 1; `slice` is for rows that follow one another."""
        previous = bars.close[rows - 1]
        columns = (bars.open, bars.high, bars.low, bars.close)
        return cls(int(rows[0]), previous, *(column[rows] / previous - 1.0 for column in columns))

    def slice(self, start: int) -> MarketDays:
        """The days from row `start` of the bars on."""
        i = start - self.first
        parts = (self.previous_close, self.open, self.high, self.low, self.close)
        return MarketDays(start, *(part[i:] for part in parts))


def decision_view(
    bars: Bars, cube: ForecastCube, aggregate: str, *, long_only: bool
) -> DecisionView:
    """What is known before each day of the cube.

    A forecast of the high's one-bar return m becomes a move against the close before exactly:
    (1 + m) * high[t-1] / close[t-1] - 1; likewise open and low.
    """
    rows = slice(cube.first - 1, cube.first - 1 + len(cube))  # the day before each day
    returns = cube.point(aggregate)
    close = bars.close[rows]
    moves = {
        name: (1.0 + returns[:, target_index(name)]) * (getattr(bars, name)[rows] / close) - 1.0
        for name in ("open", "high", "low")
    }
    with stage("head"):
        bands = cube.distribution.quantile((0.4, 0.6))[:, target_index("close")]
    before = bars.close[cube.first - 2 : cube.first - 2 + len(cube)]
    view = DecisionView(
        dates=bars.timestamps[cube.first : cube.first + len(cube)],
        open=moves["open"],
        high=moves["high"],
        low=moves["low"],
        close=returns[:, target_index("close")],
        band=np.maximum(bands[:, 1] - bands[:, 0], 0.0),
        last_return=close / before - 1.0,
        returns=returns,
        distribution=cube.distribution,
        long_only=long_only,
    )
    # Several strategies are shown the same view: none may change what another sees.
    for array in (view.open, view.high, view.low, view.band, view.last_return, returns, view.close):
        array.setflags(write=False)
    return view
