"""Exports of more providers, each read to the right bars."""

from __future__ import annotations

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.errors import FileFormatError

MINUTES = pd.date_range("2024-01-02 14:30", periods=40, freq="min")
DAYS = pd.bdate_range("2024-01-02", periods=40)
OPEN, HIGH, LOW, CLOSE = 10.5, 12.25, 9.75, 11.0


def volumes(count):
    return [1000 + 7 * k for k in range(count)]


def lines(line, times=DAYS, head="", backwards=False):
    rows = [
        line.format(t=t, s=int(t.timestamp()), o=OPEN, h=HIGH, l=LOW, c=CLOSE, v=v)
        for t, v in zip(times, volumes(len(times)), strict=True)
    ]
    return (head + "\n" if head else "") + "\n".join(rows[::-1] if backwards else rows) + "\n"


def check(bars, times, volume=True):
    np.testing.assert_array_equal(bars.local_times, times.to_numpy())
    for name, value in (("open", OPEN), ("high", HIGH), ("low", LOW), ("close", CLOSE)):
        assert (getattr(bars, name) == value).all(), name
    if volume:
        assert list(bars.volume) == volumes(len(times))


INVESTING = {
    "ko": ("날짜,종가,시가,고가,저가,거래량,변동 %", "%Y- %m- %d"),
    "ko2": ("날짜,종가,시가,고가,저가,거래량,변동 %", "%Y년 %m월 %d일"),
    "ja": ("日付け,終値,始値,高値,安値,出来高,変化率 %", "%Y年%m月%d日"),
    "cn": ("日期,收盘,开盘,高,低,交易量,涨跌幅", "%Y年%m月%d日"),
    "hk": ("日期,收市,開市,高,低,成交量,更改%", "%Y年%m月%d日"),
    "nl": ("Datum,Laatst,Open,Hoog,Laag,Vol.,Verschil %", "%d-%m-%Y"),
    "pl": ("Data,Ostatnio,Otwarcie,Max.,Min.,Wol.,Zmiana%", "%d.%m.%Y"),
    "sv": ("Datum,Senaste,Öppning,Högst,Lägst,Vol.,+/- %", "%Y-%m-%d"),
    "fi": ("Päivämäärä,Viimeisin,Avaus,Ylin,Alin,Määrä,Muutos %", "%d.%m.%Y"),
    "gr": ("Ημερομηνία,Τελευταία,Άνοιγμα,Υψηλό,Χαμηλό,Όγκος,Μεταβολή %", "%d.%m.%Y"),
    "id": ("Tanggal,Terakhir,Pembukaan,Tertinggi,Terendah,Vol.,Perubahan%", "%d/%m/%Y"),
    "vi": ("Ngày,Lần cuối,Mở,Cao,Thấp,KL,% Thay đổi", "%d/%m/%Y"),
    "th": ("วันที่,ล่าสุด,เปิด,สูง,ต่ำ,ปริมาณ,เปลี่ยน %", "%d/%m/%Y"),
    "ar": ("التاريخ,السعر,الفتح,الأعلى,الأدنى,حجم,التغير %", "%d/%m/%Y"),
    "he": ("תאריך,שער,פתיחה,גבוה,נמוך,נפח,% שינוי", "%d.%m.%Y"),
}


@pytest.mark.parametrize("language", INVESTING)
def test_investing_in_other_languages(write, language):
    head, text_format = INVESTING[language]
    line = f'"{{t:{text_format}}}","{{c}}","{{o}}","{{h}}","{{l}}","1.25K","0.5%"'
    path = write("A.csv", "\ufeff" + lines(line, head=head, backwards=True))
    check(read_bars(path), DAYS, volume=False)


def upbit(times):
    return [
        {"market": "KRW-BTC", "candle_date_time_utc": f"{t:%Y-%m-%dT%H:%M:%S}",
         "candle_date_time_kst": f"{t + pd.Timedelta(hours=9):%Y-%m-%dT%H:%M:%S}",
         "opening_price": OPEN, "high_price": HIGH, "low_price": LOW, "trade_price": CLOSE,
         "timestamp": int(t.timestamp() * 1000) + 59_123, "candle_acc_trade_price": 1e6,
         "candle_acc_trade_volume": v}
        for t, v in zip(times, volumes(len(times)), strict=True)
    ][::-1]  # fmt: skip


@pytest.mark.parametrize("times", [MINUTES, DAYS], ids=["minutes", "days"])
def test_upbit(write, times):
    bars = read_bars(write("A.json", json.dumps(upbit(times))))
    check(bars, times)
    assert "read as Upbit candles" in bars.notes


def test_gate(write):
    rows = [
        [*map(str, (int(t.timestamp()), 9000.5, CLOSE, HIGH, LOW, OPEN, v)), "true"]
        for t, v in zip(MINUTES, volumes(40), strict=True)
    ]  # fmt: skip
    check(read_bars(write("A.json", json.dumps(rows))), MINUTES)
    check(read_bars(write("B.csv", lines("{s},{v},{c},{h},{l},{o}", MINUTES))), MINUTES)


