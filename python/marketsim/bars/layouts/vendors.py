"""The layouts that are known, each as documented by its provider."""

from __future__ import annotations

from marketsim.bars.layouts.layout import Layout
from marketsim.errors import UnknownNameError


def _sets(*texts: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(text.split()) for text in texts)


def _roles(**names: str) -> dict[str, str]:
    """Role to names, turned round; `adj_close` is the role "adj close"."""
    return {name: role.replace("_", " ") for role, text in names.items() for name in text.split()}


_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_SECONDS, _MILLIS = r"\d{9,10}(\.0)?", r"\d{13}|\d{16}"
_NEW_YORK, _SHANGHAI = "America/New_York", "Asia/Shanghai"
_NO_DATE = r"(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$)\d{1,8}"
_BARE_TIME = r"\d{1,2}:\d{2}(:\d{2})?"

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "yfinance", "yfinance export",
        _roles(timestamp="date datetime price", adj_close="adjclose", split="stocksplits"),
        _sets("open high low close dividends stocksplits"),
        source="https://ranaroussi.github.io/yfinance",
    ),
    Layout(
        "metatrader5", "MetaTrader 5 export",
        _roles(date="date", time="time", volume="tickvol"),
        _sets("date open high low close tickvol spread"),
        note="the clock is the broker's server's; timezone= states it; "
        "TICKVOL counts changes of the price",
        source="https://www.metatrader5.com/en/terminal/help/charts_advanced/symbols_import_export",
    ),
    Layout(
        "histdata-mt", "HistData export for MetaTrader",
        fields=("date", "time", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{4}\.\d{2}\.\d{2}", _BARE_TIME, *[_NUMBER] * 4, r"\d+"),
        timezone="Etc/GMT+5", note="Eastern time without daylight saving, as all volumes are 0",
        traded="metatrader4",
        source="https://www.histdata.com/f-a-q/data-files-detailed-specification/",
    ),
    Layout(
        "metatrader4", "MetaTrader 4 export",
        fields=("date", "time", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{4}\.\d{2}\.\d{2}", _BARE_TIME, *[_NUMBER] * 4, r"\d+"),
        note="the clock is the broker's server's; timezone= states it",
        source="https://docs.mql4.com",
    ),
    Layout(
        "histdata", "HistData export",
        fields=("timestamp", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{8} \d{6}", *[_NUMBER] * 4, r"\d+"),
        timezone="Etc/GMT+5", note="Eastern time without daylight saving, as all volumes are 0",
        traded="ninjatrader",
        source="https://www.histdata.com/f-a-q/data-files-detailed-specification/",
    ),
    Layout(
        "ninjatrader", "NinjaTrader export",
        fields=("timestamp", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{8} \d{6}", *[_NUMBER] * 4, r"\d+"),
        timezone="UTC", note="times are the ends of bars; NinjaTrader 8 writes UTC, earlier "
        "versions the clock of the computer, which timezone= states",
        source="https://ninjatrader.com/support/helpGuides/nt8/exporting.htm",
    ),
    Layout(
        "binance", "Binance klines",
        _roles(timestamp="opentime", volume="volume"),
        _sets("opentime open high low close volume closetime count",
              "opentime open high low close volume closetime quotevolume",
              "opentime open high low close volume closetime quoteassetvolume"),
        fields=("open_time", "open", "high", "low", "close", "volume", "close_time",
                "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
        pattern=(_MILLIS, *[_NUMBER] * 5, _MILLIS, _NUMBER, r"\d+", *[_NUMBER] * 3),
        always_open=True,
        source="https://github.com/binance/binance-public-data",
    ),
    Layout(
        "kraken", "Kraken OHLCVT",
        fields=("timestamp", "open", "high", "low", "close", "volume", "trades"),
        pattern=(_SECONDS, *[_NUMBER] * 5, r"\d+"),
        always_open=True,
        source="https://support.kraken.com/articles/360047124832",
    ),
    Layout(
        "kraken8", "Kraken OHLC of the API",
        fields=("timestamp", "open", "high", "low", "close", "vwap", "volume", "trades"),
        pattern=(_SECONDS, *[_NUMBER] * 6, r"\d+"),
        always_open=True,
        source="https://docs.kraken.com/api/docs/rest-api/get-ohlc-data",
    ),
    Layout(
        "kucoin", "KuCoin candles",
        fields=("timestamp", "open", "close", "high", "low", "volume", "turnover"),
        pattern=(_SECONDS, *[_NUMBER] * 6),
        always_open=True,
        source="https://www.kucoin.com/docs/rest/spot-trading/market-data/get-klines",
    ),
    Layout(
        "okx", "OKX candles",
        _roles(timestamp="ts", open="o", high="h", low="l", close="c", volume="vol"),
        _sets("ts o h l c vol"), always_open=True, source="https://www.okx.com/docs-v5/en/#order-book-trading-market-data",
    ),
    Layout(
        "huobi", "HTX (Huobi) candles",
        _roles(timestamp="id", volume="amount", ignored="vol"),
        _sets("id open close low high amount vol count"),
        always_open=True,
        source="https://www.htx.com/en-us/opend/newApiPages/",
    ),
    Layout(
        "cryptodatadownload", "CryptoDataDownload export",
        _roles(timestamp="unix unixtimestamp date", symbol="symbol"),
        _sets("unix date symbol open high low close", "unixtimestamp date symbol open high",
              "date symbol open high low close volumebtc",
              "date symbol open high low close tradecount"),
        timezone="UTC", always_open=True, source="https://www.cryptodatadownload.com",
    ),
    Layout(
        "coinmarketcap", "CoinMarketCap export",
        _roles(timestamp="timeopen"),
        _sets("timeopen open high low close volume marketcap"),
        always_open=True,
        source="https://coinmarketcap.com/api/documentation/v1/",
    ),
    Layout(
        "alpaca", "Alpaca or Polygon bars",
        _roles(timestamp="t timestamp", open="o open", high="h high", low="l low",
               close="c close", volume="v volume", symbol="symbol s"),
        _sets("t o h l c v", "timestamp open high low close volume tradecount vwap"),
        midnight=_NEW_YORK, source="https://docs.alpaca.markets/reference/stockbars",
    ),
    Layout(
        "polygon", "Polygon flat file",
        _roles(timestamp="windowstart", symbol="ticker"),
        _sets("ticker volume open close high low windowstart transactions"),
        midnight=_NEW_YORK, source="https://polygon.io/docs/flat-files/stocks/day-aggregates",
    ),
    Layout(
        "tushare", "tushare export",
        _roles(symbol="tscode", timestamp="tradedate tradetime", volume="vol"),
        _sets("tscode tradedate open high low close vol",
              "tscode tradetime open high low close vol"),
        timezone=_SHANGHAI, note="volumes are lots of 100 shares in daily bars",
        source="https://tushare.pro/document/2?doc_id=27",
    ),
    Layout(
        "akshare", "akshare export",
        _roles(
            timestamp="日期 时间", open="开盘", close="收盘", high="最高", low="最低",
            volume="成交量", symbol="股票代码",
        ),
        _sets("日期 开盘 收盘 最高 最低", "时间 开盘 收盘 最高 最低"),
        timezone=_SHANGHAI, source="https://akshare.akfamily.xyz/data/stock/stock.html",
    ),
    Layout(
        "baostock", "baostock export",
        _roles(symbol="code"),
        _sets("date code open high low close preclose", "date code open high low close adjustflag",
              "date time code open high low close adjustflag"),
        timezone=_SHANGHAI, source="http://baostock.com",
    ),
    Layout(
        "dukascopy", "Dukascopy export",
        _roles(timestamp="gmttime localtime time(eet) time(utc) time(gmt)"),
        _sets("gmttime open high low close", "localtime open high low close"),
        timezone="UTC", source="https://www.dukascopy.com/swiss/english/marketwatch/historical/",
    ),
    Layout(
        "dukascopy-eet", "JForex export",
        _roles(timestamp="time(eet)"), _sets("time(eet) open high low close"),
        timezone="Europe/Helsinki", source="https://www.dukascopy.com/wiki",
    ),
    Layout(
        "finam", "Finam export",
        _roles(symbol="ticker", date="date", time="time", volume="vol"),
        _sets("ticker per date time open high low close vol"),
        note="the clock is Moscow's by default; timezone= states it",
        source="https://www.finam.ru/profile/moex-akcii/gazprom/export/",
    ),
    Layout(
        "stooq", "Stooq export",
        _roles(symbol="ticker", date="date data", time="time", open="open otwarcie",
               high="high najwyzszy", low="low najnizszy", close="close zamkniecie",
               volume="vol volume wolumen"),
        _sets("ticker per date time open high low close vol openint",
              "data otwarcie najwyzszy najnizszy"),
        source="https://stooq.com/db/h/",
    ),
    Layout(
        "tradingview", "TradingView export", _roles(timestamp="time"), (),
        source="https://www.tradingview.com/support/solutions/43000537255/",
    ),
    Layout(
        "freqtrade", "freqtrade data",
        _roles(timestamp="date"), (),
        fields=("date", "open", "high", "low", "close", "volume"),
        source="https://www.freqtrade.io/en/stable/data-download/",
    ),
    Layout(
        "ccxt", "ccxt OHLCV list",
        fields=("timestamp", "open", "high", "low", "close", "volume"),
        pattern=(_MILLIS, *[_NUMBER] * 5),
        always_open=True,
        source="https://docs.ccxt.com/#/?id=ohlcv-structure",
    ),
    Layout(
        "databento", "Databento bars",
        _roles(timestamp="tsevent", symbol="symbol"),
        _sets("tsevent rtype publisherid instrumentid open high low close volume"),
        scale=1_000_000_000, note="whole prices are of a billionth",
        source="https://databento.com/docs/schemas-and-data-formats/ohlcv",
    ),
    Layout(
        "databento-decimal", "Databento bars with decimals",
        _roles(timestamp="tsevent", symbol="symbol"),
        source="https://databento.com/docs/schemas-and-data-formats/ohlcv",
    ),
    Layout(
        "cqg", "CQG export",
        _roles(volume="actualvol", ignored="tickvol"),
        _sets("open high low close tickvol actualvol"), source="https://help.cqg.com",
    ),
    Layout(
        "refinitiv", "Refinitiv history",
        _roles(open="openprc", high="high1", low="low1", close="trdprc1", volume="acvoluns"),
        _sets("openprc high1 low1 trdprc1"),
        source="https://developers.lseg.com/en/api-catalog/eikon/eikon-data-api",
    ),
    Layout(
        "bids", "candles of bids and asks",
        _roles(open="bidopen openbid", high="bidhigh highbid", low="bidlow lowbid",
               close="bidclose closebid", volume="volume tickqty"),
        _sets("bidopen bidhigh bidlow bidclose", "openbid highbid lowbid closebid"),
        note="prices are bids",
        source="https://github.com/fxcm/MarketData",
    ),
    Layout(
        "tinvest", "T-Invest archive",
        fields=("symbol", "timestamp", "open", "close", "high", "low", "volume", "column 8"),
        pattern=(r"[0-9a-f-]{36}", r"\d{4}-\d{2}-\d{2}T[\d:]+Z", *[_NUMBER] * 4, r"\d+", ""),
        source="https://developer.tbank.ru/invest/services/quotes/history",
    ),
    Layout(
        "upbit", "Upbit candles",
        _roles(timestamp="candledatetimeutc", ignored="candledatetimekst timestamp",
               open="openingprice", high="highprice", low="lowprice", close="tradeprice",
               volume="candleacctradevolume", symbol="market"),
        _sets("candledatetimeutc openingprice highprice lowprice tradeprice candleacctradevolume"),
        timezone="UTC", always_open=True, source="https://docs.upbit.com/reference/minute-candles",
    ),
    Layout(
        "gate", "Gate.io candles",
        fields=("timestamp", "quote volume", "close", "high", "low", "open", "volume", "complete"),
        pattern=(_SECONDS, *[_NUMBER] * 6, r"(?i)true|false"),
        always_open=True,
        source="https://www.gate.io/docs/developers/apiv4/#market-candlesticks",
    ),
    Layout(
        "deribit", "Deribit chart data",
        _roles(timestamp="ticks"),
        _sets("ticks open high low close volume cost", "ticks open high low close volume status"),
        always_open=True,
        source="https://docs.deribit.com/#public-get_tradingview_chart_data",
    ),
    Layout(
        "bitfinex", "Bitfinex candles",
        _roles(timestamp="mts"), _sets("mts open close high low volume"),
        fields=("mts", "open", "close", "high", "low", "volume"),
        pattern=(_MILLIS, *[_NUMBER] * 5),
        always_open=True,
        source="https://docs.bitfinex.com/reference/rest-public-candles",
    ),
    Layout(
        "coinbase", "Coinbase candles",
        fields=("timestamp", "low", "high", "open", "close", "volume"),
        pattern=(_SECONDS, *[_NUMBER] * 5),
        always_open=True,
        source="https://docs.cdp.coinbase.com/exchange/reference",
    ),
    Layout(
        "gate-file", "Gate.io download",
        fields=("timestamp", "volume", "close", "high", "low", "open"),
        pattern=(_SECONDS, *[_NUMBER] * 5), always_open=True, source="https://www.gate.io/developer/historical_quotes",
    ),
    Layout(
        "nautilus", "Nautilus bars",
        _roles(timestamp="tsevent tsinit", symbol="bartype"),
        _sets("open high low close volume tsevent tsinit"),
        source="https://nautilustrader.io/docs/latest/concepts/data",
    ),
    Layout(
        "lean", "Lean data of stocks",
        fields=("timestamp", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{8} \d{2}:\d{2}", *[r"\d+"] * 4, r"\d+(\.0*)?"),
        scale=10_000, timezone=_NEW_YORK,
        note="prices are whole numbers of a ten-thousandth of a dollar",
        source="https://github.com/QuantConnect/Lean/tree/master/Data",
    ),
    Layout(
        "lean-minute", "Lean minutes of stocks",
        fields=("milliseconds", "open", "high", "low", "close", "volume"),
        pattern=(_NO_DATE, *[r"\d+"] * 4, r"\d+(\.0*)?"),
        scale=10_000, timezone=_NEW_YORK,
        note="the date is that of the file's name; prices are ten-thousandths of a dollar",
        source="https://github.com/QuantConnect/Lean/tree/master/Data",
    ),
    Layout(
        "lean-crypto", "Lean data",
        fields=("timestamp", "open", "high", "low", "close", "volume"),
        pattern=(r"\d{8} \d{2}:\d{2}", *[_NUMBER] * 5), timezone="UTC",
        source="https://github.com/QuantConnect/Lean/tree/master/Data",
    ),
    Layout(
        "investing", "Investing.com export",
        _roles(timestamp="date datum fecha", close="price zuletzt último",
               open="open eröffn apertura", high="high hoch máximo", low="low tief mínimo",
               volume="vol"),
        _sets("date price open high low", "datum zuletzt eröffn hoch tief",
              "fecha último apertura máximo mínimo"),
        source="https://www.investing.com",
    ),
    Layout(
        "nasdaq", "Nasdaq.com export",
        _roles(timestamp="date", close="close/last"), _sets("date close/last volume open high low"),
        dayfirst=False, note="month first, as documented", source="https://www.nasdaq.com/market-activity/stocks",
    ),
    Layout(
        "nse", "NSE export",
        _roles(timestamp="date"), _sets("date series open high low prevclose ltp close"),
        timezone="Asia/Kolkata", source="https://www.nseindia.com/report-detail/eq_security",
    ),
    Layout(
        "alphavantage", "Alpha Vantage export",
        _roles(timestamp="timestamp", adj_close="adjustedclose", split="splitcoefficient"),
        _sets("timestamp open high low close adjustedclose volume dividendamount splitcoefficient"),
        source="https://www.alphavantage.co/documentation/",
    ),
    Layout(
        "tiingo", "Tiingo export",
        _roles(timestamp="date", adj_close="adjclose", split="splitfactor"),
        _sets("date close high low open volume adjclose adjhigh adjlow adjopen"),
        source="https://www.tiingo.com/documentation/end-of-day",
    ),
    Layout(
        "quandl", "Quandl WIKI export",
        _roles(timestamp="date", adj_close="adjclose", split="splitratio"),
        _sets("date open high low close volume ex-dividend splitratio adjopen"),
        source="https://data.nasdaq.com/databases/WIKIP",
    ),
)  # fmt: skip
"""All layouts, the more specific before the more general."""


def find_layout(name: object) -> Layout:
    """Return the layout of a name.

    Raises:
        UnknownNameError: there is none; the message lists them.

    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise UnknownNameError("layout", name, [layout.name for layout in LAYOUTS])
