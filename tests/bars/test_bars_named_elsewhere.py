"""What a source says beside its rows: time zones, an adjusted close, other tables, factors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.errors import MarketsimError

TIMES = ("2024-01-02 09:30:00", "2024-01-02 09:31:00", "2024-01-02 09:32:00")
PRICES = {"open": "1.1", "high": "2.5", "low": "1.0", "close": "1.5", "volume": "10"}
CSV = "Date,Open,High,Low,Close,Volume\n" + "".join(f"{t},1.1,2.5,1,1.5,10\n" for t in TIMES)


def sources(zone):
    """Alpha Vantage, Twelve Data, another JSON, and banners above CSV."""
    records = [{"datetime": time, **PRICES} for time in TIMES]
    numbered = {f"{i}. {name}": cell for i, (name, cell) in enumerate(PRICES.items(), 1)}
    yield ".json", json.dumps(
        {"Meta Data": {"2. Symbol": "A", "6. Time Zone": zone},
         "Time Series (1min)": dict.fromkeys(TIMES, numbered)}
    )  # fmt: skip
    meta = {"symbol": "A", "interval": "1min", "exchange_timezone": zone}
    yield ".json", json.dumps({"meta": meta, "values": records, "status": "ok"})
    yield ".json", json.dumps({"timezone": zone, "data": records})
    for line in (f"Time zone: {zone}", f"# Timezone={zone}", f"Time Zone,{zone},,,,"):
        yield ".csv", f"A, minutes\n{line}\n{CSV}"


@pytest.mark.parametrize("zone", ["US/Eastern", "Asia/Tokyo"])
def test_the_zone_that_stands_beside_the_rows_is_their_clock(write, zone):
    expected = pd.DatetimeIndex(TIMES).tz_localize(zone).tz_convert("UTC").tz_localize(None)
    for suffix, text in sources(zone):
        path = write(f"A{suffix}", text)
        bars = read_bars(path)
        assert (bars.timestamps == expected.as_unit("ns").values).all()
        assert zone in str(bars.notes)
        stated = read_bars(path, timezone="UTC")
        assert (stated.timestamps == pd.DatetimeIndex(TIMES).as_unit("ns").values).all()


def test_a_zone_that_is_no_iana_name_is_told(write):
    for suffix, text in sources("Mars"):
        assert "timezone= states the clock" in str(read_bars(write(f"A{suffix}", text)).notes)


def test_yahoo_rows_without_a_header_have_the_adjusted_close_before_the_volume(find, write):
    rows = [[f"2024-01-{d:02d}", 10 + d, 12 + d, 9 + d, 11 + d, 0.9 * (11 + d), 1000 * d * d]
            for d in range(1, 9)]  # fmt: skip
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    for source in (write("A.csv", text), pd.DataFrame(rows)):
        assert "adjustment" in find(source)
        bars = read_bars(source, adjusted=False)
        assert bars.volume.tolist() == [1000.0 * d * d for d in range(1, 9)]
    trades = "".join(
        f"2024-01-{d:02d},10,12,9,11,{v},{d}\n" for d, v in enumerate((8.5, 3, 2.25), 1)
    )
    assert read_bars(write("B.csv", trades)).volume.tolist() == [8.5, 3.0, 2.25]


@pytest.mark.parametrize("fields", [4, 5])
def test_a_second_set_of_prices_is_named_from_path_and_frame(write, find, fields):
    first = pd.DataFrame(
        {"date": ["2024-01-02", "2024-01-03"], "Open": 1.0, "High": 2.0, "Low": 1.0, "Close": 2.0,
         "Volume": 5}
    )  # fmt: skip
    both = first.join(first.iloc[:, 1 : fields + 1].add_suffix(".1") * 3)
    for source in (both, write("A.csv", both.to_csv(index=False))):
        defect = find(source)["repeated_column"]
        assert "Open.1" in defect.message
        ignored = dict.fromkeys((f"{name}.1" for name in first.columns[1:5]), "ignored")
        assert read_bars(source, columns=ignored).close.tolist() == [2.0, 2.0]
    assert len(read_bars(first.assign(**{"Close.1": 9.0}))) == 2  # a plotted line


def falling(factor):
    """Quiet days whose prices fall to a part in the middle."""
    close = 100 + np.sin(np.arange(40))
    close[20:] /= factor
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    return pd.DataFrame(
        {"date": days, "open": close, "high": 1.01 * close, "low": 0.99 * close, "close": close,
         "volume": 10.0}
    )  # fmt: skip


@pytest.mark.parametrize("name", ["split", "分割"])
@pytest.mark.parametrize("usual", [0.0, 1.0])
def test_a_column_of_splits_is_no_column_of_symbols(find, name, usual):
    frame = falling(7.0)
    frame[name] = usual
    frame.loc[20, name] = 7.0
    assert list(find(frame)) == ["unadjusted_split"]
    assert read_bars(frame, splits="adjust").close.max() < 20
    words = falling(1.0).assign(split=["train"] * 30 + ["test"] * 10)
    assert len(read_bars(words)) == 40


@pytest.mark.parametrize("name", ["adj_factor", "factor", "复权因子"])
def test_a_column_of_factors_is_no_column_of_symbols(find, name):
    frame = falling(4.0)
    frame[name] = np.where(np.arange(40) < 20, 5.0, 3.0)
    assert list(find(frame)) == ["unadjusted_split"]


@pytest.mark.parametrize("layout", ["lean", "lean-minute"])
def test_a_stated_layout_of_whole_prices_is_not_taken_for_other_data(write, layout):
    frame = pd.DataFrame(
        {"timestamp": ["2024-01-02", "2024-01-03"], "open": 10.5, "high": 11.5, "low": 10.25,
         "close": 11.0, "volume": 5}
    )  # fmt: skip
    whole = frame.assign(open=33000, high=33100, low=32900, close=33000)
    for data in (frame, whole):
        for header in (True, False):
            path = write("A.csv", data.to_csv(index=False, header=header))
            with pytest.raises(MarketsimError, match=r"10,000"):
                read_bars(path, layout=layout)
    with pytest.raises(MarketsimError, match="whole numbers"):
        read_bars(frame, layout=layout)
    lean = "20240102 00:00,1871500,1884400,1838900,1856400,824\n"
    path = write("A.csv", lean + lean.replace("0102", "0103"))
    assert read_bars(path, layout="lean").close.tolist() == [185.64, 185.64]


@pytest.mark.parametrize("name", ["Volume MA", "Volume SMA 20", "Volume Weighted Average Price"])
def test_figures_made_of_volumes_are_no_volume(write, find, name):
    text = CSV.replace("Volume", name)
    assert "missing volume" in find(write("A.csv", text))["missing_column"].message
    assert read_bars(write("A.csv", text), columns={"volume": name}).volume[0] == 10.0
    assert read_bars(write("A.csv", CSV.replace("Volume", "Volume BTC"))).volume[0] == 10.0