def test_coinbase(write):
    check(
        read_bars(write("A.csv", lines("{s},{l},{h},{o},{c},{v}", MINUTES, backwards=True))),
        MINUTES,
    )
    candles = [
        {"start": str(int(t.timestamp())), "low": str(LOW), "high": str(HIGH), "open": str(OPEN),
         "close": str(CLOSE), "volume": str(v)}
        for t, v in zip(MINUTES, volumes(40), strict=True)
    ][::-1]  # fmt: skip
    check(read_bars(write("B.json", json.dumps({"candles": candles}))), MINUTES)


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "jsonl.gz"])
@pytest.mark.parametrize("named", [True, False])
def test_lines_of_json(write, suffix, named):
    keys = ("time", "open", "high", "low", "close", "volume")
    rows = [
        [int(t.timestamp()) * 1000, OPEN, HIGH, LOW, CLOSE, v]
        for t, v in zip(MINUTES, volumes(40), strict=True)
    ]
    values = [dict(zip(keys, row, strict=True)) if named else row for row in rows]
    data = "\n".join(map(json.dumps, values)).encode()
    path = write(f"A.{suffix}", gzip.compress(data) if suffix.endswith("gz") else data)
    check(read_bars(path), MINUTES)


@pytest.mark.parametrize(
    "line", ["{s} {o} {h} {l} {c} {v}", "{t:%Y-%m-%d %H:%M}  {o}  {h}  {l}  {c}  {v}"]
)
def test_numbers_between_blanks(write, line):
    check(read_bars(write("A.txt", lines(line, MINUTES))), MINUTES)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("Ticker,Date/Time,Open,High,Low,Close,Volume", "AAPL,{t:%m/%d/%Y},{o},{h},{l},{c},{v}"),
        ("$FORMAT Ticker, Date_YMD, Open, High, Low, Close, Volume",
         "AAPL,{t:%Y-%m-%d},{o},{h},{l},{c},{v}"),
        ("Date,Time,Open,High,Low,Close,Up,Down", "{t:%m/%d/%Y},00:00,{o},{h},{l},{c},{v},0"),
        ("Date,Time,Open,High,Low,Close,TotalVolume", "{t:%m/%d/%Y},00:00,{o},{h},{l},{c},{v}"),
        ("Date, Open, High, Low, Last, Volume, OpenInterest", "{t:%Y/%m/%d},{o},{h},{l},{c},{v},9"),
    ],
)  # fmt: skip
def test_platforms(write, head, line):
    check(read_bars(write("A.csv", lines(line, head=head))), DAYS)


def test_up_and_down_are_summed_and_said(write):
    head, line = "Date,Open,High,Low,Close,Up,Down", "{t:%Y-%m-%d},{o},{h},{l},{c},{v},50"
    bars = read_bars(write("A.csv", lines(line, head=head)))
    assert list(bars.volume) == [v + 50 for v in volumes(40)]
    assert "volume is the sum of 'Up' and 'Down'" in bars.notes


EXPIRIES = (
    ("expiry", "2024-03-15", "2024-06-21"), ("Expiration", "20240315", "20240621"),
    ("contract_month", "2024-03", "2024-06"), ("Expiry Date", "15-Mar-2024", "21-Jun-2024"),
    ("delivery", "MAR24", "JUN24"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "first", "second"), EXPIRIES)
@pytest.mark.parametrize("start", [20, 60])
def test_several_expiries_are_several_symbols(write, find, name, first, second, start):
    other = pd.bdate_range(DAYS[0] + pd.Timedelta(days=start), periods=25)
    line = "{t:%Y-%m-%d},EXPIRY,{o},{h},{l},{c},{v}"
    text = lines(line.replace("EXPIRY", first), head=f"date,{name},open,high,low,close,volume")
    path = write("A.csv", text + lines(line.replace("EXPIRY", second), other))
    assert "several_symbols" in find(path)
    chosen = read_bars(path, symbol=first.replace(" ", "-"))
    assert len(chosen) == 40


LEAN = "{t:%Y%m%d %H:%M},105000,122500,97500,110000,{v}"


def test_whole_prices_without_a_header_need_evidence_of_lean(write, tmp_path):
    with pytest.raises(FileFormatError, match='layout="lean" divides'):
        read_bars(write("A.csv", lines(LEAN)))
    check(read_bars(write("A.csv", lines(LEAN)), layout="lean"), DAYS)
    check(read_bars(write("equity/usa/daily/A.csv", lines(LEAN))), DAYS)
    assert read_bars(write("A.csv", lines(LEAN)), layout="lean-crypto").open[0] == 105_000
    archive = tmp_path / "aapl.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("aapl.csv", lines(LEAN))
    check(read_bars(archive), DAYS)
    odd = write("B.csv", lines(LEAN.replace("110000", "110055")))
    bars = read_bars(odd)
    assert bars.close[0] == 110_055 and any("prices as written" in note for note in bars.notes)


