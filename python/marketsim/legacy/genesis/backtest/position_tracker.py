"""`core.backtest.position_tracker`: one position, its trades, the money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

Debug = dict[str, Any]


@dataclass
class Position:
    """An open position; `current_size` is what partial exits have left."""

    symbol: str
    side: str
    initial_size: float
    current_size: float
    entry_price: float
    entry_time: datetime
    entry_reasons: list[str] = field(default_factory=list)
    unrealized_pnl: float = 0.0
    partial_exits: list[tuple[float, float, str, datetime]] = field(default_factory=list)
    exit_swing_high: float = 0.0
    exit_swing_low: float = 0.0
    exit_fib_levels: dict[float, float] = field(default_factory=dict)
    exit_swing_timestamp: datetime | None = None
    exit_swing_updated: int = 0
    exit_ctx: Debug | None = None
    entry_fib_debug: Debug = field(default_factory=dict)
    exit_fib_log: list[Debug] = field(default_factory=list)
    trail_stop: float | None = None

    @property
    def size(self) -> float:
        """What is left."""
        return self.current_size

    @property
    def position_id(self) -> str:
        """Symbol and entry time."""
        return f"{self.symbol}_{self.entry_time.isoformat()}"

    def gain(self, price: float) -> float:
        """Profit of one unit at a price."""
        return price - self.entry_price if self.side == "LONG" else self.entry_price - price

    def get_realized_pnl(self) -> float:
        """Profit of the partial exits."""
        realised = 0.0
        for size, price, _reason, _time in self.partial_exits:
            realised += size * self.gain(price)
        return realised

    def get_total_exits_size(self) -> float:
        """Size of the partial exits."""
        return left_to_right([size for size, *_ in self.partial_exits])

    def get_remaining_pct(self) -> float:
        """Share of the initial size that is left."""
        return self.current_size / self.initial_size if self.initial_size > 0 else 0.0

    def update_pnl(self, current_price: float) -> float:
        """Profit of what is left, at a price."""
        known = self.side in ("LONG", "SHORT")
        self.unrealized_pnl = self.gain(current_price) * self.current_size if known else 0.0
        return self.unrealized_pnl

    def arm_exit_context(self, htf_ctx: Debug) -> None:
        """Freeze the levels that exits refer to."""
        self.exit_ctx = {
            "swing_id": htf_ctx.get("swing_id", "unknown"),
            "fib": dict(htf_ctx.get("levels", {})),
            "swing_bounds": (htf_ctx.get("swing_low", 0.0), htf_ctx.get("swing_high", 0.0)),
            "armed_at": self.entry_time,
        }


@dataclass
class Trade:
    """A closed part of a position; the last one's pnl includes the parts before it."""

    symbol: str
    side: str
    size: float
    entry_price: float
    entry_time: datetime
    exit_price: float
    exit_time: datetime
    pnl: float
    pnl_pct: float
    commission: float = 0.0
    exit_reason: str = "MANUAL"
    is_partial: bool = False
    remaining_size: float = 0.0
    position_id: str = ""
    entry_reasons: list[str] = field(default_factory=list)
    entry_fib_debug: Debug | None = None
    exit_fib_debug: list[Debug] = field(default_factory=list)


def left_to_right(values: Sequence[float]) -> float:
    """Sum in order (`sum` compensates from Python 3.12 on)."""
    total = 0.0
    for value in values:
        total += value
    return total


