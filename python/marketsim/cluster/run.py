"""A run on a cluster: its model, bars and store as the tasks see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from marketsim.bars import Bars
from marketsim.cluster.actors import serving
from marketsim.cluster.connect import Cluster, connected
from marketsim.cluster.files import check_files, has_weights
from marketsim.cluster.segments import SegmentStore
from marketsim.cluster.shared import shared_store
from marketsim.cluster.tasks import HandedBars, run_each_on
from marketsim.forecasts import StoreLike
from marketsim.models import Model, describe_model
from marketsim.processes import Outcome


@dataclass(frozen=True)
class ClusterRun:
    """What the tasks of a run are given, and `each`, which runs them.

    Attributes:
        cluster: the cluster.
        bars: bars that the driver reads and hands to the tasks.
        model: the model; one with weights sends its work to the model actors.
        store: the store of forecasts that all nodes share; None for none.
    """

    cluster: Cluster
    bars: HandedBars
    model: Any
    store: SegmentStore | None

    def each(
        self,
        work: Callable[[str], Any],
        names: Sequence[str],
        symbols_of: Callable[[str], Sequence[str]] = lambda name: (name,),
    ) -> Iterator[tuple[str, Outcome]]:
        """Run work on each name; see `run_each_on`."""
        return run_each_on(self.cluster, work, names, bars=self.bars, symbols_of=symbols_of)


@contextmanager
def run_on(
    cluster: str | Cluster, model: Model | None, bars: Mapping[str, Bars], store: StoreLike
) -> Iterator[ClusterRun]:
    """Prepare a run on a cluster; what is wrong raises before work starts.

    Args:
        cluster: see `connect`.
        model: the model; None for a run without forecasts.
        bars: bars by symbol.
        store: a folder that all nodes share, an fsspec URL, or a `SegmentStore`; False or None
            for none.

    Raises:
        MissingDependencyError, ClusterError, ArgumentError: as `connect`.
        ArgumentError: a store that the nodes cannot share.
        ClusterError: a node without the model's files, no GPU where one was asked for, or a store
            that another driver writes.
    """
    with connected(cluster) as found, ExitStack() as stack:
        facts = {} if model is None else {"model": describe_model(model)}
        kept = stack.enter_context(shared_store(found, store, facts))
        served: Any = model
        if model is not None and has_weights(model):
            check_files(found, model)
            served = stack.enter_context(serving(found, model))
        yield ClusterRun(found, HandedBars(bars), served, kept)
