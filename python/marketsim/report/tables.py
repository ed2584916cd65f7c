"""Layout of tables: numbers right-aligned, baselines apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from marketsim.report.data import Table
from marketsim.report.figures_heatmap import SHADES
from marketsim.report.text import clean, clip

# A sign, an optional currency, then a digit; or a word for a missing number.
_NUMBER = re.compile(r"[+\-\N{MINUS SIGN}±<>≈~]?\s?[$€£¥]?[+\-\N{MINUS SIGN}]?(\d|\.\d|∞|inf)")
_MISSING = frozenset({"", "-", "\N{EN DASH}", "\N{EM DASH}", "n/a", "nan", "none"})
_HEAD_LENGTH = 120


@dataclass(frozen=True)
class Row:
    """Row of a laid-out table.

    Attributes:
        name: first cell.
        link: linked file; None for none.
        swatch: mark of the series of that name; None for none.
        apart: whether the row is emphasised.
        first_apart: whether a rule is drawn above the row.
        cells: other cells, each with its class.
    """

    name: str
    link: str | None
    swatch: Markup | None
    apart: bool
    first_apart: bool
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class TableView:
    """Laid-out table; `heads` holds a text and a class per column."""

    title: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    notes: Sequence[str]


def table_view(
    table: Table,
    *,
    most: int | None = None,
    text: int = 2_000,
    swatches: Mapping[str, Markup] | None = None,
    links: Mapping[str, str] | None = None,
) -> TableView:
    """Lay out a table, limited in rows and length of text.

    Args:
        table: the table.
        most: largest number of rows; emphasised ones beyond it stay. None for all.
        text: largest number of characters per cell.
        swatches: marks of series, by row name.
        links: linked files, by row name.

    Example:
        >>> table = Table("skill", ["model", "MAE"], [["ewma", "0.9"], ["toto", "n/a"]])
        >>> table_view(table).heads
        [('model', ''), ('MAE', 'number')]

    """
    classes = _column_classes(table)
    kept = _kept_rows(table, most)
    rows: list[Row] = []
    most_shaded = _largest(kept) if table.shaded else 0.0
    before_apart = True
    for cells in kept:
        name = str(cells[0]) if cells else ""
        apart = name in table.emphasis
        rows.append(
            Row(
                name=clip(name, text),
                link=(links or {}).get(name),
                swatch=(swatches or {}).get(name),
                apart=apart,
                first_apart=apart and before_apart and bool(rows),
                cells=[
                    (clip(c, text), _cell_class(c, k, most_shaded))
                    for c, k in _beyond_first(cells, classes)
                ],
            )
        )
        before_apart = not apart
    notes = [clip(table.note, text)] if clean(table.note).strip() else []
    if len(kept) < len(table.rows):
        notes.append(f"{len(kept):,} of {len(table.rows):,} rows are shown.")
    heads = [(clip(h, _HEAD_LENGTH), k) for h, k in zip(table.columns, classes, strict=True)]
    return TableView(clip(table.title, text), heads, rows, notes)


def _kept_rows(table: Table, most: int | None) -> list[Sequence[str]]:
    """Select the first rows, and a few emphasised ones beyond them."""
    if most is None or len(table.rows) <= most:
        return list(table.rows)
    beyond = [row for row in table.rows[most:] if row and str(row[0]) in table.emphasis]
    return [*table.rows[:most], *beyond[:most]]


def _column_classes(table: Table) -> list[str]:
    """Assign the class "number" to columns of numbers; the first column holds names."""
    classes = [""] * min(len(table.columns), 1)
    for j in range(1, len(table.columns)):
        cells = [clean(row[j]).strip() for row in table.rows]
        known = [cell for cell in cells if cell.lower() not in _MISSING]
        numeric = bool(known) and all(_NUMBER.match(cell) for cell in known)
        # A column of "n/a" alone still counts as numbers.
        classes.append("number" if numeric or (cells and not known) else "")
    return classes


def _beyond_first(cells: Sequence[str], classes: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(cells[1:], classes[1:], strict=True))


def _cell_class(cell: object, column: str, most_shaded: float) -> str:
    shown = clean(cell).strip()
    if shown.lower() in _MISSING:
        return f"{column} missing".strip()
    value = _value(shown) if most_shaded > 0.0 else None
    if value is None:
        return column
    # Half of the shades: text stays readable on each.
    step = round(value / most_shaded * SHADES / 2)
    return column if step == 0 else f"{column} {'p' if step > 0 else 'n'}{abs(step)} shaded"


def _largest(rows: Sequence[Sequence[str]]) -> float:
    """Return the largest size of a number in the cells beyond the first; 0 for none."""
    values = [_value(clean(cell).strip()) for row in rows for cell in row[1:]]
    return max((abs(value) for value in values if value is not None), default=0.0)


def _value(text: str) -> float | None:
    """Return the number of a cell such as "+1.2%"; None for other text."""
    try:
        return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").rstrip("%"))
    except ValueError:
        return None
