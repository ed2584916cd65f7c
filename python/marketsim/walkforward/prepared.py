"""Walk-forward runs: make forecasts once, evaluate simulations and strategies on slices of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, overload

import pandas as pd

from marketsim.arguments import as_flag, check_whole
from marketsim.bars import Bars, read_bars
from marketsim.bars.market import AssetClass
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastPlan, StoreLike, open_store
from marketsim.kernels.rules import Fill, check_device
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.models import Model, load_model
from marketsim.models.traits import TargetKind
from marketsim.progress import Progress
from marketsim.strategies import BarStrategy, Strategy, select_strategies
from marketsim.walkforward.benchmark import BenchmarkLike, benchmark_series, resolve_benchmark
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import Forecasts, ModelCard, RunInputs, forecast_plans
from marketsim.walkforward.probe import probe_model
from marketsim.walkforward.result import WalkForwardResult
from marketsim.walkforward.run import BASELINE_STRATEGIES, Run
from marketsim.walkforward.settings import Execution, VolumeCap, check_volumes, resolve_settings
from marketsim.walkforward.universe import PreparedUniverse, prepare_universe
from marketsim.walkforward.windows import SIMULATIONS, Windows, plan_windows, rows_between

AnyBars: TypeAlias = "Bars | pd.DataFrame | str | os.PathLike[str]"


@overload
def prepare(
    bars: AnyBars,
    model: str | os.PathLike[str] | Model = ...,
    *,
    simulations: int | Literal["all"] | None = ...,
    start: Any = ...,
    end: Any = ...,
    window: int = ...,
    offset_window: int = ...,
    purge: int = ...,
    embargo: int = ...,
    calendar: str | None = ...,
    targets: TargetKind | None = ...,
    store: StoreLike = ...,
    progress: Progress = ...,
) -> Prepared: ...


@overload
def prepare(
    bars: Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = ...,
    *,
    simulations: int | Literal["all"] | None = ...,
    start: Any = ...,
    end: Any = ...,
    window: int = ...,
    offset_window: int = ...,
    purge: int = ...,
    embargo: int = ...,
    calendar: str | None = ...,
    targets: TargetKind | None = ...,
    store: StoreLike = ...,
    progress: Progress = ...,
) -> PreparedUniverse: ...


def prepare(
    bars: AnyBars | Mapping[str, Bars] | Sequence[Bars],
    model: str | os.PathLike[str] | Model = "range",
    *,
    simulations: int | Literal["all"] | None = None,
    start: Any = None,
    end: Any = None,
    window: int = 7,
    offset_window: int = 60,
    purge: int = 0,
    embargo: int = 0,
    calendar: str | None = None,
    targets: TargetKind | None = None,
    store: StoreLike = None,
    progress: Progress = True,
) -> Prepared | PreparedUniverse:
    """Make every forecast of a walk-forward run once, to evaluate strategies on it many times.

    Args:
        bars: `Bars`, or any input of `read_bars`; for a universe several `Bars`, as a list or a
            mapping by symbol.
        model: a `Model`, or a name for `load_model`.
        simulations: number of simulations, the newest ones; "all" for as many as the bars allow;
            None: 70, or all from `start` on.
        start, end: first and last date to evaluate, both included, in any form pandas parses;
            forecasts still read the bars before `start`.
        window: length of each validation window, in bars.
        offset_window: largest fit window of offsets, in bars; 0 if no strategy fits any, which
            saves their forecasts.
        purge, embargo, calendar, targets, store, progress: as in `walk_forward`.

    Returns:
        `Prepared`: read-only, shared by threads; pickles for processes. For several `Bars` a
        `PreparedUniverse`, for strategies that fit offsets.

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
                "start, end and calendar do not apply to a universe: slice the bars, or read them "
                "with calendar="
            )
        windows["simulations"] = SIMULATIONS if simulations is None else simulations
        return prepare_universe(
            bars, model, targets=targets, store=store, progress=progress, **windows
        )
    bars = _read(bars, calendar)
    windows |= {"simulations": simulations, **rows_between(bars, start, end)}
    return _prepared(bars, model, windows, store, progress, targets)


