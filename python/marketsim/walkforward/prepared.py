"""The walk-forward run: forecasts once, then every simulation and strategy from slices of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from marketsim.arguments import as_flag
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, StoreLike, open_store
from marketsim.kernels.rules import check_device
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.models import Model, load_model
from marketsim.strategies import (
    BuyAndHold,
    DecisionView,
    Hold,
    LimitOrders,
    Orders,
    Strategy,
    select_strategies,
)
from marketsim.timing import stage
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.evaluate import Rulebook, StrategyDays, evaluate, joined
from marketsim.walkforward.inputs import (
    Forecasts,
    MarketDays,
    ModelCard,
    decision_view,
    forecast_plans,
)
from marketsim.walkforward.result import WalkForwardResult
from marketsim.walkforward.settings import MarketFacts, Settings, resolve_settings
from marketsim.walkforward.windows import Stretch, Windows, check_whole, plan_windows

_KEPT_VIEWS = 64  # per prepared run; a run without gaps needs two


def prepare(
    bars: Bars | pd.DataFrame | str | os.PathLike[str],
    model: str | os.PathLike[str] | Model = "ewma",
    *,
    simulations: int = 70,
    window: int = 7,
    offset_window: int = 60,
    purge: int = 0,
    embargo: int = 0,
    store: StoreLike = None,
    progress: bool = True,
) -> Prepared:
    """Make every forecast of a walk-forward run once; strategies are evaluated on it many times.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        model: a `Model`, or a name for `load_model`.
        simulations: how many as-of dates, the newest ones.
        window: days each simulation is validated on.
        offset_window: the most days before an evaluated day that offsets can be fitted on; 0 where
            no strategy fits any, which saves their forecasts.
        purge, embargo, store, progress: as in `walk_forward`.

    Returns:
        `Prepared`: read-only, to be shared by threads; it pickles for processes.

    Raises:
        BarsError, NotEnoughBarsError, UnknownNameError, ArgumentError: as `walk_forward`.

    Example:
        >>> import marketsim as ms
        >>> run = ms.prepare(ms.demo_bars(), "ewma", progress=False)  # doctest: +SKIP
        >>> run.evaluate("maxdiff", fill="optimistic").summary()  # doctest: +SKIP
        >>> run.evaluate("maxdiff", fee=0.001).summary()  # doctest: +SKIP
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    windows = {"simulations": simulations, "window": window, "offset_window": offset_window}
    windows |= {"purge": purge, "embargo": embargo}
    return _prepared(bars, MarketFacts.of(bars), model, windows, store, progress)


