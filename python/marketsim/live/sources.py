"""Sources of bars through yfinance, ccxt and alpaca-py, each an optional package."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import pandas as pd

from marketsim.bars.columns import COLUMNS
from marketsim.errors import ArgumentError, MissingDependencyError, SourceError, UnknownNameError

Result = TypeVar("Result")

ATTEMPTS = 4
_FIRST_PAUSE = 1.0  # seconds; doubled after each attempt
_OLDEST = pd.Timestamp("2010-01-01", tz="UTC")  # exchanges without a first date begin later

TIMEFRAMES: dict[str, pd.Timedelta] = {
    "1m": pd.Timedelta(1, "min"),
    "5m": pd.Timedelta(5, "min"),
    "15m": pd.Timedelta(15, "min"),
    "30m": pd.Timedelta(30, "min"),
    "1h": pd.Timedelta(1, "h"),
    "1d": pd.Timedelta(1, "D"),
}


@runtime_checkable
class Source(Protocol):
    """A provider of bars.

    Attributes:
        name: name in messages.
        timeframe: length of a bar, a key of `TIMEFRAMES`.
    """

    name: str
    timeframe: str

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        """Return the complete bars of a symbol from `start` on; None for all.

        Columns open, high, low, close, volume (float64); the index ascends and has a time zone.
        An incomplete bar is left out.

        Raises:
            SourceError: the provider cannot be reached, or does not know the symbol.
        """
        ...


def load_source(name: str, *, timeframe: str = "1d", **options: Any) -> Source:
    """Return a source by name: "yfinance", "ccxt" or "alpaca".

    Args:
        name: name of the package behind it.
        timeframe: length of a bar: 1m, 5m, 15m, 30m, 1h or 1d.
        options: options of the source's class, such as `exchange="kraken"`.

    Raises:
        UnknownNameError: unknown name or timeframe.
        MissingDependencyError: the package is not installed.
        ArgumentError: an option that the source does not have, or missing credentials.
    """
    if name not in SOURCES:
        raise UnknownNameError("source", name, SOURCES)
    if timeframe not in TIMEFRAMES:
        raise UnknownNameError("timeframe", timeframe, TIMEFRAMES)
    try:
        return SOURCES[name](timeframe=timeframe, **options)
    except TypeError as error:
        raise ArgumentError(f"source {name!r}: {error}") from error


class YFinanceSource:
    """Bars of Yahoo Finance through `yfinance`; prices are adjusted for splits, not for dividends.

    Args:
        timeframe: length of a bar.
    """

    name = "yfinance"

    def __init__(self, timeframe: str = "1d") -> None:
        self._package = package_of("yfinance", "yfinance")
        self.timeframe = timeframe

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        """Return the complete bars; see `Source.fetch`."""
        ticker = self._package.Ticker(symbol)
        transient = (
            ConnectionError,
            TimeoutError,
            self._package.exceptions.YFRateLimitError,
        )

        def call() -> pd.DataFrame:
            span = {"period": "max"} if start is None else {"start": start}
            found: pd.DataFrame = ticker.history(
                **span, interval=self.timeframe, auto_adjust=False, actions=False
            )
            return found

        frame = _tried(call, transient, f"yfinance: {symbol}")
        if frame.empty:
            raise SourceError(f"yfinance has no bars of {symbol!r} ({self.timeframe})")
        frame = frame.rename(columns=str.lower)[list(COLUMNS)].astype("float64")
        now, index = pd.Timestamp.now("UTC"), pd.DatetimeIndex(frame.index)
        if self.timeframe == "1d":
            end = _regular_end(ticker.history_metadata)
            runs = end is not None and now < end
            return frame[index < now.tz_convert(index.tz).normalize()] if runs else frame
        return frame[index + TIMEFRAMES[self.timeframe] <= now]


def _regular_end(metadata: dict[str, Any]) -> pd.Timestamp | None:
    """End of today's regular session, as the provider states it."""
    period = metadata.get("currentTradingPeriod")
    if isinstance(period, pd.DataFrame):
        return pd.Timestamp(period["end"].iloc[0]).tz_convert("UTC")
    regular = period.get("regular", {}) if isinstance(period, dict) else {}
    end = regular.get("end")
    if end is None:
        return None
    stamp = pd.Timestamp(end, unit="s") if isinstance(end, int | float) else pd.Timestamp(end)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


