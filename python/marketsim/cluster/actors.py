"""Model actors: one a device, which serves forecasts in batches that several symbols fill."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.cluster.connect import Cluster, ray_module
from marketsim.cluster.files import on_this_node
from marketsim.errors import ArgumentError, ClusterError
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity, identity_of
from marketsim.models.mixture import StudentTMixture
from marketsim.models.protocol import BatchForecasts
from marketsim.models.traits import ModelTraits, traits_of
from marketsim.processes import WorkerLostError
from marketsim.processes.workers import use_threads

QUEUE = 64  # requests that an actor takes at a time; others wait with their tasks
GATHER_SECONDS = 0.005  # to let other symbols join a batch
RESTARTS = 3
START_SECONDS = 300.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Request:
    """What one task asks of the model: series, the first forecast of each, horizon."""

    series: list[Array]
    starts: list[int]
    horizon: int


class _Server:
    """The actor: it owns a device and a loaded model."""

    def __init__(self, model: Any, threads: int) -> None:
        use_threads(threads)
        self.model = on_this_node(model)
        self.waiting: list[tuple[_Request, asyncio.Future[Any]]] = []
        self.turn = asyncio.Lock()
        self.served = {"requests": 0, "batches": 0}

    async def ready(self) -> int:
        """Load the weights; returns the process."""
        await asyncio.to_thread(lambda: getattr(self.model, "network", None))
        return os.getpid()

    async def counts(self) -> dict[str, int]:
        """Requests served, and the calls of the model that served them."""
        return self.served

    async def batches(
        self, series: list[Array], starts: list[int], horizon: int
    ) -> list[BatchForecasts]:
        """Forecast series together with those of other tasks that wait."""
        mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((_Request(series, starts, horizon), mine))
        await asyncio.sleep(GATHER_SECONDS)
        async with self.turn:
            if not mine.done():
                await self._serve(horizon)
        return await mine  # type: ignore[no-any-return]

    async def _serve(self, horizon: int) -> None:
        """Run all that waits for this horizon as one call."""
        now = [one for one in self.waiting if one[0].horizon == horizon]
        self.waiting = [one for one in self.waiting if one[0].horizon != horizon]
        self.served["requests"] += len(now)
        self.served["batches"] += 1
        try:
            found = await asyncio.to_thread(_predict, self.model, [one for one, _ in now], horizon)
        except Exception:  # the request that fails costs itself alone
            for request, future in now:
                try:
                    alone = await asyncio.to_thread(_predict, self.model, [request], horizon)
                except Exception as error:
                    future.set_exception(error)
                else:
                    future.set_result(alone[0])
            return
        for (_, future), batches in zip(now, found, strict=True):
            future.set_result(batches)

    async def call(self, method: str, *given: Any, **options: Any) -> Any:
        """Call a method of a model that makes no batches."""
        async with self.turn:
            return await asyncio.to_thread(getattr(self.model, method), *given, **options)


def _predict(model: Any, requests: Sequence[_Request], horizon: int) -> list[list[BatchForecasts]]:
    """Forecast several requests in one call; returns the batches of each."""
    series = [one for request in requests for one in request.series]
    starts = [one for request in requests for one in request.starts]
    owners = np.repeat(np.arange(len(requests)), [len(one.series) for one in requests])
    first = np.cumsum([0, *(len(one.series) for one in requests)])
    found: list[list[BatchForecasts]] = [[] for _ in requests]

    def take(batch: BatchForecasts) -> None:
        for owner in np.unique(owners[batch.series]):
            part = owners[batch.series] == owner
            rows = rows_of(batch.distribution, part)
            found[owner].append(
                BatchForecasts(batch.series[part] - first[owner], batch.days[part], rows)
            )

    model.predict_batches(series, starts, take, horizon=horizon)
    return found


def rows_of(distribution: Any, part: npt.NDArray[np.bool_]) -> Distribution:
    """Return some forecasts of a distribution, unchanged.

    Example:
        >>> both = QuantileDistribution([0.1, 0.9], [[[0.0, 1.0]], [[2.0, 3.0]]])
        >>> rows_of(both, np.array([False, True])).quantiles.tolist()
        [[[2.0, 3.0]]]
    """
    found = copy.copy(distribution)
    if isinstance(found, QuantileDistribution):
        found.quantiles = found.quantiles[part]
        found._mean = None if found._mean is None else found._mean[part]
        found._std = None if found._std is None else found._std[part]
        return found
    if isinstance(found, StudentTMixture):
        values = (found.df, found.loc, found.scale, found.weights)
        return StudentTMixture(*(one[part] for one in values))
    raise ArgumentError(f"{type(distribution).__name__} cannot be split between symbols")


class ActorModel:
    """A model whose forecasts are made by the model actors; it pickles to the tasks.

    Args:
        model: the model.
        actors: handles of actors that hold it, with the node of each.
    """

    def __init__(self, model: Any, actors: Sequence[tuple[str, Any]]) -> None:
        self.name: str = model.name
        self.fingerprint: str = model.fingerprint
        self.context_length: int | None = model.context_length
        self.levels: tuple[float, ...] = tuple(model.levels)
        self.traits: ModelTraits = traits_of(model)
        self.identity: ModelIdentity | None = identity_of(model)
        self._actors = list(actors)

    def predict_batches(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        take: Callable[[BatchForecasts], None],
        *,
        horizon: int = 1,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """As the model's own, by an actor."""
        arrays = [np.asarray(one, dtype=np.float64) for one in series]
        for batch in self._asked("batches", arrays, [int(one) for one in starts], horizon):
            take(batch)

    def predict(self, *given: Any, **options: Any) -> Any:
        """As the model's own, by an actor."""
        return self._asked("call", "predict", *given, **options)

    def predict_each(self, *given: Any, **options: Any) -> Any:
        """As the model's own, by an actor."""
        return self._asked("call", "predict_each", *given, **options)

    def predict_inputs(self, *given: Any, **options: Any) -> Any:
        """As the model's own, by an actor."""
        return self._asked("call", "predict_inputs", *given, **options)

    def _asked(self, method: str, *given: Any, **options: Any) -> Any:
        """Ask an actor, this node's first; the next one where it is lost."""
        ray = ray_module()
        here = str(ray.get_runtime_context().get_node_id())
        turn = os.getpid() % len(self._actors)
        order = [*self._actors[turn:], *self._actors[:turn]]
        order.sort(key=lambda one: one[0] != here)
        last: Exception | None = None
        for _, actor in order:
            try:
                return ray.get(getattr(actor, method).remote(*given, **options))
            except ray.exceptions.RayTaskError as error:
                cause = getattr(error, "cause", None)
                raise (cause if isinstance(cause, Exception) else error) from None
            except ray.exceptions.RayActorError as error:
                last = error
        raise WorkerLostError(f"every actor of {self.name} was lost: {last}", str(last))


