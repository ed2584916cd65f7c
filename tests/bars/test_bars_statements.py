"""What the caller states of dates and what the dates show: a contradiction names the argument."""

from __future__ import annotations

import pandas as pd
import pytest

from marketsim.bars import read_bars

DAYS = pd.bdate_range("2024-01-02", periods=30)


def frame_of(times):
    return pd.DataFrame(
        {"date": times, "open": 10.5, "high": 12.5, "low": 9.5, "close": 11.5, "volume": 7}
    )


@pytest.mark.parametrize(
    ("written", "stated", "words"),
    [
        ("%m/%d/%Y", {"dayfirst": True}, ("dayfirst=True says day first", "dayfirst=False")),
        ("%d/%m/%Y", {"dayfirst": False}, ("dayfirst=False says month first", "dayfirst=True")),
        ("%d.%m.%Y", {"dayfirst": False}, ("dots", '"%m.%d.%Y"')),
        ("%m/%d/%Y", {"date_format": "%d/%m/%Y"}, ("date_format='%d/%m/%Y'", '"%m/%d/%Y"')),
        ("%Y-%m-%d", {"date_format": "%d/%m/%Y"}, ("date_format='%d/%m/%Y'", '"%Y-%m-%d"')),
        ("%Y-%m-%d %H:%M", {"date_format": "%Y-%m-%d"}, ("date_format='%Y-%m-%d'", "%H:%M")),
        ("%s", {"date_format": "ms"}, ("milliseconds", "date_format='s'")),
        ("%s000", {"date_format": "s"}, ("seconds", "date_format='ms'")),
    ],
)
def test_a_statement_that_the_dates_contradict_is_named(find, write, written, stated, words):
    def write_time(day):
        return day.strftime(written.replace("%s", str(int(day.timestamp()))))

    frame = frame_of([write_time(day) for day in DAYS])
    for source in (frame, write("A.csv", frame.to_csv(index=False))):
        found = find(source, **stated)
        assert list(found) == ["unclear_timestamps"]
        assert "sort" not in found["unclear_timestamps"].fix
        said = found["unclear_timestamps"].message + found["unclear_timestamps"].fix
        assert all(word in said for word in words), said
        assert len(read_bars(source)) == 30  # which is right without the statement


def test_an_order_that_fits_is_taken(write):
    frame = frame_of([f"0{k}/02/2024" for k in range(1, 6)])
    path = write("A.csv", frame.to_csv(index=False))
    assert str(read_bars(path, dayfirst=True).timestamps[2])[:10] == "2024-02-03"
    assert str(read_bars(path, dayfirst=False).timestamps[2])[:10] == "2024-03-02"


def test_a_documented_order_gives_way_to_what_a_row_proves(write):
    head = "Date,Close/Last,Volume,Open,High,Low\n"
    for days, written in ((DAYS, "%d/%m/%Y"), (DAYS, "%m/%d/%Y"), (DAYS[:8], "%m/%d/%Y")):
        rows = "".join(f"{day.strftime(written)},11,7,10,12,9\n" for day in days)
        bars = read_bars(write("A.csv", head + rows))
        assert (bars.timestamps == days.to_numpy()).all()


CLOCKS = [f"{9 + i // 60:02}{i % 60:02}" for i in range(30, 50)]


@pytest.mark.parametrize("impossible", ["2500", "0960", "2561"])
@pytest.mark.parametrize("form", ["{} {}", "{},{}", "{}{}"])
def test_an_impossible_clock_is_named_as_its_cell(find, write, impossible, form):
    clocks = [*CLOCKS[:10], impossible, *CLOCKS[11:]]
    rows = [form.format("20240130", clock) + ",10,12,9,11,7\n" for clock in clocks]
    head = "Date,Time" if "," in form else "Date"
    path = write("A.csv", f"{head},Open,High,Low,Close,Volume\n" + "".join(rows))
    found = find(path)
    assert list(found) == ["unreadable_timestamp"]
    assert found["unreadable_timestamp"].rows == (10,)
    assert impossible in found["unreadable_timestamp"].message
