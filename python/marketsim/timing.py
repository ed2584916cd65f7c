"""Profiling by named stages of the code, timed only while a profile is active.

    with profiled() as profile:
        ...
        with stage("encode"):
            ...
    profile.by_stage()

Time counts for the innermost stage only, so stages and the time outside them add up to the total,
to the nanosecond. A stage entered again within itself counts as one. Only the profiling thread is
timed, not the stages of other threads. Without a profile, a stage costs one read of a global.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType

from marketsim.errors import ArgumentError

Path = tuple[str, ...]

OTHER = "other"


@dataclass(frozen=True)
class StageTime:
    """Time of a stage, without the stages within it.

    Attributes:
        name: name of the stage, or `OTHER` for time outside all stages.
        seconds: time of the stage.
        calls: number of entries.
    """

    name: str
    seconds: float
    calls: int


class Profile:
    """Time of each path of nested stages; `profiled` starts and ends a profile."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._path: Path = ()
        self._whole = 0  # depth below which inner stages are not separated, 0 for none
        self._own: dict[Path, int] = {(): 0}
        self._calls: dict[Path, int] = {(): 1}
        self._since = time.perf_counter_ns()

    @property
    def seconds(self) -> float:
        """Total time in seconds."""
        return sum(self._own.values()) / 1e9

    def by_path(self) -> dict[Path, float]:
        """Return seconds by path of nested stages, without inner stages; () is outside all."""
        return {path: spent / 1e9 for path, spent in self._own.items()}

    def by_stage(self) -> list[StageTime]:
        """Return the time of each stage over all its paths, by first entry, then `OTHER`."""
        found: dict[str, list[int]] = {}
        for path, spent in self._own.items():
            if path:
                both = found.setdefault(path[-1], [0, 0])
                both[0] += spent
                both[1] += self._calls[path]
        stages = [StageTime(name, spent / 1e9, calls) for name, (spent, calls) in found.items()]
        return [*stages, StageTime(OTHER, self._own[()] / 1e9, 1)]

    def within(self, *names: str) -> float:
        """Return the seconds spent within all of these stages at once, inner stages included."""
        return sum(spent for path, spent in self._own.items() if set(names) <= set(path)) / 1e9

    def folded(self, root: str) -> str:
        """Format collapsed stacks: one line "root;stage;stage microseconds" per path.

        flamegraph.pl and speedscope read them.
        """
        lines = []
        for path, spent in sorted(self._own.items()):
            microseconds = (spent + 500) // 1000
            if microseconds:
                lines.append(f"{';'.join((root, *path))} {microseconds}\n")
        return "".join(lines)

    def enter(self, name: str, settle: Callable[[], None] | None, whole: bool) -> bool:
        """Begin a stage; returns False if its time counts for the enclosing stage."""
        again = self._path[-1:] == (name,)
        if threading.get_ident() != self._thread or self._whole or (again and not whole):
            return False
        if settle is not None:
            settle()
        self._charge()
        self._path = (*self._path, name)
        self._calls[self._path] = self._calls.get(self._path, 0) + (not again)
        if whole:
            self._whole = len(self._path)
        return True

    def leave(self, settle: Callable[[], None] | None) -> None:
        """End the innermost stage."""
        if settle is not None:
            settle()
        self._charge()
        if self._whole == len(self._path):
            self._whole = 0
        self._path = self._path[:-1]

    def end(self) -> None:
        """Count the time up to now."""
        self._charge()

    def _charge(self) -> None:
        now = time.perf_counter_ns()
        self._own[self._path] = self._own.get(self._path, 0) + now - self._since
        self._since = now


_active: Profile | None = None


@contextmanager
def profiled() -> Iterator[Profile]:
    """Profile the stages of this thread.

    Raises:
        ArgumentError: a profile is already active.
    """
    global _active
    if _active is not None:
        raise ArgumentError("a profile is already active: end it first")
    _active = profile = Profile()
    try:
        yield profile
    finally:
        profile.end()
        _active = None


def stage(
    name: str, *, settle: Callable[[], None] | None = None, whole: bool = False
) -> AbstractContextManager[None]:
    """Time a block of code as a named stage.

    Args:
        name: name of the stage, without semicolons or line breaks.
        settle: function that waits for a device; called at both ends while a profile is active, so
            that the device's time counts for the stage.
        whole: count inner stages for this stage.
    """
    return _NOTHING if _active is None else _Stage(_active, name, settle, whole)


class _Nothing(AbstractContextManager[None]):
    """Stage without timing."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING = _Nothing()


class _Stage(AbstractContextManager[None]):
    __slots__ = ("_entered", "_name", "_profile", "_settle", "_whole")

    def __init__(
        self, profile: Profile, name: str, settle: Callable[[], None] | None, whole: bool
    ) -> None:
        self._profile, self._name, self._settle, self._whole = profile, name, settle, whole
        self._entered = False

    def __enter__(self) -> None:
        self._entered = self._profile.enter(self._name, self._settle, self._whole)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entered:
            # After an error, do not wait for the device: it may have failed.
            self._profile.leave(self._settle if kind is None else None)
