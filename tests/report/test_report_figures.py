"""The marks stand where the values are."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from marketsim.report.data import Fan, Heatmap, Markers
from marketsim.report.figures_equity import drawdown
from marketsim.report.figures_fan import Band, coverage, fan_bands
from marketsim.report.html import render_report


def points(path):
    """[run][point] of path data that `line_path` or `band_path` made."""
    pairs = [re.findall(r"(-?\d+) (-?\d+)", run) for run in path.split("M")[1:]]
    return [np.array(run, dtype=float) for run in pairs]


def series(chart, number):
    """Points of the line of one series, all runs together."""
    group = next(g for g in chart.all("g") if g.attributes.get("data-series") == str(number))
    return np.concatenate(points(group.one("path", "line").attributes["d"]))


def value_axis(chart):
    """(slope, offset): pixel = slope * value + offset, from the labels of the axis."""
    labels = chart.all("text", "value")
    values = [float(t.text.replace("−", "-").replace(",", "").strip("%+")) for t in labels]
    return np.polyfit(values, [t.number("y") for t in labels], 1)


def pixels(chart, units):
    """Pixels from the top of the chart of heights in the stretched layer."""
    layer = chart.one("svg", "layer")
    return layer.number("y") + np.asarray(units) / 2000.0 * layer.number("height")


# Equity and drawdown


def test_equity_lines_lie_at_their_values(page, data):
    chart = page.by_id("equity")
    slope, offset = value_axis(chart)
    assert slope < 0
    for i, curve in enumerate(data.equity.values()):
        line = series(chart, i)
        assert len(line) == len(curve)
        np.testing.assert_allclose(line[:, 0], (np.arange(60) + 0.5) / 60 * 4000, atol=0.5)
        expected = slope * (curve - 1.0) * 100.0 + offset
        np.testing.assert_allclose(pixels(chart, line[:, 1]), expected, atol=0.2)


def test_drawdown_lies_at_its_values_and_shares_the_days(page, data):
    above, below = page.by_id("equity"), page.by_id("drawdown")
    slope, offset = value_axis(below)
    for i, curve in enumerate(data.equity.values()):
        line = series(below, i)
        np.testing.assert_array_equal(line[:, 0], series(above, i)[:, 0])
        expected = slope * drawdown(curve) * 100.0 + offset
        np.testing.assert_allclose(pixels(below, line[:, 1]), expected, atol=0.2)
    assert not above.all("text", "date")
    assert len(page.by_id("rolling").all("text", "date")) >= 2
    turns = [[line.attributes["x1"] for line in c.all("line", "turn")] for c in (above, below)]
    assert turns[0] == turns[1]


def test_the_rolling_figure_lies_at_its_values(page, data):
    chart = page.by_id("rolling")
    slope, offset = value_axis(chart)
    for i, values in enumerate(data.rolling.values()):
        line = series(chart, i)
        np.testing.assert_allclose(pixels(chart, line[:, 1]), slope * values + offset, atol=0.2)


def test_drawdown_counts_from_the_capital_at_the_start():
    np.testing.assert_allclose(drawdown(np.array([0.9, 0.99, 1.2, 0.6])), [-0.1, -0.01, 0.0, -0.5])
    np.testing.assert_allclose(
        drawdown(np.array([np.nan, 2.0, np.nan, 1.0])), [np.nan, 0, np.nan, -0.5]
    )
    assert drawdown(np.array([0.0, 0.0]))[1] == -1.0


def test_higher_equity_is_drawn_higher(make_data, read):
    curve = np.linspace(0.5, 3.0, 60)
    page = read(render_report(make_data(equity={"rising": curve}, baselines=frozenset())))
    y = series(page.by_id("equity"), 0)[:, 1]
    assert (np.diff(y) < 0).all()
    assert (
        series(page.by_id("drawdown"), 0)[1:, 1] <= series(page.by_id("drawdown"), 0)[0, 1]
    ).all()


def test_legend_names_every_series_with_its_outcome(page, data):
    buttons = page.by_id("performance").all("button")
    assert [b.one("span", "name").text for b in buttons] == list(data.equity)
    for number, (button, curve) in enumerate(zip(buttons, data.equity.values(), strict=True)):
        shown = float(button.one("span", "detail").text.replace("−", "-").rstrip("%"))
        assert shown == pytest.approx((curve[-1] - 1.0) * 100.0, abs=0.051)
        assert button.attributes["data-series"] == str(number)
        assert button.attributes["aria-pressed"] == "true"


def test_baselines_are_grey_and_dashed_and_told_apart(page):
    buttons = page.by_id("performance").all("button")
    classes = [b.one("path", "line").classes for b in buttons]
    assert classes == [["line", c] for c in ("c0", "c1")] + [
        ["line", "base", d] for d in ("d0", "d1")
    ]
    style = page.one("style").text
    assert re.search(r"\.base \{[^}]*var\(--grey\)", style)
    assert re.search(r"\.d0 \{ stroke-dasharray", style)


def test_no_two_series_look_alike_as_long_as_twelve(make_data, read):
    equity = {f"s{i}": np.ones(60) for i in range(15)}
    naive = frozenset(f"s{i}" for i in range(12, 15))
    page = read(render_report(make_data(equity=equity, baselines=naive, tables=[])))
    looks = [tuple(p.classes) for p in page.by_id("performance").all("path", "line")]
    swatches = looks[:15]
    assert len(set(swatches)) == 15


def test_rows_of_the_table_carry_the_mark_of_their_curve(page):
    rows = page.by_id("summary").all("tbody")[0].all("tr")
    marks = [row.one("path", "line").classes for row in rows]
    buttons = page.by_id("performance").all("button")
    assert marks == [b.one("path", "line").classes for b in buttons]


def test_down_sampling_keeps_every_extreme(make_data, read):
    rng = np.random.default_rng(1)
    curve = np.exp(np.cumsum(rng.normal(0, 0.01, 20_000)))
    curve[[7_777, 12_345]] = curve.max() * 1.2, curve.min() * 0.8  # single days
    dates = np.datetime64("1960-01-01") + np.arange(20_000)
    page = read(
        render_report(make_data(rolling={}, dates=dates, equity={"one": curve}, candles=None))
    )
    chart = page.by_id("equity")
    line = series(chart, 0)
    assert len(line) < 1_500
    assert (np.diff(line[:, 0]) >= 0).all()
    assert line[np.argmin(line[:, 1]), 0] == pytest.approx(7_777.5 / 20_000 * 4000, abs=0.5)
    assert line[np.argmax(line[:, 1]), 0] == pytest.approx(12_345.5 / 20_000 * 4000, abs=0.5)
    assert line[0, 0] == 0
    assert line[-1, 0] == 4000


def test_growth_beyond_all_measure_is_drawn_on_a_logarithmic_scale(make_data, read):
    curve = np.geomspace(1.0, 1e4, 60)
    page = read(render_report(make_data(equity={"one": curve})))
    line = series(page.by_id("equity"), 0)
    np.testing.assert_allclose(np.diff(line[:, 1]), np.diff(line[:, 1]).mean(), atol=1.01)
    assert "100×" in [t.text for t in page.by_id("equity").all("text", "value")]
    assert "logarithmic" in page.by_id("performance").text
    lost = read(render_report(make_data(equity={"one": np.r_[curve[:-1], 0.0]})))
    assert "logarithmic" not in lost.by_id("performance").text


# Candles


def test_one_candle_a_day_with_its_prices(page, data):
    chart = page.by_id("candles")
    slope, offset = value_axis(chart)
    candles = data.candles
    drawn = chart.all("g", "candle")
    assert len(drawn) == 60
    for i, candle in enumerate(drawn):
        wick, body = candle.one("line"), candle.one("rect")
        expected = slope * np.array([candles.high[i], candles.low[i]]) + offset
        np.testing.assert_allclose([wick.number("y1"), wick.number("y2")], expected, atol=0.02)
        ends = slope * np.array([candles.open[i], candles.close[i]]) + offset
        assert body.number("y") == pytest.approx(ends.min(), abs=0.02)
        assert body.number("height") == pytest.approx(max(np.ptp(ends), 1.0), abs=0.02)
        assert wick.number("y1") <= body.number("y")
        assert wick.number("x1") == pytest.approx((i + 0.5) / 60, abs=1e-4)
        assert body.number("x") + body.number("width") / 2 == pytest.approx(
            (i + 0.5) / 60, abs=2e-4
        )
        assert ("up" in candle.classes) == (candles.close[i] >= candles.open[i])


def test_fills_stand_at_their_day_and_price(page, data):
    chart = page.by_id("candles")
    slope, offset = value_axis(chart)
    marks = chart.all("svg", "mark")
    expected = [(m.kind, day, price) for m in data.candles.markers
                for day, price in zip(m.day, m.price, strict=True)]  # fmt: skip
    assert len(marks) == len(expected) == 7
    for mark, (kind, day, price) in zip(marks, expected, strict=True):
        assert mark.one("path").classes == ["fill", kind.replace(" ", "-")]
        assert mark.number("x") == pytest.approx((day + 0.5) / 60, abs=1e-4)
        assert mark.number("y") == pytest.approx(slope * price + offset, abs=0.02)


def test_kinds_of_fills_differ_in_shape_and_colour(page):
    legend = page.by_id("fills").one("ul", "legend")
    paths = legend.all("path", "fill")
    assert len({p.attributes["d"] for p in paths}) == 4
    colours = dict(
        re.findall(r"\.((?:long|short)-\w+) \{ fill: (var\(--c\d\)); \}", page.one("style").text)
    )
    assert len(colours) == len(set(colours.values())) == 4
    assert [e.text for e in legend.all("li")][:4] == [
        "long entry3", "long exit2", "short entry1", "short exit1",
    ]  # fmt: skip


def test_a_long_entry_points_up_from_below_its_price(page):
    def heights(kind):
        path = page.by_id("candles").all("path", kind)[0].attributes["d"]
        return [float(y) for _, y in re.findall(r"[ML](-?\d+) (-?\d+)", path)]

    assert heights("long-entry")[0] == 0
    assert heights("long-entry")[1] > 0  # downwards on the page
    assert heights("short-entry")[1] < 0


def test_only_the_last_days_and_their_fills_are_drawn(make_data, read):
    data = make_data(days=500)
    everywhere = np.arange(0, 500, 10)
    markers = [
        Markers("long entry", everywhere, data.candles.low[everywhere]),
        Markers("long exit", np.array([499, 700, -3, 490]), np.array([100.0, 1.0, 1.0, np.nan])),
    ]
    page = read(render_report(replace(data, candles=replace(data.candles, markers=markers))))
    chart = page.by_id("candles")
    assert len(chart.all("g", "candle")) == 180
    assert len(chart.all("path", "long-entry")) == 18
    assert len(chart.all("path", "long-exit")) == 1
    assert "The last 180 of 500 bars; 19 fills of maxdiff." in page.by_id("fills").text


def test_days_with_a_missing_price_have_no_candle(make_data, read):
    data = make_data()
    high = data.candles.high.copy()
    high[[3, 7]] = np.nan, np.inf
    page = read(render_report(replace(data, candles=replace(data.candles, high=high))))
    assert len(page.by_id("candles").all("g", "candle")) == 58


# Fans


def test_bands_enclose_the_median_and_each_other(page, data):
    chart = page.by_id("fan-0")
    slope, offset = value_axis(chart)
    fan = data.fans[0]
    outer, inner = (points(band.attributes["d"])[0] for band in chart.all("path", "band"))
    for band, (low, high) in ((outer, (0, 4)), (inner, (1, 3))):
        assert len(band) == 120
        there, back = pixels(chart, band[:60, 1]), pixels(chart, band[60:, 1])[::-1]
        np.testing.assert_allclose(there, slope * fan.quantiles[:, high] + offset, atol=0.2)
        np.testing.assert_allclose(back, slope * fan.quantiles[:, low] + offset, atol=0.2)
    median = points(chart.one("path", "median").attributes["d"])[0]
    np.testing.assert_allclose(
        pixels(chart, median[:, 1]), slope * fan.quantiles[:, 2] + offset, atol=0.2
    )


def test_actual_prices_are_points_on_a_line(page, data):
    chart = page.by_id("fan-0")
    slope, offset = value_axis(chart)
    circles = chart.one("g", "actual").all("circle")
    expected = slope * data.fans[0].actual + offset
    np.testing.assert_allclose([c.number("cy") for c in circles], expected, atol=0.02)
    line = points(chart.one("path", "actual").attributes["d"])[0]
    np.testing.assert_allclose(pixels(chart, line[:, 1]), expected, atol=0.2)


def test_coverage_is_stated_beside_what_was_measured(page, data):
    fan = data.fans[0]
    inside = (fan.actual >= fan.quantiles[:, 0]) & (fan.actual <= fan.quantiles[:, 4])
    caption = page.by_id("forecasts").all("figcaption")[0].text
    assert "Coverage over 60 bars" in caption
    assert f"the 80% band (10% to 90%) held {inside.mean():.0%}" in caption


def test_coverage_of_known_days_only():
    quantiles = np.array([[0.0, 2.0], [0.0, 2.0], [np.nan, 2.0], [0.0, 2.0]])
    fan = Fan(
        "close", np.zeros(4, "M8[D]"), (0.1, 0.9), quantiles, np.array([1.0, 3.0, 1.0, np.nan])
    )
    band = fan_bands(fan.levels)[0]
    assert coverage(fan, band) == (0.5, 2)
    nothing = replace(fan, actual=np.full(4, np.nan))
    assert coverage(nothing, band)[1] == 0


def test_bands_of_unusual_levels():
    assert fan_bands([0.5]) == []
    assert fan_bands([0.2, 0.9]) == [Band(0, 1, pytest.approx(0.7), "20% to 90%")]
    names = [band.name for band in fan_bands(np.linspace(0.01, 0.99, 99).tolist())]
    assert len(names) == 4
    assert names[0] == "1% to 99%"


def test_targets_can_be_chosen(page):
    forecasts = page.by_id("forecasts")
    buttons = forecasts.all("button")
    assert [b.text for b in buttons] == ["close", "high"]
    fans = [n.attributes["data-fan"] for n in forecasts.walk() if "data-fan" in n.attributes]
    assert [b.attributes["data-shows"] for b in buttons] == fans == ["fan-0", "fan-1"]
    # Without the script all are shown, each with its heading.
    assert not [n for n in forecasts.walk() if "hidden" in n.attributes]
    assert [h.text for h in forecasts.all("h3")] == ["close", "high"]


# Heatmap


def heat_cells(page):
    """{(column, row from above): class} of the heatmap's cells."""
    return {
        (int(x), int(y)): path.classes[0]
        for path in page.by_id("heatmap").one("svg", "cells").all("path")
        for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", path.attributes["d"])
    }


