"""Candles with the fills of one strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from marketsim.report.check import MARKER_KINDS
from marketsim.report.data import Candles
from marketsim.report.detail import Detail
from marketsim.report.formats import counted_bars, price
from marketsim.report.panel import DATE_TICKS, Figure, LegendEntry, Panel
from marketsim.report.sampling import drawable
from marketsim.report.scales import linear_scale
from marketsim.report.series import NAME_LENGTH, line_swatch, series_styles, swatch
from marketsim.report.svg import element, group, line, share
from marketsim.report.text import clip
from marketsim.report.timeaxis import date_text, date_ticks

Floats = npt.NDArray[np.float64]

_HEIGHT = 360
_BODY = 0.62  # width of a body as a share of a bar's width
_WIDEST = 0.03  # largest width of a body as a share of the plot's
_MOST_FILLS = 400  # largest number of fills of each kind
# From this many fills on, marks are smaller.
_CROWDED = 90

# Entries point at their price from outside the trade, up for long and down for short; exits are on
# the other side. The origin is the price.
_SHAPES = {
    "long entry": "M0 0L5 9H-5Z",
    "long exit": "M0 0L5 -5L0 -10L-5 -5Z",
    "short entry": "M0 0L5 -9H-5Z",
    "short exit": "M-4 1H4V9H-4Z",
}
# Vertical distance of a shape's centre from its price, to centre it in the legend.
_MIDDLES = {"long entry": 4.5, "long exit": -5, "short entry": -4.5, "short exit": 5}


@dataclass(frozen=True)
class _Days:
    """Last bars of the candles, [bar]."""

    first: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        return len(self.close)


@dataclass(frozen=True)
class _Fills:
    """Fills of one kind on the shown bars: positions among them, and prices."""

    kind: str
    day: npt.NDArray[np.int64]
    price: Floats


def candle_figure(candles: Candles, detail: Detail) -> Figure | None:
    """Draw the last candles and their fills; None without complete bars."""
    first = max(0, len(candles.dates) - detail.candles)
    days = _Days(
        first, *(drawable(getattr(candles, c)[first:]) for c in ("open", "high", "low", "close"))
    )
    if not _complete(days).any():
        return None
    fills = _shown_fills(candles, days)
    lines = {name: drawable(values[first:]) for name, values in candles.lines.items()}
    dates = np.asarray(candles.dates)[first:]
    prices = [days.high, days.low, *(kind.price for kind in fills), *lines.values()]
    values = np.concatenate(prices)
    panel = Panel(len(days), linear_scale(values, price), _HEIGHT, date_ticks(dates, DATE_TICKS))
    name = clip(candles.strategy, NAME_LENGTH)
    count = sum(len(kind.day) for kind in fills)
    words = (
        f"Candles from {date_text(dates[0])} to {date_text(dates[-1])} "
        f"with {count} fills of {name}."
    )
    marks = _marks(panel, fills, small=count >= _CROWDED)
    return Figure(
        name="candles",
        panels=[
            panel.draw(
                "candles",
                "Prices and fills",
                words,
                _bodies(panel, days),
                _curves(panel, lines),
                marks,
            )
        ],
        left=panel.left,
        caption=_point(count),
        drawn=_counted(candles, name, len(days), count, fills),
        legend=_legend(fills, lines),
    )


def _curves(panel: Panel, lines: Mapping[str, Floats]) -> Markup:
    styles = series_styles(lines, frozenset())
    days = np.arange(panel.days)
    drawn = [line(panel.x(days), panel.y(v), styles[name]) for name, v in lines.items()]
    return panel.layer(*(mark for marks in drawn for mark in marks)) if drawn else Markup("")


def _complete(days: _Days) -> npt.NDArray[np.bool_]:
    columns = np.stack([days.open, days.high, days.low, days.close])
    return np.asarray(np.isfinite(columns).all(axis=0))


def _shown_fills(candles: Candles, days: _Days) -> list[_Fills]:
    """Select the last fills of each kind on the shown bars, in the order of the legend."""
    shown = []
    for kind in MARKER_KINDS:
        given = [markers for markers in candles.markers if markers.kind == kind]
        day = np.concatenate([[], *(np.asarray(m.day, dtype=np.int64) for m in given)])
        at = day.astype(np.int64) - days.first
        prices = drawable(np.concatenate([[], *(m.price for m in given)]))
        keep = (at >= 0) & (at < len(days)) & np.isfinite(prices)
        order = np.argsort(at[keep], kind="stable")[-_MOST_FILLS:]
        shown.append(_Fills(kind, at[keep][order], prices[keep][order]))
    return shown


def _bodies(panel: Panel, days: _Days) -> Markup:
    """Draw a wick and a body per complete bar: hollow if the price rose, else filled."""
    tops, bottoms = np.maximum(days.open, days.close), np.minimum(days.open, days.close)
    top, bottom, high, low = (panel.pixel(v) for v in (tops, bottoms, days.high, days.low))
    width = min(_BODY / len(days), _WIDEST)
    drawn = []
    for i in np.flatnonzero(_complete(days)).tolist():
        at = panel.across(i)
        x = share(at)
        wick = element("line", x1=x, x2=x, y1=high[i], y2=low[i])
        body = element(
            "rect",
            x=share(at - width / 2),
            y=top[i],
            width=share(width),
            height=max(float(bottom[i] - top[i]), 1.0),
        )
        kind = "up" if days.close[i] >= days.open[i] else "down"
        drawn.append(group(wick, body, class_=f"candle {kind}"))
    return group(*drawn, class_="candles")


def _marks(panel: Panel, fills: Sequence[_Fills], *, small: bool) -> Markup:
    marks = []
    for kind in fills:
        for day, y in zip(kind.day.tolist(), panel.pixel(kind.price).tolist(), strict=True):
            shape = _shape(kind.kind, small=small)
            marks.append(
                element("svg", shape, x=share(panel.across(day)), y=float(y), class_="mark")
            )
    return group(*marks, class_="fills")


def _shape(kind: str, *, small: bool = False, move: str | None = None) -> Markup:
    name = kind.replace(" ", "-")
    transform = move or ("scale(.75)" if small else None)
    return element("path", d=_SHAPES[kind], class_=f"fill {name}", transform=transform)


def _legend(fills: Sequence[_Fills], lines: Mapping[str, Floats]) -> list[LegendEntry]:
    styles = series_styles(lines, frozenset())
    entries = [
        LegendEntry(line_swatch(style), clip(name, NAME_LENGTH)) for name, style in styles.items()
    ]
    entries += [
        LegendEntry(
            swatch(_shape(kind.kind, move=f"translate(7 {6 - _MIDDLES[kind.kind]})")),
            kind.kind,
            str(len(kind.day)),
        )
        for kind in fills
    ]
    for name, kind in (("close above open", "up"), ("close below open", "down")):
        body = element("rect", x=4, y=2, width=6, height=8)
        entries.append(LegendEntry(swatch(group(body, class_=f"candle {kind}")), name))
    return entries


def _point(count: int) -> list[str]:
    text = "The point of a mark that touches the candle is the price of the fill."
    return [text] if count else []


def _counted(
    candles: Candles, name: str, shown: int, count: int, fills: Sequence[_Fills]
) -> list[str]:
    total = len(candles.dates)
    days = f"The last {shown} of {total:,} bars" if shown < total else counted_bars(shown)
    sentences = [f"{days}; {count} fills of {name}." if count else f"{days}; no fills of {name}."]
    if any(len(kind.day) == _MOST_FILLS for kind in fills):
        sentences.append(f"At most {_MOST_FILLS:,} fills of a kind are drawn, the last ones.")
    return sentences
