"""A run on a cluster: its model, bars and store as the tasks see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from marketsim.bars import Bars
from marketsim.cluster.connect import Cluster, connected
from marketsim.cluster.tasks import HandedBars, run_each_on
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastStore, StoreLike
from marketsim.models import Model
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
    store: ForecastStore | None

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
        store: False or None for none.

    Raises:
        MissingDependencyError, ClusterError, ArgumentError: as `connect`.
        ArgumentError: a store that the nodes cannot share.
    """
    if store not in (None, False):
        raise ArgumentError(f"a run on a cluster has no store yet: got store={store!r}")
    with connected(cluster) as found:
        yield ClusterRun(found, HandedBars(bars), model, None)
