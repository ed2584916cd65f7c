"""Orders for the bar after the last one, by the code of the backtest."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from marketsim.arguments import as_number, check_whole
from marketsim.bars import Bars, read_bars
from marketsim.bars.market import AssetClass
from marketsim.bars.several import list_bars
from marketsim.errors import ArgumentError, MarketsimError
from marketsim.forecasts import (
    ForecastStore,
    ReturnTable,
    StoreLike,
    open_store,
    run_plans,
)
from marketsim.forecasts.order import ordering_note
from marketsim.kernels.rules import Fill, check_device
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.live.order_rows import STATE_BARS, OrderPlan, OrderRows, plan_orders
from marketsim.models import Model, load_model
from marketsim.models.traits import TargetKind
from marketsim.processes import Outcome, WorkerLostError, can_share_memory, run_each
from marketsim.progress import Progress, SymbolsBar
from marketsim.strategies import (
    BarStrategy,
    Strategy,
    select_strategies,
)
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.inputs import Forecasts, RunInputs

if TYPE_CHECKING:
    from marketsim.cluster import Cluster

Source: TypeAlias = (
    "Bars | pd.DataFrame | str | os.PathLike[str] | Mapping[str, Bars] | Sequence[Bars]"
)

ORDER_COLUMNS = (
    "symbol", "strategy", "bar", "last_bar", "last_close", "order", "side", "position", "change",
    "quantity", "entry_limit", "take_profit", "stop", "enter", "leave", "limit_cost_bps",
    "market_cost_bps", "buy_limit", "sell_limit", "high_offset", "low_offset", "forecast_open",
    "forecast_high", "forecast_low", "forecast_close", "close_q10", "close_q90", "model",
)  # fmt: skip
"""Columns of the frame that `next_orders` gives."""


def next_orders(
    bars: Source,
    model: str | os.PathLike[str] | Model = "range",
    strategies: Iterable[str | Strategy | BarStrategy] | str | None = None,
    *,
    start: Any = None,
    fill: Fill = "open_aware",
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    purge: int = 0,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    asset_class: AssetClass | None = None,
    calendar: str | None = None,
    equity: float | None = None,
    tick: float | Mapping[str, float] | None = None,
    lot: float | Mapping[str, float] | None = None,
    targets: TargetKind | None = None,
    store: StoreLike = None,
    progress: Progress = True,
    device: str = "cpu",
    check: bool = True,
    errors: dict[str, str] | None = None,
    jobs: int = 1,
    cluster: str | Cluster | None = None,
) -> pd.DataFrame:
    """Compute the orders for the next bar, equal to those that a backtest would place in it.

    Forecasts, decisions and offsets come from the functions of `walk_forward`, with a placeholder
    for the next bar appended, which nothing reads. The forecasts are stored, so the next backtest
    finds them.

    Args:
        bars: bars up to the newest complete one; one symbol in any form that `read_bars` accepts,
            or several `Bars` as a list or a mapping by symbol.
        model, strategies, fill, fee, aggregate, offset_window, purge, offset_bounds, asset_class,
            calendar, targets, store, progress, device, check: as in `walk_forward`.
        start: first bar of the run of strategies that carry state from bar to bar, as in
            `walk_forward`; None for the newest 250 bars.
        equity: capital per strategy and symbol, in the currency of the prices, for `quantity`.
        tick: tick size, or tick sizes by symbol. Buy limits are rounded down and sell limits up, so
            that no fill is worse than the backtested one; stops towards the market. None does not
            round.
        lot: lot size, or lot sizes by symbol; quantities are rounded towards 0. None does not
            round.
        errors: a dict that collects the error of each failed symbol, instead of an exception.
        jobs: processes that share the symbols; the orders are the same in any number.
        cluster: as in `walk_forward_each`: nodes run the symbols instead of processes.

    Returns:
        A row per symbol and strategy, two where a long and a short are ordered at once; the columns
        are `ORDER_COLUMNS`:

        - symbol, strategy, model; bar: time of the next bar; last_bar, last_close.
        - order: "limit", "market", "exit" (no trade now, but a limit to exit the position) or
          "none"; side: "buy", "sell" or "" (of the entry, or of `change`).
        - position: target as a signed fraction of the equity; change: trade from the last bar's
          position, after its drift, to the target; NaN for limit orders, which enter only if they
          fill.
        - quantity: units to trade, position (or change) times equity over the last close; NaN
          without `equity`.
        - entry_limit, take_profit, stop: prices, rounded to `tick`; NaN for none.
        - enter: "during the bar", "close of the last bar" or "open of the bar"; leave: "limit, else
          close", "close", "stop, limit, else close" or "with the next order".
        - limit_cost_bps, market_cost_bps: assumed cost of a fill of either kind.
        - buy_limit, sell_limit, high_offset, low_offset: as in `result.days`, not rounded.
        - forecast_open, forecast_high, forecast_low, forecast_close: point forecasts in price;
          close_q10, close_q90: quantiles of the close.

        `frame.attrs["notes"]`: the assumptions, as text.

    Raises:
        NotEnoughBarsError, BarsError, UnknownNameError, ArgumentError, StrategyError,
            LookaheadError, CudaUnavailableError: as `walk_forward`.

    Example:
        >>> import marketsim as ms
        >>> orders = ms.next_orders(ms.demo_bars(), "ewma", "maxdiff", tick=0.01, progress=False)
        >>> orders[["bar", "side", "entry_limit", "take_profit"]]  # doctest: +SKIP
    """
    chosen = select_strategies(strategies)
    fitted = any(strategy.fitted for strategy in chosen)
    check_whole("offset_window", offset_window, 1 if fitted else 0)
    check_device(device)
    if equity is not None and not 0.0 < (equity := as_number("equity", equity)) < math.inf:
        raise ArgumentError(f"equity must be a finite amount above 0: got {equity!r}")
    check_whole("jobs", jobs, 1)
    fork = can_share_memory()  # asked before a model loads torch
    if isinstance(model, (str, os.PathLike)):
        model = load_model(model)
    rules: dict[str, Any] = {
        "fill": fill, "fee": fee, "aggregate": aggregate, "asset_class": asset_class,
        "periods_per_year": None, "offset_bounds": offset_bounds, "volume_cap": None,
    }  # fmt: skip
    window = offset_window if fitted else 0
    stateful = any(not getattr(strategy, "elementwise", False) for strategy in chosen)
    symbols = list_bars(bars)
    opened = open_store(store) if cluster is None else None
    asked = _Asked(
        {one.symbol: one for one in symbols}, model, chosen, start, window, purge, stateful, rules,
        calendar, targets, opened, progress if jobs == 1 else False, device, check,
        equity, tick, lot, errors is None,
    )  # fmt: skip
    if cluster is None:
        found = asked.in_processes(jobs, fork, progress)
    else:
        found = asked.on_cluster(cluster, jobs, store, progress)
    if errors is not None:
        errors.update(found.failed)
    notes = found.notes
    if stateful:
        names = [s.name for s in chosen if not getattr(s, "elementwise", False)]
        since = f"start={start}" if start is not None else f"the newest {STATE_BARS} bars"
        notes.append(f"{', '.join(names)} carry state: run from {since}; change it by start=")
    if tick is None:
        notes.append("prices are not rounded: tick= says the market's price step")
    frame = pd.DataFrame(found.rows, columns=list(ORDER_COLUMNS))
    frame.attrs["notes"] = notes
    return frame


@dataclass
class _Found:
    """Rows of the frame, notes, and the error of each failed symbol."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    forecasts: int = 0

    def add(self, other: _Found) -> None:
        self.rows += other.rows
        self.notes += other.notes
        self.failed |= other.failed


