"""One piece of work for each of many names, such as symbols, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from marketsim.arguments import check_whole
from marketsim.processes.workers import Outcome, WorkerLostError, Workers


class _Named:
    """Calls work with a name; pickles where the work does."""

    def __init__(self, work: Callable[[str], Any]) -> None:
        self.work = work

    def __call__(self, name: str) -> Any:
        return self.work(name)


def run_each(
    work: Callable[[str], Any],
    names: Sequence[str],
    *,
    jobs: int = 1,
    fork: bool | None = None,
) -> Iterator[tuple[str, Outcome]]:
    """Call `work(name)` for each name; yields (name, outcome) as they finish.

    An error of one name is its outcome, and stops no other. A process that is killed is the
    outcome of the name that it worked on, a `WorkerLostError`; another takes its place. Closing
    the iterator, or Ctrl-C while waiting for it, ends all processes.

    Args:
        work: function of a name. With one job it is called in this process; in others, forked where
            that is safe, its bars, features and forecasts are shared, and arrays that it returns
            come back in shared memory.
        names: names without repetition.
        jobs: how many processes; each has its share of the processor's cores, for torch too.
        fork: see `Workers`.

    Raises:
        ArgumentError: jobs below 1; or work that cannot be handed to a new process.

    Example:
        >>> from marketsim.processes import run_each
        >>> [(name, outcome.found) for name, outcome in run_each(str.lower, ["A", "B"])]
        [('A', 'a'), ('B', 'b')]
    """
    jobs = min(check_whole("jobs", jobs, 1), len(names))
    if jobs <= 1:
        return _alone(work, names)
    running = _together(work, names, jobs, fork)
    next(running)  # begins the processes now, before the caller has threads such as a bar's
    return running


def _alone(work: Callable[[str], Any], names: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
    for name in names:
        try:
            outcome = Outcome(found=work(name))
        except Exception as error:
            outcome = Outcome(raised=error)
        yield name, outcome


def _together(
    work: Callable[[str], Any], names: Sequence[str], jobs: int, fork: bool | None
) -> Iterator[tuple[str, Outcome]]:
    with Workers(_Named(work), jobs, reports=False, fork=fork) as workers:
        yield "", Outcome()  # taken by `run_each`
        todo = iter(range(len(names)))

        def fill() -> None:
            while workers.idle and (number := next(todo, None)) is not None:
                workers.start(number, {"name": names[number]})

        fill()
        while workers.running:
            ended = workers.finished(lambda *_: False)
            fill()  # before the caller, who may take long, sees what has ended
            for number, outcome in ended:
                name = names[number]
                if isinstance(outcome.raised, WorkerLostError):
                    outcome = Outcome(raised=outcome.raised.naming(name))
                yield name, outcome
