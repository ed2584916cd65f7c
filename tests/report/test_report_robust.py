"""Data at the edge of sense make gaps or short pages, never a crash; wrong data are named."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.errors import ArgumentError, MarketsimError
from marketsim.report.data import Candles, Fan, Heatmap, Markers, Table
from marketsim.report.html import render_report


def lines(page, identifier):
    layer = page.by_id(identifier).one("svg", "layer")
    return [path.attributes["d"] for path in layer.all("path", "line")]


def in_plot(page):
    """All coordinates of marks lie within their plot, and none is NaN."""
    for chart in page.all("svg", "chart"):
        for layer in chart.all("svg", "layer"):
            for path in layer.all("path"):
                assert "nan" not in path.attributes["d"]
                pairs = re.findall(r"(-?\d+) (-?\d+)", path.attributes["d"])
                assert all(0 <= int(x) <= 4000 and -1 <= int(y) <= 2001 for x, y in pairs)
    for node in page.walk():
        for name, value in node.attributes.items():
            if name in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height", "r"):
                assert re.fullmatch(r"-?\d+(\.\d+)?%?", value), (node.tag, name, value)


def test_nothing_at_all(make_data, read):
    empty = make_data(
        title="", subtitle="", notes=[], tables=[], dates=np.array([], dtype="datetime64[D]"),
        equity={}, baselines=frozenset(), candles=None, fans=[], heatmap=None, provenance={},
        trades=[], rolling={}, by_strategy={}, histograms=[],
    )  # fmt: skip
    page = read(render_report(empty))
    assert not page.all("section")
    assert not page.all("svg")


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"candles": None}, "fills"),
        ({"fans": []}, "forecasts"),
        ({"heatmap": None}, "offsets"),
        ({"notes": []}, "notes"),
        ({"provenance": {}}, "provenance"),
        ({"tables": []}, "summary"),
        ({"equity": {}}, "performance"),
    ],
)
def test_each_part_may_be_missing(make_data, read, changes, missing):
    page = read(render_report(make_data(**changes)))
    sections = {section.attributes.get("id") for section in page.all("section")}
    everything = {"summary", "performance", "fills", "forecasts", "offsets", "notes", "provenance"}
    assert everything - sections == {missing}


def test_gaps_in_equity(make_data, read):
    curve = np.linspace(1.0, 2.0, 60)
    curve[[10, 11, 30]] = np.nan, np.inf, -np.inf
    page = read(render_report(make_data(equity={"gaps": curve})))
    in_plot(page)
    assert lines(page, "equity")[0].count("M") == 3
    assert lines(page, "drawdown")[0].count("M") == 3


def test_a_single_day_between_gaps_is_a_dot(make_data, read):
    curve = np.full(60, np.nan)
    curve[[5, 40]] = 1.0, 1.1
    page = read(render_report(make_data(equity={"dots": curve})))
    assert lines(page, "equity") == [""]
    dots = page.by_id("equity").one("path", "dots")
    assert re.fullmatch(r"M\d+ \d+h0M\d+ \d+h0", dots.attributes["d"])
    assert dots.classes == ["dots", "c0"]


def test_no_value_at_all(make_data, read):
    page = read(render_report(make_data(equity={"nothing": np.full(60, np.nan)})))
    assert "performance" not in {s.attributes.get("id") for s in page.all("section")}
    one = {"nothing": np.full(60, np.nan), "one": np.ones(60)}
    page = read(render_report(make_data(equity=one)))
    in_plot(page)
    assert page.by_id("performance").all("span", "detail")[0].text == "no values"


@pytest.mark.parametrize("value", [1.0, 0.0, -1.0, 1e-12, 1e12, 1e90])
def test_constant_curves(make_data, read, value):
    page = read(render_report(make_data(equity={"constant": np.full(60, value)})))
    in_plot(page)
    assert len(page.by_id("equity").all("text", "value")) >= 2


def test_equity_that_is_lost(make_data, read):
    curve = np.concatenate([np.linspace(1.0, 0.0, 30), np.zeros(30)])
    page = read(render_report(make_data(equity={"lost": curve, "fine": np.linspace(1, 50, 60)})))
    in_plot(page)
    assert page.by_id("performance").all("span", "detail")[0].text == "−100.0%"
    assert "−100%" in [t.text for t in page.by_id("drawdown").all("text", "value")]


def test_one_day_only(make_data, read):
    data = make_data(days=10)
    day = data.dates[:1]
    price = np.array([100.0])
    one = replace(
        data,
        dates=day,
        equity={name: curve[:1] for name, curve in data.equity.items()},
        candles=Candles(day, price, price, price, price, "s", []),
        fans=[Fan("close", day, (0.1, 0.9), np.array([[99.0, 101.0]]), price)],
        rolling={},
        heatmap=Heatmap("s", "one day", np.zeros(1), np.zeros(1), np.ones((1, 1)), (0.0, 0.0, 1.0)),
    )
    page = read(render_report(one))
    in_plot(page)
    assert "one bar, 2020-01-06" in page.by_id("performance").text
    assert [t.text for t in page.by_id("drawdown").all("text", "date")] == ["6 Jan 2020"]
    assert len(page.by_id("candles").all("g", "candle")) == 1
    assert not page.by_id("forecasts").all("button")  # nothing to choose


def scaled(make_data, factor, offset=0.0):
    data = make_data()
    candles, fan = data.candles, data.fans[0]

    def at(values):
        return offset + values * factor

    prices = {c: at(getattr(candles, c)) for c in ("open", "high", "low", "close")}
    markers = [replace(m, price=at(m.price)) for m in candles.markers]
    fan = replace(fan, quantiles=at(fan.quantiles), actual=at(fan.actual))
    return replace(data, candles=replace(candles, markers=markers, **prices), fans=[fan])


@pytest.mark.parametrize("factor", [1e-11, 1e-6, 1.0, 1e4, 1e10, 1e13, 1e90])
def test_tiny_and_huge_prices(make_data, read, factor):
    page = read(render_report(scaled(make_data, factor)))
    in_plot(page)
    for identifier in ("candles", "fan-0"):
        labels = [t.text for t in page.by_id(identifier).all("text", "value")]
        assert len(labels) == len(set(labels)) >= 3
        assert max(map(len, labels)) <= 10


def test_prices_that_hardly_differ(make_data, read):
    in_plot(read(render_report(scaled(make_data, 1e-3, offset=1e12))))
    in_plot(read(render_report(scaled(make_data, 1e-9, offset=1e12))))


def test_prices_beyond_arithmetic_are_gaps(make_data, read):
    data = scaled(make_data, 1.0)
    high = data.candles.high.copy()
    high[0] = 1e308
    fan = replace(data.fans[0], actual=np.where(np.arange(60) % 2, 1e308, -1e308))
    page = read(render_report(replace(data, candles=replace(data.candles, high=high), fans=[fan])))
    in_plot(page)
    assert len(page.by_id("candles").all("g", "candle")) == 59
    assert not page.by_id("fan-0").all("circle")


def test_gaps_in_a_fan(make_data, read):
    data = make_data()
    fan = data.fans[0]
    quantiles, actual = fan.quantiles.copy(), fan.actual.copy()
    quantiles[10:20] = np.nan
    quantiles[30, 0] = np.nan
    quantiles[40:42] = quantiles[43:45] = np.nan  # one day is left alone
    actual[5] = np.nan
    page = read(
        render_report(replace(data, fans=[replace(fan, quantiles=quantiles, actual=actual)]))
    )
    in_plot(page)
    outer, inner = (
        p.attributes["d"] for p in page.by_id("fan-0").one("svg", "layer").all("path", "band")
    )
    assert (outer.count("Z"), inner.count("Z")) == (5, 4)
    assert len(page.by_id("fan-0").all("circle")) == 59


def test_no_fills_and_many_fills_a_day(make_data, read):
    data = make_data()
    none = replace(data.candles, markers=[])
    page = read(render_report(replace(data, candles=none)))
    assert "no fills of maxdiff" in page.by_id("fills").text
    empty = [Markers("long entry", np.array([], dtype=np.int64), np.array([]))]
    assert render_report(replace(data, candles=replace(none, markers=empty))) == render_report(
        replace(data, candles=none)
    )
    many = [Markers("long entry", np.full(5_000, 7), np.full(5_000, 100.0))]
    page = read(render_report(replace(data, candles=replace(none, markers=many))))
    assert "At most 400 fills of a kind are drawn" in page.by_id("fills").text


def test_very_long_names(make_data, read):
    name = "very_long_name_" * 1_000
    data = make_data(days=60)
    data = replace(
        data,
        title=name,
        equity={f"{i}{name}": curve for i, curve in enumerate(data.equity.values())},
        baselines=frozenset(),
        tables=[Table(name, [name, name], [[name, "1.0"]] * 30)],
        fans=[replace(fan, target=name) for fan in data.fans],
        candles=replace(data.candles, strategy=name),
    )
    html = render_report(data)
    assert len(html.encode()) < 1_000_000
    shown = read(html).by_id("performance").all("span", "name")
    assert [len(n.text) for n in shown] == [120] * 4


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_dates_of_every_unit(make_data, unit):
    data = make_data()
    assert render_report(replace(data, dates=data.dates.astype(f"M8[{unit}]"))) == render_report(
        data
    )


def test_dates_that_are_missing(make_data, read):
    data = make_data()
    dates = data.dates.copy()
    dates[[0, 30]] = np.datetime64("NaT")
    in_plot(read(render_report(replace(data, dates=dates))))
    dates[:] = np.datetime64("NaT")
    in_plot(read(render_report(replace(data, dates=dates))))


odd = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, 1e-300, 5e-324, 1e300, float("nan"), float("inf")]),
)


@settings(max_examples=60)
@given(st.data())
def test_any_numbers_give_a_page(make_data, read, draw):
    data = make_data(days=12)

    def numbers(shape):
        size = int(np.prod(shape))
        return np.array(draw.draw(st.lists(odd, min_size=size, max_size=size))).reshape(shape)

    candles = replace(
        data.candles,
        **{c: numbers((12,)) for c in ("open", "high", "low", "close")},
        markers=[Markers("long exit", np.arange(12) - 2, numbers((12,)))],
    )
    fan = replace(data.fans[0], quantiles=numbers((12, 5)), actual=numbers((12,)))
    best = tuple(numbers((3,)))
    heatmap = replace(data.heatmap, profit=numbers((9, 9)), best=best)
    equity = {"a": numbers((12,)), "b": numbers((12,))}
    html = render_report(replace(data, equity=equity, candles=candles, fans=[fan], heatmap=heatmap))
    in_plot(read(html))
    assert html == render_report(
        replace(data, equity=equity, candles=candles, fans=[fan], heatmap=heatmap)
    )


# Wrong data


def wrong(make_data, part, **changes):
    data = make_data()
    if part == "fan":
        return replace(data, fans=[replace(data.fans[0], **changes)])
    return replace(data, **({part: replace(getattr(data, part), **changes)} if part else changes))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("", {"equity": {"a": np.ones(3)}}, r"equity of 'a' must be numbers \[60\].*float64 \[3\]"),
        ("", {"equity": {"a": np.array(["x"] * 60)}}, r"equity of 'a' must be numbers"),
        ("", {"dates": np.arange(60)}, r"dates must be one-dimensional datetime64: got int64"),
        ("candles", {"low": np.ones(3)}, r"low of the candles must be numbers \[60\]"),
        ("candles", {"markers": [Markers("exit", np.array([1]), np.ones(1))]}, "one of long entry"),
        ("candles", {"markers": [Markers("long exit", np.array([1]), np.ones(2))]}, r"s \[1\]"),
        ("candles", {"markers": [Markers("long exit", np.array([1.5]), np.ones(1))]}, "integers"),
        ("fan", {"levels": (0.5, 0.1, 0.2, 0.3, 0.4)}, "must ascend between 0 and 1"),
        ("fan", {"levels": (0.0, 0.1, 0.2, 0.3, 0.4)}, "must ascend between 0 and 1"),
        ("fan", {"levels": (0.1, 0.9)}, r"quantiles .* must be numbers \[60, 2\]"),
        ("fan", {"levels": (), "quantiles": np.ones((60, 0))}, "must ascend"),
        ("fan", {"actual": np.ones(2)}, "actual of the 'close' fan"),
        ("heatmap", {"profit": np.ones((2, 2))}, r"profit of the heatmap must be numbers \[9, 9\]"),
        ("heatmap", {"high": np.array([])}, "got 0 of the high and 9 of the low"),
        ("heatmap", {"high": np.full(9, np.nan)}, "must be finite"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit_say_what_was_got_and_expected(make_data, part, changes, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        render_report(wrong(make_data, part, **changes))
    assert isinstance(caught.value, ValueError | MarketsimError)
