"""Files as providers export them: each is read to the right bars."""

# ruff: noqa: E501 - lines of files are long

from __future__ import annotations

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars, read_many
from marketsim.errors import BarsError, FileFormatError, UnknownNameError

DAYS = ("2024-01-30", "2024-01-31", "2024-02-01")
OPEN, HIGH, LOW, CLOSE = (
    (10.0, 11.5, 12.25),
    (12.0, 12.5, 13.0),
    (9.5, 11.0, 12.0),
    (11.0, 12.0, 12.5),
)
VOLUME = (100.0, 250.0, 300.0)
MS = [int(pd.Timestamp(day).timestamp() * 1000) for day in DAYS]
MINUTES = tuple(f"2024-01-30 09:3{i}" for i in range(3))


def table(head, line, times=DAYS, sep="\n", **more):
    """A file: the header, and `line` with the values of each bar."""
    rows = []
    for i, t in enumerate(times):
        values = {"o": OPEN[i], "h": HIGH[i], "l": LOW[i], "c": CLOSE[i], "v": int(VOLUME[i])}
        stamp = pd.Timestamp(t)
        values |= {"ms": int(stamp.timestamp() * 1000), "t": stamp, "i": i}
        values |= {name: f(values) for name, f in more.items()}
        rows.append(line.format(**values))
    return (head + sep if head else "") + sep.join(rows) + sep


def check(bars, times=DAYS, zone="UTC"):
    assert list(bars.local_times) == [np.datetime64(t) for t in times]
    assert bars.timezone == zone
    for name, values in (("open", OPEN), ("high", HIGH), ("low", LOW), ("close", CLOSE)):
        np.testing.assert_allclose(getattr(bars, name), values, rtol=1e-15, err_msg=name)
    np.testing.assert_array_equal(bars.volume, VOLUME)


