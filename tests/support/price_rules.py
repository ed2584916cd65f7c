"""The fill contract on prices, transcribed from its text and from nothing else: an oracle.

No returns, no mirror, no arrays: one bar, one order, plain Python numbers.
"""

from __future__ import annotations

from typing import NamedTuple


class Bar(NamedTuple):
    open: float
    high: float
    low: float
    close: float


class Fill(NamedTuple):
    """What an order did in a bar.

    Attributes:
        entry, exit: prices; None where it did not enter.
        at_open: entered at the open.
        at_limit: left at its limit, not at the close.
        unknown: the bar went through entry and exit, and does not tell in which order.
    """

    entry: float | None = None
    exit: float | None = None
    at_open: bool = False
    at_limit: bool = False
    unknown: bool = False


def buy_then_sell(bar: Bar, buy: float, sell: float, policy: str) -> Fill:
    """A long: buys at the limit `buy` or better, sells at the limit `sell` or better."""
    if not bar.low < buy:  # the price did not go through the limit: a touch is no fill
        return Fill()
    if bar.open < buy:  # the bar opens below: filled at the open, which is better
        if policy != "close_only" and bar.high > sell:
            return Fill(bar.open, max(sell, bar.open), at_open=True, at_limit=True)
        return Fill(bar.open, bar.close, at_open=True)
    unknown = bar.high > sell and not bar.close > sell and policy != "close_only"
    proven = bar.close > sell
    leaves = {"optimistic": bar.high > sell, "open_aware": proven, "close_only": False}[policy]
    return Fill(buy, sell if leaves else bar.close, at_limit=leaves, unknown=unknown)


def sell_then_buy(bar: Bar, sell: float, buy: float, policy: str) -> Fill:
    """A short: sells at the limit `sell` or better, buys back at the limit `buy` or better."""
    if not bar.high > sell:
        return Fill()
    if bar.open > sell:
        if policy != "close_only" and bar.low < buy:
            return Fill(bar.open, min(buy, bar.open), at_open=True, at_limit=True)
        return Fill(bar.open, bar.close, at_open=True)
    unknown = bar.low < buy and not bar.close < buy and policy != "close_only"
    proven = bar.close < buy
    leaves = {"optimistic": bar.low < buy, "open_aware": proven, "close_only": False}[policy]
    return Fill(sell, buy if leaves else bar.close, at_limit=leaves, unknown=unknown)


def money(fill: Fill, size: float, costs: tuple[float, float, float]) -> tuple[float, float]:
    """Gross profit and cost of a fill; `size` below 0 is a short."""
    if fill.entry is None or fill.exit is None:
        return 0.0, 0.0
    entry, limit_exit, close_exit = costs
    rate = entry + (limit_exit if fill.at_limit else close_exit)
    return size * (fill.exit - fill.entry), abs(size) * rate