def test_prices_and_volumes_of_three_digits_after_the_point_are_unclear(write, find):
    head = "Date;Open;High;Low;Close;Volume"
    line = "{t:%Y-%m-%d};9.400;9.550;9.300;9.450;"
    defect = find(write("A.csv", lines(line + "1.204", head=head)))["unclear_numbers"]
    assert "9.400" in defect.message
    assert read_bars(write("A.csv", lines(line + "1.204", head=head)), decimal=",").open[0] == 9400
    assert read_bars(write("A.csv", lines(line + "1204500", head=head))).open[0] == 9.4
    assert read_bars(write("A.csv", lines(line + "1.204.500", head=head))).open[0] == 9400


def test_databento_divides_whole_prices_only(write):
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"
    whole = "{s}000000000,33,1,7,10500000000,12250000000,9750000000,11000000000,{v},ESH4"
    check(read_bars(write("A.csv", lines(whole, MINUTES, head))), MINUTES)
    decimals = "{t:%Y-%m-%dT%H:%M:%S}.000000000Z,33,1,7,{o:.9f},{h:.9f},{l:.9f},{c:.9f},{v},ESH4"
    check(read_bars(write("A.csv", lines(decimals, MINUTES, head))), MINUTES)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("Symbol,Date,Time,Open,High,Low,Close,TickVol,ActualVol",
         "CLE,{t:%Y%m%d},{t:%H%M},{o},{h},{l},{c},3,{v}"),
        ("time,complete,volume,o,h,l,c", "{t:%Y-%m-%dT%H:%M:%SZ},True,{v},{o},{h},{l},{c}"),
        ("Date,HIGH_1,LOW_1,OPEN_PRC,TRDPRC_1,ACVOL_UNS",
         "{t:%Y-%m-%d %H:%M},{h},{l},{o},{c},{v}"),
        ("Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME", "{t:%Y-%m-%d %H:%M},{o},{h},{l},{c},{v}"),
        ("DateTime,BidOpen,BidHigh,BidLow,BidClose,AskOpen,AskHigh,AskLow,AskClose,Volume",
         "{t:%Y-%m-%d %H:%M:%S},{o},{h},{l},{c},1,1,1,1,{v}"),
        ("", "{t:%Y%m%d},{t:%H%M},{o},{h},{l},{c},{v}"),
        ("", "1fcd3d3b-0ba9-4d5a-8a24-1c3d8e1c2f6a;{t:%Y-%m-%dT%H:%M:%SZ};{o};{c};{h};{l};{v};"),
    ],
)  # fmt: skip
def test_terminals(write, head, line):
    check(read_bars(write("A.csv", lines(line, MINUTES, head))), MINUTES)


def test_columns_beside_rows_of_json(write):
    names = ["open", "close", "high", "low", "value", "volume", "begin", "end"]
    data = [
        [OPEN, CLOSE, HIGH, LOW, 1.0, v, str(t), str(t + pd.Timedelta(seconds=59))]
        for t, v in zip(MINUTES, volumes(40), strict=True)
    ]
    path = write("A.json", json.dumps({"candles": {"columns": names, "data": data}}))
    check(read_bars(path), MINUTES)


def test_bids_of_ig(write):
    prices = [
        {"snapshotTimeUTC": f"{t:%Y-%m-%dT%H:%M:%S}", "lastTradedVolume": v}
        | {f"{name}Price": {"bid": price, "ask": price + 1} for name, price in
           (("open", OPEN), ("high", HIGH), ("low", LOW), ("close", CLOSE))}
        for t, v in zip(MINUTES, volumes(40), strict=True)
    ]  # fmt: skip
    bars = read_bars(write("A.json", json.dumps({"prices": prices})))
    check(bars, MINUTES)
    assert "prices are bids" in bars.notes


def test_file_times_of_windows_and_dates_of_easylanguage(write, find):
    head = "Date,Open,High,Low,Close,Volume"
    rows = [f"{(int(t.timestamp()) + 11_644_473_600) * 10**7},{OPEN},{HIGH},{LOW},{CLOSE},{v}"
            for t, v in zip(MINUTES, volumes(40), strict=True)]  # fmt: skip
    check(read_bars(write("A.csv", "\n".join([head, *rows]))), MINUTES)
    path = write("A.csv", lines("1{t:%y%m%d},{o},{h},{l},{c},{v}", DAYS, head))
    defect = find(path)["unclear_timestamps"]
    assert "EasyLanguage" in defect.message and '"easylanguage"' in defect.fix
    check(read_bars(path, date_format="easylanguage"), DAYS)
