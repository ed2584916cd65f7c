"""Progress bar for long work: drawn on a terminal only, and only after a delay."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from marketsim.text import printable


class ProgressBar:
    """Progress bar on a terminal's standard error, drawn after `delay` seconds.

    Shows finished and total items, items per second, and the estimated remaining time.

    Args:
        total: number of items.
        description: short description of the work.
        enabled: False draws nothing.
        delay: seconds before the first drawing; shorter work draws nothing.
        unit: unit of the rate; empty shows no rate.
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
            # A timer, not the first late item: the first item may be the longest.
            self._timer = threading.Timer(self._delay, self._open)
            self._timer.daemon = True
            self._timer.start()
        return self

    def describe(self, description: str) -> None:
        """Change the description, such as to the name of the symbol at work."""
        with self._lock:
            self._description = printable(description)
            if self._bar is not None:
                self._bar.update(self._task, description=self._description)

    def skip(self, items: int) -> None:
        """Count `items` as finished without work; they do not affect the rate."""
        self._pace.skip(items)
        self._show()

    def advance(self, items: int, units: int | None = None) -> None:
        """Count `items` as finished, and `units` of the rate; by default the same number.

        A call with 0 items before the first one ends the preparation: the rate counts from there.
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
            if not self._enabled:  # the work has finished
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
    """Rate of finished items, and the estimated remaining time.

    Args:
        total: number of items.
        unit: unit of the rate; empty shows no rate.
        now: start time in seconds; None for the clock's.

    Attributes:
        done: number of finished items.
    """

    def __init__(self, total: int, unit: str, now: float | None = None) -> None:
        self._total = total
        self._unit = unit
        self.done = 0
        self._made = self._units = 0
        self._start = self._last = time.monotonic() if now is None else now
        self._begun = self._start

    def skip(self, items: int, now: float | None = None) -> None:
        """Count items that took no work."""
        self.advance(0, 0, now)
        self.done += items

    def advance(self, items: int, units: int, now: float | None = None) -> None:
        """Count finished items and their units."""
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
        """Format the rate and the remaining time; before the first item, the elapsed time."""
        now = time.monotonic() if now is None else now
        spent = self._last - self._start
        if not self._made or spent <= 0.0:
            return _clock(now - self._begun)  # not of the preparation's end: it would jump back
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
        """Column that recomputes its text at each drawing: the remaining time counts down."""

        def render(self, task: progress.Task) -> Text:
            return Text(pace.text(), style="progress.remaining")

    return Column()
