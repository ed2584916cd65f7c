"""Trading strategies: orders for each bar from what is known before it."""

from marketsim.strategies.entry_exit import EntryTakeProfit, HighLow, MaxDiff, MaxDiffAlwaysOn
from marketsim.strategies.orders import (
    BarStrategy,
    Hold,
    LimitOrders,
    Orders,
    Strategy,
    TakeProfit,
)
from marketsim.strategies.registry import (
    BASELINES,
    register_strategy,
    select_strategies,
    strategy_names,
    unregister_strategy,
)
from marketsim.strategies.signals import (
    AllSignals,
    BuyAndHold,
    ConfidenceGuard,
    Simple,
    UnprofitShutdown,
)
from marketsim.strategies.views import BarView, DecisionView, PastBars

__all__ = [
    "BASELINES",
    "AllSignals",
    "BarStrategy",
    "BarView",
    "BuyAndHold",
    "ConfidenceGuard",
    "DecisionView",
    "EntryTakeProfit",
    "HighLow",
    "Hold",
    "LimitOrders",
    "MaxDiff",
    "MaxDiffAlwaysOn",
    "Orders",
    "PastBars",
    "Simple",
    "Strategy",
    "TakeProfit",
    "UnprofitShutdown",
    "register_strategy",
    "select_strategies",
    "strategy_names",
    "unregister_strategy",
]