# name: (content, words of the notes, local times, zone)
FILES = {
    "yfinance.csv": (
        "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
        + table("", "{t:%Y-%m-%d},{c},{h},{l},{o},{v}"),
        "header lines", DAYS, "UTC"),
    "yfinance-old.csv": (
        ",AAPL,AAPL,AAPL,AAPL,AAPL\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n"
        + table("", "{t:%Y-%m-%d},{o},{h},{l},{c},{v}"),
        "header lines", DAYS, "UTC"),
    "yahoo.csv": (
        table("Date,Open,High,Low,Close*,Adj Close**,Volume", "{t:%b %d, %Y},{o},{h},{l},{c},{c},{v}")
        .replace("Jan 30, 2024", '"Jan 30, 2024"').replace("Jan 31, 2024", '"Jan 31, 2024"')
        .replace("Feb 01, 2024", '"Feb 01, 2024"'),
        "", DAYS, "UTC"),
    "mt5.csv": (
        table("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
              "{t:%Y.%m.%d}\t{t:%H:%M:%S}\t{o}\t{h}\t{l}\t{c}\t{v}\t0\t5", MINUTES),
        "MetaTrader 5 export", MINUTES, "UTC"),
    "mt5-daily.csv": (
        table("<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
              "{t:%Y.%m.%d}\t{o}\t{h}\t{l}\t{c}\t{v}\t0\t5"),
        "MetaTrader 5 export", DAYS, "UTC"),
    "mt4.csv": (
        table("", "{t:%Y.%m.%d},{t:%H:%M},{o},{h},{l},{c},{v}", MINUTES),
        "MetaTrader 4 export", MINUTES, "UTC"),
    "ninjatrader.csv": (
        table("", "{t:%Y%m%d %H%M%S};{o};{h};{l};{c};{v}", MINUTES),
        "NinjaTrader export", MINUTES, "UTC"),
    "binance-ms.csv": (
        table("", "{ms},{o},{h},{l},{c},{v},{e},1.5,10,2.5,3.5,0", e=lambda v: v["ms"] + 86399999),
        "Binance klines", DAYS, "UTC"),
    "binance-us.csv": (
        table("", "{ms}000,{o},{h},{l},{c},{v},{ms}999,1.5,10,2.5,3.5,0"),
        "Binance klines", DAYS, "UTC"),
    "binance-head.csv": (
        table("open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
              "taker_buy_quote_volume,ignore", "{ms},{o},{h},{l},{c},{v},{ms},1.5,10,2.5,3.5,0"),
        "Binance klines", DAYS, "UTC"),
    "kraken.csv": (
        table("", "{s},{o},{h},{l},{c},{v},17", s=lambda v: v["ms"] // 1000),
        "Kraken OHLCVT", DAYS, "UTC"),
    "cdd.csv": (
        "https://www.CryptoDataDownload.com\n"
        + table("Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT",
                "{ms}.0,{t:%Y-%m-%d %H:%M:%S},BTC/USDT,{o},{h},{l},{c},{v},7", DAYS[::1]),
        "CryptoDataDownload", DAYS, "UTC"),
    "alpaca.csv": (
        table("t,o,h,l,c,v,n,vw", "{t:%Y-%m-%d}T05:00:00Z,{o},{h},{l},{c},{v},9,1.5"),
        "Alpaca or Polygon bars", DAYS, "UTC"),
    "polygon.csv": (
        table("ticker,volume,open,close,high,low,window_start,transactions",
              "AAPL,{v},{o},{c},{h},{l},{ms}000000,5", MINUTES),
        "Polygon flat file", MINUTES, "UTC"),
    "tushare.csv": (
        table("ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount",
              "000001.SZ,{t:%Y%m%d},{o},{h},{l},{c},1,1,1,{v},5"),
        "tushare export", DAYS, "UTC"),
    "akshare.csv": (
        table("日期,股票代码,开盘,收盘,最高,最低,成交量,成交额,振幅", "{t:%Y-%m-%d},000001,{o},{c},{h},{l},{v},5,1"),
        "akshare export", DAYS, "UTC"),
    "akshare-minutes.csv": (
        table("时间,开盘,收盘,最高,最低,成交量", "{t:%Y-%m-%d %H:%M:%S},{o},{c},{h},{l},{v}", MINUTES),
        "akshare export", MINUTES, "Asia/Shanghai"),
    "baostock.csv": (
        table("date,code,open,high,low,close,preclose,volume,amount,adjustflag",
              "{t:%Y-%m-%d},sh.600000,{o},{h},{l},{c},1,{v},5,3"),
        "baostock export", DAYS, "UTC"),
    "baostock-minutes.csv": (
        table("date,time,code,open,high,low,close,volume,amount,adjustflag",
              "{t:%Y-%m-%d},{t:%Y%m%d%H%M%S}000,sh.600000,{o},{h},{l},{c},{v},5,3", MINUTES),
        "baostock export", MINUTES, "Asia/Shanghai"),
    "dukascopy.csv": (
        table("Gmt time,Open,High,Low,Close,Volume", "{t:%d.%m.%Y %H:%M:%S}.000,{o},{h},{l},{c},{v}", MINUTES),
        "Dukascopy export", MINUTES, "UTC"),
    "stooq.csv": (
        table("Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen", "{t:%Y-%m-%d},{o},{h},{l},{c},{v}"),
        "Stooq export", DAYS, "UTC"),
    "stooq-bulk.txt": (
        table("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
              "AAPL.US,5,{t:%Y%m%d},{t:%H%M%S},{o},{h},{l},{c},{v},0", MINUTES),
        "Stooq export", MINUTES, "UTC"),
    "tradingview.csv": (
        table("time,open,high,low,close,Volume,Volume MA", "{s},{o},{h},{l},{c},{v},3",
              s=lambda v: v["ms"] // 1000),
        "", DAYS, "UTC"),
    "/equity/lean.csv": (
        table("", "{t:%Y%m%d %H:%M},{o4},{h4},{l4},{c4},{v}", DAYS,
              **{f"{k}4": (lambda v, k=k: int(v[k] * 10000)) for k in "ohlc"}),
        "Lean data", DAYS, "UTC"),
    "investing.csv": (
        table('"Date","Price","Open","High","Low","Vol.","Change %"',
              '"{t:%b %d, %Y}","{c}","{o}","{h}","{l}","{k}K","0.5%"', k=lambda v: v["v"] / 1000),
        "Investing.com", DAYS, "UTC"),
    "investing-de.csv": (
        table('"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"',
              '"{t:%d.%m.%Y}","{d[c]}","{d[o]}","{d[h]}","{d[l]}","{d[k]}K","0,5%"',
              d=lambda v: {k: f"{v[k]:.4f}".replace(".", ",") for k in "ohlc"}
              | {"k": f"{v['v'] / 1000}".replace(".", ",")}),
        "decimal comma", DAYS, "UTC"),
    "nasdaq.csv": (
        table("Date,Close/Last,Volume,Open,High,Low", "{t:%m/%d/%Y},${c},{v},${o},${h},${l}"),
        "Nasdaq.com export", DAYS, "UTC"),
    "nse.csv": (
        table('"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME "',
              '{t:%d-%b-%Y},EQ,"{o}","{h}","{l}","1,000.5","1.5","{c}","1.5","{v}"'),
        "NSE export", DAYS, "UTC"),
    "tiingo.csv": (
        table("date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
              "{t:%Y-%m-%d},{c},{h},{l},{o},{v},{c},{h},{l},{o},{v},0.0,1.0"),
        "Tiingo export", DAYS, "UTC"),
    "bitfinex.csv": (
        table("MTS,OPEN,CLOSE,HIGH,LOW,VOLUME", "{ms},{o},{c},{h},{l},{v}"), "Bitfinex", DAYS, "UTC"),
    "semicolons.csv": (
        "sep=;\n" + table("Date;Open;High;Low;Close;Volume", "{t:%d.%m.%Y};{d[o]};{d[h]};{d[l]};{d[c]};{v}",
                          d=lambda v: {k: f"{v[k]:.2f}".replace(".", ",") for k in "ohlc"}),
        "decimal comma", DAYS, "UTC"),
    "footer.csv": (
        table("Time,Open,High,Low,Last,Change,Volume", "{t:%m/%d/%Y},{o},{h},{l},{c},0,{v}")
        + '"Downloaded from Barchart.com as of 02-01-2024 10:13am CST"\n',
        "left out the last line", DAYS, "UTC"),
    "twelve-hours.csv": (
        table("Date,Open,High,Low,Close,Volume", "{t:%m/%d/%Y %I:%M:%S %p},{o},{h},{l},{c},{v}", MINUTES),
        "", MINUTES, "UTC"),
    "no-header.csv": (
        table("", "{t:%Y-%m-%d %H:%M:%S},{o},{h},{l},{c},{v}", MINUTES), "no header", MINUTES, "UTC"),
    "candles.json": (
        json.dumps([[m, o, h, lo, c, v] for m, o, h, lo, c, v in zip(MS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)]),
        "ccxt OHLCV list", DAYS, "UTC"),
    "coinbase.json": (
        json.dumps([[m // 1000, lo, h, o, c, v] for m, o, h, lo, c, v in zip(MS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)][::-1]),
        "Coinbase candles", DAYS, "UTC"),
    "polygon.json": (
        json.dumps({"ticker": "AAPL", "results": [
            {"v": v, "vw": 1.0, "o": o, "c": c, "h": h, "l": lo, "t": m + 5 * 3600_000, "n": 5}
            for m, o, h, lo, c, v in zip(MS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)]}),
        "Alpaca or Polygon bars", DAYS, "UTC"),
    "alphavantage.json": (
        json.dumps({"Meta Data": {}, "Time Series (Daily)": {
            day: {"1. open": str(o), "2. high": str(h), "3. low": str(lo), "4. close": str(c), "5. volume": str(int(v))}
            for day, o, h, lo, c, v in reversed(list(zip(DAYS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)))}}),
        "newest first", DAYS, "UTC"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_exports_are_read(write, name):
    content, words, times, zone = FILES[name]
    bars = read_bars(write(f"x{name}", content))
    check(bars, times, zone)
    assert words in " | ".join(bars.notes)


@pytest.mark.parametrize(
    "encode",
    [
        lambda b: ("A.csv", b.decode().encode("utf-16")),
        lambda b: ("A.csv", b.decode().encode("utf-16-le")),
        lambda b: ("A.csv", b"\xef\xbb\xbf" + b),
        lambda b: ("A.csv.gz", gzip.compress(b)),
        lambda b: ("A.csv", gzip.compress(b)),
        lambda b: ("A.zip", zipped(b)),
        lambda b: ("A.txt", b.replace(b"\n", b"\r\n")),
    ],
)
@pytest.mark.parametrize("name", ["mt5.csv", "binance-us.csv", "investing.csv"])
def test_encodings_and_archives_change_nothing(write, encode, name):
    content, words, times, zone = FILES[name]
    bars = read_bars(write(*encode(content.encode())))
    check(bars, times, zone)
    assert words in " | ".join(bars.notes)


def zipped(content, name="BTCUSDT-1d.csv", **more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.writestr("__MACOSX/._x.csv", "x")
        for other, text in more.items():
            archive.writestr(other, text)
    return buffer.getvalue()


def test_archives_of_several_files_say_so(write):
    data = zipped(b"x", **{"other.csv": "y"})
    with pytest.raises(FileFormatError, match=r"holds 2 files of bars .*unpack it"):
        read_bars(write("A.zip", data))


def test_chinese_names_in_gbk(write):
    content, _, times, zone = FILES["akshare.csv"]
    bars = read_bars(write("A.csv", content.encode("gbk")))
    check(bars, times, zone)
    assert "the text is in gb18030" in bars.notes


@pytest.mark.parametrize(
    "library",
    ["polars", "lazy polars", "pyarrow", "batch", "reader", "pandas", "feather", "parquet"],
)
def test_frames_of_other_libraries(tmp_path, library):
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime(list(DAYS)),
            "open": OPEN,
            "high": HIGH,
            "low": LOW,
            "close": CLOSE,
            "volume": VOLUME,
        }
    )
    if library.endswith("polars"):
        source = pytest.importorskip("polars").DataFrame({c: frame[c].tolist() for c in frame})
        source = source.lazy() if library.startswith("lazy") else source
    elif library in ("pyarrow", "batch", "reader"):
        source = pytest.importorskip("pyarrow").Table.from_pandas(frame)
        batches = source.to_batches()
        source = batches[0] if library == "batch" else source
        source = source.to_reader() if library == "reader" else source
    elif library == "pandas":
        source = frame
    else:
        pytest.importorskip("pyarrow")
        source = tmp_path / f"BTC_USDT-1d.{library}"
        getattr(frame, f"to_{library}")(source)
    check(read_bars(source))


def test_dates_that_only_utc_tells_are_named():
    rows = [[m + 15 * 3600_000, 1.0, 2.0, 1.0, 2.0, 5.0] for m in MS]  # midnight in Tokyo
    assert any("timezone= gives the exchange's own" in note for note in read_bars(rows).notes)
    bars = read_bars(rows, timezone="Asia/Tokyo")
    assert str(bars.timestamps[0])[:10] == "2024-01-31"


def test_lists_of_ccxt():
    rows = [
        [m, o, h, lo, c, v]
        for m, o, h, lo, c, v in zip(MS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)
    ]
    check(read_bars(rows, symbol="BTC-USDT"))
    with pytest.raises(FileFormatError, match="holds lists of 6 values"):
        read_bars([[1, 2, 3, 4, 5, 6]])


@pytest.mark.parametrize("wide", [False, True])
def test_fixed_point_of_nautilus(tmp_path, wide):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    def fixed(values):
        scale, size = (10**16, 16) if wide else (10**9, 8)
        cells = [
            int(round(v * 10000) * (scale // 10000)).to_bytes(size, "little", signed=True)
            for v in values
        ]
        return pa.array(cells, pa.binary(size))

    columns = {
        n: fixed(v)
        for n, v in (
            ("open", OPEN),
            ("high", HIGH),
            ("low", LOW),
            ("close", CLOSE),
            ("volume", VOLUME),
        )
    }
    times = pa.array([m * 10**6 for m in MS], pa.uint64())
    pq.write_table(
        pa.table(columns | {"ts_event": times, "ts_init": times}), tmp_path / "A.parquet"
    )
    bars = read_bars(tmp_path / "A.parquet")
    check(bars)
    assert "read as Nautilus bars" in bars.notes


OWN = table("when,a,b,c,d,e", "{t:%Y-%m-%d},{o},{h},{l},{c},{v}")
ROLES = {"timestamp": "when", "open": "a", "high": "b", "low": "c", "close": "d", "volume": "e"}


def test_minutes_of_lean_take_their_date_from_the_name(write):
    content = table(
        "", "{m},{o4},{h4},{l4},{c4},{v}", MINUTES, m=lambda v: 34_200_000 + v["i"] * 60_000,
        **{f"{k}4": (lambda v, k=k: int(v[k] * 10000)) for k in "ohlc"},
    )  # fmt: skip
    data = zipped(content.encode(), "20240130_spy_minute_trade.csv")
    check(read_bars(write("20240130_trade.zip", data)), MINUTES, "America/New_York")
    with pytest.raises(FileFormatError, match="expected the date at the start of its name"):
        read_bars(write("x.csv", content))


class TestStated:
    @pytest.mark.parametrize("turned", [False, True])
    def test_columns(self, write, turned):
        roles = {v: k for k, v in ROLES.items()} if turned else ROLES
        check(read_bars(write("A.csv", OWN), columns=roles))

    def test_without_them_the_error_says_so(self, write):
        with pytest.raises(BarsError, match=r'columns=\{"timestamp": \.\.\.\} names the column'):
            read_bars(write("A.csv", OWN))

    def test_columns_that_are_not_there(self, write):
        with pytest.raises(BarsError, match="got 'nope'; found columns"):
            read_bars(write("A.csv", OWN), columns=ROLES | {"symbol": "nope"})

    def test_layout(self, write):
        content, _, times, _ = FILES["mt5.csv"]
        bars = read_bars(write("A.csv", content), layout="metatrader5", timezone="Europe/Athens")
        check(bars, times, "Europe/Athens")
        with pytest.raises(
            UnknownNameError, match="unknown layout 'mt5': expected one of yfinance"
        ):
            read_bars(write("A.csv", content), layout="mt5")


LONG = pd.DataFrame(
    [
        {
            "date": day,
            "ticker": s,
            "open": o * k,
            "high": h * k,
            "low": lo * k,
            "close": c * k,
            "volume": v,
        }
        for day, o, h, lo, c, v in zip(DAYS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True)
        for s, k in (("AAPL", 1.0), ("BRK/B", 4.0))
    ]
)
_indexed = LONG.assign(date=pd.to_datetime(LONG["date"])).set_index(["ticker", "date"])
SEVERAL = {
    "long": LONG,
    "long without a repeated date": LONG.iloc[[0, 2, 3, 5]],
    "index": _indexed,
    "index without names": _indexed.rename_axis([None, None]),
    "columns": _indexed.unstack("ticker"),
    "columns turned": _indexed.unstack("ticker").swaplevel(axis=1),
    "wide": _indexed.unstack("ticker").set_axis(
        [f"{s}_{n.title()}" for n, s in _indexed.unstack("ticker").columns], axis=1
    ),
    "wide turned": _indexed.unstack("ticker").set_axis(
        [f"{n} {s}" for n, s in _indexed.unstack("ticker").columns], axis=1
    ),
}


@pytest.mark.parametrize("shape", SEVERAL)
@pytest.mark.parametrize("as_file", [False, True])
def test_several_symbols_are_never_joined(tmp_path, shape, as_file):
    source = SEVERAL[shape]
    if as_file and shape == "index without names":
        pytest.skip("no header names the columns")
    if as_file:
        source = tmp_path / "prices.csv"
        SEVERAL[shape].to_csv(source, index=not shape.startswith("long"))
    with pytest.raises(BarsError) as caught:
        read_bars(source)
    assert [d.kind for d in caught.value.defects] == ["several_symbols"]
    assert "holds 2, AAPL, BRK-B" in str(caught.value)
    assert 'symbol="AAPL" chooses one' in str(caught.value)
    assert "drop" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="unknown symbol 'MSFT'"):
        read_bars(source, symbol="MSFT")
    every = read_many(source)
    assert list(every) == ["AAPL", "BRK-B"]
    one = read_bars(source, symbol="AAPL")
    assert one.fingerprint == every["AAPL"].fingerprint
    if shape != "long without a repeated date":
        check(one)
        np.testing.assert_array_equal(every["BRK-B"].close, np.array(CLOSE) * 4)


def test_symbols_that_trade_on_different_days(tmp_path):
    frame = _indexed.unstack("ticker")
    frame.loc[frame.index[1], (slice(None), "BRK/B")] = np.nan
    assert len(read_many(frame)["BRK-B"]) == 2
    assert len(read_many(frame)["AAPL"]) == 3


def test_defects_of_all_symbols_are_in_one_error():
    frame = LONG.copy()
    frame.loc[[0, 3], "close"] = -1.0
    with pytest.raises(BarsError) as caught:
        read_many(frame)
    assert "AAPL: 1 kind" in str(caught.value)
    assert "BRK-B: 1 kind" in str(caught.value)


class TestHostile:
    def test_a_thousand_columns(self, write):
        names = ",".join(f"x{i}" for i in range(1000))
        line = ",".join("1" for _ in range(1000))
        content = table(
            f"date,open,high,low,close,volume,{names}", "{t:%Y-%m-%d},{o},{h},{l},{c},{v}," + line
        )
        check(read_bars(write("A.csv", content)))
        with pytest.raises(BarsError) as caught:
            read_bars(write("B.csv", f"{names}\n{line}\n{line}\n"))
        assert len(str(caught.value)) < 3000

    @pytest.mark.parametrize("where", ["header", "row"])
    def test_a_line_without_end(self, write, where):
        long = b"9" * 30_000_000
        content = {"header": long, "row": b"date,open,high,low,close,volume\n2024-01-02," + long}[
            where
        ]
        with pytest.raises(FileFormatError, match=r"30,000,0\d\d bytes in line [12]") as caught:
            read_bars(write("A.csv", content))
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
    def test_truncated_files_never_give_wrong_bars(self, write, name, share):
        content, _, times, _ = FILES[name]
        data = content.encode()
        cut = data[: int(len(data) * share)]
        try:
            bars = read_bars(write(f"x{name}", cut), min_bars=1)
        except (BarsError, FileFormatError):
            return
        assert list(bars.local_times) == [np.datetime64(t) for t in times][: len(bars)]
        np.testing.assert_allclose(bars.open, OPEN[: len(bars)])

    def test_markup_and_formulas_are_quoted_and_cut(self, write):
        evil = "<script>alert(1)</script>" + "=HYPERLINK(x)" * 20
        content = (
            f"date,open,high,low,close,volume\n2024-01-02,1,2,1,{evil},5\n2024-01-03,1,2,1,2,5\n"
        )
        with pytest.raises(BarsError) as caught:
            read_bars(write("A.csv", content))
        assert len(str(caught.value)) < 500
        frame = LONG.assign(ticker=LONG["ticker"].replace("AAPL", "<b>=cmd|' /C calc'!A0</b>"))
        names = list(read_many(frame))
        assert all(set("<>|'! ").isdisjoint(name) for name in names)
