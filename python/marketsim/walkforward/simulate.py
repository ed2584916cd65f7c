"""The walk-forward run: forecasts once, then every simulation and strategy from slices of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from marketsim.bars import Bars, asset_class, periods_per_year, read_bars
from marketsim.errors import ArgumentError
from marketsim.forecasts import (
    ForecastCube,
    ForecastPlan,
    MemoryStore,
    StoreLike,
    open_store,
    run_plan,
)
from marketsim.kernels.offsets import DEFAULT_BOUNDS, Bounds, check_bounds
from marketsim.kernels.rules import fill_code
from marketsim.models import Model, PersistenceModel, load_model, parse_aggregate
from marketsim.strategies import (
    BuyAndHold,
    DecisionView,
    Hold,
    LimitOrders,
    Orders,
    Simple,
    Strategy,
    select_strategies,
)
from marketsim.walkforward.costs import Costs, check_asset_class, resolve_costs
from marketsim.walkforward.evaluate import Rulebook, StrategyDays, evaluate
from marketsim.walkforward.market import MarketDays, decision_view
from marketsim.walkforward.result import Settings, WalkForwardResult
from marketsim.walkforward.windows import Windows, plan_windows


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
        embargo: days skipped between one as-of date and the next.
        asset_class: "equity", "crypto" or "forex"; None judges by the calendar (crypto trades on
            all days). It decides the costs, and that crypto is not sold short.
        periods_per_year: days a year for annualisation; None judges by the calendar.
        offset_bounds: ((min, max) of the high offset, (min, max) of the low offset).

    Returns:
        `WalkForwardResult`: tidy frames, a summary, a report.

    Raises:
        BarsError: the bars have defects.
        NotEnoughBarsError: not one simulation fits.
        UnknownNameError: an unknown model, strategy, fill policy, aggregate or asset class.
        ArgumentError: a value out of range, or orders of a strategy that cannot be filled.

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
    if fitted and offset_window < 1:
        raise ArgumentError(f"offset_window must be at least 1: got {offset_window}")
    windows = plan_windows(
        len(bars),
        simulations=simulations,
        window=window,
        offset_window=offset_window if fitted else 0,
        purge=purge,
        embargo=embargo,
    )
    plan = ForecastPlan(windows.first_fit_day, windows.stop_day, len(windows.as_of), window)
    cube = run_plan(bars, model, plan, store=open_store(store), progress=progress)
    naive = run_plan(bars, PersistenceModel(), plan, store=MemoryStore(), progress=False)

    def ran(strategy: Strategy, forecasts: ForecastCube) -> tuple[Orders, StrategyDays]:
        return _run_strategy(strategy, bars, forecasts, windows, settings)

    runs = {strategy.name: ran(strategy, cube) for strategy in chosen}
    naive_strategies: dict[str, Strategy] = {
        "buy_and_hold": BuyAndHold(),
        "persistence": Simple(),
        "random_walk": _Flat(),
    }
    return WalkForwardResult(
        bars=bars,
        model=model,
        settings=settings,
        windows=windows,
        plan=plan,
        cube=cube.slice(windows.first_day, windows.stop_day),
        persistence=naive.slice(windows.first_day, windows.stop_day),
        strategies=chosen,
        orders={name: orders for name, (orders, _) in runs.items()},
        outcomes={name: outcome for name, (_, outcome) in runs.items()},
        baselines={name: ran(s, naive)[1] for name, s in naive_strategies.items()},
    )


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
    yearly = periods_per_year(bars) if periods is None else float(periods)
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
    strategy: Strategy, bars: Bars, cube: ForecastCube, windows: Windows, settings: Settings
) -> tuple[Orders, StrategyDays]:
    # What is not fitted decides for the evaluated days alone, so that a state it carries starts at
    # the same day whichever strategies run beside it.
    start = windows.first_fit_day if strategy.fitted else windows.first_day
    part = cube.slice(start, windows.stop_day)
    view = decision_view(bars, part, settings.aggregate, long_only=settings.long_only)
    orders = strategy.decide(view)
    if (isinstance(orders, LimitOrders) and orders.fitted) != strategy.fitted:
        raise ArgumentError(
            f"strategy {strategy.name!r}: fitted is {strategy.fitted}, but its orders say otherwise"
        )
    book = Rulebook(
        fill=settings.fill,
        cost=settings.costs.rate,
        long_only=settings.long_only,
        offset_window=windows.offset_window,
        bounds=settings.offset_bounds,
    )
    days = MarketDays.of(bars, start, windows.stop_day)
    try:
        return orders, evaluate(orders, days, windows.first_day, book)
    except ArgumentError as error:
        raise ArgumentError(f"strategy {strategy.name!r}: {error}") from error


def _checked_model(model: Any) -> Model:
    if isinstance(model, Model):
        return model
    missing = [
        name
        for name in ("name", "fingerprint", "context_length", "levels", "predict", "predict_each")
        if not hasattr(model, name)
    ]
    raise ArgumentError(f"{model!r} is not a model: it has no {', '.join(missing)}")
