"""Style of each series, the same everywhere on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from markupsafe import Markup

from marketsim.report.svg import element

# Number of colours in templates/style.css; later series reuse them with another dash.
COLOURS = 6
DASHES = 3
# Characters of a name in a figure; the tables show more of it.
NAME_LENGTH = 120


def series_styles(names: Iterable[str], baselines: Set[str]) -> dict[str, str]:
    """Assign CSS classes to names: a colour each, or grey and dashed for a baseline.

    Example:
        >>> series_styles(["maxdiff", "persistence"], {"persistence"})
        {'maxdiff': 'c0', 'persistence': 'base d0'}

    """
    styles: dict[str, str] = {}
    naive = 0
    for name in names:
        if name in baselines:
            styles[name] = f"base d{naive % DASHES}"
            naive += 1
        else:
            order = len(styles) - naive
            styles[name] = f"c{order % COLOURS}" + (" again" if order >= COLOURS else "")
    return styles


def shown_names(names: Sequence[str], baselines: Set[str], most: int) -> list[str]:
    """Select at most `most` names in order; baselines stay, for comparison.

    Example:
        >>> shown_names(["a", "b", "c", "naive"], {"naive"}, most=3)
        ['a', 'b', 'naive']

    """
    if len(names) <= most:
        return list(names)
    naive = [name for name in names if name in baselines][: most // 2]
    others = [name for name in names if name not in baselines][: most - len(naive)]
    kept = {*naive, *others}
    return [name for name in names if name in kept]


def line_swatch(style: str) -> Markup:
    """Draw a short piece of a series' line."""
    return swatch(element("path", d="M1 6h20", class_=f"line {style}"), width=22)


def swatch(mark: Markup, width: int = 14) -> Markup:
    """Draw a small svg around a mark, for a legend."""
    return element(
        "svg",
        mark,
        class_="swatch",
        width=width,
        height=12,
        viewBox=f"0 0 {width} 12",
        aria_hidden="true",
    )
