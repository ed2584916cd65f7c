"""The walk-forward run: forecasts once, then every simulation and strategy from slices of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, overload

import pandas as pd

from marketsim.arguments import as_flag, check_whole
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, StoreLike, open_store
from marketsim.kernels.rules import check_device
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.models import Model, load_model
from marketsim.strategies import BarStrategy, Strategy, select_strategies
from marketsim.walkforward.benchmark import BenchmarkLike, benchmark_series, resolve_benchmark
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import Forecasts, ModelCard, RunInputs, forecast_plans
from marketsim.walkforward.probe import probe_model
from marketsim.walkforward.result import WalkForwardResult
from marketsim.walkforward.run import BASELINE_STRATEGIES, Run
from marketsim.walkforward.settings import VolumeCap, check_volumes, resolve_settings
from marketsim.walkforward.universe import PreparedUniverse, prepare_universe
from marketsim.walkforward.windows import SIMULATIONS, Windows, plan_windows, rows_between

AnyBars: TypeAlias = "Bars | pd.DataFrame | str | os.PathLike[str]"


@overload
def prepare(
    bars: AnyBars,
    model: str | os.PathLike[str] | Model = ...,
    *,
    simulations: int | str | None = ...,
    start: Any = ...,
    end: Any = ...,
    window: int = ...,
    offset_window: int = ...,
    purge: int = ...,
    embargo: int = ...,
    calendar: str | None = ...,
    store: StoreLike = ...,
    progress: bool = ...,
) -> Prepared: ...


@overload
def prepare(
    bars: Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = ...,
    *,
    simulations: int | str | None = ...,
    start: Any = ...,
    end: Any = ...,
    window: int = ...,
    offset_window: int = ...,
    purge: int = ...,
    embargo: int = ...,
    calendar: str | None = ...,
    store: StoreLike = ...,
    progress: bool = ...,
) -> PreparedUniverse: ...


def prepare(
    bars: AnyBars | Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = "ewma",
    *,
    simulations: int | str | None = None,
    start: Any = None,
    end: Any = None,
    window: int = 7,
    offset_window: int = 60,
    purge: int = 0,
    embargo: int = 0,
    calendar: str | None = None,
    store: StoreLike = None,
    progress: bool = True,
) -> Prepared | PreparedUniverse:
    """Make every forecast of a walk-forward run once; strategies are evaluated on it many times.

    Args:
        bars: `Bars`, or what `read_bars` takes; for a universe several `Bars`, as a list or by
            symbol.
        model: a `Model`, or a name for `load_model`.
        simulations: how many as-of dates, the newest ones; "all" for as many as the bars give;
            None: 70, or all from `start` on.
        start, end: first and last date to evaluate, both included, as pandas takes them; the bars
            before `start` are still what forecasts are made from.
        window: days each simulation is validated on.
        offset_window: the most days before an evaluated day that offsets can be fitted on; 0 where
            no strategy fits any, which saves their forecasts.
        start, end, purge, embargo, calendar, store, progress: as in `walk_forward`.

    Returns:
        `Prepared`: read-only, to be shared by threads; it pickles for processes. Of several `Bars`
        a `PreparedUniverse`, for the strategies that fit offsets.

    Raises:
        BarsError, NotEnoughBarsError, UnknownNameError, ArgumentError: as `walk_forward`.

    Example:
        >>> import marketsim as ms
        >>> run = ms.prepare(ms.demo_bars(), "ewma", progress=False)  # doctest: +SKIP
        >>> run.evaluate("maxdiff", fill="optimistic").summary()  # doctest: +SKIP
        >>> run.evaluate("maxdiff", fee=0.001).summary()  # doctest: +SKIP
    """
    windows: dict[str, Any] = {"window": window, "offset_window": offset_window}
    windows |= {"purge": purge, "embargo": embargo}
    if isinstance(bars, Sequence | Mapping) and not isinstance(bars, str):
        if start is not None or end is not None or calendar is not None:
            raise ArgumentError(
                "start, end and calendar are not known to a universe: cut the bars, or read them "
                "with calendar="
            )
        windows["simulations"] = SIMULATIONS if simulations is None else simulations
        return prepare_universe(bars, model, store=store, progress=progress, **windows)
    bars = _read(bars, calendar)
    windows |= {"simulations": simulations, **rows_between(bars, start, end)}
    return _prepared(bars, model, windows, store, progress)


def _prepared(
    bars: Bars,
    model: str | os.PathLike[str] | Model,
    windows: dict[str, Any],
    store: StoreLike,
    progress: bool,
    check: bool = True,
) -> Prepared:
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    model = _checked_model(model)
    if as_flag("check", check) and not type(model).__module__.startswith("marketsim."):
        probe_model(model, bars)
    planned = plan_windows(len(bars), **windows)
    plans = forecast_plans(planned)
    forecasts = Forecasts.made(bars, model, plans, store=open_store(store), progress=progress)
    return Prepared(ModelCard.of(model), planned, plans, RunInputs(bars, forecasts))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run of one symbol up to the decisions of strategies: make it by `prepare`.

    Nothing in it changes, so threads share it; it pickles, so processes do. What is derived from
    it is computed at first use and kept.

    Attributes:
        model: name, fingerprint and quantile levels of the model that forecast.
        windows: which days the simulations are made of.
        plans: which forecasts were made; several where days between them are not needed.
        inputs: those forecasts and the bars, and what strategies see of them.
    """

    model: ModelCard
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    inputs: RunInputs

    @property
    def bars(self) -> Bars:
        """What it runs on."""
        return self.inputs.bars

    def __repr__(self) -> str:
        windows = self.windows
        return (
            f"Prepared({self.bars!r}, model {self.model.name}, {len(windows.days)} days in "
            f"{len(windows.as_of)} simulations of {windows.window})"
        )

    def evaluate(
        self,
        strategies: Iterable[str | Strategy | BarStrategy] | str | None = None,
        *,
        fill: str = "open_aware",
        fee: float | Costs | None = None,
        aggregate: str = "trimmed_mean_10",
        offset_window: int | None = None,
        asset_class: str | None = None,
        periods_per_year: float | None = None,
        offset_bounds: Bounds = DEFAULT_BOUNDS,
        volume_cap: VolumeCap | None = None,
        execution: str | None = None,
        risk_free: float = 0.0,
        benchmark: BenchmarkLike | None = None,
        device: str = "cpu",
        check: bool = True,
    ) -> WalkForwardResult:
        """Run strategies on the prepared days; no forecast, key or plan is made again.

        Args:
            strategies, fill, fee, aggregate, asset_class, periods_per_year, offset_bounds,
                volume_cap, execution, risk_free, benchmark, device, check: as in `walk_forward`.
            offset_window: days that offsets are fitted on, at most those prepared; None for them.

        Raises:
            UnknownNameError, ArgumentError, CudaUnavailableError, CudaError: as `walk_forward`.
        """
        chosen = select_strategies(strategies)
        settings = resolve_settings(
            self.bars.market, fill=fill, fee=fee, aggregate=aggregate, asset_class=asset_class,
            periods_per_year=periods_per_year, offset_bounds=offset_bounds, volume_cap=volume_cap,
            risk_free=risk_free, execution=execution,
        )  # fmt: skip
        check_volumes(volume_cap, bool(self.bars.volume.any()))
        check_device(device)
        windows = self._windows(chosen, offset_window)
        taken = tuple(strategy.name for strategy in (*chosen, *BASELINE_STRATEGIES))
        series = benchmark_series(benchmark, self.bars)
        against = None
        if series is not None:  # an index takes as long as the fills of a strategy
            index = pd.DatetimeIndex(self.bars.frame.index)[windows.days]
            against = resolve_benchmark(series, index, taken)
        run = Run(self.inputs, windows, settings, device, as_flag("check", check))
        return WalkForwardResult(
            model=self.model,
            plans=self.plans,
            run=run,
            runs={strategy.name: run.of(strategy) for strategy in chosen},
            benchmark=against,
        )

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
    simulations: int | str | None = None,
    start: Any = None,
    end: Any = None,
    window: int = 7,
    strategies: Iterable[str | Strategy | BarStrategy] | str | None = None,
    fill: str = "open_aware",
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    store: StoreLike = None,
    progress: bool = True,
    purge: int = 0,
    embargo: int = 0,
    calendar: str | None = None,
    asset_class: str | None = None,
    periods_per_year: float | None = None,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    volume_cap: VolumeCap | None = None,
    execution: str | None = None,
    risk_free: float = 0.0,
    benchmark: BenchmarkLike | None = None,
    device: str = "cpu",
    check: bool = True,
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
        simulations: how many as-of dates, the newest ones; "all" for as many as the bars give;
            None: 70, or all from `start` on.
        start, end: first and last date to evaluate, both included, as pandas takes them; the bars
            before `start` are still what forecasts are made from.
        window: days each simulation is validated on.
        strategies: names or `Strategy` objects; None for all built-in ones.
        fill: fill policy of limit orders, see `marketsim.kernels.rules`.
        fee: fraction of the value traded that every fill pays (0.0005 for 5 basis points; below 0
            for a rebate), or `Costs`; None for the asset class's own, see
            `marketsim.walkforward.COSTS`.
        aggregate: point forecast that strategies decide by, see `marketsim.models.aggregation`.
        offset_window: days that offsets are fitted on.
        store: where forecasts are kept and looked up: a path, a `ForecastStore`, None for the
            user's own (`marketsim.forecasts.default_store_path`), False for none.
        progress: show a bar on a terminal when forecasting takes long.
        purge: days left out between the days that offsets are fitted on and the day decided.
        embargo: days skipped between one as-of date and the next. From `window` on, days lie
            between the simulations that belong to none: they are neither evaluated nor measured,
            and what strategies carry from day to day starts anew after them.
        calendar: the market's calendar, as `read_bars` takes it: a name of `exchange_calendars`,
            "24/7" or "24/5"; None judges by the bars.
        asset_class: "equity", "crypto" or "forex"; None: of the calendar, or judged by the bars,
            see `Bars.market`. It decides the costs, and that crypto is not sold short.
        periods_per_year: bars a year for annualisation; None likewise.
        offset_bounds: ((min, max) of the high offset, (min, max) of the low offset).
        volume_cap: how much of a bar's volume can be traded, see `VolumeCap`; None for any. A bar
            without volume, where the bars have volumes, fills nothing either way.
        execution: "close" or "next_open" for all `Hold` orders, baselines included; None: as each
            strategy says.
        risk_free: a rate a year as a fraction, which Sharpe, Sortino and alpha are in excess of.
        benchmark: what alpha, beta, tracking error and information ratio are against: a pandas
            Series of returns by date, or bars (or what `read_bars` takes), whose closes give them.
        device: where offsets are fitted: "cpu", "cuda", "cuda:<index>" or "auto", as in
            `marketsim.best_offsets`; the result is the same to the last bit. A model's device is
            the model's own.
        check: asks strategies that are not built in again without the last bars, and models that
            are not again on a shorter series, and refuses those whose earlier answers change; see
            `check_lookahead` for more than that.

    Returns:
        `WalkForwardResult`: tidy frames, a summary, a report.

    Raises:
        BarsError: the bars have defects.
        NotEnoughBarsError: not one simulation fits.
        UnknownNameError: an unknown model, strategy, target of a strategy, fill policy, aggregate
            or asset class.
        ArgumentError: a value out of range, a benchmark that does not cover the evaluated bars, or
            orders of a strategy that cannot be filled.
        LookaheadError: a strategy or model whose answers depend on later bars.
        CudaUnavailableError, CudaError: as `marketsim.best_offsets`.

    Example:
        >>> import marketsim as ms
        >>> result = ms.walk_forward(ms.demo_bars(), "ewma", simulations=70)
        >>> print(result.summary())  # doctest: +SKIP
    """
    bars = _read(bars, calendar)
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
        "volume_cap": volume_cap,
        "risk_free": risk_free,
        "execution": execution,
    }
    resolve_settings(bars.market, **rules)
    check_volumes(volume_cap, bool(bars.volume.any()))
    check_device(device)
    windows: dict[str, Any] = {
        "simulations": simulations,
        "window": window,
        "offset_window": offset_window if fitted else 0,
        "purge": purge,
        "embargo": embargo,
        **rows_between(bars, start, end),
    }
    against = benchmark_series(benchmark, bars)
    if against is not None:
        evaluated = plan_windows(len(bars), **windows).days
        resolve_benchmark(against, pd.DatetimeIndex(bars.frame.index)[evaluated])
    prepared = _prepared(bars, model, windows, store, progress, check=check)
    return prepared.evaluate(chosen, **rules, benchmark=against, device=device, check=check)


def _read(bars: Bars | pd.DataFrame | str | os.PathLike[str], calendar: str | None) -> Bars:
    """The bars, of the market that the caller names."""
    if not isinstance(bars, Bars):
        return read_bars(bars) if calendar is None else read_bars(bars, calendar=calendar)
    if calendar is None or calendar == bars.calendar:
        return bars
    return read_bars(bars.frame, symbol=bars.symbol, calendar=calendar)


def _checked_model(model: Any) -> Model:
    if isinstance(model, Model):
        return model
    missing = [
        name
        for name in ("name", "fingerprint", "context_length", "levels", "predict", "predict_each")
        if not hasattr(model, name)
    ]
    raise ArgumentError(f"{model!r} is not a model: it has no {', '.join(missing)}")
