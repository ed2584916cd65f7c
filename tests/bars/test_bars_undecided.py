"""Digits and points that can be read in two ways are decided by the whole column, or not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import read_bars
from marketsim.errors import BarsError

MANY = settings(max_examples=60, deadline=None, database=None)


def prices_of(cells):
    """Rows whose four prices are one cell."""
    days = pd.date_range("2024-01-01", periods=len(cells)).strftime("%Y-%m-%d")
    return pd.DataFrame(
        {"date": days, "open": cells, "high": cells, "low": cells, "close": cells, "volume": "850"}
    )


def close_of(cells):
    """The closes, or None where they are unclear."""
    try:
        return read_bars(prices_of(cells), splits="ignore").close.tolist()
    except BarsError as error:
        assert [defect.kind for defect in error.defects] == ["unclear_numbers"]
        return None


def test_points_beside_whole_prices_are_undecided(write, find):
    cells = ["995", "999", "1.010", "1.020", "1.001", "1.015"]
    path = write("A.csv", prices_of(cells).to_csv(index=False, sep=";"))
    defect = find(path)["unclear_numbers"]
    assert "the point of '1.010'" in defect.message and 'decimal=","' in defect.fix
    assert read_bars(path, decimal=",").close[2] == 1010.0
    assert read_bars(path, decimal=".", splits="ignore").close[2] == 1.01
    out_of_range = prices_of(cells)
    out_of_range.loc[1, ["open", "high"]] = ["1.005", "1.010"]
    assert list(find(out_of_range.astype("str"))) == ["unclear_numbers"]
    assert close_of(["1.010", "1.020"]) == [1.01, 1.02]  # as yen are quoted to three digits


@MANY
@given(
    st.lists(st.sampled_from(["995", "999", "1.010", "1.001"]), min_size=2, max_size=6),
    st.sampled_from(["995", "1.010", "10.5", "0.995"]),
)
def test_one_more_price_never_flips_those_before_it(cells, more):
    before, after = close_of(cells), close_of([*cells, more])
    if before is not None and after is not None:
        np.testing.assert_array_equal(before, after[:-1])
    mixed = len({"." in cell for cell in cells}) == 2
    assert (before is None) == mixed
    if more in ("10.5", "0.995"):
        assert after is not None


def bars_at(times):
    return pd.DataFrame(
        {"timestamp": times, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1}
    )


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    ("day", "length"),
    [("2024-01-02", 10), ("1999-01-04", 10), ("2015-01-05", 10), ("2019-12-01", 10),
     ("2012-11-10", 10), ("2024-01-02", 12), ("2001-02-03", 12)],
)  # fmt: skip
def test_two_digits_of_the_year_are_no_epoch(day, length, as_text):
    """Read as they are meant, or refused with the format; no other date is ever given."""
    times = pd.date_range(f"{day} 09:30", periods=5, freq="17min")
    text_format = "%y%m%d%H%M%S"[:length]
    cells = times.strftime(text_format)
    frame = bars_at(cells if as_text else cells.astype(np.int64))
    try:
        bars = read_bars(frame)
    except BarsError as error:
        assert text_format in str(error)
        bars = read_bars(frame, date_format=text_format)
    assert bars.timestamps.tolist() == times.as_unit("ns").values.tolist()


@MANY
@given(st.integers(315_619_200, 1_850_000_000), st.sampled_from([60, 300, 3600, 86400]))
def test_epochs_stay_epochs(start, step):
    times = start - start % step + step * np.arange(100)  # few days may be unclear
    assert (read_bars(bars_at(times)).timestamps.view(np.int64) == times * 10**9).all()


def test_days_before_years(find):
    days = pd.date_range("2024-01-10", periods=5)
    for text_format in ("%d%m%Y", "%m%d%Y"):
        for cells in (days + pd.Timedelta("1D"), days + pd.Timedelta("4D")):
            text = cells.strftime(text_format)
            for column in (text, text.astype(np.int64)):
                assert (read_bars(bars_at(column)).timestamps == cells).all()
    defect = find(bars_at(["01022024", "02022024", "03022024"]))["unclear_timestamps"]
    assert "%d%m%Y" in defect.fix
    days = pd.bdate_range("2024-01-02", periods=30)
    assert (read_bars(bars_at(days.strftime("%d%m%Y"))).timestamps == days).all()


def test_the_range_is_not_widened_over_a_lost_mark(write, find):
    text = "Date,Open,High,Low,Close,Volume\n2024-01-01,10.1,10.3,10,10.2,5\n"
    for row in ('"10,150",10.3,10,10.2,5', "10.1,10.3,10,1020,5"):
        found = find(write("A.csv", f"{text}2024-01-02,{row}\n"), splits="ignore")
        for defect in found.values():
            assert "widen_range" not in defect.fix


def test_rows_are_not_sorted_where_the_half_of_the_day_was_lost(find):
    times = [f"2024-01-02 {hour:02d}:30" for hour in (9, 10, 11, 12, 1, 2, 3)]
    times += [time.replace("-02 ", "-03 ") for time in times]
    defect = find(bars_at(times))["unsorted"]
    assert "AM or PM" in defect.fix and "repair" not in defect.fix
    assert "repair" in find(bars_at([*times[:3], times[1].replace(":30", ":45")]))["unsorted"].fix
