"""Layouts whose prices are whole numbers of a part of the unit: never for data of another kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketsim.bars.columns import PRICES
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import Choice, Layout, find_layout, fold
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


def whole_layout(raw: RawTable) -> tuple[Layout | None, list[str]]:
    """Lean's layout of whole prices where its name or archive, or a date in it, proves it.

    Prices that are no whole cents are as written; other whole prices may be either.

    Raises:
        FileFormatError: the prices may be as written or ten-thousandths.
    """
    layout = raw.layout
    if layout is None or raw.proven or layout.name != "lean":
        return layout, raw.notes
    prices = raw.frame[list(PRICES)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if not (prices % 100 == 0).all():
        said = f"read as {layout.title}, which has no header"
        plain = 'no header: prices as written; layout="lean" divides them by 10,000'
        return None, [plain if note == said else note for note in raw.notes]
    first = float(prices[0, 0])
    raise FileFormatError(
        f"the whole prices of lines without a header, such as {first:g}, may be as written, or "
        f"Lean's ten-thousandths of a dollar ({first / 10_000:g}), and nothing proves which: "
        'layout="lean" divides them, layout="lean-crypto" takes them as written (an archive such '
        "as equity/usa/daily/aapl.zip is Lean's)"
    )


def plain_scale(choice: Choice, frame: pd.DataFrame) -> Choice:
    """A choice by the header without its scale, where prices are written with decimals."""
    if choice.layout is None or choice.layout.scale == 1:
        return choice
    prices = [part for name, part in frame.items() if fold(name) in PRICES]
    if all(map(_written_whole, prices)):
        return choice
    plain = find_layout(f"{choice.layout.name}-decimal")
    return Choice(plain, (), f"read as {plain.title}")


def _written_whole(column: pd.Series) -> bool:
    """Whether numbers are written without a point."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return bool(pd.api.types.is_integer_dtype(column.dtype))
    return not column.astype("str").str.contains(".", regex=False).any()


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
