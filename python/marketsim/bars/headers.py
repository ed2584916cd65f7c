"""Rows of labels below a header: symbols, and the name of the index, as yfinance writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from marketsim.bars.layouts import fold

LABELS = frozenset(("ticker", "symbol", "date", "datetime", "price", ""))


def header_rows(
    names: list[str], below: Sequence[Sequence[str]]
) -> tuple[list[list[str]], str, int]:
    """Rows of labels below a header, as yfinance writes them: tickers, and the index's name.

    Returns:
        The further levels, the name of the first column, and how many rows it took.

    """
    levels, label, count = [], names[0], 0
    for cells in below:
        if len(cells) != len(names) or fold(cells[0]) not in LABELS:
            break
        if not any(cells[1:]):
            label = cells[0] or label
        elif all(map(is_label, cells[1:])):
            levels.append(list(cells))
        else:
            break
        count += 1
    return levels, label, count


def level_names(levels: list[list[str]], label: str) -> list[Any]:
    """One tuple of names a column; the first column has one name."""
    columns: list[Any] = [(label, *[""] * (len(levels) - 1))]
    return columns + [tuple(level[i] for level in levels) for i in range(1, len(levels[0]))]


def is_label(cell: str) -> bool:
    """Whether a cell is a name: not empty, not a number, not a time."""
    return bool(cell) and not re.fullmatch(r"[-+$€£]?[\d.,:/ -]+%?[KMBkmb]?", cell)
