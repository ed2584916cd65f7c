"""The page as a whole: its parts and their order, its size, its policy, and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.errors import ArgumentError
from marketsim.report.data import Candles, Fan, Heatmap, Table
from marketsim.report.html import render_report, write_report
from marketsim.report.packing import Packer

LIMIT = 1_000_000


def test_parts_stand_in_the_order_of_reading(page):
    assert page.one("h1").text == "ABC: backtest"
    assert page.one("p", "subtitle").text == "Model ewma, 60 days"
    heads = [head.text for head in page.all("h2")]
    assert heads == [
        "Strategies",
        "Equity and drawdown",
        "Prices and fills",
        "Trades",
        "Months",
        "Forecasts and what came",
        "Calibration",
        "Profit of offset pairs in sample",
        "Skill",
        "Notes",
        "Provenance",
    ]


def test_document_title_is_the_title(html):
    assert html.count("<title>ABC: backtest</title>") == 1


def test_the_document_is_complete(html, page):
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    names = [meta.attributes.get("name") for meta in page.all("meta")]
    assert {"viewport", "color-scheme"} <= set(names)


def test_notes_and_provenance(page):
    assert [li.text for li in page.by_id("notes").all("li")] == [
        "Filled by open_aware.",
        "Annualised with 252 periods a year.",
    ]
    provenance = page.by_id("provenance")
    assert [dt.text for dt in provenance.all("dt")] == ["model", "bars hash"]
    assert [dd.text for dd in provenance.all("dd")] == ["ewma", "5f1e"]


def test_identifiers_are_unique_and_references_lead_somewhere(page):
    identifiers = [n.attributes["id"] for n in page.walk() if "id" in n.attributes]
    assert len(identifiers) == len(set(identifiers))
    for node in page.walk():
        for name in (node.attributes.get("aria-labelledby") or "").split():
            assert name in identifiers


def test_every_figure_is_named_for_screen_readers(page):
    charts = page.all("svg", "chart")
    # equity, drawdown, rolling, candles, two fans, a histogram, heatmap, its colours
    assert len(charts) == 9
    for chart in charts:
        assert chart.attributes["role"] == "img"
        labels = chart.attributes["aria-labelledby"].split()
        assert [page.by_id(label).tag for label in labels] == ["title", "desc"]
        assert all(page.by_id(label).text for label in labels)
    for svg in page.all("svg"):
        outer, node = False, svg.parent
        while node is not None:
            outer, node = outer or node.tag == "svg", node.parent
        assert outer or svg in charts or svg.attributes.get("aria-hidden") == "true"


def test_headings_skip_no_level(page):
    levels = [int(n.tag[1]) for n in page.walk() if re.fullmatch("h[1-6]", n.tag)]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


# The policy and the script


def policy(page):
    found = [m for m in page.all("meta") if m.attributes.get("http-equiv")]
    assert [m.attributes["http-equiv"] for m in found] == ["Content-Security-Policy"]
    parts = found[0].attributes["content"].split(";")
    return {part.split()[0]: part.split()[1:] for part in parts}


def test_policy_allows_one_script_and_nothing_else(page):
    scripts = page.all("script")
    assert [s.attributes.get("type") for s in scripts] == ["application/json", None]
    digest = hashlib.sha256(scripts[1].text.encode()).digest()
    assert policy(page) == {
        "default-src": ["'none'"],
        "style-src": ["'unsafe-inline'"],
        "script-src": [f"'sha256-{base64.b64encode(digest).decode()}'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_policy_stands_before_all_that_it_governs(html):
    assert html.index("Content-Security-Policy") < min(html.index("<style"), html.index("<script"))


OWN_SCRIPTS = ("tables.js", "dates.js", "explore.js", "panels.js", "trades.js", "script.js")


def test_script_is_small_and_cannot_run_data(page):
    script = page.all("script")[1].text
    own = ""
    for name in OWN_SCRIPTS:
        source = (resources.files("marketsim.report") / "templates" / name).read_text().strip()
        assert source in script
        own += source
    assert len(own.encode()) < 45_000
    for word in (
        "eval", "Function(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
        "setTimeout", "setInterval", "import(", "fetch", "XMLHttpRequest", "location", "cookie",
        "localStorage", "createElementNS", "\r",
    ):  # fmt: skip
        assert word not in own, word


def test_the_chart_library_is_what_was_published_and_stands_below_its_licence(page):
    folder = resources.files("marketsim.report") / "vendor"
    library = (folder / "uPlot.iife.min.js").read_bytes()
    digest = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
    assert hashlib.sha256(library).hexdigest() == digest
    script = page.all("script")[1].text
    licence = (folder / "uPlot-LICENSE.txt").read_text().strip()
    assert script.startswith(f"/*\n{licence}\n*/\n{library.decode().strip()}")


def unpacked(page, spec):
    """The values of one array, as `explore.js` reads them."""
    block = zlib.decompress(base64.b64decode(json.loads(page.by_id("report-data").text)["block"]))
    width, count, at = spec["width"], spec["count"], spec["at"]
    planes = np.frombuffer(block[at : at + width * count], np.uint8).reshape(width, count)
    steps = (planes.astype(np.int64) << 8 * np.arange(width)[:, None]).sum(axis=0)
    codes = np.cumsum(steps) % 256**width
    if "step" not in spec:
        signed = np.where((width == 4) & (codes >= 2**31), codes - 2**32, codes)
        return signed / spec.get("by", 1)
    values = np.where(codes > 0, spec["low"] + (codes - 1) * spec["step"], np.nan)
    return np.exp(values) if spec.get("log") else values


def test_data_of_the_script(page, data):
    found = json.loads(page.by_id("report-data").text)
    seconds = data.dates.astype("M8[s]").astype(np.int64)
    np.testing.assert_array_equal(unpacked(page, found["time"]) + found["first"], seconds)
    assert [curve["name"] for curve in found["curves"]] == list(data.equity)
    for curve in found["curves"]:
        expected = data.equity[curve["name"]]
        np.testing.assert_allclose(unpacked(page, curve["equity"]), expected, rtol=1e-4)
        rolling = unpacked(page, curve["rolling"])
        np.testing.assert_allclose(rolling, data.rolling[curve["name"]], atol=0.006)
    close = unpacked(page, found["candles"]["close"])
    for name in ("open", "high", "low", "close"):
        values = unpacked(page, found["candles"][name])
        np.testing.assert_allclose(values, getattr(data.candles, name), rtol=2e-7)
    before = np.r_[close[:1], close[:-1]]
    for fan, expected in zip(found["fans"], data.fans, strict=True):
        for q, spec in enumerate(fan["quantiles"]):
            quantile = before * np.exp(unpacked(page, spec))
            np.testing.assert_allclose(quantile, expected.quantiles[:, q], rtol=3e-5)
    trades, (made,) = found["trades"][0], data.trades
    entry = unpacked(page, trades["entry"]).astype(int)
    np.testing.assert_array_equal(entry, made.entry)
    prices = close[entry] * np.exp(unpacked(page, trades["entryPrice"]))
    np.testing.assert_allclose(prices, made.entry_price, rtol=5e-6)
    np.testing.assert_allclose(unpacked(page, trades["net"]), made.net, atol=6e-6)


def test_prices_with_few_decimals_are_exact(make_data, read):
    data = make_data()
    prices = {name: np.round(getattr(data.candles, name), 2) for name in ("open", "high", "low")}
    page = read(render_report(replace(data, candles=replace(data.candles, **prices))))
    found = json.loads(page.by_id("report-data").text)["candles"]
    for name, expected in prices.items():
        np.testing.assert_array_equal(unpacked(page, found[name]), expected)


@given(
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), max_size=60),
    st.sampled_from([2, 3, 4]),
)
def test_packed_numbers_come_back(read, values, width):
    packer = Packer()
    packer.numbers([1.0, 2.0])
    spec = packer.numbers(values, width=width)
    script = f'<script id="report-data">{json.dumps({"block": packer.block()})}</script>'
    array = np.array(values, dtype=np.float64)
    found = unpacked(read(script), spec)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(array))
    np.testing.assert_allclose(found, array, rtol=1e-9, atol=0.51 * spec["step"] + 1e-6)


def test_nothing_is_handled_or_styled_by_attributes_of_data(page):
    for node in page.walk():
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            if name == "style":
                assert re.fullmatch(r"--left:\d+px", value)


# The network


def test_the_page_loads_nothing(html, page):
    for node in page.walk():
        assert node.tag not in {"img", "iframe", "object", "embed", "audio", "video", "base", "use"}
        assert not {"src", "srcset", "action", "poster", "data", "ping"} & set(node.attributes)
        if "href" in node.attributes:
            assert (node.tag, node.attributes["href"]) == ("link", "data:,")
    # The library names its own page in a comment.
    html = html.replace("/*! https://github.com/leeoniya/uPlot (v1.6.32) */", "")
    style = page.one("style").text
    assert "url(" not in style
    assert "@import" not in style
    assert "http:" not in html
    assert "https:" not in html


# Size and determinism


def large(make_data, days=5_000, strategies=12):
    rng = np.random.default_rng(3)
    dates = np.datetime64("2000-01-03") + np.arange(days)
    names = [f"strategy_{i}" for i in range(strategies - 3)] + [
        "buy_and_hold",
        "walk",
        "persistence",
    ]
    equity = {n: np.cumprod(1.0 + rng.normal(0.0003, 0.01, days)) for n in names}
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, days)))
    candles = Candles(dates, close, close * 1.01, close * 0.99, close, "strategy_0", [])
    levels = np.linspace(0.01, 0.99, 99)
    quantiles = close[:, None] * (0.9 + 0.2 * levels)
    fans = [
        Fan(t, dates, levels.tolist(), quantiles, close) for t in ("open", "high", "low", "close")
    ]
    grid = np.linspace(-0.03, 0.03, 201)
    heatmap = Heatmap("strategy_0", "all", grid, grid, rng.normal(size=(201, 201)), (0.0, 0.0, 1.0))
    rows = [[n, *(f"{v:.2f}" for v in rng.normal(size=15))] for n in names]
    table = Table("Strategies", ["strategy", *(f"column {i}" for i in range(15))], rows)
    return make_data(
        rolling={n: rng.normal(size=days) for n in names}, trades=[], by_strategy={},
        dates=dates, equity=equity, baselines=frozenset(names[-3:]), tables=[table],
        candles=candles, fans=fans, heatmap=heatmap,
    )  # fmt: skip


def test_a_long_run_stays_below_the_limit_and_says_what_is_left_out(make_data, read, tmp_path):
    path = write_report(large(make_data), tmp_path / "large.html")
    assert path.stat().st_size < LIMIT
    page = read(path.read_text())
    assert len(page.all("button")) == 12 + 4
    assert len(page.all("g", "candle")) >= 120 + 2  # and two in the legend
    captions = " ".join(caption.text for caption in page.all("figcaption"))
    assert re.search(r"The last 1\d0 of 5,000 bars", captions)
    assert "stretches of bars, so no extreme is lost" in captions
    assert "of the pairs are drawn" in captions


@pytest.mark.parametrize(("days", "strategies"), [(5_000, 60), (60, 400), (20_000, 12), (1, 12)])
def test_other_sizes_stay_below_the_limit(make_data, read, days, strategies):
    html = render_report(large(make_data, days, strategies))
    assert len(html.encode()) < LIMIT
    page = read(html)
    shown = [name.text for name in page.by_id("performance").all("span", "name")]
    assert shown[-3:] == ["buy_and_hold", "walk", "persistence"]
    if len(shown) < strategies:
        assert f"{len(shown)} of {strategies} series are drawn." in page.text


def test_long_tables_and_texts_are_shortened(make_data, read):
    rows = [[f"row {i}", "1.00"] for i in range(100_000)] + [["naive", "0.00"]]
    table = Table("Long", ["name", "value"], rows, emphasis=frozenset({"naive"}))
    html = render_report(make_data(tables=[table], notes=["x" * 5_000_000]))
    assert len(html.encode()) < LIMIT
    page = read(html)
    names = [th.text for th in page.by_id("summary").all("th") if th.attributes["scope"] == "row"]
    assert names[:2] == ["row 0", "row 1"]
    assert names[-1] == "naive"
    assert f"{len(names):,} of 100,001 rows are shown." in page.text
    assert page.by_id("notes").one("li").text.endswith("x…")


def test_texts_beyond_the_limit_are_an_error(make_data, tmp_path):
    table = Table("Wide", ["c"] * 300, [["x" * 500] * 300] * 50)
    with pytest.raises(ArgumentError, match="expected less than 1,000,000: give fewer tables"):
        write_report(make_data(tables=[table]), tmp_path / "wide.html")
    assert list(tmp_path.iterdir()) == []


def test_same_data_same_bytes(make_data, tmp_path):
    first = write_report(make_data(), tmp_path / "a.html").read_bytes()
    second = write_report(make_data(), tmp_path / "b.html").read_bytes()
    assert first == second
    assert first != write_report(make_data(seed=1), tmp_path / "c.html").read_bytes()


def test_no_path_of_the_machine_is_in_the_page(html, tmp_path):
    for part in ("/work", "/home", "/tmp", "/usr", "site-packages"):
        assert part not in html
