"""Brokers of real accounts: alpaca-py paper accounts and ccxt sandboxes, each an optional package.

Live money is traded only where `live=True` is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from marketsim.errors import ArgumentError, SourceError
from marketsim.live.broker import Fill, PaperBroker
from marketsim.live.sources import package_of

_CLOSING = "close"  # in `leave` of orders whose rest is closed with the bar
_CARRIED = "limit, else with the next order"  # `leave` of orders of `TakeProfit`


@dataclass(frozen=True)
class _Filled:
    """What an account filled of one leg: quantity, mean price, kind and cost."""

    quantity: float
    price: float
    kind: str
    cost: float


class _Account:
    """Shared part: a ledger knows each order by name, the account by a short hash of it."""

    def __init__(self, ledger: PaperBroker, *, at_open: bool) -> None:
        self.ledger = ledger
        self.at_open = at_open

    def submit(self, orders: pd.DataFrame) -> list[str]:
        """Place the orders of `next_orders`, each once; returns the names of new ones.

        An order that the account has is not placed again, so a call that was interrupted can be
        repeated.

        Raises:
            ArgumentError: an order without a quantity, one for the close of the last bar, which is
                over (see `at_open`), or one of a kind that the account cannot place. Nothing is
                placed then, and the ledger is unchanged.
            SourceError: the account refused an order or cannot be reached.
        """
        exits = orders["order"] == "exit"  # without a quantity: nothing is traded now
        wanted = orders[(orders["order"] != "none") & (exits | (orders["quantity"] != 0.0))]
        late = wanted[wanted["enter"] == "close of the last bar"]
        late = late[late["order"] == "market"]
        if len(late) and not self.at_open:
            first = late.iloc[0]
            raise ArgumentError(
                f"the order of {first['symbol']} by {first['strategy']} trades at the close of the "
                "last bar, which is over: use a strategy that trades at the next open, or allow "
                "the difference with at_open=True"
            )
        rows = [{str(k): value for k, value in row.items()} for row in wanted.to_dict("records")]
        for row in rows:
            self._check(row)
        self.ledger.submit(wanted)
        placed = []
        for row in rows:
            bar = pd.Timestamp(row["bar"]).isoformat()
            name = f"{row['symbol']}/{row['strategy']}/{bar}/{row['side']}"
            if not self._known(client_id(name), row["symbol"]):
                self._place(client_id(name), row)
                placed.append(name)
        return placed

    def fills(self, last: int | None = None) -> pd.DataFrame:
        """Return the fills of the account's orders, oldest first, with the columns of `Fill`.

        Partial fills of a leg are one row: their sum at their mean price. Each order is asked for.

        Args:
            last: number of newest bars whose orders are asked for; None for all.
        """
        rows = []
        for order in self._orders(last):
            legs = self._legs(order)
            buys = order["side"] == "buy"
            for leg, filled in legs.items():
                side = "buy" if buys == (leg == "entry") else "sell"
                rows.append(
                    Fill(
                        order["id"], leg, order["symbol"], order["strategy"], order["bar"], side,
                        filled.quantity, filled.price, filled.kind, filled.cost,
                    )
                )  # fmt: skip
        return pd.DataFrame(rows, columns=list(Fill._fields))

    def leave_at_close(self) -> list[str]:
        """Close what is held of orders that leave at the close; returns their names.

        Call it before the session's end, for the orders of the newest bar. Exits that rest are
        cancelled first.

        Raises:
            SourceError: the account refused an order or cannot be reached.
        """
        closed = []
        for order in self._orders(1):
            legs = self._legs(order)
            entry, leave = legs.get("entry"), legs.get("exit")
            held = (entry.quantity if entry else 0.0) - (leave.quantity if leave else 0.0)
            if _CLOSING in order["leave"] and held > 1e-9:
                self._close(client_id(order["id"]), order, held)
                closed.append(order["id"])
        return closed

    def _orders(self, last: int | None) -> list[dict[str, Any]]:
        """Return the ledger's orders of the newest `last` bars, oldest first."""
        rows = self.ledger.orders().to_dict("records")
        found = [{str(key): value for key, value in row.items()} for row in rows]
        bars = sorted({order["bar"] for order in found})
        kept = set(bars if last is None else bars[-last:])
        return [order for order in found if order["bar"] in kept]

    def _check(self, row: Mapping[str, Any]) -> None:
        """Raise where the account cannot place an order."""
        if row["leave"] == _CARRIED:
            raise ArgumentError(
                f"{row['strategy']} holds {row['symbol']} over several bars with a take-profit, "
                "which is placed only with the entries of one bar: use PaperBroker, or a strategy "
                "without it, such as maxdiff or simple"
            )

    def _known(self, client: str, symbol: str) -> bool:
        raise NotImplementedError

    def _place(self, client: str, row: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _close(self, client: str, order: Mapping[str, Any], units: float) -> None:
        raise NotImplementedError

    def _legs(self, order: Mapping[str, Any]) -> dict[str, _Filled]:
        raise NotImplementedError


def client_id(name: str) -> str:
    """Return the id under which an account knows an order: 26 letters and digits.

    Example:
        >>> len(client_id("AAPL/maxdiff/2024-01-02T00:00:00+00:00/buy"))
        26
    """
    return "ms" + hashlib.sha256(name.encode()).hexdigest()[:24]


class AlpacaBroker(_Account):
    """Account of alpaca-py: a paper account unless `live=True`.

    Limit orders carry their take-profit and stop; market orders wait for the next open.

    Args:
        ledger: a `PaperBroker`, which remembers the orders and settles the assumed fills, for
            `compare_fills`.
        key, secret: credentials; None reads APCA_API_KEY_ID and APCA_API_SECRET_KEY.
        live: True trades real money.
        at_open: trade at the next open what strategies trade at the close of the last bar.
        url: address of the server; None for the provider's own.

    Raises:
        MissingDependencyError: alpaca-py is not installed.
        ArgumentError: credentials are missing.

    Example:
        >>> ledger = PaperBroker("alpaca.sqlite")  # doctest: +SKIP
        >>> AlpacaBroker(ledger).submit(next_orders(bars, equity=1e4, lot=1))  # doctest: +SKIP
    """

    def __init__(
        self,
        ledger: PaperBroker,
        *,
        key: str | None = None,
        secret: str | None = None,
        live: bool = False,
        at_open: bool = False,
        url: str | None = None,
    ) -> None:
        super().__init__(ledger, at_open=at_open)
        package_of("alpaca", "alpaca-py")
        from alpaca.trading.client import TradingClient

        key = key or os.environ.get("APCA_API_KEY_ID")
        secret = secret or os.environ.get("APCA_API_SECRET_KEY")
        if not key or not secret:
            raise ArgumentError(
                "alpaca needs credentials: set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or pass "
                "key= and secret="
            )
        self._client = TradingClient(key, secret, paper=not live, url_override=url)

    def _asked(self, what: str, call: Any) -> Any:
        from alpaca.common.exceptions import APIError
        from requests import RequestException

        try:
            return call()
        except (APIError, RequestException) as error:
            raise SourceError(f"alpaca: {what}: {error}") from error

    def _found(self, client: str) -> Any:
        """Return the account's order of a client id, or None."""
        from alpaca.common.exceptions import APIError

        def call() -> Any:
            try:
                return self._client.get_order_by_client_id(client)
            except APIError as error:
                if getattr(error, "status_code", None) == 404:
                    return None
                raise

        return self._asked("orders", call)

    def _known(self, client: str, symbol: str) -> bool:
        return self._found(client) is not None

    def _place(self, client: str, row: Mapping[str, Any]) -> None:
        from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
        from alpaca.trading.requests import (
            LimitOrderRequest,
            MarketOrderRequest,
            StopLossRequest,
            TakeProfitRequest,
        )

        profit, stop = _price(row["take_profit"]), _price(row["stop"])
        common: dict[str, Any] = {
            "symbol": row["symbol"],
            "qty": row["quantity"],
            "side": OrderSide.BUY if row["side"] == "buy" else OrderSide.SELL,
            "time_in_force": TimeInForce.DAY,
            "client_order_id": client,
        }
        if profit is not None:
            common["take_profit"] = TakeProfitRequest(limit_price=profit)
        if stop is not None:
            common["stop_loss"] = StopLossRequest(stop_price=stop)
        legs = len({"take_profit", "stop_loss"} & set(common))
        if legs:
            common["order_class"] = OrderClass.BRACKET if legs == 2 else OrderClass.OTO
        request: Any
        if row["order"] == "market":
            request = MarketOrderRequest(**common)
        else:
            request = LimitOrderRequest(limit_price=_price(row["entry_limit"]), **common)
        self._asked(row["symbol"], lambda: self._client.submit_order(request))

    def _close(self, client: str, order: Mapping[str, Any], units: float) -> None:
        from alpaca.trading.enums import OrderSide, TimeInForce
        from alpaca.trading.requests import MarketOrderRequest

        leaving = client + "x"
        if self._known(leaving, order["symbol"]):
            return
        parent = self._found(client)
        for leg in parent.legs or []:
            if str(getattr(leg.status, "value", leg.status)) not in _DONE:
                self._asked("cancel", lambda at=leg.id: self._client.cancel_order_by_id(at))
        request = MarketOrderRequest(
            symbol=order["symbol"],
            qty=units,
            side=OrderSide.SELL if order["side"] == "buy" else OrderSide.BUY,
            time_in_force=TimeInForce.CLS,
            client_order_id=leaving,
        )
        self._asked(order["symbol"], lambda: self._client.submit_order(request))

    def _legs(self, order: Mapping[str, Any]) -> dict[str, _Filled]:
        client = client_id(order["id"])
        parent = self._found(client)
        if parent is None:
            return {}
        found = {"entry": [parent], "exit": list(parent.legs or [])}
        closing = self._found(client + "x")
        found["exit"] += [closing] if closing is not None else []
        legs = {}
        for leg, parts in found.items():
            filled = [
                (float(p.filled_qty), float(p.filled_avg_price), _alpaca_kind(p), 0.0)
                for p in parts
                if p.filled_avg_price is not None and float(p.filled_qty or 0.0) > 0.0
            ]
            if filled:
                legs[leg] = _together(filled)
        return legs


_DONE = frozenset({"filled", "canceled", "expired", "rejected", "replaced", "done_for_day"})


def _alpaca_kind(order: Any) -> str:
    kind = str(getattr(order.order_type, "value", order.order_type))
    if kind != "market":
        return "stop" if kind.startswith("stop") else "limit"
    return "close" if str(getattr(order.time_in_force, "value", "")) == "cls" else "open"


def _together(parts: list[tuple[float, float, str, float]]) -> _Filled:
    units = sum(quantity for quantity, _, _, _ in parts)
    value = sum(quantity * price for quantity, price, _, _ in parts)
    return _Filled(units, value / units, parts[-1][2], sum(cost for _, _, _, cost in parts))


def _price(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


class CcxtBroker(_Account):
    """Account of an exchange of ccxt: its sandbox unless `live=True`.

    Works with exchanges whose `fetchOrder` takes a `clientOrderId`, such as Binance. An entry's
    take-profit is placed by `place_exits` once the entry is filled. An order with a stop is refused
    before anything is placed: exchanges have no common form of it.

    Args:
        ledger: a `PaperBroker`, which remembers the orders and settles the assumed fills.
        exchange: name in ccxt.
        key, secret: credentials.
        live: True trades real money.
        at_open: trade at once what strategies trade at the close of the last bar.
        symbols: the exchange's names of symbols; others have "-" replaced by "/".
        client: a ccxt client instead of `exchange`; the caller chose its server.

    Raises:
        MissingDependencyError: ccxt is not installed.
        UnknownNameError, ArgumentError: unknown exchange; one without a sandbox.

    Example:
        >>> CcxtBroker(PaperBroker("binance.sqlite"), exchange="binance")  # doctest: +SKIP
    """

    def __init__(
        self,
        ledger: PaperBroker,
        *,
        exchange: str = "binance",
        key: str | None = None,
        secret: str | None = None,
        live: bool = False,
        at_open: bool = False,
        symbols: Mapping[str, str] | None = None,
        client: Any = None,
    ) -> None:
        from marketsim.errors import UnknownNameError

        super().__init__(ledger, at_open=at_open)
        self._package = package_of("ccxt", "ccxt")
        self._symbols = dict(symbols or {})
        if client is None:
            if exchange not in self._package.exchanges:
                raise UnknownNameError("exchange", exchange, self._package.exchanges)
            client = getattr(self._package, exchange)({"apiKey": key, "secret": secret})
            if not live:
                if not client.urls.get("test"):
                    raise ArgumentError(
                        f"{exchange} has no sandbox: choose another exchange, or trade real money "
                        "with live=True"
                    )
                client.set_sandbox_mode(True)
        self._client = client

    def place_exits(self) -> list[str]:
        """Place the take-profit of each filled entry of the newest bar; returns their names."""
        placed = []
        for order in self._orders(1):
            profit, client = _price(order["take_profit"]), client_id(order["id"])
            entry = self._legs(order).get("entry")
            if profit is None or entry is None or self._known(client + "t", order["symbol"]):
                continue
            side = "sell" if order["side"] == "buy" else "buy"
            self._create(client + "t", order["symbol"], "limit", side, entry.quantity, profit)
            placed.append(order["id"])
        return placed

    def _market(self, symbol: str) -> str:
        return self._symbols.get(symbol, symbol.replace("-", "/"))

    def _asked(self, what: str, call: Any) -> Any:
        try:
            return call()
        except self._package.BaseError as error:
            raise SourceError(f"{self._client.id}: {what}: {error}") from error

    def _found(self, client: str, symbol: str) -> dict[str, Any] | None:
        name = self._market(symbol)

        def call() -> Any:
            try:
                return self._client.fetch_order(client, name, {"clientOrderId": client})
            except self._package.OrderNotFound:
                return None

        found: dict[str, Any] | None = self._asked(symbol, call)
        return found

    def _known(self, client: str, symbol: str) -> bool:
        return self._found(client, symbol) is not None

    def _create(
        self, client: str, symbol: str, kind: str, side: str, units: float, price: float | None
    ) -> None:
        name = self._market(symbol)
        self._asked(
            symbol,
            lambda: self._client.create_order(
                name, kind, side, units, price, {"clientOrderId": client}
            ),
        )

    def _check(self, row: Mapping[str, Any]) -> None:
        super()._check(row)
        if _price(row["stop"]) is not None:
            raise ArgumentError(
                f"the order of {row['symbol']} by {row['strategy']} has a stop: exchanges of ccxt "
                "have no order that joins an entry, a stop and a take-profit in the same form; "
                "leave the stop out of the strategy, or use AlpacaBroker"
            )

    def _place(self, client: str, row: Mapping[str, Any]) -> None:
        kind = "market" if row["order"] == "market" else "limit"
        price = None if kind == "market" else _price(row["entry_limit"])
        self._create(client, row["symbol"], kind, row["side"], row["quantity"], price)

    def _close(self, client: str, order: Mapping[str, Any], units: float) -> None:
        symbol = order["symbol"]
        if self._known(client + "x", symbol):
            return
        for resting in (client, client + "t"):
            found = self._found(resting, symbol)
            if found is not None and found["status"] == "open":
                name, identifier = self._market(symbol), found["id"]
                self._asked(
                    symbol, lambda at=identifier, of=name: self._client.cancel_order(at, of)
                )
        side = "sell" if order["side"] == "buy" else "buy"
        self._create(client + "x", symbol, "market", side, units, None)

    def _legs(self, order: Mapping[str, Any]) -> dict[str, _Filled]:
        client, symbol = client_id(order["id"]), order["symbol"]
        ends = {"": "entry", "t": "exit", "x": "exit"}
        parts: dict[str, list[tuple[float, float, str, float]]] = {}
        for end, leg in ends.items():
            found = self._found(client + end, symbol)
            if found is None and end == "":
                return {}
            if found is not None and (found["filled"] or 0.0) > 0.0:
                kind = "limit" if found["type"] == "limit" else "close" if end == "x" else "open"
                fee = (found.get("fee") or {}).get("cost") or 0.0
                price = float(found["average"] or found["price"])
                parts.setdefault(leg, []).append((float(found["filled"]), price, kind, float(fee)))
        return {leg: _together(found) for leg, found in parts.items()}
