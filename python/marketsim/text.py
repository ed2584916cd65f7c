"""Plain text and JSON values: escaped names, aligned tables, rows without NaN."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging


def printable(text: str, longest: int | None = None) -> str:
    r"""Escape what a terminal would interpret, and return one line of text.

    Control characters, escape sequences, line ends, bidirectional marks and lone surrogates become
    escapes such as \x1b. Text longer than `longest` characters is cut and ends in an ellipsis.

    Example:
        >>> printable("AAPL\x1b[2J")
        'AAPL\\x1b[2J'
    """
    safe = text
    if not text.isprintable():
        safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if longest is None or len(safe) <= longest else f"{safe[: longest - 1]}…"


def printable_lines(text: str) -> str:
    r"""Escape what a terminal would interpret, and keep line breaks; see `printable`.

    Example:
        >>> printable_lines("two\nlines\r")
        'two\nlines\\r'
    """
    return "\n".join(map(printable, text.split("\n")))


def aligned(head: list[str], rows: list[list[str]], split: int | None = None) -> list[str]:
    """Lay out a table: names left, numbers right, a rule before row `split`; returns its lines."""
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


def blocks(head: list[str], rows: list[list[str]], width: int = 80) -> list[str]:
    r"""Lines of a table broken into blocks of whole columns that fit `width` characters.

    Each block begins with the names of the rows.

    Example:
        >>> print("\n".join(blocks(["a", "first", "second"], [["x", "1", "2"]], 10)))
        a  first
        -  -----
        x      1
        <BLANKLINE>
        a  second
        -  ------
        x       2
    """
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines: list[str] = []
    first = 1
    while first < len(head):
        stop, used = first + 1, widths[0] + 2 + widths[first]
        while stop < len(head) and used + 2 + widths[stop] <= width:
            used += 2 + widths[stop]
            stop += 1
        part = [[row[0], *row[first:stop]] for row in [head, *rows]]
        lines += ([""] if lines else []) + aligned(part[0], part[1:])
        first = stop
    return lines


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw values as `width` block characters, the lowest and the highest at the ends of the scale.

    A value that is not finite leaves a space; equal values are drawn as a line in the middle.

    Example:
        >>> sparkline([1.0, 1.5, 2.0, 1.0], 4)
        '▁▅█▁'
    """
    blocks = "▁▂▃▄▅▆▇█"
    last = len(values) - 1
    chosen = [values[round(i * last / max(width - 1, 1))] for i in range(width)] if values else []
    finite = [v for v in chosen if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = high - low

    def block(value: float) -> str:
        if not math.isfinite(value):
            return " "
        return blocks[3] if scale <= 0.0 else blocks[min(7, int(8 * ((value - low) / scale)))]

    return "".join(map(block, chosen))


def json_rows(rows: Iterable[Mapping[Hashable, Any]]) -> list[dict[str, Any]]:
    """Convert rows to dictionaries of values that JSON can represent; see `json_value`."""
    return [{str(key): json_value(value) for key, value in row.items()} for row in rows]


def json_value(value: Any) -> Any:
    """Convert a scalar to one that JSON can represent.

    NaN, infinities and NaT become None, times ISO 8601 text, NumPy scalars Python ones.

    Example:
        >>> [json_value(value) for value in (1.5, float("nan"), datetime(2024, 1, 31))]
        [1.5, None, '2024-01-31T00:00:00']
    """
    if isinstance(value, datetime):
        return value.isoformat() if value == value else None  # NaT differs from itself
    if hasattr(value, "dtype"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def get_logger(name: str) -> logging.Logger:
    """Return a module's logger; its messages are escaped by `printable_lines`."""
    import logging  # on use: most programs import this module for its errors only

    logger = logging.getLogger(name)
    if not any(isinstance(found, _Printable) for found in logger.filters):
        logger.addFilter(_Printable())
    return logger


class _Printable:
    """Logging filter that escapes messages."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # wrong arguments: logging reports them itself
            return True
        clean = printable_lines(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True
