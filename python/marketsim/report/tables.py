"""Tables of finished text, laid out for reading: numbers to the right, baselines set apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from marketsim.report.data import Table
from marketsim.report.text import clean, clip

# A sign, perhaps a currency, then a digit; or one of the words for a missing number.
_NUMBER = re.compile(r"[+\-\N{MINUS SIGN}±<>≈~]?\s?[$€£¥]?[+\-\N{MINUS SIGN}]?(\d|\.\d|∞|inf)")
_MISSING = frozenset({"", "-", "\N{EN DASH}", "\N{EM DASH}", "n/a", "nan", "none"})
_HEAD_LENGTH = 120


@dataclass(frozen=True)
class Row:
    """A row as shown.

    Attributes:
        name: the first cell.
        link: a file that it leads to, None for none.
        swatch: the mark of the series of that name, None for none.
        apart: whether it is one of the emphasised.
        first_apart: whether a rule is drawn above it.
        cells: the others, each with its class.
    """

    name: str
    link: str | None
    swatch: Markup | None
    apart: bool
    first_apart: bool
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class TableView:
    """A table as shown; `heads` holds a text and a class for each column."""

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
    """The table as shown, bounded in rows and length of text.

    Args:
        table: finished text.
        most: rows; emphasised ones beyond them stay. None for all.
        text: characters of a cell.
        swatches: marks of series, by the name of a row.
        links: files, by the name of a row.

    Example:
        >>> table = Table("skill", ["model", "MAE"], [["ewma", "0.9"], ["toto", "n/a"]])
        >>> table_view(table).heads
        [('model', ''), ('MAE', 'number')]

    """
    classes = _column_classes(table)
    kept = _kept_rows(table, most)
    rows: list[Row] = []
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
                    (clip(c, text), _cell_class(c, k)) for c, k in _beyond_first(cells, classes)
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
    """The first rows, and those emphasised beyond them as long as they are few."""
    if most is None or len(table.rows) <= most:
        return list(table.rows)
    beyond = [row for row in table.rows[most:] if row and str(row[0]) in table.emphasis]
    return [*table.rows[:most], *beyond[:most]]


def _column_classes(table: Table) -> list[str]:
    """The class "number" for columns of numbers or missing ones; the first column is names."""
    classes = [""] * min(len(table.columns), 1)
    for j in range(1, len(table.columns)):
        cells = [clean(row[j]).strip() for row in table.rows]
        known = [cell for cell in cells if cell.lower() not in _MISSING]
        numeric = bool(known) and all(_NUMBER.match(cell) for cell in known)
        # With no figure at all, a column of "n/a" is still one of numbers.
        classes.append("number" if numeric or (cells and not known) else "")
    return classes


def _beyond_first(cells: Sequence[str], classes: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(cells[1:], classes[1:], strict=True))


def _cell_class(cell: object, column: str) -> str:
    missing = clean(cell).strip().lower() in _MISSING
    return f"{column} missing".strip() if missing else column
