"""One symbol or several, in whatever form a caller has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marketsim.bars.bars import Bars
from marketsim.bars.read import read_bars
from marketsim.errors import ArgumentError


def list_bars(given: Any) -> list[Bars]:
    """The bars of each symbol: one as `read_bars` takes it, or several `Bars` or a mapping of them.

    Raises:
        ArgumentError: none, something else than `Bars` among several, or a symbol twice.
        BarsError: as `read_bars`.

    Example:
        >>> from marketsim.bars import demo_bars
        >>> [bars.symbol for bars in list_bars(demo_bars())]
        ['SP500']
    """
    if isinstance(given, Mapping):
        found = list(given.values())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        found = list(given)
    else:
        found = [given if isinstance(given, Bars) else read_bars(given)]
    if not found:
        raise ArgumentError("no bars given: expected at least one symbol")
    for one in found:
        if not isinstance(one, Bars):
            raise ArgumentError(f"several symbols must be Bars: got {type(one).__name__}")
    names = [one.symbol for one in found]
    if len(set(names)) < len(names):
        raise ArgumentError(f"a symbol is given twice: {', '.join(sorted(names))}")
    return found
