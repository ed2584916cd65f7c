"""Walk-forward backtests: windows, simulations, results."""

from marketsim.walkforward.costs import COSTS, Costs
from marketsim.walkforward.result import Settings, WalkForwardResult
from marketsim.walkforward.simulate import walk_forward
from marketsim.walkforward.summary import Summary
from marketsim.walkforward.universe import Universe, walk_forward_universe
from marketsim.walkforward.universe_result import UniverseResult
from marketsim.walkforward.windows import Windows, plan_windows

__all__ = [
    "COSTS",
    "Costs",
    "Settings",
    "Summary",
    "Universe",
    "UniverseResult",
    "WalkForwardResult",
    "Windows",
    "plan_windows",
    "walk_forward",
    "walk_forward_universe",
]
