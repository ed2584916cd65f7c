"""A small report with every part, and a strict reader of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from marketsim.report.data import (
    Candles,
    Fan,
    Heatmap,
    Histogram,
    HistogramGroup,
    Markers,
    ReportData,
    Table,
    Trades,
)
from marketsim.report.html import render_report

VOID = {"meta", "link", "br"}


@dataclass
class Node:
    """An element with its text, its children and its place in the tree."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text below, in the order of the page."""
        return "".join(self.pieces)

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str, class_: str | None = None) -> list[Node]:
        return [n for n in self.walk() if n.tag == tag and (not class_ or class_ in n.classes)]

    def one(self, tag: str, class_: str | None = None) -> Node:
        found = self.all(tag, class_)
        assert len(found) == 1, f"{len(found)} {tag} {class_}"
        return found[0]

    def by_id(self, identifier: str) -> Node:
        found = [n for n in self.walk() if n.attributes.get("id") == identifier]
        assert len(found) == 1, f"{len(found)} of id {identifier}"
        return found[0]

    def number(self, name: str) -> float:
        """A numeric attribute; 12.5% is 0.125."""
        text = self.attributes[name]
        assert text is not None
        return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)


class _Reader(HTMLParser):
    """Builds the tree, and refuses what a browser would have to mend."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("document")
        self.at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open(tag, attrs)
        if tag not in VOID:
            self.at = self.at.children[-1]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open(tag, attrs)

    def _open(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"repeated attribute of {tag}"
        self.at.children.append(Node(tag, dict(attrs), self.at))

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        node: Node | None = self.at
        while node is not None:
            node.pieces.append(data)
            node = node.parent

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read_page(html: str) -> Node:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.tag}> is not closed"
    return reader.root


@pytest.fixture(scope="session")
def read() -> Callable[[str], Node]:
    return read_page


def _candles(dates: np.ndarray, close: np.ndarray) -> Candles:
    open_ = np.concatenate(([close[0]], close[:-1]))
    markers = [
        Markers("long entry", np.array([1, 5, 7]), close[[1, 5, 7]] * 0.99),
        Markers("long exit", np.array([1, 6]), close[[1, 6]] * 1.01),
        Markers("short entry", np.array([3]), close[[3]] * 1.01),
        Markers("short exit", np.array([4]), close[[4]] * 0.99),
    ]
    high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
    return Candles(dates, open_, high, low, close, "maxdiff", markers)


def _fan(target: str, dates: np.ndarray, close: np.ndarray) -> Fan:
    spread = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    middle = np.concatenate(([close[0]], close[:-1]))
    quantiles = middle[:, None] * (1.0 + spread)
    return Fan(target, dates, (0.1, 0.25, 0.5, 0.75, 0.9), quantiles, close)


def _trades(close: np.ndarray) -> Trades:
    entry, exit_ = np.array([1, 3, 5, 7]), np.array([1, 4, 6, 8])
    return Trades(
        "maxdiff", np.array([1, -1, 1, 1]), entry, exit_, close[entry], close[exit_],
        np.array([0.01, -0.02, 0.03, 0.0]), ["limit"] * 4, ["close", "limit", "limit", "close"],
    )  # fmt: skip


def make_report(days: int = 60, seed: int = 0, **changes: Any) -> ReportData:
    """A report of two strategies, two baselines, and each figure; `changes` replace fields."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2020-01-06") + np.arange(days)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, days)))
    names = ["maxdiff", "simple", "buy and hold", "persistence"]
    equity = {n: np.cumprod(1.0 + rng.normal(0.001, 0.01, days)) for n in names}
    offsets = np.linspace(-0.02, 0.02, 9)
    profit = 0.05 - np.abs(offsets[:, None] - 0.005) - np.abs(offsets[None, :] + 0.01)
    cells = [[name, "+1.00%", "n/a"] for name in names]
    data = ReportData(
        title="ABC: backtest",
        subtitle="Model ewma, 60 days",
        notes=["Filled by open_aware.", "Annualised with 252 periods a year."],
        tables=[
            Table(
                "Strategies", ["strategy", "return", "Sharpe"], cells, "Net.", frozenset(names[2:])
            ),
            Table("Skill", ["forecast of", "MAE"], [["close", "1.2"]]),
        ],
        dates=dates,
        equity=equity,
        baselines=frozenset(names[2:]),
        candles=_candles(dates, close),
        fans=[_fan(target, dates, close) for target in ("close", "high")],
        heatmap=Heatmap(
            "maxdiff", "the last 20 days", offsets, offsets, profit, (-0.0098, 0.0052, 0.0501)
        ),
        provenance={"model": "ewma", "bars hash": "5f1e"},
        trades=[_trades(close)],
        rolling={n: rng.normal(size=days) for n in names},
        rolling_label="Sharpe ratio, last 20 bars",
        by_strategy={
            "maxdiff": [Table("Months", ["year", "Jan"], [["2020", "+1.0%"]], shaded=True)]
        },
        selected="maxdiff",
        histograms=[
            HistogramGroup(
                "Calibration",
                [Histogram("close", {0.0: "0%", 1.0: "100%"}, np.array([3, 5]), 4.0, "3 and 5.")],
                "The dashed line is calibrated.",
            )
        ],
    )
    return replace(data, **changes)


@pytest.fixture(scope="session")
def make_data() -> Callable[..., ReportData]:
    return make_report


@pytest.fixture(scope="session")
def data() -> ReportData:
    return make_report()


@pytest.fixture(scope="session")
def html(data: ReportData) -> str:
    return render_report(data)


@pytest.fixture(scope="session")
def page(html: str) -> Node:
    return read_page(html)
