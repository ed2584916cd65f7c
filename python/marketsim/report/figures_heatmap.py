"""Heatmap of in-sample profit over pairs of offsets, with the exact optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from marketsim.report.data import Heatmap
from marketsim.report.detail import Detail
from marketsim.report.formats import basis_points, percent, percent_tick
from marketsim.report.panel import Figure
from marketsim.report.sampling import drawable, thinned
from marketsim.report.scales import linear_scale
from marketsim.report.series import NAME_LENGTH
from marketsim.report.svg import chart, element, group, share
from marketsim.report.text import clip

Floats = npt.NDArray[np.float64]

_HEIGHT = 380
_TOP = 10
_LEFT = 66
# Number of shades on either side of zero, as in templates/style.css.
SHADES = 10


@dataclass(frozen=True)
class _Grid:
    """Cells to draw: ascending offsets, rows from low to high, and the value of the full shade."""

    high: Floats
    low: Floats
    profit: Floats
    limit: float


def heatmap_figure(heatmap: Heatmap, detail: Detail) -> Figure | None:
    """Draw the profit of each pair of offsets as a colour; None without profits."""
    grid = _grid(heatmap, detail.cells)
    if not np.isfinite(grid.profit).any():
        return None
    title = "In-sample profit of offset pairs"
    words = (
        f"Profit of {grid.profit.size} pairs of offsets of {clip(heatmap.strategy, NAME_LENGTH)} "
        f"on the bars {clip(heatmap.span, NAME_LENGTH)} that they were fitted on, from "
        f"{basis_points(float(np.nanmin(grid.profit)))} to "
        f"{basis_points(float(np.nanmax(grid.profit)))}. "
        + "; ".join(f"{name}: {value}" for name, value in _facts(heatmap))
    )
    parts = [_cells(grid), _axes(grid), _optimum(grid, heatmap)]
    cells = chart("heatmap", title, words, *parts, height=_TOP + _HEIGHT + 48, class_="heatmap")
    return Figure(
        name="heatmap",
        panels=[cells, _colour_bar(grid.limit)],
        left=_LEFT,
        caption=_caption(heatmap, grid),
        facts=_facts(heatmap),
    )


def shade(value: float, limit: float) -> str:
    """Return the CSS class of a profit: n10 to n1 below zero, z around it, p1 to p10 above, or na.

    Example:
        >>> shade(-0.02, 0.02), shade(0.0, 0.02), shade(0.012, 0.02)
        ('n10', 'z', 'p6')

    """
    if not np.isfinite(value):
        return "na"
    step = round(value / limit * SHADES) if limit > 0.0 else 0
    return f"p{step}" if step > 0 else f"n{-step}" if step < 0 else "z"


def _grid(heatmap: Heatmap, most: int) -> _Grid:
    """Sort offsets without repetition, and thin them to at most `most` per side."""
    high, columns = np.unique(np.asarray(heatmap.high, dtype=np.float64), return_index=True)
    low, rows = np.unique(np.asarray(heatmap.low, dtype=np.float64), return_index=True)
    across, up = thinned(len(high), most), thinned(len(low), most)
    profit = drawable(heatmap.profit)[np.ix_(rows[up], columns[across])]
    # The exact optimum may exceed every cell; extend the colours to it.
    sizes = np.abs(np.append(profit.ravel(), drawable(heatmap.best[2])))
    known = sizes[np.isfinite(sizes)]
    return _Grid(high[across], low[up], profit, float(known.max()) if known.size else 0.0)


def _cells(grid: _Grid) -> Markup:
    """Draw unit cells in a layer of their own, with the highest low offset on top."""
    rows, columns = grid.profit.shape
    places: dict[str, list[str]] = {}
    for i, row in enumerate(grid.profit.tolist()):
        for j, value in enumerate(row):
            place = f"M{j} {rows - 1 - i}h1v1h-1z"
            places.setdefault(shade(value, grid.limit), []).append(place)
    cells = [element("path", d="".join(d), class_=kind) for kind, d in places.items()]
    return element(
        "svg",
        *cells,
        y=_TOP,
        width="100%",
        height=_HEIGHT,
        viewBox=f"0 0 {columns} {rows}",
        preserveAspectRatio="none",
        class_="cells",
    )


def _place(offsets: Floats, value: float) -> float:
    """Return a position as a share of the cells' extent; a cell is centred at its offset."""
    steps = np.arange(len(offsets), dtype=np.float64)
    return (float(np.interp(value, offsets, steps)) + 0.5) / len(offsets)


