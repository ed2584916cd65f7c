"""Orders for the next bar by the code of the backtest, and a paper broker to fill them."""

from marketsim.live.accounts import AlpacaBroker, CcxtBroker
from marketsim.live.broker import Broker, Fill, PaperBroker
from marketsim.live.orders import ORDER_COLUMNS, next_orders
from marketsim.live.refresh import Refreshed, refresh
from marketsim.live.slippage import compare_fills
from marketsim.live.sources import Source, load_source

__all__ = [
    "ORDER_COLUMNS",
    "AlpacaBroker",
    "Broker",
    "CcxtBroker",
    "Fill",
    "PaperBroker",
    "Refreshed",
    "Source",
    "compare_fills",
    "load_source",
    "next_orders",
    "refresh",
]
