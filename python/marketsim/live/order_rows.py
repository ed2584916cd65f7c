"""Orders of one symbol for the next bar: the bars with it appended, and rows of the frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketsim.bars import TARGETS, Bars
from marketsim.bars.next_bar import NextBar, next_bar
from marketsim.errors import NotEnoughBarsError
from marketsim.forecasts import ForecastPlan
from marketsim.forecasts.plan import LEAST_CONTEXT
from marketsim.strategies import Hold, LimitOrders, Orders, Strategy, TakeProfit
from marketsim.walkforward.evaluate import part_of_orders
from marketsim.walkforward.held import MostTraded, hold_account, take_profit_account
from marketsim.walkforward.inputs import RunInputs, prices_from_moves
from marketsim.walkforward.limits import Fit, limit_problem
from marketsim.walkforward.run import Run
from marketsim.walkforward.settings import Settings, most_value, resolve_settings
from marketsim.walkforward.windows import Windows, plan_windows, rows_between

STATE_BARS = 250
"""Default run-up of strategies that carry state."""
_BPS = 1e-4


@dataclass(frozen=True)
class OrderPlan:
    """Bars of one symbol with the next one appended, and the plan to decide on it.

    Attributes:
        bars: bars; the last row is a placeholder for the next bar.
        last_time: time of the newest bar, in the time zone of the bars.
        coming: time of the next bar.
        windows: windows of one simulation that ends at the next bar, for strategies with state.
        newest: such windows of the newest bars alone, for the other strategies.
        plan: plan of the forecasts that it needs.
        settings: fill policy, costs and limits.
    """

    bars: Bars
    last_time: pd.Timestamp
    coming: NextBar
    windows: Windows
    newest: Windows
    plan: ForecastPlan
    settings: Settings

    @property
    def symbol(self) -> str:
        """Name of the symbol."""
        return self.bars.symbol

    def notes(self) -> list[str]:
        """Return what was assumed, as text."""
        market = self.settings.market
        found = [f"next bar {self.coming.time}: {self.coming.why}"] if self.coming.assumed else []
        if market.assumed:
            found.append(f"{market.asset_class} assumed: {market.why}; asset_class= states it")
        return found


def plan_orders(
    bars: Bars, start: Any, offset_window: int, purge: int, stateful: bool, rules: dict[str, Any]
) -> OrderPlan:
    """Plan the decisions for the next bar of a symbol.

    Raises:
        NotEnoughBarsError: too few bars before the next one.
    """
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

    def since(row: int) -> Windows:
        return plan_windows(
            count + 1, simulations=1, window=count + 1 - row, offset_window=offset_window,
            purge=purge,
        )  # fmt: skip

    newest = windows = since(first)
    if stateful:
        windows = since(max(min(first, count - STATE_BARS if begin is None else begin), least))
    plan = ForecastPlan(windows.first_fit_day, windows.stop_day, 1, windows.window)
    last = pd.Timestamp(bars.timestamps[-1]).tz_localize("UTC").tz_convert(bars.zone)
    return OrderPlan(with_next, last, coming, windows, newest, plan, settings)


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
        bars.zone,
        bars.symbol,
        bars.repairs,
        notes=bars.notes,
        calendar=bars.calendar,
    )


@dataclass(frozen=True)
class OrderRows:
    """Conversion of the decisions for a plan's last row to rows of the frame."""

    plan: OrderPlan
    inputs: RunInputs
    device: str
    check: bool
    equity: float | None
    tick: float | None
    lot: float | None
    model: str

    def rows(self, strategies: Iterable[Strategy]) -> list[dict[str, Any]]:
        """Return the rows of these strategies' orders."""
        plan = self.plan
        common = self._common()
        found = []
        for strategy in strategies:
            alone = getattr(strategy, "elementwise", False)
            windows = plan.newest if alone else plan.windows
            run = Run(self.inputs, windows, plan.settings, self.device, self.check)
            orders, fit = run.decisions(strategy)
            names = {"symbol": plan.symbol, "strategy": strategy.name}
            found += [names | common | row for row in self._order(orders, fit)]
        return found

    @property
    def last_close(self) -> float:
        """Close of the newest bar."""
        return float(self.plan.bars.close[-2])

    def _common(self) -> dict[str, Any]:
        """Return what all orders of the symbol share."""
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
            "bar": plan.coming.time, "last_bar": plan.last_time, "last_close": close,
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
        days, settings = self.inputs.market(rows), self.plan.settings
        last = part_of_orders(orders, len(orders.position) - 2, len(orders.position) - 1)
        if isinstance(last, TakeProfit):
            most = MostTraded(None, most_value(days.value, settings.volume_cap))
            account, _ = take_profit_account(last, days, settings.costs, settings.fill, most)
        else:
            assert isinstance(last, Hold)
            account = hold_account(last, days, settings.costs)
        return float(account.after[0])

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
