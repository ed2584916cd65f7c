"""`core.backtest.metrics`: figures of a list of trades, in percent of the initial capital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from marketsim.errors import UnknownNameError
from marketsim.legacy.genesis.backtest.position_tracker import left_to_right
from marketsim.legacy.genesis.candles import Array

Metrics = dict[str, Any]


def calculate_backtest_metrics(
    trades: Sequence[Mapping[str, Any]],
    initial_capital: float = 10000.0,
    risk_free_rate: float = 0.02,
) -> Metrics:
    """Figures of trades: dictionaries with pnl, and entry_time and exit_time where known.

    No losses count as a loss of 1; Sharpe is per trade; the drawdown starts at the first trade.
    """
    if not trades:
        return _empty()
    pnls = [float(trade.get("pnl", 0)) for trade in trades]
    out = figures(np.asarray(pnls), initial_capital, risk_free_rate)
    hours = _durations(trades)
    mean = float(np.mean(hours)) if len(hours) else 0.0
    out["avg_duration_hours"] = out["avg_trade_duration_hours"] = mean
    out["max_winning_streak"], out["max_losing_streak"] = _streaks(pnls)
    out["trade_returns"] = [(pnl / initial_capital) * 100 for pnl in pnls]
    return {key: out[key] for key in _ORDER}


def figures(pnls: Array, initial_capital: float, risk_free_rate: float = 0.02) -> Metrics:
    """What follows from the profits alone."""
    returns = (pnls / initial_capital) * 100
    wins, losses = pnls[pnls > 0], pnls[pnls < 0]
    won = left_to_right(wins.tolist()) if len(wins) else 0
    lost = abs(left_to_right(losses.tolist())) if len(losses) else 1
    total = left_to_right(pnls.tolist())
    percent = (total / initial_capital) * 100
    running = np.cumsum(returns)
    drawdown = float(np.max(np.maximum.accumulate(running) - running))
    excess = float(np.mean(returns)) - risk_free_rate / 12
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    below = returns[returns < 0]
    downside = float(np.std(below, ddof=1)) if len(below) > 1 else 0.0
    return {
        "total_return": percent,
        "total_return_pct": percent,
        "total_pnl": total,
        "total_trades": len(pnls),
        "num_trades": len(pnls),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "win_rate": len(wins) / len(pnls) * 100,
        "profit_factor": won / lost if lost > 0 else float("inf"),
        "gross_profit": won,
        "gross_loss": lost,
        "avg_win": float(np.mean(wins)) if len(wins) else 0.0,
        "avg_loss": float(np.mean(losses)) if len(losses) else 0.0,
        "expectancy": float(np.mean(pnls)),
        "sharpe_ratio": excess / deviation if deviation > 0 else 0.0,
        "sortino_ratio": excess / downside if downside > 0 else 0.0,
        "max_drawdown": drawdown,
        "max_drawdown_pct": drawdown,
        "max_drawdown_usd": (drawdown / 100) * initial_capital,
        "returns_std": deviation,
        "calmar_ratio": percent / drawdown if drawdown > 0 else 0.0,
    }


_ORDER = (
    "total_return",
    "total_return_pct",
    "total_pnl",
    "total_trades",
    "num_trades",
    "winning_trades",
    "losing_trades",
    "win_rate",
    "profit_factor",
    "gross_profit",
    "gross_loss",
    "avg_win",
    "avg_loss",
    "expectancy",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "max_drawdown_pct",
    "max_drawdown_usd",
    "returns_std",
    "avg_duration_hours",
    "avg_trade_duration_hours",
    "max_winning_streak",
    "max_losing_streak",
    "calmar_ratio",
    "trade_returns",
)
_WHOLE = ("total_trades", "num_trades", "winning_trades", "losing_trades")


def _empty() -> Metrics:
    out: Metrics = dict.fromkeys(_ORDER, 0.0)
    out |= dict.fromkeys((*_WHOLE, "max_winning_streak", "max_losing_streak"), 0)
    out["trade_returns"] = []
    return out


def _durations(trades: Sequence[Mapping[str, Any]]) -> Array:
    """Hours from entry to exit, of trades that have both."""
    import pandas as pd

    known = [trade for trade in trades if "entry_time" in trade and "exit_time" in trade]
    if not known:
        return np.empty(0)
    entry, leave = (
        pd.to_datetime([trade[key] for trade in known], format="ISO8601").to_numpy("datetime64[ns]")
        for key in ("entry_time", "exit_time")
    )
    hours: Array = (leave - entry).astype(np.int64) / 1e9 / 3600
    return hours


def _streaks(pnls: Sequence[float]) -> tuple[int, int]:
    best = {1: 0, -1: 0}
    length, sign = 0, 0
    for pnl in pnls:
        now = (pnl > 0) - (pnl < 0)
        length, sign = (length + 1 if now == sign else 1), now
        if now:
            best[now] = max(best[now], length)
    return best[1], best[-1]


def calculate_metrics(
    results: Mapping[str, Any] | Sequence[Mapping[str, Any]], initial_capital: float = 10000.0
) -> Metrics:
    """Figures of a backtest's results, or of a list of trades.

    Results: without trades the drawdown is that of the equity; the summary's total return, counts,
    win rate and profit factor take the place of those of the trades, but not `total_return`.
    """
    if not isinstance(results, Mapping):
        return calculate_backtest_metrics(results, initial_capital)
    summary, trades = results.get("summary") or {}, results.get("trades") or []
    initial = summary.get("initial_capital", initial_capital)
    out = calculate_backtest_metrics(trades, initial)
    curve = results.get("equity_curve") or []
    if not trades and len(curve) > 1:
        equity = np.array([row.get("total_equity", initial) for row in curve], float)
        peak = np.maximum.accumulate(equity)
        drawdown = float(np.max((peak - equity) / peak * 100))
        out["max_drawdown"] = out["max_drawdown_pct"] = drawdown
        out["max_drawdown_usd"] = (drawdown / 100) * initial
        total = summary.get("total_return", 0.0)
        out["calmar_ratio"] = total / drawdown if drawdown > 0 else 0.0
    if summary:
        out["total_return_pct"] = summary.get("total_return", out["total_return_pct"])
        for key in ("num_trades", "win_rate", "profit_factor"):
            out[key] = summary.get(key, out[key])
    return out


def print_metrics_report(
    metrics: Mapping[str, Any], backtest_info: Mapping[str, Any] | None = None
) -> None:
    """Print the old table."""
    print("\n=== Backtest Metrics ===")
    if backtest_info:
        info = {key: backtest_info.get(key, "N/A") for key in ("symbol", "timeframe")}
        start, end = (backtest_info.get(key, "N/A") for key in ("start_date", "end_date"))
        print(f"Symbol: {info['symbol']}\nTimeframe: {info['timeframe']}")
        print(f"Period: {start} to {end}\n")
    print(f"Total Return: {metrics.get('total_return', 0):.2f}%")
    print(f"Total Trades: {metrics.get('total_trades', 0)}")
    print(f"Win Rate: {metrics.get('win_rate', 0):.1f}%")
    print(f"Sharpe Ratio: {metrics.get('sharpe_ratio', 0):.3f}")
    print(f"Max Drawdown: {metrics.get('max_drawdown', 0):.2f}%")
    print(f"Profit Factor: {metrics.get('profit_factor', 0):.2f}")


def compare_strategies(
    strategy_results: Mapping[str, Mapping[str, float]], baseline_name: str = "BASELINE"
) -> dict[str, dict[str, float]]:
    """Each strategy's figures against a baseline's.

    Raises:
        UnknownNameError: there is no such baseline.
    """
    if baseline_name not in strategy_results:
        raise UnknownNameError("baseline", baseline_name, list(strategy_results))
    base = strategy_results[baseline_name]
    out = {}
    for name, own in strategy_results.items():
        if name == baseline_name:
            continue
        total, factor = base["total_return"], base["profit_factor"]
        out[name] = {
            "return_improvement": own["total_return"] - total,
            "return_improvement_pct": (own["total_return"] / total - 1) * 100 if total else 0.0,
            "sharpe_improvement": own["sharpe_ratio"] - base["sharpe_ratio"],
            "drawdown_improvement": base["max_drawdown"] - own["max_drawdown"],
            "win_rate_improvement": own["win_rate"] - base["win_rate"],
            "trade_count_change": own["total_trades"] - base["total_trades"],
            "profit_factor_ratio": own["profit_factor"] / factor if factor > 0 else float("inf"),
        }
    return out
