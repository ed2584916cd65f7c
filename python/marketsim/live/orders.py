"""Orders for the bar after the last one, by the code of the backtest."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from marketsim.arguments import as_number, check_whole
from marketsim.bars import TARGETS, Bars, read_bars
from marketsim.bars.next_bar import NextBar, next_bar
from marketsim.bars.several import list_bars
from marketsim.errors import ArgumentError, MarketsimError, NotEnoughBarsError
from marketsim.forecasts import (
    ForecastPlan,
    ForecastStore,
    ReturnTable,
    StoreLike,
    open_store,
    run_plans,
)
from marketsim.forecasts.order import ordering_note
from marketsim.forecasts.plan import LEAST_CONTEXT
from marketsim.kernels.rules import check_device
from marketsim.kernels.types import DEFAULT_BOUNDS, Bounds
from marketsim.models import Model, load_model
from marketsim.processes import WorkerLostError, can_share_memory, run_each
from marketsim.strategies import (
    BarStrategy,
    Hold,
    LimitOrders,
    Orders,
    Strategy,
    TakeProfit,
    select_strategies,
)
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.held import drifted, take_profit_fills
from marketsim.walkforward.inputs import Forecasts, RunInputs, prices_from_moves
from marketsim.walkforward.limits import Fit, limit_problem
from marketsim.walkforward.run import Run
from marketsim.walkforward.settings import Settings, resolve_settings
from marketsim.walkforward.windows import Windows, plan_windows, rows_between

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

_STATE_BARS = 250  # default run-up of strategies that carry state
_BPS = 1e-4


def next_orders(
    bars: Source,
    model: str | os.PathLike[str] | Model = "range",
    strategies: Iterable[str | Strategy | BarStrategy] | str | None = None,
    *,
    start: Any = None,
    fill: str = "open_aware",
    fee: float | Costs | None = None,
    aggregate: str = "trimmed_mean_10",
    offset_window: int = 60,
    purge: int = 0,
    offset_bounds: Bounds = DEFAULT_BOUNDS,
    asset_class: str | None = None,
    calendar: str | None = None,
    equity: float | None = None,
    tick: float | Mapping[str, float] | None = None,
    lot: float | Mapping[str, float] | None = None,
    targets: str | None = None,
    store: StoreLike = None,
    progress: bool = True,
    device: str = "cpu",
    check: bool = True,
    errors: dict[str, str] | None = None,
    jobs: int = 1,
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
    asked = _Asked(
        {one.symbol: one for one in symbols}, model, chosen, start, window, purge, stateful, rules,
        calendar, targets, open_store(store), progress and jobs == 1, device, check, equity, tick,
        lot, errors is None,
    )  # fmt: skip
    found = asked.in_processes(jobs, fork)
    if errors is not None:
        errors.update(found.failed)
    notes = found.notes
    if stateful:
        names = [s.name for s in chosen if not getattr(s, "elementwise", False)]
        since = f"start={start}" if start is not None else f"the newest {_STATE_BARS} bars"
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
    progress: bool
    device: str
    check: bool
    equity: float | None
    tick: float | Mapping[str, float] | None
    lot: float | Mapping[str, float] | None
    strict: bool

    def in_processes(self, jobs: int, fork: bool | None) -> _Found:
        """Find the orders of all symbols, in their order whatever the number of processes."""
        symbols = list(self.bars)
        if jobs == 1 or len(symbols) == 1:
            return self(symbols)
        # A model with its own batches fills them with several symbols.
        size = min(32, -(-len(symbols) // jobs))
        groups = [symbols[i : i + size] for i in range(0, len(symbols), size)]
        names = {str(i): group for i, group in enumerate(groups)}
        work = _Group(self, names)
        outcomes = dict(run_each(work, list(names), jobs=jobs, fork=fork))
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
        cubes = run_plans(work, self.model, store=self.store, progress=self.progress)
        for one, cube in zip(planned, cubes, strict=True):
            forecasts = Forecasts.of([cube])
            inputs = RunInputs(one.bars, forecasts)
            desk = _Desk(
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

    def _plan(self, bars: Bars) -> _Plan:
        if self.calendar is not None:
            bars = read_bars(bars.frame, symbol=bars.symbol, calendar=self.calendar)
        return _plan(bars, self.start, self.window, self.purge, self.stateful, self.rules)


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


@dataclass(frozen=True)
class _Plan:
    """Bars of one symbol with the next one appended, and the plan to decide on it.

    Attributes:
        bars: bars; the last row is a placeholder for the next bar.
        last_time: time of the newest bar, in the time zone of the bars.
        coming: time of the next bar.
        windows: windows of one simulation that ends at the next bar.
        plan: plan of the forecasts that it needs.
        settings: fill policy, costs and limits.
    """

    bars: Bars
    last_time: pd.Timestamp
    coming: NextBar
    windows: Windows
    plan: ForecastPlan
    settings: Settings

    @property
    def symbol(self) -> str:
        return self.bars.symbol

    def notes(self) -> list[str]:
        market = self.settings.market
        found = [f"next bar {self.coming.time}: {self.coming.why}"] if self.coming.assumed else []
        if market.assumed:
            found.append(f"{market.asset_class} assumed: {market.why}; asset_class= states it")
        return found


def _plan(
    bars: Bars, start: Any, offset_window: int, purge: int, stateful: bool, rules: dict[str, Any]
) -> _Plan:
    settings = resolve_settings(bars.market, **rules)
    coming = next_bar(bars)
    count = len(bars)
    fit = offset_window + purge if offset_window else 0
    least = 1 + LEAST_CONTEXT + fit  # first row that can be decided
    if count <= least:
        fitted = f" + {offset_window} offset window + {purge} purge" if fit else ""
        raise NotEnoughBarsError(
            f"{bars.symbol}: too few bars for the orders of the next one: got {count}, need "
            f"{least + 1} (1 + {LEAST_CONTEXT} returns before the first forecast{fitted} + the "
            "last bar)"
        )
    with_next = _with_next(bars, coming.time)
    begin = None if start is None else rows_between(with_next, start, None)["start"]
    # Decide the last bar too: its position after drift is the starting position of the next bar.
    first = count if begin == count else count - 1
    if stateful:
        first = max(min(first, count - _STATE_BARS if begin is None else begin), least)
    windows = plan_windows(
        count + 1, simulations=1, window=count + 1 - first, offset_window=offset_window,
        purge=purge,
    )  # fmt: skip
    plan = ForecastPlan(windows.first_fit_day, windows.stop_day, 1, windows.window)
    return _Plan(with_next, bars.frame.index[-1], coming, windows, plan, settings)


def _with_next(bars: Bars, time: pd.Timestamp) -> Bars:
    """Append a placeholder for the next bar, with the last bar's prices and volume.

    Nothing reads it: strategies, models and fits decide bar t from the rows before t.
    """
    moment = np.array([time.tz_convert("UTC").tz_localize(None)], dtype="M8[ns]")
    last = bars.close[-1:]
    columns = tuple(np.append(column, last) for column in (bars.open, bars.high, bars.low))
    return Bars.of_columns(
        np.append(bars.timestamps, moment),
        (*columns, np.append(bars.close, last), np.append(bars.volume, bars.volume[-1:])),
        pd.DatetimeIndex(bars.frame.index[-1:]).tz,
        bars.symbol,
        bars.repairs,
        notes=bars.notes,
        calendar=bars.calendar,
    )


@dataclass(frozen=True)
class _Desk:
    """Conversion of the decisions for a plan's last row to rows of the frame."""

    plan: _Plan
    inputs: RunInputs
    device: str
    check: bool
    equity: float | None
    tick: float | None
    lot: float | None
    model: str

    def rows(self, strategies: Iterable[Strategy]) -> list[dict[str, Any]]:
        run = Run(self.inputs, self.plan.windows, self.plan.settings, self.device, self.check)
        found = []
        for strategy in strategies:
            orders, fit = run.decisions(strategy)
            for row in self._order(orders, fit):
                found.append(self._common(strategy.name) | row)
        return found

    @property
    def last_close(self) -> float:
        return float(self.plan.bars.close[-2])

    def _common(self, strategy: str) -> dict[str, Any]:
        plan = self.plan
        view = self.inputs.view(
            plan.plan.first, plan.plan.stop, plan.settings.aggregate, plan.settings.long_only
        )
        close = self.last_close
        moves = {name: float(getattr(view, name)[-1]) for name in TARGETS}
        cube = self.inputs.forecasts.around(plan.plan.stop - 1)
        band = cube.slice(plan.plan.stop - 1, plan.plan.stop).quantile((0.1, 0.9))
        before = np.array([plan.plan.stop - 2])
        closes = band[:, TARGETS.index("close")]
        low, high = prices_from_moves(cube, plan.bars, before, "close", closes)[0].tolist()
        return {
            "symbol": plan.symbol, "strategy": strategy, "bar": plan.coming.time,
            "last_bar": plan.last_time, "last_close": close,
            **{f"forecast_{name}": close * (1.0 + move) for name, move in moves.items()},
            "close_q10": low, "close_q90": high,
            "limit_cost_bps": plan.settings.costs.entry / _BPS,
            "market_cost_bps": plan.settings.costs.close_exit / _BPS, "model": self.model,
        }  # fmt: skip

    def _order(self, orders: Orders, fit: Fit) -> list[dict[str, Any]]:
        if isinstance(orders, LimitOrders):
            return self._limits(orders, fit)
        return [self._held(orders)]

    def _limits(self, orders: LimitOrders, fit: Fit) -> list[dict[str, Any]]:
        problem = limit_problem(orders, self.plan.settings.long_only)
        # One float32 rounding each, as in the backtest.
        sell = self.last_close * (1.0 + float((problem.high + fit.high)[-1]))
        buy = self.last_close * (1.0 + float((problem.low + fit.low)[-1]))
        offsets = {"high_offset": float(fit.high[-1]), "low_offset": float(fit.low[-1])}
        rows: list[dict[str, Any]] = []
        for side in problem.sides:
            position = float(side[-1])
            if position == 0.0:
                if len(problem.sides) == 1 or not rows:
                    rows = [{"order": "none", "side": "", "position": 0.0, **offsets}]
                continue
            long = position > 0.0
            entry, leave = (buy, sell) if long else (sell, buy)
            held = orders.exit_at_close
            row: dict[str, Any] = {
                "order": "limit", "side": "buy" if long else "sell", "position": position,
                "entry_limit": self._rounded(entry, up=not long), "enter": "during the bar",
                "leave": "close" if held else "limit, else close",
                "buy_limit": buy if long or not held else math.nan,
                "sell_limit": sell if not long or not held else math.nan,
                "quantity": self._quantity(position), **offsets,
            }  # fmt: skip
            if not held:
                row["take_profit"] = self._rounded(leave, up=long)
            if orders.stop is not None:
                stop = self.last_close * (1.0 + float(orders.stop.astype(np.float32)[-1]))
                row["stop"] = self._rounded(stop, up=long)
                row["leave"] = "stop, else close" if held else "stop, limit, else close"
            rows.append(row)
        return rows

    def _held(self, orders: Hold | TakeProfit) -> dict[str, Any]:
        position = float(orders.position[-1])
        change = position - self._carried(orders)
        at_open = isinstance(orders, Hold) and orders.execution == "next_open"
        row: dict[str, Any] = {
            "order": "market" if change else "none",
            "side": "buy" if change > 0.0 else "sell" if change < 0.0 else "",
            "position": position, "change": change,
            "quantity": self._quantity(change),
            "enter": "open of the bar" if at_open else "close of the last bar",
            "leave": "with the next order",
        }  # fmt: skip
        if isinstance(orders, TakeProfit) and position != 0.0:
            level = orders.high if position > 0.0 else orders.low
            move = float(level.astype(np.float32)[-1])
            if move * position > 0.0:  # otherwise no better than the entry: no order is placed
                price = self.last_close * (1.0 + move)
                row["take_profit"] = self._rounded(price, up=position > 0.0)
                row["sell_limit" if position > 0.0 else "buy_limit"] = price
                row["leave"] = "limit, else with the next order"
                row["order"] = "market" if change else "exit"
        return row

    def _carried(self, orders: Hold | TakeProfit) -> float:
        """Return the last bar's position after its drift to the close."""
        if len(orders.position) == 1:  # the run starts with the next bar
            return 0.0
        rows = np.arange(len(self.plan.bars) - 2, len(self.plan.bars) - 1)
        days = self.inputs.market(rows)
        position = orders.position[-2:-1]
        if isinstance(orders, TakeProfit):
            last = TakeProfit(position, orders.high[-2:-1], orders.low[-2:-1])
            left = take_profit_fills(last, days, self.plan.settings.fill).exits
            position = np.where(left, 0.0, position)
        return float(drifted(position, days.close)[0])

    def _rounded(self, price: float, *, up: bool) -> float:
        if self.tick is None:
            return price
        steps = price / self.tick
        nearest = round(steps)
        if abs(steps - nearest) > 1e-9 * max(abs(steps), 1.0):
            nearest = math.ceil(steps) if up else math.floor(steps)
        digits = max(0, -math.floor(math.log10(self.tick)) + 6)
        return round(nearest * self.tick, digits)

    def _quantity(self, part: float) -> float:
        """Convert a fraction of the equity to units at the last close, the base of all moves."""
        if self.equity is None:
            return math.nan
        units = abs(part) * self.equity / self.last_close
        return units if self.lot is None else math.floor(units / self.lot + 1e-9) * self.lot
