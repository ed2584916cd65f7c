"""What all rows of a table of several symbols prove, for each symbol of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from marketsim.bars.columns import COLUMNS, assign_roles
from marketsim.bars.dates import prove_order
from marketsim.bars.defect import Defect
from marketsim.bars.layouts import Layout
from marketsim.bars.numbers import find_marks
from marketsim.bars.options import ReadOptions
from marketsim.bars.symbols import find_blocks, find_telling_column
from marketsim.bars.table import Table


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
    documented = layout is not None and layout.dayfirst is not None
    if order is None and options.date_format is None and not documented:
        proofs = [prove_order(column.to_numpy(dtype=object)) for column in texts["time"]]
        order = next((proof for proof in proofs if proof is not None), None)
    if decimal is None and any(c.str.contains(",", regex=False).any() for c in texts["number"]):
        decimal = find_marks(list(column) for column in texts["number"]).decimal or None
    return replace(options, dayfirst=order, decimal=decimal)


def name_symbols(
    defects: list[Defect], frame: pd.DataFrame, table: Table, options: ReadOptions
) -> list[Defect]:
    """Rows of one time that a column of words tells apart are of several symbols."""
    kinds = {defect.kind for defect in defects}
    if not kinds & {"different_bars", "unsorted"}:
        return defects
    telling = find_telling_column(frame, options.columns, table.rows, table.times)
    if telling is None and "unsorted" in kinds:
        telling = find_blocks(frame, options.columns, table.rows, table.times)
    if telling is None:
        return defects
    name, words = telling
    shown = f"{', '.join(map(repr, words[:5]))}{', ...' if len(words) > 5 else ''}"
    cause = Defect(
        "several_symbols", len(words),
        f"the rows must be of one symbol: they differ in the column {name!r}, "
        f"which holds {len(words)} words, {shown}",
        f'columns={{"symbol": {name!r}}} reads it as symbols; symbol= chooses one, '
        "read_many reads all",
    )  # fmt: skip
    return [cause, *(d for d in defects if d.kind not in ("different_bars", "unsorted"))]
