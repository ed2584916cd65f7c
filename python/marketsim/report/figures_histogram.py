"""Histograms beside one another."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from marketsim.report.data import Histogram, HistogramGroup
from marketsim.report.series import NAME_LENGTH
from marketsim.report.svg import chart, element, group, share
from marketsim.report.text import clip

_HEIGHT = 110
_TOP = 8
_AXIS_HEIGHT = 22
_ROOM = 0.12  # share of a column left free


@dataclass(frozen=True)
class HistogramView:
    """Drawn histogram and its title."""

    title: str
    drawn: Markup


@dataclass(frozen=True)
class HistogramsView:
    """Drawn histograms of one group."""

    title: str
    items: list[HistogramView]
    note: str


def histogram_views(groups: list[HistogramGroup], text: int) -> list[HistogramsView]:
    """Draw each group; histograms without counts, and groups without histograms, are left out."""
    found = []
    for i, of in enumerate(groups):
        items = [
            HistogramView(clip(h.title, NAME_LENGTH), _draw(h, f"histogram-{i}-{k}"))
            for k, h in enumerate(of.histograms)
            if len(h.counts) and h.counts.sum() > 0
        ]
        if items:
            found.append(HistogramsView(clip(of.title, NAME_LENGTH), items, clip(of.note, text)))
    return found


def _draw(histogram: Histogram, identifier: str) -> Markup:
    counts = histogram.counts.astype(float)
    most = max(float(counts.max()), histogram.expected or 0.0)
    width = 1.0 / len(counts)
    bottom = _TOP + _HEIGHT
    columns = [
        element(
            "rect",
            x=share(i * width + width * _ROOM / 2),
            y=bottom - value / most * _HEIGHT,
            width=share(width * (1.0 - _ROOM)),
            height=value / most * _HEIGHT,
        )
        for i, value in enumerate(counts.tolist())
    ]
    axes = [element("line", x2="100%", y1=bottom, y2=bottom, class_="floor")]
    for at, label in histogram.labels.items():
        kind = (
            "date first always" if at < 0.1 else "date last always" if at > 0.9 else "date always"
        )
        axes.append(element("text", label, x=share(at), y=bottom + 16, class_=kind))
    expected = Markup("")
    if histogram.expected is not None:
        y = bottom - histogram.expected / most * _HEIGHT
        expected = element("line", x2="100%", y1=y, y2=y, class_="expected")
    return chart(
        identifier,
        clip(histogram.title, NAME_LENGTH),
        histogram.words,
        group(*axes, class_="axes"),
        group(*columns, class_="columns"),
        expected,
        height=bottom + _AXIS_HEIGHT,
    )
