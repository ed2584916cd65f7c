"""Tables of plain text."""

from __future__ import annotations


def aligned(head: list[str], rows: list[list[str]], split: int | None = None) -> list[str]:
    """Lines of a table: names to the left, numbers to the right, a rule before row `split`."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        name = cells[0].ljust(widths[0])
        numbers = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([name, *numbers]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    lines = [line(head), rule, *(line(row) for row in rows)]
    if split is not None and 0 < split < len(rows):
        lines.insert(2 + split, rule)
    return lines
