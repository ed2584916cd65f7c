"""Flame graphs of collapsed stacks as one static SVG file."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from zlib import crc32

from marketsim.text import printable

FLAME_MARK = b"<!-- marketsim profile -->"
_WIDTH, _ROW, _LEAST, _LETTER = 1200, 20, 0.5, 7.0


@dataclass
class _Frame:
    """Stage of a flame graph: its own microseconds, and the stages within it."""

    own: int = 0
    below: dict[str, _Frame] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.own + sum(frame.total for frame in self.below.values())

    @property
    def depth(self) -> int:
        return 1 + max((frame.depth for frame in self.below.values()), default=0)


def flame_svg(folded: str, title: str) -> str:
    r"""Draw stacks as an SVG, root at the bottom; tooltips give each frame's time and share.

    Args:
        folded: lines "root;stage;stage microseconds" of `marketsim.timing.Profile.folded`.
        title: title line.

    Example:
        >>> svg = flame_svg("run;model 750\nrun;store 250\n", "a run")
        >>> "model: 0.75 ms, 75.0 %" in svg
        True
    """
    root = _Frame()
    for line in folded.splitlines():
        path, _, spent = line.rpartition(" ")
        frame = root
        for name in path.split(";"):
            frame = frame.below.setdefault(name, _Frame())
        frame.own += int(spent)
    height = (root.depth + 1) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="monospace" font-size="12">{FLAME_MARK.decode()}'
        f'<text x="4" y="14">{escape(printable(title))}</text>',
    ]
    _draw(root, "", 0.0, float(_WIDTH), height, max(root.total, 1), parts)
    return "\n".join([*parts, "</svg>", ""])


def _draw(
    frame: _Frame, name: str, left: float, width: float, bottom: float, all_: int, to: list[str]
) -> None:
    if width < _LEAST:
        return
    if name:
        bottom -= _ROW
        share = frame.total / all_
        hue = 20 + crc32(name.encode()) % 40
        shown = escape(name if len(name) * _LETTER < width else name[: int(width / _LETTER)])
        tip = f"{escape(name)}: {frame.total / 1000:.2f} ms, {100 * share:.1f} %"
        to.append(
            f'<g><title>{tip}</title><rect x="{left:.1f}" y="{bottom:.0f}" width="{width:.1f}" '
            f'height="{_ROW - 1}" fill="hsl({hue},80%,62%)"/>'
            f'<text x="{left + 2:.1f}" y="{bottom + 14:.0f}">{shown}</text></g>'
        )
    total = max(frame.total, 1)
    for below, callee in sorted(frame.below.items()):
        part = width * callee.total / total
        _draw(callee, below, left, part, bottom, all_, to)
        left += part
