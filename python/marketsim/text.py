"""Plain text: names from outside made safe to show, and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


def printable(text: str, longest: int | None = None) -> str:
    r"""One line that a terminal shows as it is; what is not printable is written as its code.

    Control characters, escape sequences, line ends, bidirectional marks and lone surrogates become
    escapes such as \x1b. Text of at most `longest` characters stays whole; longer text is cut and
    ends in an ellipsis.

    Example:
        >>> printable("AAPL\x1b[2J")
        'AAPL\\x1b[2J'
    """
    safe = text
    if not text.isprintable():
        safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if longest is None or len(safe) <= longest else f"{safe[: longest - 1]}…"


def printable_lines(text: str) -> str:
    r"""Text that a terminal shows as it is, line by line; see `printable`.

    Example:
        >>> printable_lines("two\nlines\r")
        'two\nlines\\r'
    """
    return "\n".join(map(printable, text.split("\n")))


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


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; names from outside in its messages are made printable."""
    import logging  # not at the start: most programs import this module for its errors

    logger = logging.getLogger(name)
    if not any(isinstance(found, _Printable) for found in logger.filters):
        logger.addFilter(_Printable())
    return logger


class _Printable:
    """Replaces a record's message by its printable form."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit: logging says so itself
            return True
        clean = printable_lines(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True
