"""Figures: performance of returns, skill of forecasts."""

from marketsim.metrics.performance import Performance, performance, windowed_performance
from marketsim.metrics.skill import COVERAGE_LEVELS, Skill, forecast_skill, pinball_loss

__all__ = [
    "COVERAGE_LEVELS",
    "Performance",
    "Skill",
    "forecast_skill",
    "performance",
    "pinball_loss",
    "windowed_performance",
]
