"""Trading strategies: what is known before a day, turned into orders for it."""

from marketsim.strategies.entry_exit import EntryTakeProfit, HighLow, MaxDiff, MaxDiffAlwaysOn
from marketsim.strategies.orders import (
    DecisionView,
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
)
from marketsim.strategies.signals import (
    AllSignals,
    BuyAndHold,
    ConfidenceGuard,
    Simple,
    UnprofitShutdown,
)

__all__ = [
    "BASELINES",
    "AllSignals",
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
    "Simple",
    "Strategy",
    "TakeProfit",
    "UnprofitShutdown",
    "register_strategy",
    "select_strategies",
    "strategy_names",
]
