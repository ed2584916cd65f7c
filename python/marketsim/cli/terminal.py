"""What the command prints: nothing out of a file can control the terminal that shows it."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from marketsim.text import printable_lines


class _PrintableStream:
    """A text stream that writes what is not printable as its code; see `marketsim.text`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # What a progress bar of rich writes to instead: it moves the cursor itself.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self._stream.write(text if text.isprintable() else printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def printable_output() -> Iterator[None]:
    """Make all that is printed printable, names and messages of other libraries included."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character shows "?"
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = (_clean(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _clean(stream: Any) -> Any:
    """None where the process has no such stream."""
    return stream if stream is None else _PrintableStream(stream)
