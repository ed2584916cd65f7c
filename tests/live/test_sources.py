"""The clients of the sources against a local server with recorded answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.live import sources

HOURS = pd.date_range("2024-01-01", periods=2_300, freq="h", tz="UTC")
CLOSES = 100.0 + np.arange(2_300) * 0.25
REFUSALS = 2


class Answers(BaseHTTPRequestHandler):
    """Two providers: hourly klines in pages of 1,000, and daily bars in pages of 40."""

    asked: list[str]
    refusals: int

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        address = urlparse(self.path)
        query = {key: value[0] for key, value in parse_qs(address.query).items()}
        type(self).asked.append(self.path)
        if type(self).refusals:
            type(self).refusals -= 1
            self._say(503, {"msg": "busy"})
        elif address.path.endswith("/exchangeInfo"):
            self._say(200, EXCHANGE)
        elif address.path.endswith("/klines"):
            self._say(200, klines(int(query["startTime"])))
        elif address.path.endswith("/bars"):
            self._say(200, alpaca_bars(query.get("page_token")))
        else:
            self._say(404, {"message": f"not recorded: {self.path}"})

    def _say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


EXCHANGE = {
    "timezone": "UTC",
    "serverTime": 1704067200000,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
            "baseAssetPrecision": 8, "quoteAssetPrecision": 8, "quotePrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False, "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000",
                 "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000",
                 "stepSize": "0.00001"},
            ],
        }
    ],
}  # fmt: skip


def klines(start: int) -> list[list[object]]:
    stamps = HOURS.as_unit("ms").asi8
    first = int(np.searchsorted(stamps, start))
    rows = []
    for i in range(first, min(first + 1_000, len(stamps))):
        price = CLOSES[i]
        text = [f"{price - 0.1}", f"{price + 0.5}", f"{price - 0.5}", f"{price}", "12.5"]
        rows.append([int(stamps[i]), *text, int(stamps[i]) + 3_599_999, "0", 1, "0", "0", "0"])
    return rows


def alpaca_bars(token: str | None) -> dict[str, object]:
    days = pd.bdate_range("2024-01-02", periods=100, tz="America/New_York").tz_convert("UTC")
    first = int(token or 0)
    rows = [
        {"t": f"{days[i]:%Y-%m-%dT%H:%M:%SZ}", "o": 10.0, "h": 11.0, "l": 9.0,
         "c": 10.0 + i / 100, "v": 1_000, "n": 5, "vw": 10.0}
        for i in range(first, min(first + 40, 100))
    ]  # fmt: skip
    more = str(first + 40) if first + 40 < 100 else None
    return {"bars": {"AAPL": rows}, "next_page_token": more}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(sources.time, "sleep", lambda _: None)
    Answers.asked, Answers.refusals = [], 0
    running = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # its client keeps a connection
def test_ccxt_asks_page_by_page(server: str) -> None:
    ccxt = pytest.importorskip("ccxt", reason="marketsim[ccxt] has it")
    client = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
    client.urls["api"]["public"] = f"{server}/api/v3"
    Answers.refusals = REFUSALS  # the first answers are refused
    source = sources.load_source("ccxt", timeframe="1h", client=client)
    frame = source.fetch("BTC/USDT", HOURS[10])
    assert len(frame) == 2_290 and frame.index[0] == HOURS[10]
    np.testing.assert_array_equal(frame["close"], CLOSES[10:])
    assert ms.read_bars(frame, symbol="BTC-USDT").span().startswith("2,290 bars of 1 hour")
    assert sum("klines" in path for path in Answers.asked) >= 4
    with pytest.raises(ms.SourceError, match="ETH/USDT"):
        source.fetch("ETH/USDT", None)
    with pytest.raises(ms.UnknownNameError, match="unknown exchange"):
        sources.load_source("ccxt", exchange="nyse")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its websockets
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_alpaca_asks_page_by_page(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("alpaca", reason="marketsim[alpaca] has it")
    source = sources.load_source("alpaca", key="k", secret="s", url=server)
    frame = source.fetch("AAPL", None)
    assert len(frame) == 100 and f"{frame.index[0]:%Y-%m-%d}" == "2024-01-02"
    assert frame["close"].iloc[-1] == 10.99
    assert "adjustment=split" in Answers.asked[0] and "timeframe=1Day" in Answers.asked[0]
    with pytest.raises(ms.SourceError, match="no bars of 'MSFT'"):
        source.fetch("MSFT", None)
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ms.ArgumentError, match="APCA_API_KEY_ID"):
        sources.load_source("alpaca")


def test_yfinance_leaves_out_the_bar_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    yfinance = pytest.importorskip("yfinance", reason="marketsim[yfinance] has it")
    today = pd.Timestamp.now("America/New_York").normalize()
    days = pd.date_range(end=today, periods=5, freq="D")
    frame = pd.DataFrame(
        dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), 10.0) | {"Volume": 5}, days
    )

    class Ticker:
        end = today + pd.Timedelta(1, "D")  # the session is not over

        def __init__(self, symbol: str) -> None:
            self.symbol = symbol

        @property
        def history_metadata(self) -> dict[str, object]:
            return {"currentTradingPeriod": {"regular": {"end": self.end.timestamp()}}}

        def history(self, **given: object) -> pd.DataFrame:
            assert given["auto_adjust"] is False and given["interval"] == "1d"
            return frame if self.symbol == "AAPL" else frame[:0]

    monkeypatch.setattr(yfinance, "Ticker", Ticker)
    source = sources.load_source("yfinance")
    assert list(source.fetch("AAPL", None).index) == list(days[:-1])
    Ticker.end = today - pd.Timedelta(1, "s")  # it is
    assert list(source.fetch("AAPL", None).index) == list(days)
    with pytest.raises(ms.SourceError, match="no bars of 'NONE'"):
        source.fetch("NONE", days[0])
