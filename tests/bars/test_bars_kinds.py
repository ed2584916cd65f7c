"""Files of the kinds that people have: what each becomes, or what its error says."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars, read_many
from marketsim.errors import BarsError, FileFormatError

HEAD = "date,open,high,low,close,volume\n"
ROW = "10,11,9,10.5,100"


def dated(*stamps, head=HEAD):
    return head + "".join(f"{stamp},{ROW}\n" for stamp in stamps)


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def times_of(bars):
    return [str(time)[:16].removesuffix("T00:00") for time in bars.timestamps]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["10/01/2024", "11/01/2024", "31/01/2024"], ["2024-01-10", "2024-01-11", "2024-01-31"]),
        (["01/02/2024", "01/03/2024", "01/16/2024"], ["2024-01-02", "2024-01-03", "2024-01-16"]),
        (["30.01.24", "31.01.24", "01.02.24"], ["2024-01-30", "2024-01-31", "2024-02-01"]),
        (["1/2/2024 9:30:00 AM", "1/16/2024 4:00:00 PM"], ["2024-01-02T09:30", "2024-01-16T16:00"]),
        (["2024/10/01", "2024/11/01", "2024/15/01"], ["2024-01-10", "2024-01-11", "2024-01-15"]),
        (["2-January-2024", "3-January-2024"], ["2024-01-02", "2024-01-03"]),
        (["2024-01", "2024-02"], ["2024-01-01", "2024-02-01"]),
        (["Jan 2024", "Feb 2024"], ["2024-01-01", "2024-02-01"]),
        (["202401", "202402"], ["2024-01-01", "2024-02-01"]),
        (["240130", "240131", "240201"], ["2024-01-30", "2024-01-31", "2024-02-01"]),
        (["20240102093000000", "20240102093500000"], ["2024-01-02T09:30", "2024-01-02T09:35"]),
        (["20240102T093000Z", "20240102T093100Z"], ["2024-01-02T09:30", "2024-01-02T09:31"]),
        (["20240102 09:30:00 US/Eastern", "20240102 09:31:00 US/Eastern"],
         ["2024-01-02T14:30", "2024-01-02T14:31"]),
        (["2024-03-08 16:00 EST", "2024-03-11 16:00 EDT"], ["2024-03-08", "2024-03-11"]),
        # The date that the exchange writes, whatever hour its daily bars are stamped at.
        ([f"2024-01-{d} 10:00:00+11:00" for d in (15, 16, 17)],
         ["2024-01-15", "2024-01-16", "2024-01-17"]),
        (["2024-09-09T00:00:00.000+0900", "2024-09-10T00:00:00.000+0900"],
         ["2024-09-09", "2024-09-10"]),
        (["2024-10-01 00:00:00+02:00", "2024-11-01 00:00:00+01:00"], ["2024-10-01", "2024-11-01"]),
    ],
)  # fmt: skip
def test_dates(write, stamps, expected):
    bars = read_bars(write("A.csv", dated(*stamps)))
    assert times_of(bars) == expected
    columns = {"open": 10, "high": 11, "low": 9, "close": 10.5, "volume": 1}
    frame = pd.DataFrame({"date": stamps, **columns})
    assert times_of(read_bars(frame)) == expected


def test_spreadsheet_days_with_a_time(write):
    path = write("A.csv", dated("45293.395833333336", "45293.399305555555"))
    with pytest.raises(BarsError, match="days of a spreadsheet; date_format="):
        read_bars(path)
    assert times_of(read_bars(path, date_format="excel")) == [
        "2024-01-02T09:30",
        "2024-01-02T09:35",
    ]


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        (["10/01/2024", "11/01/2024"], "dayfirst=True or dayfirst=False"),
        (["01.02.24", "02.02.24"], "day first or year first"),
        (["200101", "200102"], 'date_format="%Y%m" or "%y%m%d"'),
        (["15/01/2024", "01/16/2024"], "contradict each other"),
    ],
)
def test_unclear_dates_say_how_to_state_them(write, stamps, words):
    with pytest.raises(BarsError) as caught:
        read_bars(write("A.csv", dated(*stamps)))
    assert words in str(caught.value)
    assert "drop" not in str(caught.value)


LONG = "date,open,high,low,close,volume,{}\n" + "".join(
    f"2013-02-{day},{p},{p + 1},{p},{p + 1},5,{name}\n"
    for name, p in (("AAL", 1), ("AAPL", 5))
    for day in ("08", "11")
)


@pytest.mark.parametrize("column", ["Name", "Stock", "Asset", "act_symbol", "Security Code", "Zq"])
def test_columns_that_tell_symbols_apart(write, column):
    path = write("all.csv", LONG.format(column))
    with pytest.raises(BarsError, match="must be of one symbol") as caught:
        read_bars(path)
    assert "AAL" in str(caught.value)
    assert "drop" not in str(caught.value)
    mapped = {"columns": {"symbol": "Zq"}} if column == "Zq" else {}
    assert read_bars(path, symbol="AAPL", **mapped).close.tolist() == [6.0, 6.0]
    assert {name: len(bars) for name, bars in read_many(path, **mapped).items()} == {
        "AAL": 2,
        "AAPL": 2,
    }


def test_a_column_of_one_name_describes_the_symbol(write):
    rows = "".join(f"2024-01-0{d},{ROW},Apple\n" for d in (2, 3))
    path = write("A.csv", "date,open,high,low,close,volume,Name\n" + rows)
    assert read_bars(path).symbol == "A"


def test_all_rows_prove_dates_and_decimal_mark_of_each_symbol(write):
    content = "date;symbol;open;high;low;close;volume\n"
    for day, symbol, price in (("10", "A", "1.500"), ("11", "A", "1.500"), ("15", "B", "1,5"),
                               ("16", "B", "2,25")):  # fmt: skip
        content += f"{day}/01/2024;{symbol};{price};{price};{price};{price};5\n"
    path = write("all.csv", content)
    for bars in (read_bars(path, symbol="A"), read_many(path)["A"]):
        assert times_of(bars) == ["2024-01-10", "2024-01-11"]
        assert bars.close.tolist() == [1500.0, 1500.0]


YFINANCE_OLD = (
    ",Adj Close,Adj Close,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
    ",AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\nDate,,,,,,,,,,,,\n"
    "2024-01-02,2,6,2,6,2,6,1,5,1,5,9,9\n2024-01-03,2,6,2,6,2,6,1,5,1,5,9,9\n"
)
YFINANCE_TICKER_FIRST = (
    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,MSFT,MSFT,MSFT,MSFT,MSFT\n"
    "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume\nDate,,,,,,,,,,\n"
    "2024-01-02,1,2,1,2,9,5,6,5,6,9\n2024-01-03,1,2,1,2,9,5,6,5,6,9\n"
)
TUPLES = (
    "Date," + ",".join(f"\"('{n}', '{s}')\"" for s in ("AAPL", "MSFT")
                       for n in ("Open", "High", "Low", "Close", "Volume"))
    + "\n2024-01-02,1,2,1,2,9,5,6,5,6,9\n2024-01-03,1,2,1,2,9,5,6,5,6,9\n"
)  # fmt: skip


@pytest.mark.parametrize("content", [YFINANCE_OLD, YFINANCE_TICKER_FIRST, TUPLES])
def test_versions_of_yfinance(write, content):
    path = write("prices.csv", content)
    for source in (path, pd.read_csv(path)):
        with pytest.raises(BarsError, match="AAPL, MSFT"):
            read_bars(source)
        bars = read_bars(source, symbol="MSFT")
        assert (times_of(bars), bars.close.tolist()) == (["2024-01-02", "2024-01-03"], [6.0, 6.0])


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("2024-01-02 09:30:00,10,11,9,10.5,100\n2024-01-02 09:31:00,10,11,9,10.5,100\n", "order"),
        ("AAPL,20240102,10,11,9,10.5,100\nAAPL,20240103,10,11,9,10.5,100\n", "order"),
        ("AAPL,D,20240102,10,11,9,10.5,100\nAAPL,D,20240103,10,11,9,10.5,100\n", "order"),
        ("2024.01.02,00:00,10,11,9,10.5,100\n2024.01.02,01:00,10,11,9,10.5,100\n", "MetaTrader 4"),
    ],
)
def test_files_without_a_header(write, content, note):
    path = write("A.txt", content)
    bars = read_bars(path)
    assert bars.close.tolist() == [10.5, 10.5]
    assert any(note in text for text in bars.notes)
    same = read_bars(pd.read_csv(path, header=None))
    assert times_of(same) == times_of(bars)
    with pytest.raises(BarsError, match="header=None"):
        read_bars(pd.read_csv(path))


CMC = (
    "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp\n"
    + "".join(
        f"2024-01-0{d}T00:00:00.000Z;2024-01-0{d}T23:59:59.999Z;x;x;2781;{ROW.replace(',', ';')};9;"
        f"2024-01-0{d}T23:59:59.999Z\n"
        for d in (2, 3)
    )
)
TWO = ["2024-01-02", "2024-01-03"]
EUROPEAN = "".join(f'"{d}.01.2024","2,0","1,0","2,0","1,0","1,5M","1,2%"\n' for d in (15, 12))


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
         ["A,20240102,000000,1,2,1,2,9", "A,20240103,000000,1,2,1,2,9"]),
        ("Date,Timestamp,Open,High,Low,Close,Volume",
         ["20240102,00:00:00,1,2,1,2,9", "20240103,00:00:00,1,2,1,2,9"]),
        ("day,open,high,low,close,volume", ["2024-01-02,1,2,1,2,9", "2024-01-03,1,2,1,2,9"]),
        ("日期,開盤價,最高價,最低價,收盤價,成交股數",
         ["2024/01/02,1,2,1,2,9", "2024/01/03,1,2,1,2,9"]),
        ("날짜,시가,고가,저가,종가,거래량", ["2024-01-02,1,2,1,2,9", "2024-01-03,1,2,1,2,9"]),
        (",AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,AAPL.Volume,AAPL.Adjusted",
         ["2024-01-02,1,2,1,2,9,2", "2024-01-03,1,2,1,2,9,2"]),
        ("Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades",
         ["3-January-2024,1,2,1,2,1.5,9,3", "2-January-2024,1,2,1,2,1.5,9,3"]),
        ("SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP",
         ["INFY,EQ,1,2,1,2,2,1,9,9,02-JAN-2024", "INFY,EQ,1,2,1,2,2,1,9,9,03-JAN-2024"]),
    ],
)  # fmt: skip
def test_names_of_columns(write, header, rows):
    bars = read_bars(write("A.csv", "\n".join([header, *rows])))
    assert times_of(bars) == TWO
    assert (bars.close.tolist(), bars.volume.tolist()) == ([2.0, 2.0], [9.0, 9.0])


@pytest.mark.parametrize(
    "header",
    [
        '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"',
        '"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"',
        '"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"',
        '"Data","Ultimo","Apertura","Massimo","Minimo","Vol.","Var. %"',
        '"Tarih","Şimdi","Açılış","Yüksek","Düşük","Hac.","Fark %"',
        '"Дата","Цена","Откр.","Макс.","Мин.","Объём","Изм. %"',
    ],
)
def test_languages_of_one_site(write, header):
    bars = read_bars(write("A.csv", f"{header}\n{EUROPEAN}"))
    assert times_of(bars) == ["2024-01-12", "2024-01-15"]
    assert (bars.close.tolist(), bars.volume.tolist()) == ([2.0, 2.0], [1.5e6, 1.5e6])


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", "日期,开盘价,最高价,最低价,收盘价,成交量"),
        ("cp932", "日付,始値,高値,安値,終値,出来高"),
        ("cp949", "날짜,시가,고가,저가,종가,거래량"),
        ("big5", "日期,開盤價,最高價,最低價,收盤價,成交股數"),
        ("cp1251", "Дата,Открытие,Максимум,Минимум,Закрытие,Объём"),
        ("utf-16", "date,open,high,low,close,volume"),
        ("utf-16-be", "date,open,high,low,close,volume"),
    ],
)
def test_encodings(tmp_path, encoding, names):
    path = tmp_path / "A.csv"
    path.write_bytes(f"{names}\n2024-01-02,{ROW}\n2024-01-03,{ROW}\n".encode(encoding))
    assert times_of(read_bars(path)) == TWO


def test_archives(tmp_path):
    body = f"2024-01-02,{ROW}\n2024-01-03,{ROW}\n"
    report = tmp_path / "report.zip"  # HistData adds a report on gaps
    report.write_bytes(zipped(A_csv=HEAD + body, A_txt="Gap of 60s found.\n"))
    assert times_of(read_bars(report)) == TWO
    hidden = tmp_path / "A.csv"
    hidden.write_bytes(gzip.compress((HEAD + body).encode()))
    assert times_of(read_bars(hidden)) == TWO


RECORD = {"open": "1", "high": "2", "low": "1", "close": "2", "volume": "9"}


@pytest.mark.parametrize(
    ("content", "symbol"),
    [
        ({"result": {"symbol": "BTCUSDT", "list": [[str(1704240000000 - 86400000 * i), "1", "2",
          "1", "2", "9", "5"] for i in range(2)]}}, "BTCUSDT"),
        ({"data": {"ohlc": [{**RECORD, "timestamp": str(1704153600 + 86400 * i)}
          for i in range(2)], "pair": "BTC/USD"}}, "BTC-USD"),
        ({"chart": {"result": [{"meta": {"symbol": "AAPL"}, "timestamp": [1704153600, 1704240000],
          "indicators": {"quote": [{"open": [1, 1], "high": [2, 2], "low": [1, 1],
                                    "close": [2, 2], "volume": [9, 9]}]}}], "error": None}},
         "AAPL"),
        ({"c": [2, 2], "h": [2, 2], "l": [1, 1], "o": [1, 1], "s": "ok",
          "t": [1704153600, 1704240000], "v": [9, 9]}, "A"),
    ],
)  # fmt: skip
def test_json_of_exchanges(tmp_path, content, symbol):
    path = tmp_path / "A.json"
    path.write_text(json.dumps(content))
    bars = read_bars(path)
    assert times_of(bars) == TWO
    assert bars.close.tolist() == [2.0, 2.0]
    if symbol != "A":
        assert list(read_many(path)) == ["A"]
        assert read_bars(path, symbol=symbol).symbol == symbol


def test_candles_in_another_order_are_refused(tmp_path):
    path = tmp_path / "A.json"
    path.write_text(
        json.dumps([[1704067200 + 60 * i, "1", "1.5", "2", "0.5", "9"] for i in (0, 1)])
    )
    with pytest.raises(FileFormatError, match="high is the highest"):
        read_bars(path)


def test_times_of_open_are_taken_where_others_are_of_close(write):
    bars = read_bars(write("A.csv", CMC))
    assert times_of(bars) == TWO
    assert "read as CoinMarketCap export" in bars.notes


def test_a_site_that_writes_its_exchange_into_the_name(write):
    assert read_bars(write("NASDAQ_AAPL, 1D.csv", dated(*TWO))).symbol == "AAPL"


def test_thousands_in_a_file_with_a_decimal_comma(write):
    content = HEAD.replace(",", ";")
    for day in (15, 16):
        content += f"{day}.01.2024;1,5;2,5;1,25;2,5;1.000\n"
    assert read_bars(write("A.csv", content)).volume.tolist() == [1000.0, 1000.0]
    with pytest.raises(BarsError, match="one decimal mark, and '.*' has another") as caught:
        read_bars(write("A.csv", content.replace("1.000", "12.50")))
    assert "drop" not in str(caught.value)


def test_prices_prove_what_separates_the_thousands_of_volumes(write):
    path = write("A.csv", HEAD + '2024-01-02,1.5,2.5,1,2,"1,234"\n2024-01-03,1,2,1,2,"2,345"\n')
    for source in (path, pd.read_csv(path)):
        assert read_bars(source).volume.tolist() == [1234.0, 2345.0]


def test_a_dash_is_a_missing_value(write):
    path = write("A.csv", HEAD + "2024-01-02,1,2,1,2,-\n2024-01-03,1,2,1,2,9\n")
    for source in (path, pd.read_csv(path)):
        with pytest.raises(BarsError, match="zero_volume"):
            read_bars(source)
        assert read_bars(source, repair="zero_volume").volume.tolist() == [0.0, 9.0]


def test_commas_in_numbers_of_a_file_with_commas(write):
    with pytest.raises(FileFormatError, match="decimal comma"):
        read_bars(write("A.csv", HEAD + "2024-01-02,10,5,11,0,9,0,10,2,100\n" * 2))


def test_swapped_columns_are_not_offered_to_be_widened(write):
    path = write("A.csv", HEAD + "".join(f"2024-01-0{d},10,9,11,10,5\n" for d in range(2, 8)))
    with pytest.raises(BarsError, match="columns may be swapped") as caught:
        read_bars(path)
    assert "widen" not in str(caught.value)
    assert len(read_bars(path, columns={"high": "low", "low": "high"})) == 6


@pytest.mark.parametrize(
    ("stamps", "period"),
    [
        ([f"2024-01-{d} 00:00:00-05:00" for d in (22, 23, 24)] + ["2024-01-25 15:59:59-05:00"],
         "day"),
        ([str(1705933800 + 86400 * d) for d in range(4)] + [str(1705933800 + 86400 * 3 + 23401)],
         "day"),
        ([f"2024-0{m}-01" for m in range(1, 6)] + ["2024-05-17"], "month"),
        (["2024-04-22", "2024-04-29", "2024-05-06", "2024-05-13", "2024-05-17"], "week"),
        (["2024-04-22", "2024-04-29", "2024-05-06", "2024-05-13", "2024-05-24"], "week"),
        (["2024-04-22", "2024-04-29", "2024-05-06", "2024-05-13", "2024-06-05"], "week"),
        (["2024-04-19", "2024-04-26", "2024-05-03", "2024-05-10", "2024-05-15"], "week"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newest_first", [False, True])
def test_the_bar_of_a_period_that_is_not_over(write, stamps, period, newest_first):
    path = write("A.csv", dated(*(stamps[::-1] if newest_first else stamps)))
    with pytest.raises(BarsError, match=f"not the bar of a {period} that is not over"):
        read_bars(path)
    bars = read_bars(path, repair="drop_running")
    assert len(bars) == len(stamps) - 1
    assert f"its {period} was not over" in bars.repairs[0]


@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-04-22", "2024-04-29", "2024-05-06", "2024-05-14"],  # Tuesday, after a holiday
        [f"2024-03-{d} 16:00:00" for d in (25, 26, 27, 28)] + ["2024-03-29 13:00:00"],  # half day
        ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
    ],
)
def test_whole_bars_are_not_called_running(write, stamps):
    assert len(read_bars(write("A.csv", dated(*stamps)))) == len(stamps)


def test_intraday_bars_of_a_frame_keep_their_zone():
    index = pd.date_range("2024-03-08 09:30", periods=390, freq="1min", tz="America/New_York")
    close = 100 + np.arange(390) % 5 * 0.01
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index)
    frame["volume"] = 1.0
    bars = read_bars(frame)
    assert bars.span() == ("390 bars of 1 minute, 2024-03-08 09:30 to 15:59 America/New_York")
    assert "the clock is America/New_York, as the source says" in bars.notes
    assert read_bars(frame, timezone="UTC").timezone == "UTC"
    assert read_bars(bars.frame).fingerprint == bars.fingerprint


def test_offsets_within_a_day_say_which_clock_is_shown(write):
    path = write("A.csv", dated("2024-03-08 09:30:00-05:00", "2024-03-08 09:31:00-05:00"))
    assert (
        "times with offsets are shown in UTC; timezone= states their clock" in read_bars(path).notes
    )
    bars = read_bars(path, timezone="America/New_York")
    assert bars.span() == "2 bars of 1 minute, 2024-03-08 09:30 to 09:31 America/New_York"
    assert not any("offsets" in note for note in bars.notes)
