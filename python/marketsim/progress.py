"""A progress bar for long work: shown only where somebody looks at it and has to wait."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class ProgressBar:
    """Counts finished items; draws a bar on a terminal's standard error after `delay` seconds.

    Args:
        total: how many items there are.
        description: what is being done, a few words.
        enabled: False draws nothing.
        delay: seconds before the first drawing; short work shows nothing and costs nothing.
    """

    def __init__(
        self, total: int, description: str, *, enabled: bool = True, delay: float = 0.4
    ) -> None:
        self._total = total
        self._description = description
        self._done = 0
        self._enabled = enabled and sys.stderr.isatty()
        self._starts_at = time.monotonic() + delay
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def advance(self, items: int) -> None:
        """Count `items` more as finished."""
        self._done += items
        if self._bar is None and self._enabled and time.monotonic() >= self._starts_at:
            self._open()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def _open(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._description, total=self._total)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