class CcxtSource:
    """Bars of a crypto exchange through `ccxt`, fetched page by page within its rate limit.

    Args:
        timeframe: length of a bar.
        exchange: id of the exchange, such as "binance" or "kraken".
        client: a ccxt exchange object instead, for other settings.
    """

    name = "ccxt"

    def __init__(
        self, timeframe: str = "1d", exchange: str = "binance", client: Any = None
    ) -> None:
        self._package = package_of("ccxt", "ccxt")
        if client is None and exchange not in self._package.exchanges:
            raise UnknownNameError("exchange", exchange, self._package.exchanges)
        self._client = client or getattr(self._package, exchange)({"enableRateLimit": True})
        self.timeframe = timeframe
        self.name = f"ccxt {self._client.id}"

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        """Return the complete bars; see `Source.fetch`."""
        since = int((_OLDEST if start is None else start).timestamp() * 1000)
        length = int(TIMEFRAMES[self.timeframe].total_seconds() * 1000)
        rows: list[Sequence[float]] = []
        while True:
            page = self._page(symbol, since)
            new = [row for row in page if not rows or row[0] > rows[-1][0]]
            rows += new
            if not new:
                break
            since = int(rows[-1][0]) + length
        now = int(time.time() * 1000)
        rows = [row for row in rows if row[0] + length <= now]
        if not rows:
            raise SourceError(f"{self.name} has no bars of {symbol!r} ({self.timeframe})")
        frame = pd.DataFrame([row[1:6] for row in rows], columns=list(COLUMNS), dtype="float64")
        frame.index = pd.to_datetime([int(row[0]) for row in rows], unit="ms", utc=True)
        return frame

    def _page(self, symbol: str, since: int) -> list[Sequence[float]]:
        def call() -> list[Sequence[float]]:
            found: list[Sequence[float]] = self._client.fetch_ohlcv(
                symbol, self.timeframe, since=since, limit=1_000
            )
            return found

        try:
            return _tried(call, (self._package.NetworkError,), f"{self.name}: {symbol}")
        except self._package.BaseError as error:
            raise SourceError(f"{self.name}: {symbol}: {error}") from error


class AlpacaSource:
    """Bars of Alpaca through `alpaca-py`; prices are adjusted for splits.

    Args:
        timeframe: length of a bar.
        key, secret: credentials; by default APCA_API_KEY_ID and APCA_API_SECRET_KEY.
        feed: "iex" (free) or "sip".
        url: address of another server.
    """

    name = "alpaca"

    def __init__(
        self,
        timeframe: str = "1d",
        key: str | None = None,
        secret: str | None = None,
        feed: str = "iex",
        url: str | None = None,
    ) -> None:
        package_of("alpaca", "alpaca-py")
        from alpaca.data.historical import StockHistoricalDataClient

        key = key or os.environ.get("APCA_API_KEY_ID")
        secret = secret or os.environ.get("APCA_API_SECRET_KEY")
        if not key or not secret:
            raise ArgumentError(
                "alpaca needs credentials: set APCA_API_KEY_ID and APCA_API_SECRET_KEY"
            )
        self._client = StockHistoricalDataClient(key, secret, url_override=url)
        self.timeframe = timeframe
        self._feed = feed

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        """Return the complete bars; see `Source.fetch`."""
        from alpaca.common.exceptions import APIError
        from alpaca.data.enums import Adjustment, DataFeed
        from alpaca.data.requests import StockBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
        from requests import ConnectionError as Unreachable
        from requests import Timeout

        units = {"m": TimeFrameUnit.Minute, "h": TimeFrameUnit.Hour, "d": TimeFrameUnit.Day}
        request = StockBarsRequest(
            symbol_or_symbols=symbol,
            start=(_OLDEST if start is None else start).to_pydatetime(),
            timeframe=TimeFrame(int(self.timeframe[:-1]), units[self.timeframe[-1]]),
            adjustment=Adjustment.SPLIT,
            feed=DataFeed(self._feed),
        )
        try:
            found = _tried(
                lambda: self._client.get_stock_bars(request), (Unreachable, Timeout),
                f"alpaca: {symbol}",
            )  # fmt: skip
        except APIError as error:
            raise SourceError(f"alpaca: {symbol}: {error}") from error
        bars: list[Any] = getattr(found, "data", {}).get(symbol, [])
        if not bars:
            raise SourceError(f"alpaca has no bars of {symbol!r} ({self.timeframe})")
        rows = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
        frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype="float64")
        index = pd.DatetimeIndex([bar.timestamp for bar in bars]).tz_convert("UTC")
        now = pd.Timestamp.now("UTC")
        if self.timeframe == "1d":
            frame.index = index.tz_convert("America/New_York").normalize()
            # Daily bars are complete a quarter of an hour after the latest close.
            done = frame.index + pd.Timedelta(16, "h") + pd.Timedelta(15, "min") <= now
        else:
            frame.index = index
            done = index + TIMEFRAMES[self.timeframe] <= now
        return frame[done]


SOURCES: dict[str, Callable[..., Source]] = {
    "yfinance": YFinanceSource,
    "ccxt": CcxtSource,
    "alpaca": AlpacaSource,
}


def package_of(module: str, package: str) -> Any:
    """Import an optional package; MissingDependencyError if it is not installed."""
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingDependencyError(
            f"this needs {package}, not installed: pip install '.[{module}]' in the checkout"
        ) from error


def _tried(
    call: Callable[[], Result], transient: tuple[type[BaseException], ...], what: str
) -> Result:
    """Call a function, and retry transient failures after growing pauses."""
    pause = _FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except transient as error:
            if attempt == ATTEMPTS:
                raise SourceError(f"{what}: {error} (after {ATTEMPTS} attempts)") from error
            time.sleep(pause)
            pause *= 2.0
    raise AssertionError
