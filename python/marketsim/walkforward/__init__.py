"""Walk-forward backtests: windows, simulations, results."""

from marketsim.walkforward.costs import COSTS, Costs
from marketsim.walkforward.each import walk_forward_each
from marketsim.walkforward.prepared import Prepared, prepare, walk_forward
from marketsim.walkforward.result import WalkForwardResult
from marketsim.walkforward.settings import Settings, VolumeCap
from marketsim.walkforward.summary import Summary
from marketsim.walkforward.universe import Universe, UniverseResult, walk_forward_universe
from marketsim.walkforward.windows import Windows, plan_windows

__all__ = [
    "COSTS",
    "Costs",
    "Prepared",
    "Settings",
    "Summary",
    "Universe",
    "UniverseResult",
    "VolumeCap",
    "WalkForwardResult",
    "Windows",
    "plan_windows",
    "prepare",
    "walk_forward",
    "walk_forward_each",
    "walk_forward_universe",
]