class PositionTracker:
    """Opens, reduces and closes one position at a time, at prices made worse by slippage.

    Size is in units of the asset; capital is never checked.
    """

    def __init__(
        self,
        initial_capital: float = 10000.0,
        commission_rate: float = 0.001,
        slippage_rate: float = 0.0005,
    ) -> None:
        self.initial_capital = initial_capital
        self.capital = initial_capital
        self.commission_rate = commission_rate
        self.slippage_rate = slippage_rate
        self.position: Position | None = None
        self.trades: list[Trade] = []
        self.equity_curve: list[Debug] = []
        self._pending_reasons: list[str] = []
        self.total_commission = 0.0
        self.max_capital = initial_capital
        self.min_capital = initial_capital

    def set_pending_reasons(self, reasons: Sequence[str]) -> None:
        """Reasons that the next position takes."""
        self._pending_reasons = list(reasons)

    def pending_reasons(self) -> list[str]:
        """Reasons that the next position takes."""
        return list(self._pending_reasons)

    def clear_pending_reasons(self) -> None:
        """Forget them."""
        self._pending_reasons.clear()

    def has_position(self) -> bool:
        """Whether a position is open."""
        return self.position is not None

    def execute_action(
        self,
        action: str,
        size: float,
        price: float,
        timestamp: datetime,
        symbol: str = "unknown",
    ) -> Debug:
        """Open a position; an opposite one is closed first, one in the same direction stays."""
        result: Debug = {"action": action, "executed": False, "reason": "no_action"}
        if action == "NONE":
            return result
        if self.position is not None and {self.position.side, action} == {"LONG", "SHORT"}:
            self.close_position_with_reason(price, timestamp, "OPPOSITE_SIGNAL")
        if self.position is not None:
            return {**result, "reason": "already_in_position"}
        self._open(action, size, price, timestamp, symbol)
        return {**result, "executed": True, "reason": "opened"}

    def _fill(self, price: float, side: str) -> float:
        return price * (1 + self.slippage_rate if side == "LONG" else 1 - self.slippage_rate)

    def _leave(self, price: float, side: str) -> float:
        return self._fill(price, "SHORT" if side == "LONG" else "LONG")

    def _charge(self, size: float, price: float) -> float:
        commission = size * price * self.commission_rate
        self.total_commission += commission
        return commission

    def _open(self, side: str, size: float, price: float, timestamp: datetime, symbol: str) -> None:
        fill = self._fill(price, side)
        self.capital -= self._charge(size, fill)
        self.position = Position(
            symbol=symbol,
            side=side,
            initial_size=size,
            current_size=size,
            entry_price=fill,
            entry_time=timestamp,
            entry_reasons=self.pending_reasons(),
        )
        self.clear_pending_reasons()

    def close_position_with_reason(
        self, price: float, timestamp: datetime, reason: str = "MANUAL"
    ) -> Trade | None:
        """Close what is left; None where nothing is open."""
        position = self.position
        if position is None:
            return None
        fill = self._leave(price, position.side)
        pnl = position.gain(fill) * position.current_size
        total = pnl + position.get_realized_pnl()
        commission = self._charge(position.current_size, fill)
        self.capital += pnl - commission
        percent = _percent(total, position.initial_size * position.entry_price)
        position.exit_fib_log.append(
            {
                "timestamp": timestamp.isoformat(),
                "reason": reason,
                "pnl_pct": percent,
                "remaining_size": 0.0,
            }
        )
        trade = _trade(
            position, timestamp, reason, position.current_size, fill, total, percent, commission
        )
        self.trades.append(trade)
        self.position = None
        return trade

    def partial_close(
        self, close_size: float, price: float, timestamp: datetime, reason: str = "PARTIAL"
    ) -> Trade | None:
        """Close a part, at most what is left; None where nothing is open or asked for."""
        position = self.position
        if position is None or close_size <= 0:
            return None
        size = min(close_size, position.current_size)
        fill = self._leave(price, position.side)
        pnl = position.gain(fill) * size
        commission = self._charge(size, fill)
        self.capital += pnl - commission
        position.current_size -= size
        position.partial_exits.append((size, fill, reason, timestamp))
        position.exit_fib_log.append(
            {
                "timestamp": timestamp.isoformat(),
                "reason": reason,
                "action": "PARTIAL",
                "close_size": size,
                "remaining_size": position.current_size,
            }
        )
        percent = _percent(pnl, size * position.entry_price)
        trade = _trade(position, timestamp, reason, size, fill, pnl, percent, commission)
        trade.remaining_size = position.current_size
        trade.is_partial = position.current_size > 1e-8
        self.trades.append(trade)
        if not trade.is_partial:
            self.position = None
        self._mark(self.capital)
        return trade

    def get_unrealized_pnl_pct(self, current_price: float) -> float:
        """Profit so far, partial exits included, in percent of the entry's value."""
        position = self.position
        if position is None:
            return 0.0
        total = position.gain(current_price) * position.current_size + position.get_realized_pnl()
        return _percent(total, position.initial_size * position.entry_price)

    def get_bars_held(self, current_timestamp: datetime) -> int:
        """Always 0, as in the original."""
        return 0

    def update_equity(self, price: float, timestamp: datetime) -> None:
        """Add an equity row."""
        unrealised = 0.0 if self.position is None else self.position.update_pnl(price)
        equity = self.capital + unrealised
        self.equity_curve.append(
            {
                "timestamp": timestamp,
                "capital": self.capital,
                "unrealized_pnl": unrealised,
                "total_equity": equity,
            }
        )
        self._mark(equity)

    def _mark(self, money: float) -> None:
        self.max_capital = max(self.max_capital, money)
        self.min_capital = min(self.min_capital, money)

    def close_all_positions(self, price: float, timestamp: datetime) -> None:
        """Close what is open, at the end."""
        self.close_position_with_reason(price, timestamp, "OPPOSITE_SIGNAL")

    def log_entry_fib_debug(self, debug: Debug | None) -> None:
        """Keep what the gates found at the entry."""
        if self.position is not None:
            self.position.entry_fib_debug = dict(debug or {})

    def append_exit_fib_debug(self, debug: Debug | None) -> None:
        """Keep what an exit found, once."""
        if self.position is None or debug is None:
            return
        log = self.position.exit_fib_log
        last = log[-1] if log else {}
        repeated = debug.get("actions") and debug.get("actions") == last.get("actions")
        if not repeated and last != debug:
            log.append(dict(debug))

    def get_summary(self) -> Debug:
        """Totals: returns in percent of the initial capital, drawdown in percent of the peak."""
        return summary_of(self)


