"""The walk-forward run: forecasts once, then every simulation and strategy from slices of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from marketsim.arguments import as_flag, as_number
from marketsim.bars import Bars, asset_class, periods_per_year, read_bars
from marketsim.errors import ArgumentError
from marketsim.forecasts import StoreLike, open_store
from marketsim.kernels.rules import check_device, fill_code
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds, check_bounds
from marketsim.models import Model, load_model, parse_aggregate
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
from marketsim.walkforward.costs import Costs, check_asset_class, resolve_costs
from marketsim.walkforward.evaluate import Rulebook, StrategyDays, evaluate, joined
from marketsim.walkforward.forecasting import Forecasts, forecast_plans
from marketsim.walkforward.market import RunDays
from marketsim.walkforward.result import Settings, WalkForwardResult
from marketsim.walkforward.windows import Stretch, Windows, check_whole, plan_windows


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
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    model = _checked_model(model)
    chosen = select_strategies(strategies)
    fill_code(fill)
    parse_aggregate(aggregate)
    settings = _settings(
        bars, fill, fee, aggregate, asset_class, periods_per_year, check_bounds(offset_bounds)
    )
    fitted = any(strategy.fitted for strategy in chosen)
    check_whole("offset_window", offset_window, 1 if fitted else 0)
    check_device(device)  # before forecasts are made that would be made for nothing
    windows = plan_windows(
        len(bars),
        simulations=simulations,
        window=window,
        offset_window=offset_window if fitted else 0,
        purge=purge,
        embargo=embargo,
    )
    plans = forecast_plans(windows)
    forecasts = Forecasts.made(bars, model, plans, store=open_store(store), progress=progress)
    days = RunDays(bars, forecasts, aggregate, settings.long_only)

    def ran(strategy: Strategy) -> tuple[Orders, StrategyDays]:
        return _run_strategy(strategy, days, windows, settings, device)

    runs = {strategy.name: ran(strategy) for strategy in chosen}
    return WalkForwardResult(
        bars=bars,
        model=model,
        settings=settings,
        windows=windows,
        plans=plans,
        cube=forecasts.evaluated(windows),
        strategies=chosen,
        orders={name: orders for name, (orders, _) in runs.items()},
        outcomes={name: outcome for name, (_, outcome) in runs.items()},
        baselines={s.name: ran(s)[1] for s in (BuyAndHold(), _Persistence(), _Flat())},
    )


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


def _settings(
    bars: Bars,
    fill: str,
    fee: float | Costs | None,
    aggregate: str,
    asset: str | None,
    periods: float | None,
    bounds: Bounds,
) -> Settings:
    kind = check_asset_class(asset_class(bars) if asset is None else asset)
    yearly = periods_per_year(bars) if periods is None else as_number("periods_per_year", periods)
    if not 0.0 < yearly < 1e7:
        raise ArgumentError(f"periods_per_year must lie in (0, 10,000,000): got {periods!r}")
    return Settings(
        fill=fill,
        aggregate=aggregate,
        asset_class=kind,
        costs=resolve_costs(fee, kind),
        long_only=kind == "crypto",
        periods_per_year=yearly,
        offset_bounds=bounds,
    )


def _run_strategy(
    strategy: Strategy, days: RunDays, windows: Windows, settings: Settings, device: str
) -> tuple[Orders, StrategyDays]:
    """The orders of the last stretch of days, and the outcome of all days.

    Each stretch is run by itself: days between two of them belong to no simulation.
    """
    book = Rulebook(
        fill=settings.fill,
        cost=settings.costs.rate,
        long_only=settings.long_only,
        offset_window=windows.offset_window,
        bounds=settings.offset_bounds,
        device=device,
    )
    outcomes = []
    for stretch in windows.stretches:
        try:
            with stage("strategies"):
                orders, outcome = _run_stretch(strategy, days, stretch, book)
        except ArgumentError as error:
            raise ArgumentError(f"strategy {strategy.name!r}: {error}") from error
        outcomes.append(outcome)
    return orders, joined(outcomes)


def _run_stretch(
    strategy: Strategy, days: RunDays, stretch: Stretch, book: Rulebook
) -> tuple[Orders, StrategyDays]:
    # What is not fitted decides for the evaluated days alone, so that a state it carries starts at
    # the same day whichever strategies run beside it.
    start = stretch.first_fit if strategy.fitted else stretch.first
    orders = strategy.decide(days.view(start, stretch.stop))
    fitted = isinstance(orders, LimitOrders) and as_flag("fitted", orders.fitted)
    if fitted != strategy.fitted:
        raise ArgumentError(f"fitted is {strategy.fitted}, but its orders say otherwise")
    return orders, evaluate(orders, days.market(start, stretch.stop), stretch.first, book)


def _checked_model(model: Any) -> Model:
    if isinstance(model, Model):
        return model
    missing = [
        name
        for name in ("name", "fingerprint", "context_length", "levels", "predict", "predict_each")
        if not hasattr(model, name)
    ]
    raise ArgumentError(f"{model!r} is not a model: it has no {', '.join(missing)}")