@contextmanager
def serving(cluster: Cluster, model: Any) -> Iterator[ActorModel]:
    """Start the actors of a model, one a GPU, or one a node for the CPU; they end with the run.

    A CPU actor holds no CPU of its own: the tasks that wait for it release theirs.

    Raises:
        ClusterError: a GPU was asked for and no node has one, or an actor cannot load the model.
    """
    ray = ray_module()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpu = traits_of(model).device.startswith("cuda")
    homes = [
        node for node in cluster.nodes for _ in range(int(node.gpus) if gpu else node.cpus >= 1)
    ]
    if not homes:
        what = "a GPU" if gpu else "a CPU"
        listed = ", ".join(f"{node.host} {node.gpus:.0f}" for node in cluster.nodes)
        raise ClusterError(
            f"{model.name} was asked for on {traits_of(model).device}, and no node of the cluster "
            f"has {what} (GPUs by node: {listed}): load it with device='cpu', or add such a node"
        )
    kind = ray.remote(_Server)
    held, actors = ray.put(model), []
    try:
        for node in homes:
            there = NodeAffinitySchedulingStrategy(node_id=node.id, soft=True)
            actor = kind.options(
                num_cpus=0, num_gpus=int(gpu), max_concurrency=QUEUE, max_restarts=RESTARTS,
                max_task_retries=RESTARTS, scheduling_strategy=there,
            ).remote(held, max(1, int(node.cpus)))  # fmt: skip
            actors.append((node.id, actor))
        for node, (_, actor) in zip(homes, actors, strict=True):
            try:
                ray.get(actor.ready.remote(), timeout=START_SECONDS)
            except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
                why = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
                raise ClusterError(
                    f"node {node.host} ({node.id[:8]}) cannot load {model.name}: {why}"
                ) from error
        yield ActorModel(model, actors)
    finally:
        for _, actor in actors:
            ray.kill(actor)
