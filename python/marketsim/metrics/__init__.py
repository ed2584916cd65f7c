"""Figures: performance of returns, skill of forecasts."""

from marketsim.metrics.performance import (
    ANNUALISED,
    Performance,
    WindowPerformance,
    least_bars,
    performance,
    rolling_sharpe,
    windowed_performance,
)
from marketsim.metrics.returns import (
    AccountReturns,
    PeriodReturns,
    account_returns,
    align_benchmark,
    period_returns,
)
from marketsim.metrics.skill import COVERAGE_LEVELS, Skill, forecast_skill, pinball_loss
from marketsim.metrics.trades import (
    Trades,
    TradeStatistics,
    ambiguous_share,
    filled_trades,
    held_trades,
    join_trades,
    trade_statistics,
    traded_value,
)

__all__ = [
    "ANNUALISED",
    "COVERAGE_LEVELS",
    "AccountReturns",
    "Performance",
    "PeriodReturns",
    "Skill",
    "TradeStatistics",
    "Trades",
    "WindowPerformance",
    "account_returns",
    "align_benchmark",
    "ambiguous_share",
    "filled_trades",
    "forecast_skill",
    "held_trades",
    "join_trades",
    "least_bars",
    "performance",
    "period_returns",
    "pinball_loss",
    "rolling_sharpe",
    "trade_statistics",
    "traded_value",
    "windowed_performance",
]
