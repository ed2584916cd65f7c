"""Inputs of a run: forecasts, market moves, and the decision view of each bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars, simple_moves
from marketsim.forecasts import (
    ForecastCube,
    ForecastPlan,
    ForecastStore,
    ReturnTable,
    run_plans,
    target_index,
)
from marketsim.models import Model
from marketsim.progress import Progress
from marketsim.strategies import DecisionView, PastBars
from marketsim.timing import stage
from marketsim.walkforward.windows import Stretch, Windows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelCard:
    """Name, fingerprint and levels of a model; results keep these instead of the model."""

    name: str
    fingerprint: str
    levels: tuple[float, ...]

    @classmethod
    def of(cls, model: Model) -> ModelCard:
        """Return the card of a model."""
        return cls(model.name, model.fingerprint, tuple(model.levels))


def forecast_plans(windows: Windows) -> tuple[ForecastPlan, ...]:
    """Plan the forecasts of a run: one plan for each stretch of bars without a gap, ascending.

    There are several only where an embargo leaves bars that no simulation uses, not even for the
    fit of offsets.
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
    """Forecasts of a run: one cube per plan, ascending.

    Attributes:
        cubes: of log moves against the previous close in order (low <= open, close <= high), or of
            own returns.
        crossed: number of bars whose forecasts crossed and were put in order.
    """

    cubes: tuple[ForecastCube, ...]
    crossed: int = 0

    @classmethod
    def make(
        cls,
        bars: Bars,
        model: Model,
        plans: Sequence[ForecastPlan],
        *,
        store: ForecastStore | None,
        progress: Progress,
        targets: str | None = None,
    ) -> Forecasts:
        """Run the plans; raises as `run_plans`."""
        with stage("forecasts"):
            table = ReturnTable.for_model(bars, model, targets)
            planned = [(table, plan) for plan in plans]
            return cls.of(run_plans(planned, model, store=store, progress=progress))

    @classmethod
    def of(cls, cubes: Sequence[ForecastCube]) -> Forecasts:
        """Put the cubes of `run_plans` in order."""
        found = [cube.ordered() for cube in cubes]
        return cls(tuple(cube for cube, _ in found), sum(count for _, count in found))

    @property
    def targets(self) -> str:
        """Kind of forecast: "close" (moves against the previous close) or "own" (own returns)."""
        return self.cubes[0].schema.targets

    def between(self, start: int, stop: int) -> ForecastCube:
        """Return the forecasts of rows start .. stop - 1, all of one plan; a view."""
        return self.around(start).slice(start, stop)

    def around(self, row: int) -> ForecastCube:
        """Return the forecasts of the plan that holds a row."""
        return next(cube for cube in reversed(self.cubes) if cube.first <= row)

    def evaluated(self, windows: Windows) -> ForecastCube:
        """Return the forecasts of `windows.days`, in this order; a view where there is no gap."""
        parts = [self.between(stretch.first, stretch.stop) for stretch in windows.stretches]
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts])
        return ForecastCube(parts[0].first, parts[0].schema, records)


@dataclass(frozen=True)
class MarketDays:
    """Market moves of bars [bar], each against the previous close.

    Attributes:
        previous_close: close of the previous bar, a price.
        open, high, low, close: moves against it, fractions.
        elapsed: calendar days from the previous close to this one.
        breaks: True where no position is carried into the bar: at the start and after a gap.
        value, value_before: volume times close of the bar and of the previous one, in currency;
            None where the bars have no volumes.
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
        """Compute the moves of rows start .. stop - 1; start is at least 1."""
        return cls.at(bars, np.arange(start, stop))

    @classmethod
    def at(
        cls,
        bars: Bars,
        rows: npt.NDArray[np.int64],
        breaks: npt.NDArray[np.bool_] | None = None,
    ) -> MarketDays:
        """Compute the moves of these rows, each at least 1.

        Args:
            bars: bars of one symbol.
            rows: row numbers, ascending within each account.
            breaks: True where an account begins; None: at the first row and after each gap.
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
    """Convert one-bar returns of a price to moves from the previous close, exactly.

    Args:
        returns: price[t] / price[t-1] - 1 of open, high or low; an array or a tensor.
        ratio: price[t-1] / close[t-1], likewise.
    """
    return (1.0 + returns) * ratio - 1.0


def point_moves(bars: Bars, cube: ForecastCube, aggregate: str) -> Floats:
    """Compute point forecasts [bar, target] as simple returns against the previous close."""
    points = cube.point(aggregate)
    if cube.schema.targets == "close":
        return np.asarray(simple_moves(points))
    rows = slice(cube.first - 1, cube.first - 1 + len(cube))  # the bar before each bar
    close = bars.close[rows]
    ratios = np.stack([getattr(bars, name)[rows] / close for name in TARGETS], axis=1)
    moves = moves_from_close(points, ratios)
    # Forecast returns of exactly 0 for high and low mean no move from the previous close: no trade.
    high, low, last = (target_index(name) for name in ("high", "low", "close"))
    moves[(points[:, [high, low]] == 0.0).all(axis=1)[:, None] & _HIGH_AND_LOW] = 0.0
    moves[:, last] = points[:, last]
    return np.asarray(moves)


