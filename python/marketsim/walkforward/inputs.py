"""Inputs of a run: forecasts, market moves, and what was known before each day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.forecasts import ForecastCube, ForecastPlan, ForecastStore, run_plans, target_index
from marketsim.models import Model
from marketsim.strategies import DecisionView, PastBars
from marketsim.timing import stage
from marketsim.walkforward.windows import Stretch, Windows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelCard:
    """The facts of a model that results show; results do not keep the model."""

    name: str
    fingerprint: str
    levels: tuple[float, ...]

    @classmethod
    def of(cls, model: Model) -> ModelCard:
        """The card of a model."""
        return cls(model.name, model.fingerprint, tuple(model.levels))


def forecast_plans(windows: Windows) -> tuple[ForecastPlan, ...]:
    """Forecast plans of a run: one for each stretch of days without a gap, ascending.

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
            made = run_plans(wanted, model, store=store, progress=progress)
            return cls(tuple(cube.own_returns(bars) for cube in made))

    def between(self, start: int, stop: int) -> ForecastCube:
        """The forecasts of the rows start .. stop - 1, which lie within one plan; a view."""
        return self.around(start).slice(start, stop)

    def around(self, row: int) -> ForecastCube:
        """The forecasts of the plan that holds a row."""
        return next(cube for cube in reversed(self.cubes) if cube.first <= row)

    def evaluated(self, windows: Windows) -> ForecastCube:
        """The forecasts of `windows.days`, in this order; a view where there is no gap."""
        parts = [self.between(stretch.first, stretch.stop) for stretch in windows.stretches]
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts])
        return ForecastCube(parts[0].first, parts[0].schema, records)


@dataclass(frozen=True)
class MarketDays:
    """Market moves of bars [day], each against the close of the bar before.

    Attributes:
        previous_close: the close of the bar before, in price.
        open, high, low, close: returns.
        elapsed: calendar days from the close of the bar before to that of this one.
        breaks: True where nothing is brought from the bar before: at the start and after a gap.
        value, value_before: volume times close of the bar, and of the bar before, in currency; None
            where the bars have no volumes.
    """

    previous_close: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    elapsed: Floats
    breaks: npt.NDArray[np.bool_]
    value: Floats | None
    value_before: Floats | None

    @classmethod
    def of(cls, bars: Bars, start: int, stop: int) -> MarketDays:
        """The days of rows start .. stop - 1; start is at least 1."""
        return cls.at(bars, np.arange(start, stop))

    @classmethod
    def at(
        cls,
        bars: Bars,
        rows: npt.NDArray[np.int64],
        breaks: npt.NDArray[np.bool_] | None = None,
    ) -> MarketDays:
        """The days of these rows, each at least 1.

        Args:
            bars: where they are.
            rows: ascending within each account.
            breaks: where accounts begin; None: at the first row and after each gap.
        """
        before = rows - 1
        previous = bars.close[before]
        columns = (bars.open, bars.high, bars.low, bars.close)
        moves = [column[rows] / previous - 1.0 for column in columns]
        if breaks is None:
            breaks = np.ones(len(rows), dtype=np.bool_)
            breaks[1:] = np.diff(rows) != 1
        stamps = bars.timestamps
        elapsed = (stamps[rows] - stamps[before]) / np.timedelta64(1, "D")
        value = value_before = None
        if bars.volume.any():
            value = bars.volume[rows] * bars.close[rows]
            value_before = bars.volume[before] * previous
        opened, high, low, close = moves
        return cls(previous, opened, high, low, close, elapsed, breaks, value, value_before)


def moves_from_close(returns: Any, ratio: Any) -> Any:
    """Forecast one-bar returns of a price as moves from the close before, exactly.

    Args:
        returns: of open, high or low: price[t] / price[t-1] - 1; an array or a tensor.
        ratio: price[t-1] / close[t-1], likewise.
    """
    return (1.0 + returns) * ratio - 1.0


def decision_view(
    bars: Bars, cube: ForecastCube, aggregate: str, *, long_only: bool
) -> DecisionView:
    """What is known before each day of the cube."""
    rows = slice(cube.first - 1, cube.first - 1 + len(cube))  # the day before each day
    returns = cube.point(aggregate)
    close = bars.close[rows]
    moves = {
        name: moves_from_close(returns[:, target_index(name)], getattr(bars, name)[rows] / close)
        for name in ("open", "high", "low")
    }
    # A forecast of exactly no move of both is one of no move from the close before: no trade.
    still = (returns[:, [target_index("high"), target_index("low")]] == 0.0).all(axis=1)
    moves |= {name: np.where(still, 0.0, moves[name]) for name in ("high", "low")}
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
        bars=PastBars.of(bars, cube.first, cube.first + len(cube)),
    )
    # Several strategies are shown the same view: none may change what another sees.
    for array in (view.open, view.high, view.low, view.band, view.last_return, returns, view.close):
        array.setflags(write=False)
    return view


_KEPT_VIEWS = 64  # a run without gaps needs two
_KEPT_FITS = 64


@dataclass(frozen=True)
class RunInputs:
    """Views and market moves of a run's days for its strategies, each computed once.

    The caches change no result: a cached value equals a new one. Threads share them.

    Attributes:
        bars, forecasts: of the run.
    """

    bars: Bars
    forecasts: Forecasts
    _views: dict[Any, DecisionView] = field(default_factory=dict, repr=False)
    _market: dict[Any, MarketDays] = field(default_factory=dict, repr=False)
    _fits: dict[Any, tuple[Any, Any]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Drop the caches: computing them again is faster than pickling."""
        return self.__dict__ | {"_views": {}, "_market": {}, "_fits": {}}

    def view(self, start: int, stop: int, aggregate: str, long_only: bool) -> DecisionView:
        """What is known before each of the days of rows start .. stop - 1."""
        whole = self.forecasts.around(start)

        def made() -> DecisionView:
            with stage("slices"):
                return decision_view(self.bars, whole, aggregate, long_only=long_only)

        view: DecisionView = kept(
            self._views, (whole.first, aggregate, long_only), made, _KEPT_VIEWS
        )
        return view.part(start - whole.first, stop - whole.first)

    def market(self, rows: npt.NDArray[np.int64], window: int | None = None) -> MarketDays:
        """Market moves of these rows; with `window`, every `window` rows are one account."""

        def made() -> MarketDays:
            with stage("slices"):
                if window is None:
                    return MarketDays.at(self.bars, rows)
                breaks = np.arange(len(rows)) % window == 0
                return MarketDays.at(self.bars, rows, breaks)

        found: MarketDays = kept(self._market, (rows.tobytes(), window), made, _KEPT_VIEWS)
        return found

    def fit(self, key: Any, inputs: Any, same: Callable[[Any, Any], bool], make: Any) -> Any:
        """The cached fit of a key, made by `make` again where `inputs` differ."""
        found = self._fits.get(key)
        if found is not None and same(found[0], inputs):
            return found[1]
        result = make()
        if len(self._fits) >= _KEPT_FITS:
            self._fits.clear()
        self._fits[key] = inputs, result
        return result


def kept(cache: dict[Any, Any], key: Any, make: Callable[[], Any], most: int) -> Any:
    """`cache[key]`, computed where missing; a full cache is cleared."""
    found = cache.get(key)
    if found is None:
        found = make()
        if len(cache) >= most:
            cache.clear()
        cache[key] = found
    return found
