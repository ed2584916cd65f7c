"""Kinds of data that were once read wrongly in silence, or repaired into something else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.errors import BarsError, MarketsimError

ROW = "{},10,11,9,10.5,100\n"
HEAD = "date,open,high,low,close,volume\n"


def dated(*stamps):
    return HEAD + "".join(ROW.format(stamp) for stamp in stamps)


def index(bars):
    return [str(t)[:16] for t in bars.local_times]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([f"01.{m:02}.2024" for m in (1, 2, 9)], [f"2024-{m:02}-01 00:00" for m in (1, 2, 9)]),
        (["10/01/2024", "11/01/2024", "15/01/2024"], [f"2024-01-{d} 00:00" for d in (10, 11, 15)]),
        (["202401020930", "202401020931"], ["2024-01-02 09:30", "2024-01-02 09:31"]),
        (["2024010109", "2024010110"], ["2024-01-01 09:00", "2024-01-01 10:00"]),
        (["20240101093000", "20240101093001"], ["2024-01-01 09:30", "2024-01-01 09:30"]),
        (["2024-09-09 00:00:00+09:00", "2024-09-10 00:00:00+09:00"],
         ["2024-09-09 00:00", "2024-09-10 00:00"]),
        (["1735603200000", "1735689600000000"], ["2024-12-31 00:00", "2025-01-01 00:00"]),
        (["1735603200", "1735689600000", "1735776000000000000"],
         ["2024-12-31 00:00", "2025-01-01 00:00", "2025-01-02 00:00"]),
        (["2024-01-02 04:00:00 PM", "2024-01-03 04:00:00 PM"],
         ["2024-01-02 16:00", "2024-01-03 16:00"]),
        (["2020-07-08 11-PM", "2020-07-09 12-AM"], ["2020-07-08 23:00", "2020-07-09 00:00"]),
    ],
)  # fmt: skip
def test_timestamps_mean_what_they_say(write, stamps, expected):
    bars = read_bars(write("A.csv", dated(*stamps)))
    assert index(bars) == [text.replace(" ", "T") for text in expected]
    frame = pd.DataFrame(
        {"date": stamps, "open": 10, "high": 11, "low": 9, "close": 10.5, "volume": 1}
    )
    assert list(read_bars(frame).timestamps) == list(bars.timestamps)


def test_digits_and_unix_time_in_one_column_are_refused(write):
    with pytest.raises(BarsError, match="some read as YYYYMMDD, as 20240102, and some as Unix"):
        read_bars(write("A.csv", dated("20240102", "1704240000")))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["999.0", '"1,002.0"', '"1,001.5"'], [999.0, 1002.0, 1001.5]),
        (['"1.234,5"', '"999,5"', '"1.000,0"'], [1234.5, 999.5, 1000.0]),
        (["1 234.5", "999.5", "1 000.0"], [1234.5, 999.5, 1000.0]),
        (["1'234.5", "999.5", "1'000.0"], [1234.5, 999.5, 1000.0]),
        (["$12.5", "$13.5", "$14.5"], [12.5, 13.5, 14.5]),
        (['"1,234,567.5"', '"1,234,568"', '"1,234,569"'], [1234567.5, 1234568.0, 1234569.0]),
        (['"12,34,567.5"', '"12,34,568"', '"12,34,569"'], [1234567.5, 1234568.0, 1234569.0]),
    ],
)
def test_numbers_are_read_as_they_are_written(write, cells, expected):
    rows = "".join(f"2024-01-0{i + 2},{c},{c},{c},{c},5\n" for i, c in enumerate(cells))
    bars = read_bars(write("A.csv", HEAD + rows))
    np.testing.assert_allclose(bars.close, expected)
    assert bars.repairs == ()


def test_a_comma_that_may_be_either_is_an_error_that_says_how(write):
    rows = "".join(f'2024-01-0{i},"1,002","1,003","1,001","1,002",5\n' for i in range(2, 5))
    path = write("A.csv", HEAD + rows)
    with pytest.raises(BarsError, match="may be a decimal mark or separate thousands") as caught:
        read_bars(path)
    assert "drop" not in str(caught.value)
    assert read_bars(path, decimal=",").close[0] == 1.002
    assert read_bars(path, decimal=".").close[0] == 1002.0


def test_volumes_with_suffixes(write):
    rows = "2024-01-02,1,2,1,2,1.2M\n2024-01-03,1,2,1,2,950K\n2024-01-04,1,2,1,2,2B\n"
    assert read_bars(write("A.csv", HEAD + rows)).volume.tolist() == [1.2e6, 950e3, 2e9]


def test_an_hour_that_happens_twice_names_the_zone(write):
    stamps = [f"2024-11-03 0{h}:00:00" for h in (0, 1, 1, 2)]
    path = write("A.csv", HEAD + "".join(f"{s},1,{2 + i},1,2,9\n" for i, s in enumerate(stamps)))
    with pytest.raises(BarsError, match="hour that a clock is put back") as caught:
        read_bars(path)
    assert "timezone= states the zone" in str(caught.value)
    assert "drop_duplicates" not in str(caught.value)
    assert len(read_bars(path, timezone="America/New_York")) == 4


def test_two_different_bars_of_one_time_are_not_offered_to_be_dropped(write):
    path = write(
        "A.csv", HEAD + "2024-01-02,1,2,1,2,9\n2024-01-02,3,4,3,4,9\n2024-01-03,1,2,1,2,9\n"
    )
    with pytest.raises(BarsError, match="with other values") as caught:
        read_bars(path)
    assert "drop" not in str(caught.value)


@pytest.mark.parametrize("again", [True, False])
def test_the_running_bar_of_today(write, again):
    stamps = ["2019-01-23", "2019-01-24", *(["2019-01-25"] if again else []), "2019-01-25 16:00:00"]
    path = write("A.csv", dated(*stamps))
    with pytest.raises(BarsError, match="the bar of a day that is not over"):
        read_bars(path)
    bars = read_bars(path, repair="drop_running")
    assert len(bars) == len(stamps) - 1
    assert bars.repairs == (
        "left out the last row, 2019-01-25 16:00:00+00:00: its day was not over",
    )


class TestSplits:
    def frame(self, factor=4.0, count=40, at=20, **columns):
        close = 100 + np.sin(np.arange(count))
        close[at:] /= factor
        frame = pd.DataFrame({"date": pd.bdate_range("2024-01-01", periods=count)})
        frame["open"] = np.append(close[0], close[:-1])
        frame.loc[at, "open"] = close[at - 1] / factor
        frame["high"] = frame["open"].clip(lower=close) * 1.001
        frame["low"] = frame["open"].clip(upper=close) * 0.999
        return frame.assign(close=close, volume=1000.0, **columns)

    @pytest.mark.parametrize("factor", [2, 3, 4, 5, 10, 0.5, 0.1])
    @pytest.mark.parametrize("named", ["number", "text", "no"])
    def test_they_are_an_error_or_a_choice(self, factor, named):
        splits = np.zeros(40).astype(object)
        splits[20] = factor
        if named == "text":
            splits = np.array(["1:1"] * 40, dtype=object)
            splits[20] = f"{factor:g}:1" if factor >= 1 else f"1:{1 / factor:g}"
        frame = (
            self.frame(factor) if named == "no" else self.frame(factor, **{"Stock Splits": splits})
        )
        with pytest.raises(BarsError, match="adjusted for splits") as caught:
            read_bars(frame)
        assert caught.value.defects[0].rows == (20,)
        assert f"{factor:g}:1" in str(caught.value)
        kept = read_bars(frame, splits="ignore")
        np.testing.assert_array_equal(kept.close, frame["close"])
        bars = read_bars(frame, splits="adjust")
        np.testing.assert_allclose(
            bars.close, np.append(frame["close"][:20] / factor, frame["close"][20:])
        )
        np.testing.assert_allclose(bars.volume[[0, 30]], [1000.0 * factor, 1000.0])
        assert bars.repairs == (
            f"divided the prices before 1 split by the factor: {factor:g}:1 on 2024-01-29",
        )

    def test_prices_that_are_adjusted_already_go_on(self):
        splits = np.zeros(40)
        splits[20] = 4.0
        assert len(read_bars(self.frame(1.0, **{"Stock Splits": splits}))) == 40

    @pytest.mark.parametrize("factor", [1.7, 2.5, 1.9])
    def test_other_falls_are_news(self, factor):
        assert len(read_bars(self.frame(factor))) == 40

    def test_a_short_file_with_its_own_column(self):
        frame = self.frame(4.0, splitFactor=[1.0] * 20 + [4.0] + [1.0] * 19).iloc[18:22]
        with pytest.raises(BarsError, match="the column of splits names it"):
            read_bars(frame)

    @pytest.mark.parametrize("row", [12, 19, 20])
    def test_restless_prices_do_not_show_one(self, row):
        frame = self.frame(2.0)
        frame.loc[row, "high"] *= 1.3
        assert len(read_bars(frame)) == 40


def test_repairs_are_counted_out_of_all_rows(write):
    rows = "".join(f"2024-01-{d:02},1,2,1,{'' if d % 2 else 2},9\n" for d in range(1, 31))
    bars = read_bars(write("A.csv", HEAD + rows), repair="drop_invalid")
    assert bars.repairs == ("dropped 15 of 30 rows with invalid prices",)


def test_dropping_most_rows_is_not_offered(write):
    rows = "".join(f"2024-01-{d:02},x,2,1,2,9\n" for d in range(1, 20))
    with pytest.raises(BarsError) as caught:
        read_bars(write("A.csv", HEAD + rows + "2024-02-01,1,2,1,2,9\n"))
    assert "drop_invalid" not in str(caught.value)


def test_date_and_time_in_two_columns(write):
    content = "Date,Time,Open,High,Low,Close,Volume,OpenInterest\n"
    for times in (
        ["09:05:00", "09:10:00"],
        ["0905", "0910"],
        ["905", "910"],
        ["9:05 AM", "9:10 AM"],
    ):
        rows = "".join(f"2006-01-02,{t},1,2,1,2,0,0\n" for t in times)
        assert index(read_bars(write("A.txt", content + rows))) == [
            "2006-01-02T09:05",
            "2006-01-02T09:10",
        ]


def test_errors_are_importable_from_the_package():
    import marketsim as ms

    for name in ("BarsError", "FileFormatError", "ArgumentError", "UnknownNameError"):
        assert issubclass(getattr(ms, name), MarketsimError)


def test_volumes_of_india_are_read(write):
    cells = ["1.2 L", "1.1 Cr", "3 Crore", "2 lac", "950"]
    rows = "".join(f"2024-01-0{i + 2},10,11,9,10.5,{cell}\n" for i, cell in enumerate(cells))
    found = read_bars(write("A.csv", HEAD + rows)).volume
    np.testing.assert_allclose(found, [1.2e5, 1.1e7, 3e7, 2e5, 950])


@pytest.mark.parametrize("tail", ["", ";;"])
def test_rows_that_are_one_cell_in_quotes_are_read(write, tail):
    lines = dated("2024-01-02", "2024-01-03").replace(",100\n", ',"""1,100"""\n').split("\n")[:-1]
    lines = [line.replace('"""', '""') for line in lines]
    bars = read_bars(write("A.csv", "".join(f'"{line}"{tail}\n' for line in lines)))
    assert bars.volume[0] == 1100 and len(bars) == 2
    assert "quotes around whole rows are left out" in bars.notes


def test_a_volume_of_minus_one_everywhere_is_one_that_is_not_known(write, find):
    text = dated("2024-01-02", "2024-01-03", "2024-01-04").replace(",100\n", ",-1\n")
    path = write("A.csv", text)
    defect = find(path)["negative_volume"]
    assert "not known" in defect.message and "drop" not in defect.fix
    assert list(read_bars(path, repair="zero_volume").volume) == [0, 0, 0]
    some = find(write("B.csv", text + ROW.format("2024-01-05")))["negative_volume"]
    assert "not known" not in some.message and "drop" not in some.fix


@pytest.mark.parametrize(("cell", "kind"), [("0", "nonpositive_price"), ("inf", "infinite")])
def test_dropping_most_rows_is_never_offered(write, find, cell, kind):
    bad = ROW.replace("10,", f"{cell},", 1)
    rows = [bad.format(f"2024-01-{i:02}") for i in range(2, 5)]
    assert "drop" not in find(write("A.csv", HEAD + "".join(rows)))[kind].fix
    more = [ROW.format(f"2024-01-{i:02}") for i in range(5, 12)]
    assert "drop_invalid" in find(write("A.csv", HEAD + "".join(rows + more)))[kind].fix