def prices_from_moves(cube: ForecastCube, bars: Bars, rows: npt.NDArray[np.int64], name: str,
                      moves: Floats) -> Floats:  # fmt: skip
    """Convert moves [bar, level] of one target to prices; `rows` are the previous bars."""
    if cube.schema.targets == "close":
        return np.asarray(bars.close[rows, None] * (1.0 + simple_moves(moves)))
    return np.asarray(getattr(bars, name)[rows, None] * (1.0 + moves))


_HIGH_AND_LOW = np.array([name in ("high", "low") for name in TARGETS])


def decision_view(
    bars: Bars, cube: ForecastCube, aggregate: str, *, long_only: bool
) -> DecisionView:
    """Build the decision view of the cube's bars: all that is known before each of them."""
    rows = slice(cube.first - 1, cube.first - 1 + len(cube))  # the bar before each bar
    close, targets = bars.close[rows], cube.schema.targets
    moves = point_moves(bars, cube, aggregate)
    if targets == "close":
        own = [close / getattr(bars, name)[rows] for name in TARGETS]
        returns = (1.0 + moves) * np.stack(own, axis=1) - 1.0
        returns[:, -1] = moves[:, -1]
    else:
        returns = cube.point(aggregate)
    with stage("head"):
        bands = cube.distribution.quantile((0.4, 0.6))[:, target_index("close")]
        bands = simple_moves(bands) if targets == "close" else bands
    before = bars.close[cube.first - 2 : cube.first - 2 + len(cube)]
    view = DecisionView(
        dates=bars.timestamps[cube.first : cube.first + len(cube)],
        **{name: moves[:, i] for i, name in enumerate(TARGETS)},
        band=np.maximum(bands[:, 1] - bands[:, 0], 0.0),
        last_return=close / before - 1.0,
        returns=returns,
        distribution=cube.distribution,
        targets=targets,
        long_only=long_only,
        bars=PastBars.of(bars, cube.first, cube.first + len(cube)),
    )
    # Strategies share the view: none may change its arrays.
    for array in (view.open, view.high, view.low, view.band, view.last_return, returns, view.close):
        array.setflags(write=False)
    return view


_KEPT_VIEWS = 64  # a run without gaps needs two
_KEPT_FITS = 64


@dataclass(frozen=True)
class RunInputs:
    """Decision views and market moves of a run's bars, each computed once and cached.

    Results do not depend on the caches: a cached value equals a new one. Threads share them.

    Attributes:
        bars: bars of the run.
        forecasts: forecasts of the run.
    """

    bars: Bars
    forecasts: Forecasts
    _views: dict[Any, DecisionView] = field(default_factory=dict, repr=False)
    _market: dict[Any, MarketDays] = field(default_factory=dict, repr=False)
    _fits: dict[Any, tuple[Any, Any]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Drop the caches: recomputing is faster than pickling."""
        return self.__dict__ | {"_views": {}, "_market": {}, "_fits": {}}

    def view(self, start: int, stop: int, aggregate: str, long_only: bool) -> DecisionView:
        """Return the decision view of rows start .. stop - 1."""
        whole = self.forecasts.around(start)

        def compute() -> DecisionView:
            with stage("slices"):
                return decision_view(self.bars, whole, aggregate, long_only=long_only)

        view: DecisionView = kept(
            self._views, (whole.first, aggregate, long_only), compute, _KEPT_VIEWS
        )
        return view.part(start - whole.first, stop - whole.first)

    def market(self, rows: npt.NDArray[np.int64], window: int | None = None) -> MarketDays:
        """Return the market moves of rows; with `window`, every `window` rows are one account."""

        def compute() -> MarketDays:
            with stage("slices"):
                if window is None:
                    return MarketDays.at(self.bars, rows)
                breaks = np.arange(len(rows)) % window == 0
                return MarketDays.at(self.bars, rows, breaks)

        found: MarketDays = kept(self._market, (rows.tobytes(), window), compute, _KEPT_VIEWS)
        return found

    def fit(self, key: Any, inputs: Any, same: Callable[[Any, Any], bool], make: Any) -> Any:
        """Return the cached fit of a key; compute it by `make` if missing or `inputs` differ."""
        found = self._fits.get(key)
        if found is not None and same(found[0], inputs):
            return found[1]
        result = make()
        if len(self._fits) >= _KEPT_FITS:
            self._fits.clear()
        self._fits[key] = inputs, result
        return result


def kept(cache: dict[Any, Any], key: Any, make: Callable[[], Any], most: int) -> Any:
    """Return `cache[key]`, computed by `make` if missing; clear a full cache."""
    found = cache.get(key)
    if found is None:
        found = make()
        if len(cache) >= most:
            cache.clear()
        cache[key] = found
    return found
