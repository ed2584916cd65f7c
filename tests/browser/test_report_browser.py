"""The report in a browser: hover, zoom, pan, keys, hidden series, trades, widths, the dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from market import random_bars

import marketsim as ms
from browser import look, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]
BARS = 480


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = ms.walk_forward(
        random_bars(BARS + 300, seed=4), simulations=BARS, window=1, progress=False,
        strategies=["simple", "maxdiff", "high_low"],
    )  # fmt: skip
    return run.report(tmp_path_factory.mktemp("report") / "page.html")


OVERLAPS = """
  const overlaps = [];
  $$("svg.chart").concat($$(".columns").map((c) => c.closest("svg"))).forEach((svg) => {
    const boxes = Array.from(svg.querySelectorAll("text.date"))
      .map((t) => t.getBoundingClientRect()).filter((b) => b.width > 0);
    boxes.sort((a, b) => a.left - b.left);
    boxes.slice(1).forEach((b, i) => {
      if (b.left < boxes[i].right + 2) { overlaps.push(svg.id); }
    });
  });
"""


@pytest.mark.parametrize("width", [360, 768, 1920])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_three_widths_light_and_dark(report: Path, tmp_path: Path, width: int, dark: bool) -> None:
    seen = look(
        report, tmp_path, OVERLAPS + """
  const live = $$(".live-panel").map((holder) => {
    const u = holder.chart, ratio = devicePixelRatio, axis = u.axes[0];
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.font = "12px system-ui, sans-serif";
    const labels = u.labels.map((text, i) => {
      const half = canvas.measureText(text).width / 2, centre = u.valToPos(axis._splits[i], "x");
      return [centre - half, centre + half];
    });
    return { labels, width: u.over.clientWidth, painted: u.ctx.canvas.width > 0 };
  });
  // Without the script the drawn figures show: measured on them too.
  document.documentElement.classList.remove("script");
  $$(".explored").forEach((f) => f.classList.remove("explored"));
  $$(".live").forEach((l) => l.remove());
  const shown = overlaps.length;
""" + OVERLAPS.replace("const overlaps = [];", "overlaps.length = 0;") + """
  return {
    live, shown, drawn: overlaps,
    dates: $$("text.date").filter((t) => t.getBoundingClientRect().width).length,
    wide: document.documentElement.scrollWidth - innerWidth,
    back: getComputedStyle(document.body).backgroundColor,
  };
""",
        width=width, dark=dark,
    )  # fmt: skip
    assert seen.console == []
    assert seen.requests == []
    found = seen.found
    assert found["shown"] == 0
    assert found["drawn"] == []
    assert found["dates"] > 10
    assert found["wide"] <= 0, "the page is wider than its window"
    assert (found["back"] == "rgb(17, 21, 27)") is dark
    assert len(found["live"]) == 5  # equity, drawdown, rolling, candles, one fan
    for panel in found["live"]:
        assert panel["painted"]
        for left, right in zip(panel["labels"], panel["labels"][1:], strict=False):
            assert right[0] >= left[1] + 4
        assert len(panel["labels"]) >= 2


def test_hover_zoom_pan_keys_and_hidden_series(report: Path, tmp_path: Path) -> None:
    seen = look(
        report, tmp_path, """
  const u = chart("equity"), candles = chart("candles"), out = {};
  const range = (c) => [c.scales.x.min, c.scales.x.max];
  out.all = range(u);
  out.texts = $(".tools .status").textContent;
  move(u, u.over.clientWidth / 2);
  await pause(50);
  const tip = $('[data-figure="equity"] .tip');
  out.tip = [tip.hidden, tip.querySelectorAll("tbody tr").length];
  out.crosshair = [u.cursor.idx, candles.cursor.idx];
  const before = [u.scales.y.min, u.scales.y.max];
  drag(u, u.over.clientWidth * 0.25, u.over.clientWidth * 0.5);
  await pause(50);
  out.zoomed = range(u); out.follows = range(candles);
  out.scaled = [u.scales.y.min, u.scales.y.max].join() !== before.join();
  $('[aria-label="Later bars"]').click();
  await pause(50);
  out.panned = range(u);
  $('[aria-label="All bars"]').click();
  await pause(50);
  out.reset = range(u);
  const most = u.scales.y.max;
  $$('[data-figure="equity"] button[data-series]').slice(0, 3).forEach((b) => b.click());
  await pause(50);
  out.hidden = [u.series[1].show, u.scales.y.max !== most];
  const place = $('[data-figure="candles"] .live');
  place.focus();
  key(place, "Home"); await pause(20);
  out.home = place.getAttribute("aria-valuetext");
  key(place, "ArrowRight"); await pause(20);
  out.now = place.getAttribute("aria-valuenow");
  key(place, "+"); await pause(20);
  out.keyed = range(candles);
  key(place, "0"); await pause(20);
  out.zero = range(candles);
  return out;
