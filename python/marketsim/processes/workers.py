"""Worker processes for a function; they share the memory of what it has read.

Where the system can fork, a process shares the memory of the one that began it: bars, features and
forecasts, mapped or not, are there without a copy. Elsewhere, and where torch is loaded (its
threads do not survive a fork), a process starts anew and the function is handed to it, so that it
must be importable: a function of a module, not a lambda. Its arrays are handed over in shared
memory, and so are those that it returns.

Only the function runs there. Samplers, storage and ledger belong to the process that searches.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, NamedTuple

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.processes.messages import Package, receive, send


class Pruned(Exception):
    """Raised by an objective, or by `report`, to end a trial that has no prospects."""


class Outcome(NamedTuple):
    """Result of a trial: the value that the objective returned, or its exception."""

    found: Any = None
    raised: BaseException | None = None


class WorkerLostError(RuntimeError):
    """Raised if a process ends in the middle of its work: killed, or out of memory.

    Attributes:
        why: how it ended, such as "signal 9".
    """

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why

    def naming(self, name: str) -> WorkerLostError:
        """Return the error for work that has a name, such as a symbol's."""
        hint = ""
        if self.why == "signal 9":
            hint = "; the system does that where memory runs out: fewer jobs need less"
        return WorkerLostError(f"the process that ran {name} ended: {self.why}{hint}", self.why)


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    job: int | None = None  # the trial it works on


def can_share_memory() -> bool:
    """Whether a new process has the memory of this one: it is forked.

    Not where torch is loaded: threads that it may have started do not survive that.
    """
    return "fork" in multiprocessing.get_all_start_methods() and "torch" not in sys.modules


class Workers:
    """Processes that evaluate a function.

    Args:
        objective: called with parameters by name; with `report=` where `reports`.
        jobs: how many processes. Each uses its share of the cores, by torch too.
        reports: whether the objective takes `report`.
        fork: whether to fork; None: `can_share_memory()`. True is for a caller who loads torch, but
            has not run anything on several of its threads.
    """

    def __init__(
        self,
        objective: Callable[..., Any],
        jobs: int,
        *,
        reports: bool,
        fork: bool | None = None,
    ) -> None:
        self._objective, self._reports = objective, reports
        self._forks = can_share_memory() if fork is None else fork
        self._context: Any = multiprocessing.get_context("fork" if self._forks else "spawn")
        self._package = None if self._forks else _handed_over(objective)
        self._threads = max(1, _core.thread_limit() // jobs)
        self._workers: list[_Worker] = []
        for _ in range(jobs):
            self._workers.append(self._begin())

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        if self._package is not None:
            self._package.close()

    def _begin(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        # A forked process closes what it inherits of the others, so that each sees its own end.
        inherited = [ours, *(worker.pipe for worker in self._workers)] if self._forks else []
        process = self._context.Process(
            target=_work,
            args=(
                theirs,
                inherited,
                self._objective if self._forks else None,
                self._reports,
                self._threads,
            ),
            daemon=True,
        )
        with _ctrl_c_waits(), _shared_objects(self._forks):
            process.start()
        theirs.close()
        if self._package is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # found by `finished`
                self._package.send(ours)
        return _Worker(process, ours)

    @property
    def idle(self) -> bool:
        """Whether a process waits for a trial."""
        return any(worker.job is None for worker in self._workers)

    @property
    def running(self) -> list[int]:
        """Return the trials that are being evaluated."""
        return [worker.job for worker in self._workers if worker.job is not None]

    def start(self, job: int, params: Mapping[str, Any]) -> None:
        """Hand a trial to an idle process."""
        worker = next(worker for worker in self._workers if worker.job is None)
        worker.job = job
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # found by `finished`
            worker.pipe.send(dict(params))

    def finished(self, prunes: Callable[[int, float, int], bool]) -> list[tuple[int, Outcome]]:
        """Wait until a trial ends, or several; answers reports meanwhile.

        Args:
            prunes: (trial, value, step) to whether it ends there.
        """
        done: list[tuple[int, Outcome]] = []
        while not done:
            busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker = busy[pipe]
                assert worker.job is not None
                try:
                    kind, *rest = receive(pipe)
                except (EOFError, ConnectionResetError):
                    done.append((worker.job, self._replace(worker)))
                    continue
                if kind == "report":
                    pipe.send(prunes(worker.job, *rest))
                    continue
                outcome = Outcome(found=rest[0]) if kind == "found" else Outcome(raised=rest[0])
                done.append((worker.job, outcome))
                worker.job = None
        return done

    def _replace(self, lost: _Worker) -> Outcome:
        lost.pipe.close()
        lost.process.join()
        code = lost.process.exitcode
        self._workers.remove(lost)
        self._workers.append(self._begin())
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Outcome(raised=WorkerLostError(f"the process of this trial ended: {why}", why))


def _handed_over(objective: Callable[..., Any]) -> Package:
    try:
        return Package(objective)
    except Exception as error:
        raise ArgumentError(
            f"with jobs above 1, {objective!r:.80} must be handed to new processes, because "
            f"{'torch is loaded' if 'torch' in sys.modules else 'this system cannot fork'}, and "
            f"cannot be: {error}. "
            "Define it as a function of a module, use replay_objective or walk_forward_objective, "
            "or run with jobs=1"
        ) from error


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back, here and in a process that begins inside until it ignores it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _shared_objects(forks: bool) -> Iterator[None]:
    """Keep the collector of a forked process off the objects that it shares: looking at one copies.

    A process that is begun inside never collects them; this one does again afterwards.
    """
    if not forks:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def use_threads(threads: int) -> None:
    """Limit the threads of kernels, and of torch whether it is loaded or comes later."""
    _core.set_thread_limit(threads)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(threads)


def _work(
    pipe: Connection,
    inherited: list[Connection],
    objective: Callable[..., Any] | None,
    reports: bool,
    threads: int,
) -> None:
    """Evaluate trials until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    for other in inherited:
        other.close()
    use_threads(threads)
    try:
        call = receive(pipe, mapped=True) if objective is None else objective
    except (EOFError, ConnectionResetError):
        return

    def report(value: float, step: int) -> None:
        send(pipe, ("report", float(value), int(step)))
        if pipe.recv():
            raise Pruned

    more = {"report": report} if reports else {}
    while True:
        try:
            params = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            message = ("found", call(**params, **more))
        except Exception as error:
            error.add_note(f"in another process:\n{traceback.format_exc()}")
            message = ("raised", error)
        try:
            send(pipe, message)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # a result or an error that cannot be sent
            said = message[1] if message[0] == "raised" else error
            send(pipe, ("raised", RuntimeError(f"{type(said).__name__}: {said}")))
