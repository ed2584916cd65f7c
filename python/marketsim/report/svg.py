"""Elements of inline SVG, with all text escaped.

Horizontal positions are shares of the width, vertical ones pixels: a figure fills any width while
its text keeps its size. Curves are in a nested svg that is stretched to the plot (`stretched`),
with lines that do not scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from marketsim.report.text import clean

Floats = npt.NDArray[np.float64]

# Units of the stretched layer: fine enough for a quarter of a pixel, and short as text.
WIDE, TALL = 4000, 2000
_PLAIN = re.compile(r"[0-9A-Za-z .,:%_+-]*\Z")  # needs no escaping


def element(tag: str, *content: str, **attributes: str | float | None) -> Markup:
    """Build an SVG or HTML element; text and attribute values are cleaned and escaped.

    Attributes that are None are left out; `class_` is class and `stroke_width` is stroke-width.

    Example:
        >>> element("text", "P&L", x=1.50, class_="tick")
        Markup('<text x="1.5" class="tick">P&amp;L</text>')

    """
    written = [f"<{tag}"]
    for name, value in attributes.items():
        if value is not None:
            text = _safe(value) if isinstance(value, str) else number(value)
            written.append(f' {_attribute(name)}="{text}"')
    if content:
        written += [">", *map(_safe, content), f"</{tag}>"]
    else:
        written.append("/>")
    return Markup("".join(written))  # safe: each part is escaped above


@cache
def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def group(*content: str, **attributes: str | float | None) -> Markup:
    """Build a g element; empty without content."""
    return element("g", *(content or ("",)), **attributes)


def number(value: float) -> str:
    """Format a coordinate with at most two decimals.

    Example:
        >>> number(12.0), number(-0.001), number(3.14159)
        ('12', '0', '3.14')

    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def share(value: float) -> str:
    """Format a fraction of the width as an attribute.

    Example:
        >>> share(0.125)
        '12.5%'

    """
    return f"{number(value * 100.0)}%"


def chart(
    identifier: str, title: str, description: str, *content: str, height: float, class_: str = ""
) -> Markup:
    """Build a figure: full width, `height` pixels high, with a name for screen readers.

    Args:
        identifier: unique on the page; fixed by this program, not from data.
        title: name of the figure.
        description: description of its content.
        content: elements.
        height: height in pixels.
        class_: further classes.
    """
    return element(
        "svg",
        element("title", title, id=f"{identifier}-title"),
        element("desc", description, id=f"{identifier}-desc"),
        *content,
        id=identifier,
        class_=f"chart {class_}".strip(),
        role="img",
        aria_labelledby=f"{identifier}-title {identifier}-desc",
        width="100%",
        height=height,
    )


def stretched(*content: str, top: float, height: float, **attributes: str | None) -> Markup:
    """Build a layer of WIDE x TALL units, stretched over the width and `height` pixels."""
    return element(
        "svg",
        *(content or ("",)),
        y=top,
        width="100%",
        height=height,
        viewBox=f"0 0 {WIDE} {TALL}",
        preserveAspectRatio="none",
        **attributes,
    )


def line_path(x: Floats, y: Floats) -> str:
    """Return path data of a line through the points, in whole units, with a gap at each NaN.

    Example:
        >>> line_path(np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 6.0, np.nan, 7.0]))
        'M0 5L1 6'

    """
    lines = (_points(x[run], y[run]) for run in runs(np.isfinite(y)))
    return "".join(f"M{points[0]}L{' '.join(points[1:])}" for points in lines if len(points) > 1)


def dots_path(x: Floats, y: Floats) -> str:
    """Return path data of isolated points: lines of length 0, drawn as dots by round ends.

    Example:
        >>> dots_path(np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 6.0, np.nan, 7.0]))
        'M3 7h0'

    """
    lines = (_points(x[run], y[run]) for run in runs(np.isfinite(y)))
    return "".join(f"M{points[0]}h0" for points in lines if len(points) == 1)


def line(x: Floats, y: Floats, style: str) -> list[Markup]:
    """Draw a line with gaps, and dots for isolated points.

    Args:
        x, y: coordinates in the stretched layer; NaN in y is a gap.
        style: classes.
    """
    marks = [element("path", d=line_path(x, y), class_=f"line {style}")]
    dots = dots_path(x, y)
    return [*marks, element("path", d=dots, class_=f"dots {style}")] if dots else marks


def band_path(x: Floats, low: Floats, high: Floats, half_step: float) -> str:
    """Return path data of the areas between two lines, one per run of bars that have both.

    A run of a single bar is `half_step` wide on both sides, since an area needs a width.
    """
    paths = []
    for run in runs(np.isfinite(low) & np.isfinite(high)):
        at, upper, lower = x[run], high[run], low[run]
        if len(at) == 1:
            at = np.array([at[0] - half_step, at[0] + half_step])
            upper, lower = np.repeat(upper, 2), np.repeat(lower, 2)
        there, back = _points(at, upper), _points(at[::-1], lower[::-1])
        paths.append(f"M{there[0]}L{' '.join(there[1:] + back)}Z")
    return "".join(paths)


def runs(present: npt.NDArray[np.bool_]) -> Iterable[slice]:
    """Yield slices of consecutive True values.

    Example:
        >>> list(runs(np.array([True, True, False, True])))
        [slice(0, 2, None), slice(3, 4, None)]

    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False])).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _points(x: Floats, y: Floats) -> list[str]:
    return [f"{a} {b}" for a, b in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True)]


def _safe(text: str) -> str:
    if isinstance(text, Markup) or _PLAIN.match(text):
        return text
    return str(escape(clean(text)))
