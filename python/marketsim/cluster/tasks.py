"""Work for each of many names on a cluster: bounded tasks in flight, lost workers tried again."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from marketsim.arguments import check_whole
from marketsim.bars import Bars
from marketsim.cluster.connect import Cluster, ray_module
from marketsim.errors import ArgumentError
from marketsim.processes import Outcome, WorkerLostError
from marketsim.processes.workers import use_threads

LOSSES = 3  # times that a name's worker or node may be lost before the name fails

# In a worker: the work of the run that it last served, the bars of its task, what ends a task.
_held: dict[str, Any] = {}
_bars: dict[str, Any] = {}
at_end: list[Callable[[], object]] = []


class HandedBars(Mapping[str, Bars]):
    """Bars by symbol, which the driver reads and hands to the tasks that need them.

    On a node it gives the symbols of its task alone: nodes need no file of the driver's.

    Args:
        source: bars by symbol, which may be read on each access.
    """

    def __init__(self, source: Mapping[str, Bars]) -> None:
        self._source = source

    def __getitem__(self, symbol: str) -> Bars:
        return self._source[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return len(self._source)

    def __reduce__(self) -> tuple[Any, ...]:
        return _OnNode, ()

    def read(self, symbols: Sequence[str]) -> dict[str, Any]:
        """Read symbols; the value of one that cannot be read is its exception."""
        found: dict[str, Any] = {}
        for symbol in symbols:
            try:
                found[symbol] = self._source[symbol]
            except Exception as error:
                found[symbol] = error
        return found


class _OnNode(Mapping[str, Bars]):
    """`HandedBars` on a node."""

    def __getitem__(self, symbol: str) -> Bars:
        found = _bars[symbol]
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Bars)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_bars)

    def __len__(self) -> int:
        return len(_bars)


def run_each_on(
    cluster: Cluster,
    work: Callable[[str], Any],
    names: Sequence[str],
    *,
    bars: HandedBars | None = None,
    symbols_of: Callable[[str], Sequence[str]] = lambda name: (name,),
    losses: int = LOSSES,
) -> Iterator[tuple[str, Outcome]]:
    """Call `work(name)` for each name on a cluster; yields (name, outcome) as they finish.

    As `marketsim.processes.run_each`: an error of one name is its outcome, and stops no other. A
    name whose worker or node is lost is run again, elsewhere if need be; after `losses` losses its
    outcome is a `WorkerLostError`. Twice as many tasks as the living nodes have CPUs are in flight
    at most, each on one CPU. Closing the iterator, or Ctrl-C while waiting for it, cancels them.

    Args:
        cluster: what `connect` gave.
        work: function of a name; put into the object store once. A worker reads it once.
        names: names without repetition.
        bars: bars that `work` reads; those of a name are read here when its task starts.
        symbols_of: the symbols of `bars` that a name needs.
        losses: how often a name's worker may be lost.

    Raises:
        ArgumentError: losses below 1; or work that cannot be handed over.
    """
    check_whole("losses", losses, 1)
    held = hand_over(ray_module(), work)
    return _Tasks(cluster, held, bars, symbols_of, losses).run(names)


def hand_over(ray: Any, work: Any) -> Any:
    """Put a function into the object store once; raises ArgumentError where it cannot be."""
    try:
        return ray.put(work)
    except Exception as error:
        raise ArgumentError(
            f"{work!r:.80} must be handed to the nodes of a cluster, and cannot be: {error}. "
            "Define it as a function of a module"
        ) from error


class _Tasks:
    """The tasks of one run."""

    def __init__(
        self,
        cluster: Cluster,
        work: Any,
        bars: HandedBars | None,
        symbols_of: Callable[[str], Sequence[str]],
        losses: int,
    ) -> None:
        self.ray = ray_module()
        self.cluster, self.work, self.bars = cluster, work, bars
        self.symbols_of, self.losses = symbols_of, losses
        # Lost workers are counted here, so that a name that kills its worker ends.
        self.task = self.ray.remote(num_cpus=1, max_retries=0)(_run)
        self.flying: dict[Any, tuple[str, Any]] = {}
        self.lost: dict[str, int] = {}

    def run(self, names: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
        todo = iter(names)
        try:
            self._fill(todo)
            while self.flying:
                ready, _ = self.ray.wait(list(self.flying), num_returns=1)
                more, _ = self.ray.wait(
                    [one for one in self.flying if one not in ready] or ready,
                    num_returns=max(1, len(self.flying) - len(ready)), timeout=0,
                )  # fmt: skip
                ended = [self._ended(one) for one in dict.fromkeys([*ready, *more])]
                self._fill(todo)  # before the caller, who may take long, sees what has ended
                yield from (one for one in ended if one is not None)
        finally:
            for reference in self.flying:
                self.ray.cancel(reference, force=True)
            self.flying.clear()

    def _fill(self, todo: Iterator[str]) -> None:
        most = 2 * self.cluster.cpus
        while len(self.flying) < most and (name := next(todo, None)) is not None:
            given = None if self.bars is None else self.bars.read(self.symbols_of(name))
            self._start(name, given)

    def _start(self, name: str, given: Any) -> None:
        self.flying[self.task.remote([self.work], name, given)] = (name, given)

    def _ended(self, reference: Any) -> tuple[str, Outcome] | None:
        """Return the outcome of a task; None where it is run again."""
        name, given = self.flying.pop(reference)
        errors = self.ray.exceptions
        try:
            node, found, raised = self.ray.get(reference)
        except errors.RayTaskError as error:  # what it found cannot be handed over
            cause = getattr(error, "cause", None) or error
            return name, Outcome(raised=RuntimeError(f"{type(cause).__name__}: {cause}"))
        except errors.RayError as error:
            self.lost[name] = self.lost.get(name, 0) + 1
            if self.lost[name] < self.losses:
                self._start(name, given)
                return None
            why = first_line(error)
            return name, Outcome(
                raised=WorkerLostError(
                    f"the worker that ran {name} was lost {self.losses} times: {why}", why
                )
            )
        self.cluster.places[name] = node
        return name, Outcome(found=found, raised=raised)


def first_line(error: Exception) -> str:
    """Name an error by its class and the first line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _run(work: Sequence[Any], name: str, bars: Any) -> tuple[str, Any, BaseException | None]:
    """Run one name on a node; returns (node, found, raised)."""
    ray = ray_module()
    node = str(ray.get_runtime_context().get_node_id())
    _bars.update(bars or {})
    found, raised = None, None
    try:
        found = work_of_run(ray, work[0])(name)
    except Exception as error:
        error.add_note(f"on node {node[:8]}:\n{traceback.format_exc()}")
        raised = error
    finally:
        _bars.clear()
    try:
        for end in at_end:  # what was made is kept where the name failed, too
            end()
    except Exception as error:
        return node, None, raised or error
    return node, found, raised


def work_of_run(ray: Any, reference: Any) -> Any:
    """Return the work of a run; kept for the next task of this worker."""
    key = reference.hex()
    if key not in _held:
        use_threads(1)
        _held.clear()
        at_end.clear()
        _held[key] = ray.get(reference)
    return _held[key]
