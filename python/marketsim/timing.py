"""Where time goes: named stages of the code, timed only while somebody profiles.

    with profiled() as profile:
        ...
        with stage("encode"):
            ...
    profile.by_stage()

A stage within another one takes its time out of it: each moment counts once, for the innermost
stage, so that the stages and what lies between them add up to the whole, to the nanosecond. A
stage entered again within itself stays one. Only the thread that profiles is timed; stages of other
threads are not seen. Without a profile, a stage costs one look at a global.
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
    """The time of a stage, without that of the stages within it.

    Attributes:
        name: the stage, or `OTHER` for what lies in none.
        seconds: its time.
        calls: how often it was entered.
    """

    name: str
    seconds: float
    calls: int


class Profile:
    """The time of each path of nested stages; `profiled` makes and ends one."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._path: Path = ()
        self._whole = 0  # depth of the path from which on stages are not told apart, 0 for none
        self._own: dict[Path, int] = {(): 0}
        self._calls: dict[Path, int] = {(): 1}
        self._since = time.perf_counter_ns()

    @property
    def seconds(self) -> float:
        """The time of everything."""
        return sum(self._own.values()) / 1e9

    def by_path(self) -> dict[Path, float]:
        """Seconds of each path of nested stages, without those within it; () is outside of all."""
        return {path: spent / 1e9 for path, spent in self._own.items()}

    def by_stage(self) -> list[StageTime]:
        """The time of each stage wherever it was entered, in order of first entry, then `OTHER`."""
        found: dict[str, list[int]] = {}
        for path, spent in self._own.items():
            if path:
                both = found.setdefault(path[-1], [0, 0])
                both[0] += spent
                both[1] += self._calls[path]
        stages = [StageTime(name, spent / 1e9, calls) for name, (spent, calls) in found.items()]
        return [*stages, StageTime(OTHER, self._own[()] / 1e9, 1)]

    def within(self, *names: str) -> float:
        """Seconds spent within all of these stages, and in what is within them."""
        return sum(spent for path, spent in self._own.items() if set(names) <= set(path)) / 1e9

    def folded(self, root: str) -> str:
        """Collapsed stacks: a line "root;stage;stage microseconds" for each path.

        flamegraph.pl and speedscope draw them.
        """
        lines = []
        for path, spent in sorted(self._own.items()):
            microseconds = (spent + 500) // 1000
            if microseconds:
                lines.append(f"{';'.join((root, *path))} {microseconds}\n")
        return "".join(lines)

    def enter(self, name: str, settle: Callable[[], None] | None, whole: bool) -> bool:
        """Begin a stage; False where it is not told apart from the one around it."""
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
        """End the stage that was begun last."""
        if settle is not None:
            settle()
        self._charge()
        if self._whole == len(self._path):
            self._whole = 0
        self._path = self._path[:-1]

    def end(self) -> None:
        """Count the time until now."""
        self._charge()

    def _charge(self) -> None:
        now = time.perf_counter_ns()
        self._own[self._path] = self._own.get(self._path, 0) + now - self._since
        self._since = now


_active: Profile | None = None


@contextmanager
def profiled() -> Iterator[Profile]:
    """Time the stages that this thread enters.

    Raises:
        ArgumentError: a profile is being taken already.
    """
    global _active
    if _active is not None:
        raise ArgumentError("a profile is being taken already: end it first")
    _active = profile = Profile()
    try:
        yield profile
    finally:
        profile.end()
        _active = None


def stage(
    name: str, *, settle: Callable[[], None] | None = None, whole: bool = False
) -> AbstractContextManager[None]:
    """A part of the work under a name.

    Args:
        name: without semicolons or line breaks.
        settle: waits until a device has done what it was given; called at both ends, and only while
            a profile is taken, so that the time is the device's.
        whole: what happens within counts for this stage, whatever stages it enters.
    """
    return _NOTHING if _active is None else _Stage(_active, name, settle, whole)


class _Nothing(AbstractContextManager[None]):
    """A stage that nobody times."""

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
            # After an error a device may not be there to wait for.
            self._profile.leave(self._settle if kind is None else None)
