"""Walk-forward runs of many symbols, each as `walk_forward` runs it, in several processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marketsim.arguments import check_whole
from marketsim.bars import Bars, read_many
from marketsim.bars.several import list_bars
from marketsim.errors import ArgumentError, MarketsimError
from marketsim.forecasts import ForecastStore, StoreLike, open_store
from marketsim.models import Model, load_model
from marketsim.processes import Outcome, WorkerLostError, can_share_memory, run_each
from marketsim.progress import Progress, SymbolsBar
from marketsim.walkforward.prepared import walk_forward
from marketsim.walkforward.result import WalkForwardResult

if TYPE_CHECKING:
    from marketsim.cluster import Cluster


def walk_forward_each(
    bars: Mapping[str, Bars] | Sequence[Bars] | str | os.PathLike[str],
    model: str | os.PathLike[str] | Model = "range",
    *,
    jobs: int = 1,
    errors: dict[str, str] | None = None,
    store: StoreLike = None,
    progress: Progress = True,
    cluster: str | Cluster | None = None,
    **options: Any,
) -> dict[str, WalkForwardResult]:
    """Run `walk_forward` on each of many symbols.

    Each result equals that of `walk_forward`, in any number of processes. All results stay in
    memory; `marketsim backtest FOLDER` keeps their summaries only.

    Args:
        bars: a folder or a file of several symbols; a mapping by symbol, such as `read_folder`
            gives, which reads one symbol when it is needed; or several `Bars`.
        model: a `Model`, or a name for `load_model`.
        jobs: processes that share the symbols. They are forked where torch is not loaded before,
            and share the memory of this one; else bars and model are handed to new processes, and
            a script must guard its start by ``if __name__ == "__main__":``.
        errors: a dict that collects the error of each failed symbol, a process that was killed
            included, instead of an exception.
        store: as in `walk_forward`.
        progress: as in `walk_forward`; forecasts are counted, of all symbols.
        cluster: "auto", the address of a Ray head, or what `marketsim.cluster.connect` gave: the
            symbols are run by the cluster's nodes instead of `jobs` processes.
        options: further arguments of `walk_forward`.

    Returns:
        Results by symbol, in the order of `bars`.

    Raises:
        ArgumentError: jobs below 1, or above it with a cluster; no symbol, or a symbol twice.
        MissingDependencyError, ClusterError: as `marketsim.cluster.connect`.
        Exception: without `errors`, the first symbol's error, as `walk_forward` raises it.

    Example:
        >>> import marketsim as ms
        >>> found = ms.walk_forward_each(
        ...     [ms.demo_bars()], "ewma", simulations=5, store=False, progress=False
        ... )
        >>> list(found)
        ['SP500']
    """
    jobs = check_whole("jobs", jobs, 1)
    fork = can_share_memory()  # asked before a model loads torch
    many = _by_symbol(bars)
    loaded = load_model(model) if isinstance(model, (str, os.PathLike)) else model
    symbols = list(many)
    bar = SymbolsBar("walk-forward of", len(symbols), enabled=progress)
    if cluster is None:
        within: Progress = bar.within if jobs == 1 or len(symbols) == 1 else False
        work = _Run(many, loaded, open_store(store), options, within)
        return _collected(run_each(work, symbols, jobs=jobs, fork=fork), symbols, errors, bar)
    from marketsim.cluster import run_on

    if jobs > 1:
        raise ArgumentError(f"jobs and cluster exclude each other: got jobs={jobs} and a cluster")
    with run_on(cluster, loaded, many, store) as run:
        work = _Run(run.bars, run.model, run.store, options, False)
        return _collected(run.each(work, symbols), symbols, errors, bar)


def _collected(
    outcomes: Iterator[tuple[str, Outcome]],
    symbols: list[str],
    errors: dict[str, str] | None,
    bar: SymbolsBar,
) -> dict[str, WalkForwardResult]:
    left = dict.fromkeys(symbols)
    found: dict[str, WalkForwardResult] = {}
    failed: dict[str, str] = {}
    with contextlib.closing(outcomes), bar:  # type: ignore[type-var]
        bar.start(symbols[0])
        for symbol, outcome in outcomes:
            del left[symbol]
            made = 0
            if outcome.raised is None:
                made = sum(plan.forecasts for plan in outcome.found.plans)
            bar.finish(made)
            if left:
                bar.start(next(iter(left)))
            if outcome.raised is None:
                found[symbol] = outcome.found
            elif errors is not None and isinstance(outcome.raised, _OF_ONE):
                failed[symbol] = str(outcome.raised)
            else:
                raise outcome.raised
    if errors is not None:
        errors.update({symbol: failed[symbol] for symbol in symbols if symbol in failed})
    return {symbol: found[symbol] for symbol in symbols if symbol in found}


_OF_ONE = (MarketsimError, OSError, WorkerLostError)  # errors that cost their symbol alone


def _by_symbol(bars: Any) -> Mapping[str, Bars]:
    if isinstance(bars, (str, os.PathLike)):
        return read_many(bars)
    if isinstance(bars, Mapping) and not isinstance(bars, dict):
        return bars  # it may read each symbol on access
    return {one.symbol: one for one in list_bars(bars)}


@dataclass(frozen=True)
class _Run:
    """The run of one symbol."""

    bars: Mapping[str, Bars]
    model: Model
    store: ForecastStore | None
    options: dict[str, Any]
    progress: Progress

    def __call__(self, symbol: str) -> WalkForwardResult:
        store: StoreLike = False if self.store is None else self.store
        return walk_forward(
            self.bars[symbol], self.model, store=store, progress=self.progress, **self.options
        )