def _prepared(
    bars: Bars,
    facts: MarketFacts,
    model: str | os.PathLike[str] | Model,
    windows: dict[str, int],
    store: StoreLike,
    progress: bool,
) -> Prepared:
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    model = _checked_model(model)
    planned = plan_windows(len(bars), **windows)
    plans = forecast_plans(planned)
    forecasts = Forecasts.made(bars, model, plans, store=open_store(store), progress=progress)
    return Prepared(bars, ModelCard.of(model), facts, planned, plans, forecasts)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run of one symbol up to the decisions of strategies: make it by `prepare`.

    Nothing in it changes, so threads share it; it pickles, so processes do. What is derived from
    it is computed at first use and kept.

    Attributes:
        bars: what it runs on.
        model: name, fingerprint and quantile levels of the model that forecast.
        facts: what the bars tell of their market.
        windows: which days the simulations are made of.
        plans: which forecasts were made; several where days between them are not needed.
        forecasts: those forecasts, a cube a plan.
    """

    bars: Bars
    model: ModelCard
    facts: MarketFacts
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    forecasts: Forecasts
    _views: dict[Any, DecisionView] = field(default_factory=dict, repr=False)
    _market: dict[Any, MarketDays] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived: a process that needs it computes it faster than it reads it."""
        return self.__dict__ | {"_views": {}, "_market": {}}

    def __repr__(self) -> str:
        windows = self.windows
        return (
            f"Prepared({self.bars!r}, model {self.model.name}, {len(windows.days)} days in "
            f"{len(windows.as_of)} simulations of {windows.window})"
        )

    def evaluate(
        self,
        strategies: Iterable[str | Strategy] | str | None = None,
        *,
        fill: str = "open_aware",
        fee: float | Costs | None = None,
        aggregate: str = "trimmed_mean_10",
        offset_window: int | None = None,
        asset_class: str | None = None,
        periods_per_year: float | None = None,
        offset_bounds: Bounds = DEFAULT_BOUNDS,
        device: str = "cpu",
    ) -> WalkForwardResult:
        """Run strategies on the prepared days; no forecast, key or plan is made again.

        Args:
            strategies, fill, fee, aggregate, asset_class, periods_per_year, offset_bounds, device:
                as in `walk_forward`.
            offset_window: days that offsets are fitted on, at most those prepared; None for them.

        Raises:
            UnknownNameError, ArgumentError, CudaUnavailableError, CudaError: as `walk_forward`.
        """
        chosen = select_strategies(strategies)
        settings = resolve_settings(
            self.facts, fill=fill, fee=fee, aggregate=aggregate, asset_class=asset_class,
            periods_per_year=periods_per_year, offset_bounds=offset_bounds,
        )  # fmt: skip
        check_device(device)
        windows = self._windows(chosen, offset_window)
        run = _Run(self, windows, settings, device)
        orders, outcomes = run.of_all(chosen)
        return WalkForwardResult(
            bars=self.bars,
            model=self.model,
            settings=settings,
            windows=windows,
            plans=self.plans,
            cube=self.forecasts.evaluated(windows),
            strategies=chosen,
            orders=orders,
            outcomes=outcomes,
            measure_baselines=run.baselines,
        )

    def view(self, start: int, stop: int, aggregate: str, long_only: bool) -> DecisionView:
        """What is known before each of the days of rows start .. stop - 1."""
        key = start, stop, aggregate, long_only
        found = self._views.get(key)
        if found is None:
            with stage("slices"):
                cube = self.forecasts.between(start, stop)
                found = decision_view(self.bars, cube, aggregate, long_only=long_only)
            if len(self._views) >= _KEPT_VIEWS:
                self._views.clear()
            self._views[key] = found
        return found

    def market(self, start: int, stop: int) -> MarketDays:
        """What came on the days of rows start .. stop - 1."""
        found = self._market.get((start, stop))
        if found is None:
            with stage("slices"):
                found = self._market[start, stop] = MarketDays.of(self.bars, start, stop)
        return found

    def _windows(self, chosen: tuple[Strategy, ...], offset_window: int | None) -> Windows:
        """The windows with the days that offsets are fitted on, 0 where no strategy fits any."""
        prepared = self.windows.offset_window
        wanted = (
            prepared if offset_window is None else check_whole("offset_window", offset_window, 0)
        )
        fitted = [strategy.name for strategy in chosen if strategy.fitted]
        if not fitted:
            return self.windows if prepared == 0 else replace(self.windows, offset_window=0)
        check_whole("offset_window", wanted, 1)
        if wanted > prepared:
            raise ArgumentError(
                f"offset_window must be at most the {prepared} days that were prepared: got "
                f"{wanted}, for strategy {fitted[0]}; prepare with offset_window={wanted}"
            )
        return self.windows if wanted == prepared else replace(self.windows, offset_window=wanted)


def walk_forward(
    bars: Bars | pd.DataFrame | str | os.PathLike[str],
    model: str | os.PathLike[str] | Model = "ewma",
    *,
    simulations: int = 70,
    window: int = 7,
    strategies: Iterable[str | Strategy] | str | None = None,
    fill: str = "open_aware",
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    store: StoreLike = None,
    progress: bool = True,
    purge: int = 0,
    embargo: int = 0,
    asset_class: str | None = None,
    periods_per_year: float | None = None,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    device: str = "cpu",
) -> WalkForwardResult:
    """Backtest strategies that decide each day from forecasts of its open, high, low and close.

    Simulation i stands at an as-of date, the last of them at the last bar, and is validated on the
    `window` days up to it. Every forecast for day t is made once, from the bars before t, and
    shared by all simulations that contain t; the offsets used on day t are fitted on the
    `offset_window` days before it. A decision for day t never reads day t or later.

    The same as `prepare(...).evaluate(...)`.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        model: a `Model`, or a name for `load_model`.
        simulations: how many as-of dates, the newest ones.
        window: days each simulation is validated on.
        strategies: names or `Strategy` objects; None for all built-in ones.
        fill: fill policy of limit orders, see `marketsim.kernels.rules`.
        fee: fraction of the value traded (0.0005 for 5 basis points), or `Costs`, which adds a
            half spread; None for the asset class's own.
        aggregate: point forecast that strategies decide by, see `marketsim.models.aggregation`.
        offset_window: days that offsets are fitted on.
        store: where forecasts are kept and looked up: a path, a `ForecastStore`, None for the
            user's own (`marketsim.forecasts.default_store_path`), False for none.
        progress: show a bar on a terminal when forecasting takes long.
        purge: days left out between the days that offsets are fitted on and the day decided.
        embargo: days skipped between one as-of date and the next. From `window` on, days lie
            between the simulations that belong to none: they are neither evaluated nor measured,
            and what strategies carry from day to day starts anew after them.
        asset_class: "equity", "crypto" or "forex"; None judges by the calendar (crypto trades on
            all days). It decides the costs, and that crypto is not sold short.
        periods_per_year: days a year for annualisation; None judges by the calendar.
        offset_bounds: ((min, max) of the high offset, (min, max) of the low offset).
        device: where offsets are fitted: "cpu", "cuda", "cuda:<index>" or "auto", as in
            `marketsim.best_offsets`; the result is the same to the last bit. A model's device is
            the model's own.

    Returns:
        `WalkForwardResult`: tidy frames, a summary, a report.

    Raises:
        BarsError: the bars have defects.
        NotEnoughBarsError: not one simulation fits.
        UnknownNameError: an unknown model, strategy, target of a strategy, fill policy, aggregate
            or asset class.
        ArgumentError: a value out of range, or orders of a strategy that cannot be filled.
        CudaUnavailableError, CudaError: as `marketsim.best_offsets`.

    Example:
        >>> import marketsim as ms
        >>> result = ms.walk_forward(ms.demo_bars(), "ewma", simulations=70)
        >>> print(result.summary())  # doctest: +SKIP
    """
    bars = bars if isinstance(bars, Bars) else read_bars(bars)
    chosen = select_strategies(strategies)
    fitted = any(strategy.fitted for strategy in chosen)
    # All that can be wrong is found before forecasts are made that would be made for nothing.
    check_whole("offset_window", offset_window, 1 if fitted else 0)
    rules: dict[str, Any] = {
        "fill": fill,
        "fee": fee,
        "aggregate": aggregate,
        "asset_class": asset_class,
        "periods_per_year": periods_per_year,
        "offset_bounds": offset_bounds,
    }
    facts = MarketFacts.of(bars)
    resolve_settings(facts, **rules)
    check_device(device)
    windows = {"simulations": simulations, "window": window, "purge": purge, "embargo": embargo}
    windows["offset_window"] = offset_window if fitted else 0
    prepared = _prepared(bars, facts, model, windows, store, progress)
    return prepared.evaluate(chosen, **rules, device=device)