def test_a_cell_for_each_pair_of_offsets(page, data):
    cells = heat_cells(page)
    profit = data.heatmap.profit
    assert len(cells) == profit.size == 81
    limit = 0.0501  # the optimum lies above every cell
    for (column, y), shade in cells.items():
        step = round(profit[8 - y, column] / limit * 10)
        assert shade == ("z" if step == 0 else f"p{step}" if step > 0 else f"n{-step}")


def test_the_ring_is_in_the_cell_of_the_optimum(page, data):
    chart = page.by_id("heatmap")
    ring, cells = chart.one("svg", "optimum"), chart.one("svg", "cells")
    column = int(ring.number("x") * 9)
    row = 8 - int((ring.number("y") - cells.number("y")) / cells.number("height") * 9)
    assert (row, column) == np.unravel_index(data.heatmap.profit.argmax(), (9, 9))
    assert ring.number("x") == pytest.approx((0.5 + (0.0102 / 0.005)) / 9, abs=1e-4)
    assert ring.one("circle", "core").classes == ["core", "p10"]


def test_the_heatmap_says_in_sample_and_its_figures(page):
    section = page.by_id("offsets")
    assert section.one("span", "badge").text == "in sample"
    assert [dd.text for dd in section.all("dd")] == ["501 bp", "−0.980%", "+0.520%"]
    assert section.one("figcaption").one("p").text.strip().startswith("In sample: maxdiff")
    bar = [t.text for t in page.by_id("heatmap-scale").all("text")]
    limit = float(bar[-1].split()[0])
    assert bar[2] == "0 bp"
    assert [float(t.split()[0].replace("−", "-")) for t in bar] == pytest.approx(
        [-limit, -limit / 2, 0, limit / 2, limit], abs=0.6
    )
    assert len(page.by_id("heatmap-scale").all("rect")) == 21


