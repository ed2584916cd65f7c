"""Output of commands: text from files cannot control the terminal."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from marketsim.text import printable_lines


class _PrintableStream:
    """Text stream that escapes unprintable characters; see `marketsim.text`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # rich writes its progress bar here, with control sequences of its own.
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
    """Escape all output while active, messages of other libraries included."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # print "?" for characters that cannot be encoded
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = (_clean(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _clean(stream: Any) -> Any:
    """Wrap a stream; None if the process has no such stream."""
    return stream if stream is None else _PrintableStream(stream)
