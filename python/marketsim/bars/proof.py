"""What all rows of a table of several symbols prove, for each symbol of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from marketsim.bars.columns import COLUMNS, assign_roles
from marketsim.bars.dates import prove_order
from marketsim.bars.layouts import Layout
from marketsim.bars.numbers import find_marks
from marketsim.bars.options import ReadOptions


def proven_options(frame: pd.DataFrame, layout: Layout | None, options: ReadOptions) -> ReadOptions:
    """What all rows of a table prove of its dates and decimal mark, for each symbol of it."""
    if isinstance(frame.columns, pd.MultiIndex):
        return options
    roles = assign_roles(list(frame.columns), layout, options.columns)
    texts: dict[str, list[pd.Series]] = {"time": [], "number": []}
    for i, role in enumerate(roles):
        column = frame.iloc[:, i].dropna()
        kind = "time" if role in ("timestamp", "date") else "number" if role in COLUMNS else ""
        if kind and len(column) and isinstance(column.iloc[0], str):
            texts[kind].append(column)
    order, decimal = options.dayfirst, options.decimal
    if order is None and options.date_format is None:
        proofs = [prove_order(column.to_numpy(dtype=object)) for column in texts["time"]]
        order = next((proof for proof in proofs if proof is not None), None)
    if decimal is None and any(c.str.contains(",", regex=False).any() for c in texts["number"]):
        decimal = find_marks(list(column) for column in texts["number"]).decimal or None
    return replace(options, dayfirst=order, decimal=decimal)
