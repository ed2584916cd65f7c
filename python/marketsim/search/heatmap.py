"""A heatmap of two parameters as an SVG picture."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

_CELL = 14  # of the picture's units, unless there are many
_LEFT, _TOP, _BOTTOM = 70, 34, 54
_LOW, _MIDDLE, _HIGH = (178, 60, 60), (245, 245, 240), (40, 110, 160)


def heatmap_svg(frame: pd.DataFrame, *, sign: float = 1.0) -> str:
    """Cells of scores from red (worst) to blue (best); a ring at the best, a frame at the plateau.

    Args:
        frame: as `GridResult.heatmap` returns it; NaN cells stay empty.
        sign: 1 where more is better, -1 where less is.

    Example:
        >>> heatmap_svg(pd.DataFrame([[1.0, 2.0]], index=[5], columns=[7, 8]))[:4]
        '<svg'
    """
    values = frame.to_numpy(dtype=np.float64)
    rows, columns = values.shape
    cell = max(2.0, min(float(_CELL), 900.0 / max(rows, columns)))
    width, height = _LEFT + columns * cell + 20, _TOP + rows * cell + _BOTTOM
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    names = frame.index.name, frame.columns.name
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif" font-size="11">',
        f"<title>Score by {escape(str(names[0]))} and {escape(str(names[1]))}</title>",
        f'<text x="{_LEFT}" y="16">{escape(str(names[0]))} down, {escape(str(names[1]))} across; '
        f"from {low:.4g} to {high:.4g}</text>",
    ]
    for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
        share = (values[i, j] - low) / (high - low) if high > low else 0.5
        share = share if sign > 0 else 1.0 - share
        label = f"{frame.index[i]}, {frame.columns[j]}: {values[i, j]:.6g}"
        parts.append(
            f'<rect x="{_LEFT + j * cell:.2f}" y="{_TOP + i * cell:.2f}" width="{cell:.2f}" '
            f'height="{cell:.2f}" fill="{_colour(share)}"><title>{escape(label)}</title></rect>'
        )
    parts += _labels(frame, cell)
    parts += _marks(frame, cell)
    return "\n".join([*parts, "</svg>", ""])


def _colour(share: float) -> str:
    ends = (_LOW, _MIDDLE) if share < 0.5 else (_MIDDLE, _HIGH)
    part = share * 2.0 if share < 0.5 else share * 2.0 - 1.0
    mixed = (round(a + (b - a) * part) for a, b in zip(*ends, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _labels(frame: pd.DataFrame, cell: float) -> list[str]:
    """Values beside the rows and below the columns, as many as have room."""
    step = max(1, int(np.ceil(16.0 / cell)))
    rows, columns = frame.shape
    down = [
        f'<text x="{_LEFT - 6}" y="{_TOP + (i + 0.5) * cell + 4:.2f}" text-anchor="end">'
        f"{escape(str(frame.index[i]))}</text>"
        for i in range(0, rows, step)
    ]
    y = _TOP + rows * cell + 8
    across = [
        f'<text transform="translate({_LEFT + (j + 0.5) * cell + 4:.2f} {y:.2f}) rotate(-90)" '
        f'text-anchor="end">{escape(str(frame.columns[j]))}</text>'
        for j in range(0, columns, step)
    ]
    return down + across


def _marks(frame: pd.DataFrame, cell: float) -> list[str]:
    found = []
    if "plateau" in frame.attrs:
        i, j = _place(frame, frame.attrs["plateau"])
        found.append(
            f'<rect x="{_LEFT + (j - 1) * cell:.2f}" y="{_TOP + (i - 1) * cell:.2f}" '
            f'width="{3 * cell:.2f}" height="{3 * cell:.2f}" fill="none" stroke="#000" '
            'stroke-width="2"><title>best neighbourhood</title></rect>'
        )
    if "best" in frame.attrs:
        i, j = _place(frame, frame.attrs["best"])
        found.append(
            f'<circle cx="{_LEFT + (j + 0.5) * cell:.2f}" cy="{_TOP + (i + 0.5) * cell:.2f}" '
            f'r="{max(3.0, cell / 2):.2f}" fill="none" stroke="#000" stroke-width="1.5">'
            "<title>best cell</title></circle>"
        )
    return found


def _place(frame: pd.DataFrame, values: tuple[Any, Any]) -> tuple[int, int]:
    return list(frame.index).index(values[0]), list(frame.columns).index(values[1])