def test_heatmaps_out_of_order_too_fine_or_without_profit(make_data, read):
    data = make_data()
    heatmap = data.heatmap
    turned = replace(heatmap, high=heatmap.high[::-1], profit=heatmap.profit[:, ::-1])
    assert render_report(replace(data, heatmap=turned)) == render_report(data)
    fine = np.linspace(-0.03, 0.03, 301)
    many = Heatmap("m", "s", fine, fine[:150], np.ones((150, 301)), (np.nan, np.nan, np.nan))
    page = read(render_report(replace(data, heatmap=many)))
    assert len(heat_cells(page)) == 41 * 41
    assert not page.by_id("heatmap").all("svg", "optimum")
    assert "No optimum is known." in page.by_id("offsets").text
    flat = replace(heatmap, profit=np.zeros((9, 9)))
    page = read(render_report(replace(data, heatmap=flat)))
    assert set(heat_cells(page).values()) == {"z"}
    profit = heatmap.profit.copy()
    profit[2, 3] = np.nan
    page = read(render_report(replace(data, heatmap=replace(heatmap, profit=profit))))
    assert list(heat_cells(page).values()).count("na") == 1
    page = read(render_report(replace(data, heatmap=replace(heatmap, profit=profit * np.nan))))
    assert not [n for n in page.walk() if n.attributes.get("id") == "heatmap"]
