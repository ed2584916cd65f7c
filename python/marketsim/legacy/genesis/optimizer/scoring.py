"""`core.optimizer.scoring`: one number for a backtest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketsim.legacy.genesis.backtest.metrics import calculate_metrics

LEAST_DRAWDOWN = 0.0001
PENALTY = 100.0


@dataclass(slots=True)
class MetricThresholds:
    """What a backtest must reach."""

    min_trades: int = 10
    min_profit_factor: float = 1.0
    max_max_dd: float = 0.20


def score_backtest(
    result: Mapping[str, Any], *, thresholds: MetricThresholds | None = None
) -> dict[str, Any]:
    """Sharpe + return + a quarter of return over drawdown + win rate above 40 %, capped at .2.

    100 less where a threshold is missed. A drawdown of 0 counts as .0001, which `flags` says. A
    score that is not finite is a hard failure: it never wins.
    """
    return score_metrics(calculate_metrics(result), thresholds or MetricThresholds())


def score_metrics(metrics: Mapping[str, Any], limits: MetricThresholds) -> dict[str, Any]:
    """The same from figures that are there already."""
    total = float(metrics.get("total_return", 0.0)) / 100.0
    factor = float(metrics.get("profit_factor", 0.0))
    drawdown = float(metrics.get("max_drawdown", 0.0)) / 100.0
    wins = float(metrics.get("win_rate", 0.0)) / 100.0
    trades = int(metrics.get("num_trades", 0))
    sharpe = float(metrics.get("sharpe_ratio", 0.0))
    ratio = total / max(LEAST_DRAWDOWN, drawdown if drawdown > 0 else LEAST_DRAWDOWN)
    failures = []
    if trades < limits.min_trades:
        failures.append(f"trades<{limits.min_trades}")
    if factor < limits.min_profit_factor:
        failures.append(f"pf<{limits.min_profit_factor}")
    if drawdown > limits.max_max_dd:
        failures.append(f"max_dd>{limits.max_max_dd}")
    score = sharpe + total
    score += ratio * 0.25
    score += min(max(wins - 0.4, -0.2), 0.2)
    if failures:
        score -= PENALTY
    if not math.isfinite(score) or math.isnan(factor):
        failures.append("not_finite")
    out: dict[str, Any] = {
        "score": score,
        "metrics": {
            "total_return": total,
            "profit_factor": factor,
            "max_drawdown": drawdown,
            "win_rate": wins,
            "num_trades": trades,
            "sharpe_ratio": sharpe,
            "return_to_dd": ratio,
        },
        "hard_failures": failures,
        "baseline": {"thresholds": limits},
    }
    if drawdown <= 0 and trades:
        out["flags"] = [f"drawdown 0 counts as {LEAST_DRAWDOWN}: return_to_dd says little"]
    return out