def _axes(grid: _Grid) -> Markup:
    bottom = _TOP + _HEIGHT
    marks = []
    for value, label in _offset_ticks(grid.high):
        x = share(_place(grid.high, value))
        marks.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="tick"))
        marks.append(element("text", label, x=x, y=bottom + 18, class_="date always"))
    for value, label in _offset_ticks(grid.low):
        y = _TOP + (1.0 - _place(grid.low, value)) * _HEIGHT
        marks.append(element("text", label, x=-8, y=y, dy="0.33em", class_="value"))
    titles = [
        element("text", "shift of the predicted high", x="50%", y=bottom + 40, class_="axis-title"),
        element(
            "text",
            "shift of the predicted low",
            transform=f"translate({14 - _LEFT} {_TOP + _HEIGHT / 2}) rotate(-90)",
            class_="axis-title",
        ),
    ]
    frame = element("rect", y=_TOP, width="100%", height=_HEIGHT, class_="frame")
    return group(frame, *marks, *titles, class_="axes")


def _offset_ticks(offsets: Floats) -> Sequence[tuple[float, str]]:
    if len(offsets) == 1:
        return [(float(offsets[0]), percent(float(offsets[0]), 2, signed=True))]
    first, last = float(offsets[0]), float(offsets[-1])
    return linear_scale(
        offsets,
        lambda value, step: percent_tick(value, step, signed=True),
        low=first,
        high=last,
    ).ticks


def _optimum(grid: _Grid, heatmap: Heatmap) -> Markup:
    """Draw a ring in the optimum's colour at its exact position, often not a cell's centre."""
    high, low, profit = heatmap.best
    if not np.isfinite([high, low]).all():
        return Markup("")
    colour = shade(float(drawable(profit)), grid.limit)
    ring = [
        element("circle", r=7, class_="halo"),
        element("circle", r=7, class_=f"core {colour}"),
    ]
    return element(
        "svg",
        *ring,
        x=share(_place(grid.high, high)),
        y=_TOP + (1.0 - _place(grid.low, low)) * _HEIGHT,
        class_="mark optimum",
    )


def _colour_bar(limit: float) -> Markup:
    """Draw the colour bar, labelled with the profits at its ends, quarters and middle."""
    steps = range(-SHADES, SHADES + 1) if limit > 0.0 else range(1)
    count = len(steps)
    swatches = [
        element("rect", x=i, y=0, width=1, height=1, class_=shade(float(step), float(SHADES)))
        for i, step in enumerate(steps)
    ]
    bar = element(
        "svg",
        *swatches,
        width="100%",
        height=12,
        viewBox=f"0 0 {count} 1",
        preserveAspectRatio="none",
        class_="cells",
    )
    labels = []
    for step in (-SHADES, -SHADES // 2, 0, SHADES // 2, SHADES) if limit > 0.0 else (0,):
        at = 0.0 if step == -SHADES else 1.0 if step == SHADES else 0.5 + step / count
        place = " first" if step == -SHADES else " last" if step == SHADES else ""
        place += " wide" if abs(step) == SHADES // 2 else ""
        text = basis_points(step / SHADES * limit)
        labels.append(element("text", text, x=share(at), y=28, class_=f"date{place}"))
    words = f"From {basis_points(-limit)} through 0 to {basis_points(limit)}."
    axes = group(*labels, class_="axes")
    return chart("heatmap-scale", "Colours of the profit", words, bar, axes, height=34)


def _facts(heatmap: Heatmap) -> list[tuple[str, str]]:
    high, low, profit = heatmap.best
    if not np.isfinite([high, low]).all():
        return []
    return [
        ("Exact optimum, in sample", basis_points(profit)),
        ("Its shift of the predicted high", percent(high, 3, signed=True)),
        ("Its shift of the predicted low", percent(low, 3, signed=True)),
    ]


def _caption(heatmap: Heatmap, grid: _Grid) -> list[str]:
    name, span = clip(heatmap.strategy, NAME_LENGTH), clip(heatmap.span, NAME_LENGTH)
    sentences = [
        f"In sample: {name} on the days that its last offsets were fitted on, {span}.",
        "Profit in basis points of the capital, added up over these days; it says nothing of "
        "later ones.",
        "The ring marks the exact optimum." if _facts(heatmap) else "No optimum is known.",
    ]
    if grid.profit.size < np.asarray(heatmap.profit).size:
        sentences.append(f"{len(grid.high)} x {len(grid.low)} of the pairs are drawn.")
    return sentences
