"""A progress bar for long work: shown only where somebody looks at it and has to wait."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from marketsim.text import printable


class ProgressBar:
    """Counts finished items; draws a bar on a terminal's standard error after `delay` seconds.

    It shows how many of how many are done, how many were done a second, and how long the rest will
    take at that rate.

    Args:
        total: how many items there are.
        description: what is being done, a few words.
        enabled: False draws nothing.
        delay: seconds before the first drawing; short work shows nothing and costs nothing.
        unit: what is counted by the second; nothing is, if empty.
    """

    def __init__(
        self,
        total: int,
        description: str,
        *,
        enabled: bool = True,
        delay: float = 0.4,
        unit: str = "",
    ) -> None:
        self._total = total
        self._description = printable(description)
        self._enabled = enabled and sys.stderr.isatty()
        self._delay = delay
        self._pace = Pace(total, unit)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        if self._enabled and self._delay <= 0.0:
            self._open()
        elif self._enabled:
            # Not at the first item that is late: the first one may be the longest.
            self._timer = threading.Timer(self._delay, self._open)
            self._timer.daemon = True
            self._timer.start()
        return self

    def skip(self, items: int) -> None:
        """Count `items` more as finished that were there already: no rate follows from them."""
        self._pace.skip(items)
        self._show()

    def advance(self, items: int, units: int | None = None) -> None:
        """Count `items` more as finished, and what they were in units of the rate if not these.

        No items, before there are any, say that what had to be prepared is ready: the rate counts
        from here on.
        """
        self._pace.advance(items, items if units is None else units)
        self._show()

    def _show(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.update(self._task, completed=self._pace.done)

    def _open(self) -> None:
        from rich import progress
        from rich.console import Console

        with self._lock:
            if not self._enabled:  # the work is over
                return
            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                _pace_column(self._pace),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._description, total=self._total, completed=self._pace.done
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._enabled = False
            if self._bar is not None:
                self._bar.stop()


class Pace:
    """How fast items get done, and how long the rest will take.

    Args:
        total: how many items there are.
        unit: what is counted by the second; nothing is, if empty.
        now: the time when the work starts, in seconds; the clock's if None.

    Attributes:
        done: how many items are finished.
    """

    def __init__(self, total: int, unit: str, now: float | None = None) -> None:
        self._total = total
        self._unit = unit
        self.done = 0
        self._made = self._units = 0
        self._start = self._last = time.monotonic() if now is None else now

    def skip(self, items: int, now: float | None = None) -> None:
        """Items that took no work."""
        self.advance(0, 0, now)
        self.done += items

    def advance(self, items: int, units: int, now: float | None = None) -> None:
        """Items that have been done, and how many units they were."""
        now = time.monotonic() if now is None else now
        if not items:
            if not self._made:
                self._start = self._last = now
            return
        self.done += items
        self._made += items
        self._units += units
        self._last = now

    def text(self, now: float | None = None) -> str:
        """The rate and the time that the rest will take; without an item done, the time passed."""
        now = time.monotonic() if now is None else now
        spent = self._last - self._start
        if not self._made or spent <= 0.0:
            return _clock(now - self._start)
        rest = (self._total - self.done) * spent / self._made - (now - self._last)
        rate = f"{_number(self._units / spent)} {self._unit}/s  " if self._unit else ""
        return f"{rate}ETA {_clock(max(rest, 0.0))}"


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10.0 else f"{rate:.1f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _pace_column(pace: Pace) -> Any:
    from rich import progress
    from rich.text import Text

    class Column(progress.ProgressColumn):
        """Asks for the text whenever the bar is drawn, so that the rest counts down."""

        def render(self, task: progress.Task) -> Text:
            return Text(pace.text(), style="progress.remaining")

    return Column()
