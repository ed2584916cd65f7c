"""Round trips of a strategy's fills on the evaluated bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.kernels import rules
from marketsim.metrics import Trades, filled_trades, held_trades, join_trades
from marketsim.strategies import Hold, LimitOrders, TakeProfit
from marketsim.walkforward.held import drifted, take_profit_fills
from marketsim.walkforward.inputs import MarketDays
from marketsim.walkforward.limits import side_fills
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.run import Run, StrategyRun
from marketsim.walkforward.settings import most_value

Floats = npt.NDArray[np.float64]

TRADE_COLUMNS = (
    "side", "size", "entry_time", "exit_time", "entry_price", "exit_price", "entry_kind",
    "exit_kind", "gross", "costs", "net", "net_return", "mae", "mfe", "bars", "ambiguous",
)  # fmt: skip


def round_trips(run: Run, of: StrategyRun) -> dict[str, npt.NDArray[Any]]:
    """Pair fills into round trips: columns [trade] of `WalkForwardResult.trades`, by entry."""
    orders = of.orders
    rows, bars = run.windows.days, run.inputs.bars
    if isinstance(orders, LimitOrders):
        trades = _limit_trades(run, of, orders)
        before = np.zeros(len(trades), dtype=np.int64)
    elif isinstance(orders, TakeProfit):
        trades = _take_profit_trades(run, of, orders)
        before = np.ones(len(trades), dtype=np.int64)
    else:
        trades = _hold_trades(run, of, orders)
        before = np.full(len(trades), int(orders.execution == "close"))
    later = (trades.exit_kind == "open").astype(np.int64) if isinstance(orders, Hold) else 0
    found = trades.columns()
    found["entry_time"] = bars.timestamps[rows[trades.entry_bar] - before]
    found["exit_time"] = bars.timestamps[rows[trades.exit_bar] + later]
    found["bars"] = trades.exit_bar - trades.entry_bar + 1
    return {name: found[name] for name in TRADE_COLUMNS}


def _prices(run: Run) -> tuple[Floats, Floats, Floats, Floats]:
    """Return (open, high, low, close) of the evaluated bars."""
    rows, bars = run.windows.days, run.inputs.bars
    return bars.open[rows], bars.high[rows], bars.low[rows], bars.close[rows]


def _hold_trades(run: Run, of: StrategyRun, orders: Hold) -> Trades:
    outcome, market = of.outcome, run.inputs.market(run.windows.days)
    opened, high, low, close = _prices(run)
    at_open = orders.execution == "next_open"
    exits, entries, kind = close, market.previous_close, "close"
    gross, costs = outcome.gross, outcome.fee
    if at_open:
        gross, costs = _from_open_to_open(outcome, market)
        goes_on = np.r_[~market.breaks[1:], False]
        exits = np.where(goes_on, np.r_[opened[1:], 0.0], close)
        entries, kind = opened, "open"
    trades = held_trades(
        outcome.position,
        gross=gross,
        costs=costs,
        entry_price=entries,
        exit_price=exits,
        high=high,
        low=low,
        breaks=market.breaks,
        entry_kind=kind,
        exit_kind=kind,
    )
    if at_open:  # before a gap the position is sold at the close
        ends = np.r_[market.breaks[1:], True][trades.exit_bar] & (trades.exit_kind == "open")
        return _replaced(trades, exit_kind=np.where(ends, "close", trades.exit_kind))
    return trades


def _from_open_to_open(outcome: StrategyDays, market: MarketDays) -> tuple[Floats, Floats]:
    """Return gross and costs of positions held from open to open, each on the bar of its entry.

    What a position earns after the close, and its borrow and financing, are in the next bar's
    account, where another position may follow at the open.
    """
    rest = (1.0 + market.close) / (1.0 + market.open) - 1.0
    night = drifted(outcome.position, rest)[:-1] * market.open[1:]
    night = np.where(market.breaks[1:] | ~outcome.active[1:], 0.0, night)
    gross, costs = outcome.gross.copy(), outcome.fee.copy()
    gross[:-1] += night
    gross[1:] -= night
    costs[:-1] += outcome.carry[1:]
    costs[1:] -= outcome.carry[1:]
    return gross, costs


def _take_profit_trades(run: Run, of: StrategyRun, orders: TakeProfit) -> Trades:
    outcome, market = of.outcome, run.inputs.market(run.windows.days)
    _, high, low, close = _prices(run)
    settings = run.settings
    most = most_value(market.value, settings.volume_cap)
    fills = take_profit_fills(outcome.position, orders, market, settings.fill, most)
    left = (fills.sold > 0.0) & (fills.sold == np.abs(outcome.position))
    trades = held_trades(
        outcome.position,
        gross=outcome.gross,
        costs=outcome.fee,
        entry_price=market.previous_close,
        exit_price=np.where(left, market.previous_close * (1.0 + fills.move), close),
        high=high,
        low=low,
        breaks=market.breaks | np.r_[False, left[:-1]],
    )
    kind = np.where(left[trades.exit_bar], "limit", trades.exit_kind)
    return _replaced(trades, exit_kind=kind)


def _limit_trades(run: Run, of: StrategyRun, orders: LimitOrders) -> Trades:
    outcome, market = of.outcome, run.inputs.market(run.windows.days)
    _, high, low, _ = _prices(run)
    settings = run.settings
    most = most_value(market.value, settings.volume_cap)
    parts = []
    for side in side_fills(orders, of.fit, market, run.book, most):
        entered = np.where(outcome.entries > 0, side.direction, 0)  # none after a ruin
        parts.append(
            filled_trades(
                entered,
                size=side.size,
                gross=side.gross,
                costs=side.fee,
                entry_price=market.previous_close * (1.0 + side.entry_move),
                exit_price=market.previous_close * (1.0 + side.exit_move),
                entry_kind=np.where(side.at_open, "open", "limit"),
                exit_kind=side.exit_kind,
                high=high,
                low=low,
                ambiguous=side.flags & rules.AMBIGUOUS > 0,
            )
        )
    return join_trades(parts)


def _replaced(trades: Trades, **columns: npt.NDArray[Any]) -> Trades:
    return Trades(**(trades.columns() | columns))
