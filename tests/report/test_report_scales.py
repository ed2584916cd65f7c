"""Round ticks, dates without overlap, figures as text, and fewer points of a curve."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.report.formats import basis_points, multiple, percent, percent_tick, price
from marketsim.report.sampling import drawable, extremes, thinned
from marketsim.report.scales import growth_scale, linear_scale, nice_step
from marketsim.report.svg import band_path, element, line_path, number
from marketsim.report.timeaxis import date_text, date_ticks

finite = st.floats(-1e90, 1e90)


def plain(value, step):
    return f"{value:g}"


# Scales


@given(st.lists(finite, min_size=1, max_size=20))
def test_every_value_and_tick_lies_in_the_plot(values):
    scale = linear_scale(np.array(values), plain)
    heights = scale.heights(values)
    assert (heights >= -1e-9).all()
    assert (heights <= 1 + 1e-9).all()
    ticks = [value for value, _ in scale.ticks]
    assert 2 <= len(ticks) <= 10
    inside = scale.heights(ticks)
    assert (inside >= -1e-6).all()
    assert (inside <= 1 + 1e-6).all()


@given(st.lists(st.floats(1e-90, 1e90), min_size=1, max_size=20))
def test_growth_scales_hold_every_value(values):
    scale = growth_scale(np.array(values), plain, multiple)
    assert (np.abs(scale.heights(values) - 0.5) <= 0.5 + 1e-9).all()
    assert scale.log == (max(values) >= 25.0 * min(values))
    assert len(scale.ticks) <= 13
    if scale.log:
        assert scale.ticks


def test_ticks_are_round():
    for least, step in ((0.011, 0.02), (0.0201, 0.025), (3.0, 5.0), (99.0, 100.0), (1e-12, 1e-12)):
        assert nice_step(least) == pytest.approx(step)


def test_a_fixed_end_gets_no_room():
    scale = linear_scale(np.array([-0.2, -0.1]), percent_tick, high=0.0)
    assert scale.high == 0.0
    assert scale.ticks[-1] == (0.0, "0%")


# Dates


def days(first, last):
    return np.arange(first, last, dtype="datetime64[D]")


def labels(dates, most=10):
    return [tick.label for tick in date_ticks(dates, most)]


def test_years_months_weeks_days_and_hours():
    assert labels(days("2000-01-03", "2013-01-01")) == [
        "2002",
        "2004",
        "2006",
        "2008",
        "2010",
        "2012",
    ]
    assert labels(days("2016-06-15", "2020-03-01"))[:3] == ["Jul 2016", "Jan 2017", "Jul 2017"]
    months = ["Dec 2019", "Jan 2020", "Feb 2020", "Mar 2020"]
    assert labels(days("2019-11-15", "2020-03-10"), 6) == months
    weeks = ["23 Dec 2019", "30 Dec", "6 Jan 2020", "13 Jan", "20 Jan"]
    assert labels(days("2019-12-20", "2020-01-24"), 6) == weeks
    assert labels(days("2020-01-06", "2020-01-09")) == ["6 Jan 2020", "7 Jan", "8 Jan"]
    hours = np.datetime64("2020-01-06T00:00") + np.arange(48) * np.timedelta64(1, "h")
    assert labels(hours, 5) == ["6 Jan 2020", "12:00, 6 Jan", "7 Jan", "12:00, 7 Jan"]


@pytest.mark.parametrize("most", [3, 5, 10])
@pytest.mark.parametrize("count", [1, 2, 5, 9, 30, 100, 180, 700, 2_500, 20_000])
@pytest.mark.parametrize("step", ["1D", "7D", "1h", "5m"])
def test_ticks_are_few_apart_and_ascending(count, most, step):
    size, unit = int(step[:-1]), step[-1]
    dates = np.datetime64("2003-03-12T00:00:00") + np.arange(count) * np.timedelta64(size, unit)
    ticks = date_ticks(dates, most)
    at = [tick.day for tick in ticks]
    assert 1 <= len(at) <= most
    assert all(b - a >= 0.6 * count / most for a, b in pairwise(at))
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert all(len(tick.label) <= 18 for tick in ticks)


def test_business_days_with_holidays_and_leaps():
    dates = days("2004-08-19", "2013-03-02")
    dates = dates[np.is_busday(dates)]
    ticks = date_ticks(dates, 10)
    for tick in ticks:
        assert dates[tick.day].astype("M8[Y]") != dates[tick.day - 1].astype("M8[Y]")


def test_no_dates():
    assert date_ticks(np.array([], dtype="datetime64[D]"), 5) == []
    assert date_ticks(np.array(["NaT"], dtype="datetime64[D]"), 5) == []


def test_texts_of_dates():
    assert date_text(np.datetime64("2020-03-09")) == "2020-03-09"
    assert date_text(np.datetime64("2020-03-09T09:30:15")) == "2020-03-09 09:30:15"
    assert date_text(np.datetime64("2020-03-09T09:30", "ns")) == "2020-03-09 09:30"
    assert date_text(np.datetime64("NaT")) == "–"


# Figures as text


def test_percentages():
    assert percent(0.1234) == "12.3%"
    assert percent(-0.1234, 2) == "−12.34%"
    assert percent(0.0, signed=True) == percent(-0.0001, signed=True) == "0.0%"
    assert percent(12.5, 0, signed=True) == "+1,250%"
    assert percent(float("nan")) == "–"
    assert percent(1e12) == "1.0e14%"
    assert percent_tick(0.0, 0.25, signed=True) == "0%"
    assert percent_tick(-0.005, 0.0025, signed=True) == "−0.50%"


def test_prices():
    assert [price(v) for v in (0.0, 1.0853, 12.5, 1234.567, 123456.7)] == [
        "0", "1.0853", "12.500", "1,234.57", "123,457",
    ]  # fmt: skip
    assert price(-104.06) == "−104.06"
    assert price(1e-9) == "1.0000e−9"
    assert price(float("inf")) == "–"
    assert price(2.5e12, 5e11) == "2.5T"
    assert price(1.5e-9, 5e-10) == "1.5e−9"
    assert price(0.0, 5e-10) == "0"
    assert price(0.0, 25.0) == "0"
    assert price(3e20, 1e20) == "3e20"


def test_basis_points_and_multiples():
    assert [basis_points(v) for v in (0.0, 0.0132, -0.00004, 0.00035, float("nan"))] == [
        "0 bp", "132 bp", "−0.40 bp", "3.5 bp", "–",
    ]  # fmt: skip
    assert basis_points(1e9) == "1.0e13 bp"
    assert basis_points(1e305) == percent(-1e305) == price(1e305) == "\N{EN DASH}"
    assert [multiple(v) for v in (0.5, 1.0, 2e4, 1e-6, 1e7)] == [
        "0.5×",
        "1×",
        "20,000×",
        "1e−6×",
        "1e7×",
    ]


# Points


@given(st.lists(st.one_of(finite, st.just(float("nan"))), max_size=300), st.integers(1, 40))
def test_sampling_keeps_extremes_ends_and_order(values, buckets):
    array = np.array(values, dtype=np.float64)
    kept = extremes(array, buckets)
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(2 * buckets + 2, 0)
    known = array[np.isfinite(array)]
    if known.size:
        left = array[kept]
        assert np.nanmin(left) == known.min()
        assert np.nanmax(left) == known.max()
        ends = np.flatnonzero(np.isfinite(array))[[0, -1]]
        assert set(ends) <= set(kept)


def test_sampling_keeps_a_long_gap():
    curve = np.ones(1_000)
    curve[400:600] = np.nan
    kept = extremes(curve, 50)
    assert np.isnan(curve[kept]).any()
    assert line_path(kept.astype(float), curve[kept]).count("M") == 2


def test_sampling_of_a_line_stays_within_one_stretch_of_it():
    curve = np.sin(np.linspace(0, 20, 10_000))
    kept = extremes(curve, 500)
    drawn = np.interp(np.arange(10_000), kept, curve[kept])
    assert np.abs(drawn - curve).max() < 20 / 500 * 1.5


def test_thinning():
    assert thinned(3, 10).tolist() == [0, 1, 2]
    assert thinned(0, 10).tolist() == []
    for days_, most in ((11, 4), (1_000, 700), (5, 1)):
        kept = thinned(days_, most)
        assert len(kept) <= most
        assert kept[0] == 0
        assert most == 1 or kept[-1] == days_ - 1


def test_values_that_cannot_be_drawn():
    np.testing.assert_array_equal(
        drawable([1, np.inf, -np.inf, np.nan, 1e101]), [1, np.nan, np.nan, np.nan, np.nan]
    )


# Elements


def test_elements_escape_and_leave_out():
    assert element("a", title='"><', b_c=None, d=1.0) == '<a title="&#34;&gt;&lt;" d="1"/>'
    assert element("p", "a<b", element("i", "&")) == "<p>a&lt;b<i>&amp;</i></p>"
    assert number(-0.0) == "0"
    assert number(1e7) == "10000000"


def test_bands_of_single_days_have_a_width():
    x = np.array([0.0, 100.0, 200.0])
    low = np.array([5.0, np.nan, 5.0])
    path = band_path(x, low, low - 3, half_step=20.0)
    assert path == "M-20 2L20 2 20 5 -20 5ZM180 2L220 2 220 5 180 5Z"