def _prepared(
    bars: Bars,
    model: str | os.PathLike[str] | Model,
    windows: dict[str, Any],
    store: StoreLike,
    progress: Progress,
    targets: str | None,
    check: bool = True,
) -> Prepared:
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    model = _checked_model(model)
    if as_flag("check", check) and not type(model).__module__.startswith("marketsim."):
        probe_model(model, bars)
    planned = plan_windows(len(bars), **windows)
    plans = forecast_plans(planned)
    forecasts = Forecasts.make(
        bars, model, plans, store=open_store(store), progress=progress, targets=targets
    )
    return Prepared(ModelCard.of(model), planned, plans, RunInputs(bars, forecasts))


@dataclass(frozen=True, eq=False)
class Prepared:
    """Forecasts and windows of one symbol, ready to evaluate strategies; made by `prepare`.

    Immutable, so threads share it; it pickles for processes. Derived values are computed at first
    use and cached.

    Attributes:
        model: name, fingerprint and quantile levels of the model.
        windows: windows of the simulations.
        plans: plans of the forecasts; several where bars between them are not needed.
        inputs: forecasts, bars, and the decision views made from them.
    """

    model: ModelCard
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    inputs: RunInputs

    @property
    def bars(self) -> Bars:
        """Bars of the run."""
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
        fill: Fill = "open_aware",
        fee: float | Costs | None = None,
        aggregate: str = "trimmed_mean_10",
        offset_window: int | None = None,
        asset_class: AssetClass | None = None,
        periods_per_year: float | None = None,
        offset_bounds: Bounds = DEFAULT_BOUNDS,
        volume_cap: VolumeCap | None = None,
        execution: Execution | None = None,
        risk_free: float = 0.0,
        benchmark: BenchmarkLike | None = None,
        device: str = "cpu",
        check: bool = True,
    ) -> WalkForwardResult:
        """Evaluate strategies on the prepared bars; makes no forecast, key or plan again.

        Args:
            strategies, fill, fee, aggregate, asset_class, periods_per_year, offset_bounds,
                volume_cap, execution, risk_free, benchmark, device, check: as in `walk_forward`.
            offset_window: fit window of offsets, at most the prepared one; None for the prepared.

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
        """Return the windows with the requested fit window; 0 if no strategy fits offsets."""
        prepared = self.windows.offset_window
        length = (
            prepared if offset_window is None else check_whole("offset_window", offset_window, 0)
        )
        fitted = [strategy.name for strategy in chosen if strategy.fitted]
        if not fitted:
            return self.windows if prepared == 0 else replace(self.windows, offset_window=0)
        check_whole("offset_window", length, 1)
        if length > prepared:
            raise ArgumentError(
                f"offset_window must be at most the {prepared} bars prepared: got {length}, for "
                f"strategy {fitted[0]}; prepare with offset_window={length}"
            )
        return self.windows if length == prepared else replace(self.windows, offset_window=length)


def walk_forward(
    bars: Bars | pd.DataFrame | str | os.PathLike[str],
    model: str | os.PathLike[str] | Model = "range",
    *,
    simulations: int | Literal["all"] | None = None,
    start: Any = None,
    end: Any = None,
    window: int = 7,
    strategies: Iterable[str | Strategy | BarStrategy] | str | None = None,
    fill: Fill = "open_aware",
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    store: StoreLike = None,
    progress: Progress = True,
    purge: int = 0,
    embargo: int = 0,
    calendar: str | None = None,
    asset_class: AssetClass | None = None,
    periods_per_year: float | None = None,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    volume_cap: VolumeCap | None = None,
    execution: Execution | None = None,
    risk_free: float = 0.0,
    benchmark: BenchmarkLike | None = None,
    targets: TargetKind | None = None,
    device: str = "cpu",
    check: bool = True,
) -> WalkForwardResult:
    """Backtest strategies that decide each bar from forecasts of its open, high, low and close.

    Simulation i has an as-of date, the last one at the last bar, and is validated on the `window`
    bars up to it. The forecast for bar t is made once, from the bars before t, and shared by all
    simulations that contain t; the offsets used on bar t are fitted on the `offset_window` bars
    before it. A decision for bar t never reads bar t or later.

    Equal to `prepare(...).evaluate(...)`.

    Args:
        bars: `Bars`, or any input of `read_bars`.
        model: a `Model`, or a name for `load_model`.
        simulations: number of simulations, the newest ones; "all" for as many as the bars allow;
            None: 70, or all from `start` on.
        start, end: first and last date to evaluate, both included, in any form pandas parses;
            forecasts still read the bars before `start`.
        window: length of each validation window, in bars.
        strategies: names or `Strategy` objects; None for all built-in ones.
        fill: fill policy of limit orders, see `marketsim.kernels.rules`.
        fee: fee of every fill as a fraction of the value traded (0.0005 for 5 basis points;
            negative for a rebate), or `Costs`; None for the default of the asset class, see
            `marketsim.walkforward.COSTS`.
        aggregate: point forecast that strategies use, see `marketsim.models.aggregation`.
        offset_window: length of the fit window of offsets, in bars.
        store: store of forecasts: a path, a `ForecastStore`, None for the user's default
            (`marketsim.forecasts.default_store_path`), False for none.
        progress: show progress when forecasting takes long: a bar on a terminal or in a notebook,
            a line a minute elsewhere. A function is called with each
            `marketsim.progress.ProgressState` instead.
        purge: bars left out between the fit window of offsets and the bar decided.
        embargo: bars skipped between one as-of date and the next. From `window` on, some bars
            belong to no simulation: they are not evaluated, and the state that strategies carry
            from bar to bar restarts after them.
        calendar: trading calendar, as in `read_bars`: a name of `exchange_calendars`, "24/7" or
            "24/5"; None infers it from the bars.
        asset_class: "equity", "crypto" or "forex"; None: from the calendar or inferred from the
            bars, see `Bars.market`. It sets the default costs; crypto is never sold short.
        periods_per_year: bars per year for annualisation; None likewise.
        offset_bounds: ((min, max) of the high offset, (min, max) of the low offset).
        volume_cap: limit on the traded share of a bar's volume, see `VolumeCap`; None for no
            limit. Where the bars have volumes, a bar with volume 0 fills nothing either way.
        execution: "close" or "next_open" for all `Hold` orders, baselines included; None: as each
            strategy states.
        risk_free: yearly rate as a fraction; Sharpe, Sortino and alpha are in excess of it.
        benchmark: benchmark of alpha, beta, tracking error and information ratio: a pandas Series
            of returns by date, or bars (or any input of `read_bars`), whose closes give returns.
        targets: kind of forecast: "close", log moves of open, high, low and close against the
            previous close, or "own", each column's own one-bar returns; None for "close", unless
            the model forecasts only "own".
        device: device that fits offsets: "cpu", "cuda", "cuda:<index>" or "auto", as in
            `marketsim.best_offsets`; the result is the same to the last bit. The model's device is
            set on the model.
        check: probe strategies and models that are not built in for look-ahead: run them again
            with later bars changed or left out and refuse those whose earlier results change.
            `check_lookahead` tests more.

    Returns:
        `WalkForwardResult`: tidy frames, a summary, a report.

    Raises:
        BarsError: the bars have defects.
        NotEnoughBarsError: too few bars for one simulation.
        UnknownNameError: an unknown model, strategy, target of a strategy, fill policy, aggregate
            or asset class.
        ArgumentError: a value out of range, a benchmark that does not cover the evaluated bars, or
            orders of a strategy that cannot be filled.
        LookaheadError: a strategy or model whose results depend on later bars.
        CudaUnavailableError, CudaError: as `marketsim.best_offsets`.

    Example:
        >>> import marketsim as ms
        >>> result = ms.walk_forward(ms.demo_bars(), "ewma", simulations=70)
        >>> print(result.summary())  # doctest: +SKIP
    """
    bars = _read(bars, calendar)
    chosen = select_strategies(strategies)
    fitted = any(strategy.fitted for strategy in chosen)
    # Check every argument before forecasts are made.
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
    prepared = _prepared(bars, model, windows, store, progress, targets, check=check)
    return prepared.evaluate(chosen, **rules, benchmark=against, device=device, check=check)


def _read(bars: Bars | pd.DataFrame | str | os.PathLike[str], calendar: str | None) -> Bars:
    """Read the bars with the calendar that the caller states."""
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
