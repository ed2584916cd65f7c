"""From tonight's close to tomorrow's orders, by the code that was backtested."""

from marketsim.live.broker import Broker, Fill, PaperBroker
from marketsim.live.orders import ORDER_COLUMNS, next_orders
from marketsim.live.slippage import compare_fills

__all__ = ["ORDER_COLUMNS", "Broker", "Fill", "PaperBroker", "compare_fills", "next_orders"]