def _percent(part: float, whole: float) -> float:
    return (part / whole) * 100 if whole > 0 else 0.0


def _trade(
    position: Position,
    time: datetime,
    reason: str,
    size: float,
    price: float,
    pnl: float,
    percent: float,
    commission: float,
) -> Trade:
    return Trade(
        symbol=position.symbol,
        side=f"CLOSE_{position.side}",
        size=size,
        entry_price=position.entry_price,
        entry_time=position.entry_time,
        exit_price=price,
        exit_time=time,
        pnl=pnl,
        pnl_pct=percent,
        commission=commission,
        exit_reason=reason,
        position_id=position.position_id,
        entry_reasons=list(position.entry_reasons),
        entry_fib_debug=dict(position.entry_fib_debug) if position.entry_fib_debug else None,
        exit_fib_debug=list(position.exit_fib_log),
    )


def summary_of(tracker: PositionTracker) -> Debug:
    """The old summary of what a tracker holds."""
    pnls = [trade.pnl for trade in tracker.trades]
    equity = np.array([row["total_equity"] for row in tracker.equity_curve], float)
    return {
        "initial_capital": tracker.initial_capital,
        **summary_numbers(pnls, equity, tracker.capital, tracker.initial_capital),
        "total_commission": tracker.total_commission,
        "max_capital": tracker.max_capital,
        "min_capital": tracker.min_capital,
    }


def summary_numbers(
    pnls: Sequence[float],
    equity: np.ndarray[tuple[int], np.dtype[np.float64]],
    capital: float,
    initial: float,
) -> Debug:
    """Returns, trades and drawdown."""
    wins, losses = [x for x in pnls if x > 0], [x for x in pnls if x < 0]
    won, lost = left_to_right(wins), abs(left_to_right(losses))
    drawdown = 0.0
    if len(equity) > 1:
        peak = np.maximum.accumulate(equity)
        drawdown = float(np.max((peak - equity) / peak * 100.0))
    return {
        "final_capital": capital,
        "total_return": (capital - initial) / initial * 100,
        "total_return_usd": capital - initial,
        "num_trades": len(pnls),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "win_rate": len(wins) / len(pnls) * 100 if pnls else 0,
        "avg_win": won / len(wins) if wins else 0,
        "avg_loss": left_to_right(losses) / len(losses) if losses else 0,
        "profit_factor": won / lost if lost > 0 else float("inf"),
        "max_drawdown": drawdown,
    }
