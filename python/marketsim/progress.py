"""Progress of long work: a bar on a terminal or in a notebook, lines in a log, or a callback."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from html import escape
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from marketsim.text import printable

LOG_SECONDS = 60.0
"""Seconds between two lines in a log."""
_NOTEBOOK_SECONDS = 0.5


class ProgressState(NamedTuple):
    """What a progress callback receives.

    Attributes:
        description: short description of the work, such as "forecasting AAPL".
        done: number of finished items.
        total: number of items; None while it is not known.
        unit: the items, such as "forecasts"; "" for none.
        pace: rate and remaining time as text.
    """

    description: str
    done: int
    total: int | None
    unit: str
    pace: str

    def text(self) -> str:
        """Format the state as one line."""
        total = "?" if self.total is None else f"{self.total:,}"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.description}: {self.done:,} of {total}{unit}, {self.pace}"


Progress: TypeAlias = "bool | Callable[[ProgressState], None]"
"""True shows progress, False shows none, and a function is called with each `ProgressState`.

An exception of the function ends the work."""


class ProgressBar:
    """Progress bar on a terminal's standard error or in a notebook, drawn after `delay` seconds.

    Shows finished and total items, items per second, and the estimated remaining time. Elsewhere,
    such as in a log, one line every `LOG_SECONDS`.

    Args:
        total: number of items; None if it is not known yet, see `expect`.
        description: short description of the work.
        enabled: False draws nothing; a function is called instead of drawing.
        delay: seconds before the first drawing; shorter work draws nothing.
        unit: unit of the rate; empty shows no rate.
    """

    def __init__(
        self,
        total: int | None,
        description: str,
        *,
        enabled: Progress = True,
        delay: float = 0.4,
        unit: str = "",
    ) -> None:
        self._total = total
        self._unit = unit
        self._description = printable(description)
        self._call = None if isinstance(enabled, bool) else enabled
        shown = enabled is True
        self._enabled = shown and sys.stderr.isatty()
        self._notebook = _Notebook() if shown and not self._enabled and _in_notebook() else None
        self._log = shown and not self._enabled and self._notebook is None
        self._delay = delay
        self._pace = Pace(total, unit)
        self._next = time.monotonic() + (delay if self._notebook else LOG_SECONDS)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Any = None
        self._task: Any = None

    @property
    def state(self) -> ProgressState:
        """Current state, as callbacks receive it."""
        return ProgressState(
            self._description, self._pace.done, self._total, self._unit, self._pace.text()
        )

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

    def expect(self, total: int) -> None:
        """Change the number of items, such as of an estimate."""
        self._total = self._pace.total = total

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
        if self._call is not None:
            self._call(self.state)
            return
        with self._lock:
            if self._bar is not None:
                self._bar.update(self._task, completed=self._pace.done, total=self._total)
            elif (self._log or self._notebook) and (now := time.monotonic()) >= self._next:
                self._next = now + (_NOTEBOOK_SECONDS if self._notebook else LOG_SECONDS)
                if self._notebook:
                    self._notebook.show(self.state)
                else:
                    print(self.state.text(), file=sys.stderr, flush=True)

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
            if self._notebook is not None:
                self._notebook.close()


class SymbolsBar(ProgressBar):
    """Progress over many symbols, counted in forecasts.

    How many forecasts a symbol needs is known once its bars are read: the total is estimated from
    the symbols that are done or at work.

    Args:
        description: short description of the work; the symbol at work is appended.
        symbols: number of symbols.
        enabled, delay, unit: as of `ProgressBar`.
    """

    def __init__(
        self,
        description: str,
        symbols: int,
        *,
        enabled: Progress = True,
        delay: float = 0.4,
        unit: str = "forecasts",
    ) -> None:
        super().__init__(None, description, enabled=enabled, delay=delay, unit=unit)
        self._verb = description
        self._symbols = symbols
        self._ended = self._settled = 0

    def start(self, symbol: str) -> None:
        """Name the symbol at work."""
        place = f" ({self._ended + 1:,} of {self._symbols:,})" if self._symbols > 1 else ""
        self.describe(f"{self._verb} {symbol}{place}")

    def within(self, state: ProgressState) -> None:
        """Count the forecasts of the symbol at work; a callback for its own progress."""
        if state.total:
            self._count(self._settled + state.done, 1, state.total)

    def finish(self, forecasts: int, symbols: int = 1) -> None:
        """Count symbols as finished, with all their forecasts."""
        self._ended += symbols
        self._settled += forecasts
        self._count(self._settled)

    def _count(self, done: int, working: int = 0, needed: int = 0) -> None:
        known = self._ended + working
        left = self._symbols - known
        if known:
            total = self._settled + needed
            self.expect(max(total + round(total / known * left), done))
        # A symbol that fails after its forecasts is settled with none: nothing is taken back.
        self.advance(max(done - self._pace.done, 0))


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class _Notebook:
    """Progress below a notebook's cell; empty once the work is done."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, state: ProgressState) -> None:
        total = "" if state.total is None else f'value="{state.done}" max="{state.total}"'
        text = f"<progress {total}></progress> {escape(state.text())}"
        self._display(text, state.text())

    def close(self) -> None:
        if self._handle is not None:
            self._display("", "")

    def _display(self, page: str, text: str) -> None:
        from IPython.display import display

        data = {"text/html": page, "text/plain": text}
        show: Any = display
        if self._handle is None:
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Pace:
    """Rate of finished items, and the estimated remaining time.

    Args:
        total: number of items; None if it is not known.
        unit: unit of the rate; empty shows no rate.
        now: start time in seconds; None for the clock's.

    Attributes:
        total: as given, or changed since.
        done: number of finished items.
    """

    def __init__(self, total: int | None, unit: str, now: float | None = None) -> None:
        self.total = total
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
        if not self._made or spent <= 0.0 or self.total is None:
            return _clock(now - self._begun)  # not of the preparation's end: it would jump back
        rest = (self.total - self.done) * spent / self._made - (now - self._last)
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