@dataclass(frozen=True)
class _Asked:
    """What `next_orders` was asked for; finds the orders of some of the symbols."""

    bars: Mapping[str, Bars]
    model: Model
    chosen: tuple[Strategy, ...]
    start: Any
    window: int
    purge: int
    stateful: bool
    rules: dict[str, Any]
    calendar: str | None
    targets: str | None
    store: ForecastStore | None
    progress: Progress
    device: str
    check: bool
    equity: float | None
    tick: float | Mapping[str, float] | None
    lot: float | Mapping[str, float] | None
    strict: bool

    def in_processes(self, jobs: int, fork: bool | None, progress: Progress) -> _Found:
        """Find the orders of all symbols, in their order whatever the number of processes."""
        symbols = list(self.bars)
        if jobs == 1 or len(symbols) == 1:
            return self(symbols)
        # A model with its own batches fills them with several symbols.
        names = _groups(symbols, jobs)
        running = run_each(_Group(self, names), list(names), jobs=jobs, fork=fork)
        return self._collected(running, names, progress)

    def on_cluster(
        self, cluster: str | Cluster, jobs: int, store: StoreLike, progress: Progress
    ) -> _Found:
        """Find the orders of all symbols on the nodes of a cluster."""
        from marketsim.cluster import run_on

        if jobs > 1:
            raise ArgumentError(
                f"jobs and cluster exclude each other: got jobs={jobs} and a cluster"
            )
        with run_on(cluster, self.model, self.bars, store) as run:
            names = _groups(list(self.bars), run.cluster.cpus)
            asked = replace(self, bars=run.bars, model=run.model, store=run.store, progress=False)
            running = run.each(_Group(asked, names), list(names), names.__getitem__)
            return self._collected(running, names, progress)

    def _collected(
        self,
        running: Iterator[tuple[str, Outcome]],
        names: Mapping[str, Sequence[str]],
        progress: Progress,
    ) -> _Found:
        symbols = list(self.bars)
        outcomes: dict[str, Any] = {}
        bar = SymbolsBar("orders of", len(symbols), enabled=progress)
        with contextlib.closing(running), bar:  # type: ignore[type-var]
            bar.start(symbols[0])
            for name, outcome in running:
                outcomes[name] = outcome
                made = 0 if outcome.raised else outcome.found.forecasts
                bar.finish(made, len(names[name]))
                left = [name for name in names if name not in outcomes]
                if left:
                    bar.start(names[left[0]][0])
        found = _Found()
        for name, group in names.items():
            outcome = outcomes[name]
            lost = isinstance(outcome.raised, WorkerLostError) and not self.strict
            if lost:
                found.failed |= {symbol: str(outcome.raised) for symbol in group}
            elif outcome.raised is not None:
                raise outcome.raised
            else:
                found.add(outcome.found)
        return found

    def __call__(self, symbols: Sequence[str]) -> _Found:
        """Find the orders of some symbols."""
        found = _Found()

        def attempt(symbol: str, work: Any) -> Any:
            try:
                return work()
            except MarketsimError as error:
                if self.strict:
                    raise
                found.failed[symbol] = str(error)
                return None

        planned = []
        for symbol in symbols:
            one = attempt(symbol, lambda b=self.bars[symbol]: self._plan(b))
            if one is not None:
                planned.append(one)
        work = [(ReturnTable.for_model(p.bars, self.model, self.targets), p.plan) for p in planned]
        found.forecasts = sum(one.plan.forecasts for one in planned)
        cubes = run_plans(work, self.model, store=self.store, progress=self.progress)
        for one, cube in zip(planned, cubes, strict=True):
            forecasts = Forecasts.of([cube])
            inputs = RunInputs(one.bars, forecasts)
            desk = OrderRows(
                one, inputs, self.device, self.check, self.equity,
                _step("tick", self.tick, one.symbol), _step("lot", self.lot, one.symbol),
                self.model.name,
            )  # fmt: skip
            rows = attempt(one.symbol, lambda d=desk: d.rows(self.chosen))
            if rows is None:
                continue
            found.rows += rows
            found.notes += [f"{one.symbol}: {text}" for text in one.notes()]
            if forecasts.crossed:
                text = ordering_note(self.model.name, forecasts.crossed, len(cube))
                found.notes.append(f"{one.symbol}: {text}")
        return found

    def _plan(self, bars: Bars) -> OrderPlan:
        if self.calendar is not None:
            bars = read_bars(bars.frame, symbol=bars.symbol, calendar=self.calendar)
        return plan_orders(bars, self.start, self.window, self.purge, self.stateful, self.rules)


def _groups(symbols: list[str], shares: int) -> dict[str, list[str]]:
    size = min(32, -(-len(symbols) // shares))
    groups = [symbols[i : i + size] for i in range(0, len(symbols), size)]
    return {str(i): group for i, group in enumerate(groups)}


@dataclass(frozen=True)
class _Group:
    """Finds the orders of the symbols of a group, by the group's name."""

    asked: _Asked
    groups: Mapping[str, Sequence[str]]

    def __call__(self, name: str) -> _Found:
        return self.asked(self.groups[name])


def _step(name: str, step: float | Mapping[str, float] | None, symbol: str) -> float | None:
    value = step.get(symbol) if isinstance(step, Mapping) else step
    if value is None:
        return None
    number = as_number(name, value)
    if not 0.0 < number < math.inf:
        raise ArgumentError(f"{name} must be above 0: got {value!r}")
    return number
