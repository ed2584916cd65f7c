"""Accounts of alpaca-py and ccxt against a local server that keeps orders as theirs do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest
from test_sources import EXCHANGE

import marketsim as ms
from marketsim.live import AlpacaBroker, Broker, CcxtBroker, PaperBroker, compare_fills
from marketsim.live.accounts import client_id

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of alpaca's websockets
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the clients keep connections
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
BAR = pd.Timestamp("2024-01-03", tz="America/New_York")


def orders(symbol: str = "AAPL", **changes: Any) -> pd.DataFrame:
    row = {
        "symbol": symbol, "strategy": "maxdiff", "bar": BAR, "order": "limit", "side": "buy",
        "quantity": 10.0, "entry_limit": 99.0, "take_profit": 102.0, "stop": float("nan"),
        "enter": "during the bar", "leave": "limit, else close",
    }  # fmt: skip
    return pd.DataFrame([row | changes])


class Exchange(BaseHTTPRequestHandler):
    """Alpaca's /v2/orders and Binance's /order: kept in `held`, filled by the tests."""

    held: dict[str, dict[str, Any]]
    sent: list[tuple[str, str, dict[str, Any]]]

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _read(self) -> tuple[str, dict[str, Any]]:
        address = urlparse(self.path)
        query: dict[str, Any] = {k: v[0] for k, v in parse_qs(address.query).items()}
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if text.startswith("{"):
            query |= json.loads(text)
        elif text:
            query |= {k: v[0] for k, v in parse_qs(text).items()}
        type(self).sent.append((self.command, address.path, query))
        return address.path, query

    def do_GET(self) -> None:
        path, query = self._read()
        if path.endswith("/exchangeInfo"):
            self._say(200, EXCHANGE)
        elif path == "/v2/orders:by_client_order_id":
            found = self.held.get(query["client_order_id"])
            self._say(*((200, found) if found else (404, {"code": 40410000, "message": "no"})))
        elif path.endswith("/order"):
            found = self.held.get(query["origClientOrderId"])
            unknown = {"code": -2013, "msg": "Order does not exist."}
            self._say(*((200, found) if found else (400, unknown)))
        else:
            self._say(404, {"message": f"not recorded: {path}"})

    def do_POST(self) -> None:
        path, query = self._read()
        if path == "/v2/orders":
            if float(query.get("limit_price") or 1.0) > 1e6:
                self._say(403, {"code": 40310000, "message": "insufficient buying power"})
                return
            made = alpaca_order(query)
            self.held[made["client_order_id"]] = made
        else:
            made = binance_order(query)
            self.held[made["clientOrderId"]] = made
        self._say(200, made)

    def do_DELETE(self) -> None:
        path, _ = self._read()
        for order in self.held.values():
            for leg in order.get("legs") or []:
                if path.endswith(leg["id"]):
                    leg["status"] = "canceled"
        self.send_response(204)
        self.end_headers()


def alpaca_order(asked: dict[str, Any]) -> dict[str, Any]:
    def one(number: int, **changes: Any) -> dict[str, Any]:
        return {
            "id": f"00000000-0000-4000-8000-{len(Exchange.held):06d}{number:06d}",
            "client_order_id": f"leg{number}", "symbol": asked["symbol"], "qty": asked["qty"],
            "created_at": "2024-01-02T22:00:00Z", "updated_at": "2024-01-02T22:00:00Z",
            "submitted_at": "2024-01-02T22:00:00Z", "filled_qty": "0", "filled_avg_price": None,
            "order_class": asked.get("order_class") or "simple", "side": asked["side"],
            "order_type": asked["type"], "type": asked["type"], "status": "new", "legs": None,
            "time_in_force": asked["time_in_force"], "extended_hours": False,
        } | changes  # fmt: skip

    legs = []
    if "take_profit" in asked:
        legs.append(one(1, type="limit", order_type="limit", status="held"))
    if "stop_loss" in asked:
        legs.append(one(2, type="stop", order_type="stop", status="held"))
    return one(0, client_order_id=asked["client_order_id"], legs=legs or None)


def binance_order(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "symbol": asked["symbol"], "orderId": len(Exchange.held) + 1, "orderListId": -1,
        "clientOrderId": asked["newClientOrderId"], "price": asked.get("price", "0"),
        "origQty": asked["quantity"], "executedQty": "0", "cummulativeQuoteQty": "0",
        "status": "NEW", "timeInForce": "GTC", "type": asked["type"], "side": asked["side"],
        "time": 1704232800000, "updateTime": 1704232800000, "isWorking": True,
    }  # fmt: skip


@pytest.fixture
def server() -> Iterator[str]:
    Exchange.held, Exchange.sent = {}, []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    thread.join()
    running.server_close()


def posted() -> list[dict[str, Any]]:
    return [query for method, _, query in Exchange.sent if method == "POST"]


@pytest.fixture
def alpaca(server: str, tmp_path: Path) -> AlpacaBroker:
    pytest.importorskip("alpaca", reason="the extra alpaca has it")
    ledger = PaperBroker(tmp_path / "ledger.sqlite")
    return AlpacaBroker(ledger, key="k", secret="s", url=server)


NAME = f"AAPL/maxdiff/{BAR.isoformat()}/buy"


def test_alpaca_places_each_order_once_with_its_take_profit(alpaca: AlpacaBroker) -> None:
    assert isinstance(alpaca, Broker)
    assert alpaca.submit(orders()) == [NAME]
    assert alpaca.submit(orders()) == []
    (sent,) = posted()
    assert sent["client_order_id"] == client_id(NAME)
    assert (sent["type"], sent["side"], sent["time_in_force"]) == ("limit", "buy", "day")
    assert (float(sent["qty"]), float(sent["limit_price"])) == (10.0, 99.0)
    assert sent["order_class"] == "oto"
    assert float(sent["take_profit"]["limit_price"]) == 102.0


def test_alpaca_fills_are_those_of_both_legs_and_compare_with_the_assumed(
    alpaca: AlpacaBroker,
) -> None:
    alpaca.submit(orders(stop=95.0))
    assert posted()[0]["order_class"] == "bracket"
    assert alpaca.fills().empty
    held = Exchange.held[client_id(NAME)]
    held |= {"filled_qty": "10", "filled_avg_price": "98.9", "status": "filled"}
    held["legs"][0] |= {"filled_qty": "4", "filled_avg_price": "102.5"}
    assert alpaca.leave_at_close() == [NAME]
    assert alpaca.leave_at_close() == [NAME]  # asked again, sent once
    assert len(posted()) == 2
    closing = posted()[1]
    assert (closing["type"], closing["side"], closing["time_in_force"]) == ("market", "sell", "cls")
    assert float(closing["qty"]) == 6.0
    assert {leg["status"] for leg in held["legs"]} == {"canceled"}
    Exchange.held[client_id(NAME) + "x"] |= {"filled_qty": "6", "filled_avg_price": "100.0"}
    fills = alpaca.fills()
    assert fills["leg"].tolist() == ["entry", "exit"]
    assert fills["side"].tolist() == ["buy", "sell"]
    assert fills["price"].tolist() == pytest.approx([98.9, (4 * 102.5 + 6 * 100.0) / 10])
    assert fills["kind"].tolist() == ["limit", "close"]
    assumed = fills.assign(price=[99.0, 102.0])
    assert compare_fills(assumed, fills)["outcome"].tolist() == ["both", "both"]
    assert alpaca.leave_at_close() == []


def test_alpaca_refusals_and_orders_for_a_close_that_is_over(alpaca: AlpacaBroker) -> None:
    with pytest.raises(ms.SourceError, match="insufficient buying power"):
        alpaca.submit(orders(entry_limit=2e6))
    market = orders(
        order="market", enter="close of the last bar", take_profit=float("nan"),
        entry_limit=float("nan"), leave="with the next order",
    )  # fmt: skip
    with pytest.raises(ms.ArgumentError, match="which is over"):
        alpaca.submit(market)
    alpaca.at_open = True
    alpaca.submit(market.assign(strategy="simple"))
    assert posted()[-1]["type"] == "market"


TAKE_PROFIT: dict[str, Any] = {
    "strategy": "entry_takeprofit", "leave": "limit, else with the next order",
    "enter": "open of the bar", "entry_limit": float("nan"),
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"order": "exit", "side": "", "quantity": 0.0}, {"order": "exit", "quantity": float("nan")},
     {"order": "market", "quantity": 2.0}],
)  # fmt: skip
@pytest.mark.parametrize("account", ["alpaca", "binance"])
def test_take_profits_of_carried_positions_are_refused_before_anything_is_sent(
    changes: dict[str, Any], account: str, request: pytest.FixtureRequest
) -> None:
    broker: AlpacaBroker | CcxtBroker = request.getfixturevalue(account)
    both = pd.concat([orders(), orders(**TAKE_PROFIT | changes)], ignore_index=True)
    with pytest.raises(ms.ArgumentError, match="over several bars with a take-profit"):
        broker.submit(both)
    assert posted() == [] and broker.ledger.orders().empty


def test_orders_of_take_profit_say_what_accounts_refuse() -> None:
    made = ms.next_orders(ms.demo_bars(), "ewma", "entry_takeprofit", equity=1e4, progress=False)
    assert made["leave"].tolist() == [TAKE_PROFIT["leave"]]


def test_live_money_needs_its_word(server: str, tmp_path: Path) -> None:
    pytest.importorskip("alpaca", reason="the extra alpaca has it")
    ledger = PaperBroker(tmp_path / "ledger.sqlite")
    assert AlpacaBroker(ledger, key="k", secret="s")._client._sandbox is True
    assert AlpacaBroker(ledger, key="k", secret="s", live=True)._client._sandbox is False


@pytest.fixture
def binance(server: str, tmp_path: Path) -> CcxtBroker:
    ccxt = pytest.importorskip("ccxt", reason="the extra ccxt has it")
    options = {"fetchMargins": False, "fetchMarkets": {"types": ["spot"]}}
    client = ccxt.binance({"apiKey": "k", "secret": "s", "options": options})
    client.has["fetchCurrencies"] = False
    for name in ("public", "private"):
        client.urls["api"][name] = f"{server}/api/v3"
    return CcxtBroker(PaperBroker(tmp_path / "ledger.sqlite"), client=client)


def test_ccxt_places_entries_exits_and_closes(binance: CcxtBroker) -> None:
    name = f"BTC-USDT/maxdiff/{BAR.isoformat()}/buy"
    asked = orders("BTC-USDT", quantity=0.5)
    assert binance.submit(asked) == [name]
    assert binance.submit(asked) == []
    (sent,) = posted()
    assert (sent["symbol"], sent["side"], sent["type"]) == ("BTCUSDT", "BUY", "LIMIT")
    assert sent["newClientOrderId"] == client_id(name)
    assert binance.place_exits() == []
    held = Exchange.held[client_id(name)]
    held |= {"executedQty": "0.5", "cummulativeQuoteQty": "49.25", "status": "FILLED"}
    assert binance.place_exits() == [name]
    assert binance.place_exits() == []
    assert (posted()[-1]["side"], float(posted()[-1]["price"])) == ("SELL", 102.0)
    fills = binance.fills()
    assert fills[["leg", "price", "quantity"]].values.tolist() == [["entry", 98.5, 0.5]]
    Exchange.held[client_id(name) + "t"] |= {"status": "CANCELED"}
    assert binance.leave_at_close() == [name]
    assert (posted()[-1]["type"], posted()[-1]["side"]) == ("MARKET", "SELL")
    sent_before, known = len(posted()), len(binance.ledger.orders())
    refused = orders("BTC-USDT", strategy="other", stop=90.0)
    with pytest.raises(ms.ArgumentError, match="has a stop"):
        binance.submit(pd.concat([orders("BTC-USDT", strategy="third"), refused]))
    assert (len(posted()), len(binance.ledger.orders())) == (sent_before, known)


def test_ccxt_uses_the_sandbox_unless_told(tmp_path: Path) -> None:
    pytest.importorskip("ccxt", reason="the extra ccxt has it")
    ledger = PaperBroker(tmp_path / "ledger.sqlite")
    assert "testnet" in CcxtBroker(ledger)._client.urls["api"]["private"]
    assert "testnet" not in CcxtBroker(ledger, live=True)._client.urls["api"]["private"]
    with pytest.raises(ms.UnknownNameError, match="nyse"):
        CcxtBroker(ledger, exchange="nyse")
    with pytest.raises(ms.ArgumentError, match="no sandbox"):
        CcxtBroker(ledger, exchange="kraken")