""",
    )  # fmt: skip
    found = seen.found
    assert seen.console == []
    assert found["all"] == found["reset"] == found["zero"] == [-0.5, BARS - 0.5]
    assert found["tip"][:2] == [False, 6]
    assert abs(found["crosshair"][0] - BARS / 2) < 3
    assert found["crosshair"][0] == found["crosshair"][1]
    low, high = found["zoomed"]
    assert low == pytest.approx(BARS / 4, abs=5)
    assert high == pytest.approx(BARS / 2, abs=5)
    assert found["follows"] == found["zoomed"]
    assert found["scaled"]
    assert found["panned"][0] == pytest.approx((low + high) / 2, abs=2)
    assert found["hidden"] == [False, True]
    assert "open" in found["home"]
    assert found["now"] == "1"
    assert found["keyed"][1] - found["keyed"][0] == pytest.approx(BARS / 2, abs=1)


def test_trades_sort_and_lead_to_the_chart_and_the_strategy_is_chosen(
    report: Path, tmp_path: Path
) -> None:
    seen = look(
        report, tmp_path, """
  const out = {}, cells = (k) => $$("[data-trades] tbody tr").map((tr) => tr.cells[k].textContent);
  const select = $("#strategy");
  const choose = async (name) => {
    select.value = Array.from(select.options).find((o) => o.textContent === name).value;
    select.dispatchEvent(new Event("change"));
    await pause(50);
  };
  await choose("maxdiff");
  out.status = $("[data-trades] .status").textContent;
  out.sections = $$("[data-strategy]").filter((s) => !s.hidden).map((s) => s.dataset.strategy);
  out.caption = $('[data-figure="candles"] .live-caption').textContent;
  const heads = $$("[data-trades] thead button");
  heads[heads.length - 1].click();
  out.rising = cells(9);
  heads[heads.length - 1].click();
  out.falling = cells(9);
  $("[data-trades] .to-chart").click();
  await pause(50);
  const u = chart("candles");
  out.shown = u.scales.x.max - u.scales.x.min;
  await choose("simple");
  out.simple = [$('[data-figure="candles"] .live-caption').textContent,
    $$("[data-strategy]").filter((s) => !s.hidden).map((s) => s.dataset.strategy)];
  const table = $("#summary table");
  const first = () => table.tBodies[0].rows[0].cells[0].textContent.trim();
  const button = table.tHead.rows[0].cells[1].querySelector("button");
  button.click(); out.least = first();
  button.click(); out.most = first();
  out.sorted = table.tHead.rows[0].cells[1].getAttribute("aria-sort");
  return out;
""",
    )  # fmt: skip
    found = seen.found
    assert seen.console == []
    assert found["sections"] == ["maxdiff"]
    assert found["status"].startswith("1 to 25 of ")
    count = found["status"].removeprefix("1 to 25 of ")
    assert found["caption"] == f"{BARS} bars; fills of {count} trades of maxdiff."

    def numbers(texts: list[str]) -> list[float]:
        return [float(text.replace("−", "-").rstrip("%")) for text in texts]

    rising, falling = numbers(found["rising"]), numbers(found["falling"])
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert rising[0] < 0.0 < falling[0]
    assert found["shown"] < 60
    assert found["simple"][1] == ["simple"]
    assert found["simple"][0].endswith("of simple.")
    assert found["least"] != found["most"]
    assert found["sorted"] == "descending"
