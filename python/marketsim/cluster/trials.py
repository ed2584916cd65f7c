"""Trials of a search on a cluster: as the worker processes of one machine, on all its nodes."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from marketsim.cluster.connect import Cluster, ray_module
from marketsim.cluster.tasks import LOSSES, first_line, hand_over, work_of_run
from marketsim.processes import Outcome, Pruned, WorkerLostError


class TrialTasks:
    """Tasks that evaluate a function, one on each CPU of a cluster.

    It has the methods of `marketsim.processes.Workers`, so that a search asks and tells the same
    way. A trial whose worker or node is lost is run again, elsewhere if need be; after three losses
    its outcome is a `WorkerLostError`.

    Args:
        cluster: what `connect` gave.
        objective: called with parameters by name; with `report=` where `reports`. It is put into
            the object store once, and its arrays are read from there without a copy.
        reports: whether the objective takes `report`.

    Raises:
        ArgumentError: an objective that cannot be handed over.
    """

    def __init__(self, cluster: Cluster, objective: Callable[..., Any], *, reports: bool) -> None:
        self._ray = ray_module()
        self._most = max(1, cluster.cpus)
        self._objective = hand_over(self._ray, objective)
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_evaluate)
        self._flying: dict[Any, tuple[int, dict[str, Any]]] = {}
        self._lost: dict[int, int] = {}
        self._reports: Any = None
        self._next: Any = None
        if reports:
            made = self._ray.remote(num_cpus=0, max_concurrency=4 * self._most + 8)(_Reports)
            self._reports = made.remote()
            self._next = self._reports.next.remote()

    def __enter__(self) -> TrialTasks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for reference in self._flying:
            self._ray.cancel(reference, force=True)
        self._flying.clear()
        if self._reports is not None:
            self._ray.kill(self._reports)

    @property
    def idle(self) -> bool:
        """Whether a CPU waits for a trial."""
        return len(self._flying) < self._most

    @property
    def running(self) -> list[int]:
        """Return the trials that are being evaluated."""
        return [job for job, _ in self._flying.values()]

    def start(self, job: int, params: Mapping[str, Any]) -> None:
        """Hand a trial to the cluster."""
        given = dict(params)
        reference = self._task.remote([self._objective], job, given, self._reports)
        self._flying[reference] = (job, given)

    def finished(self, prunes: Callable[[int, float, int], bool]) -> list[tuple[int, Outcome]]:
        """Wait until a trial ends, or several; answers reports meanwhile.

        Args:
            prunes: (trial, value, step) to whether it ends there.
        """
        done: list[tuple[int, Outcome]] = []
        while not done:
            waiting = [*self._flying, *([] if self._next is None else [self._next])]
            ready, _ = self._ray.wait(waiting, num_returns=1)
            more, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
            for reference in dict.fromkeys([*ready, *more]):
                if reference == self._next:
                    self._answer(prunes)
                elif (ended := self._ended(reference)) is not None:
                    done.append(ended)
        return done

    def _answer(self, prunes: Callable[[int, float, int], bool]) -> None:
        jobs = set(self.running)
        for asked, job, value, step in self._ray.get(self._next):
            # A report of a worker that was lost since is nobody's.
            self._reports.answer.remote(asked, job in jobs and prunes(job, value, step))
        self._next = self._reports.next.remote()

    def _ended(self, reference: Any) -> tuple[int, Outcome] | None:
        """Return the outcome of a task; None where it is run again."""
        job, params = self._flying.pop(reference)
        errors = self._ray.exceptions
        try:
            found, raised = self._ray.get(reference)
        except errors.RayTaskError as error:  # what it found cannot be handed over
            cause = getattr(error, "cause", None) or error
            return job, Outcome(raised=RuntimeError(f"{type(cause).__name__}: {cause}"))
        except errors.RayError as error:
            self._lost[job] = self._lost.get(job, 0) + 1
            if self._lost[job] < LOSSES:
                self.start(job, params)
                return None
            why = first_line(error)
            said = f"the worker of this trial was lost {LOSSES} times: {why}"
            return job, Outcome(raised=WorkerLostError(said, why))
        return job, Outcome(found=found, raised=raised)


class _Reports:
    """Passes the reports of trials to the search, and its answers back."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[tuple[int, int, float, int]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._count = 0

    async def ask(self, job: int, value: float, step: int) -> bool:
        """Return whether a trial ends at this step."""
        self._count += 1
        number = self._count
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._asked.put((number, job, value, step))
        return await self._answers[number]

    async def next(self) -> list[tuple[int, int, float, int]]:
        """Return the reports that have no answer yet, as soon as there is one."""
        found = [await self._asked.get()]
        while not self._asked.empty():
            found.append(self._asked.get_nowait())
        return found

    async def answer(self, number: int, prunes: bool) -> None:
        """Answer a report."""
        self._answers.pop(number).set_result(prunes)


def _evaluate(
    objective: list[Any], job: int, params: dict[str, Any], reports: Any
) -> tuple[Any, BaseException | None]:
    """Evaluate a trial on a node; returns (found, raised)."""
    ray = ray_module()

    def report(value: float, step: int) -> None:
        if ray.get(reports.ask.remote(job, float(value), int(step))):
            raise Pruned

    more = {} if reports is None else {"report": report}
    try:
        return work_of_run(ray, objective[0])(**params, **more), None
    except Exception as error:
        error.add_note(f"on node {ray.get_runtime_context().get_node_id()[:8]}:")
        error.add_note(traceback.format_exc())
        return None, error
