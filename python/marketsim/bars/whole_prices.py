"""Layouts whose prices are whole numbers of a part of the unit: never for data of another kind."""

from __future__ import annotations

import numpy as np

from marketsim.bars.columns import PRICES
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import Layout
from marketsim.bars.table import Table
from marketsim.bars.text import RawTable
from marketsim.errors import FileFormatError


def check_scale(raw: RawTable, stated: Layout) -> None:
    """Refuse a layout of whole prices for text that has other lines than its own.

    Raises:
        FileFormatError: prices would be divided without a sign that they are such.

    """
    found = 1 if raw.layout is None else raw.layout.scale
    if stated.scale != 1 and found != stated.scale:
        read = f"is read as {raw.layout.title}" if raw.layout else "has other lines"
        raise FileFormatError(
            f"layout={stated.name!r} divides prices by {stated.scale:,}, and is of lines without a "
            f"header such as 20240102 00:00,1871500,1884400,1838900,1856400,82488700: this text "
            f"{read}; leave layout= away, or state another"
        )


def has_fractions(table: Table, scale: int) -> bool:
    """Whether prices that must be whole numbers have a fraction."""
    prices = np.concatenate([table.values[name] for name in PRICES if name in table.values])
    units = prices * scale
    return bool((np.abs(units - np.rint(units)) > 1e-3).any())


def not_whole(layout: Layout | None) -> Defect:
    """The defect of prices that have a fraction."""
    assert layout is not None, "only a layout has a scale"
    return Defect(
        "other_layout", 1,
        f"prices of {layout.title} must be whole numbers, which are divided by {layout.scale:,}: "
        "some have a fraction",
        "leave layout= away, or state the layout that the data have",
    )  # fmt: skip