class _Persistence:
    """By the sign of yesterday's return, whatever is forecast."""

    name, targets, fitted = "persistence", (), False

    def decide(self, view: DecisionView) -> Hold:
        return Hold(view.allowed(np.where(view.last_return > 0.0, 1.0, -1.0)))


class _Flat:
    """Never trades: what a forecast of no move asks for."""

    name, targets, fitted = "random_walk", (), False

    def decide(self, view: DecisionView) -> Hold:
        return Hold(np.zeros(len(view)))


@dataclass(frozen=True)
class _Run:
    """Strategies on the days of a prepared run, under one set of rules."""

    prepared: Prepared
    windows: Windows
    settings: Settings
    device: str

    def of_all(
        self, strategies: Iterable[Strategy]
    ) -> tuple[dict[str, Orders], dict[str, StrategyDays]]:
        """Orders and outcomes by name; see `of`."""
        orders, outcomes = {}, {}
        for strategy in strategies:
            orders[strategy.name], outcomes[strategy.name] = self.of(strategy)
        return orders, outcomes

    def baselines(self) -> dict[str, StrategyDays]:
        """Outcomes of the naive strategies on the same days."""
        return self.of_all((BuyAndHold(), _Persistence(), _Flat()))[1]

    def of(self, strategy: Strategy) -> tuple[Orders, StrategyDays]:
        """The orders of the last stretch of days, and the outcome of all days.

        Each stretch is run by itself: days between two of them belong to no simulation.
        """
        outcomes = []
        for stretch in self.windows.stretches:
            try:
                with stage("strategies"):
                    orders, outcome = self._stretch(strategy, stretch)
            except ArgumentError as error:
                raise ArgumentError(f"strategy {strategy.name!r}: {error}") from error
            outcomes.append(outcome)
        return orders, joined(outcomes)

    def _stretch(self, strategy: Strategy, stretch: Stretch) -> tuple[Orders, StrategyDays]:
        # What is not fitted decides for the evaluated days alone, so that a state it carries starts
        # at the same day whichever strategies run beside it.
        start = stretch.first_fit if strategy.fitted else stretch.first
        settings = self.settings
        view = self.prepared.view(start, stretch.stop, settings.aggregate, settings.long_only)
        orders = strategy.decide(view)
        fitted = isinstance(orders, LimitOrders) and as_flag("fitted", orders.fitted)
        if fitted != strategy.fitted:
            raise ArgumentError(f"fitted is {strategy.fitted}, but its orders say otherwise")
        book = Rulebook(
            fill=settings.fill,
            cost=settings.costs.rate,
            long_only=settings.long_only,
            offset_window=self.windows.offset_window,
            bounds=settings.offset_bounds,
            device=self.device,
        )
        market = self.prepared.market(start, stretch.stop)
        return orders, evaluate(orders, market, stretch.first, book)


def _checked_model(model: Any) -> Model:
    if isinstance(model, Model):
        return model
    missing = [
        name
        for name in ("name", "fingerprint", "context_length", "levels", "predict", "predict_each")
        if not hasattr(model, name)
    ]
    raise ArgumentError(f"{model!r} is not a model: it has no {', '.join(missing)}")
