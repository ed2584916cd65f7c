"""Work on each symbol of a folder, in one process or several; used by several sub-commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marketsim.cli.flags import as_flags
from marketsim.errors import ArgumentError, MarketsimError, StoreWriteError
from marketsim.processes import Outcome, WorkerLostError, run_each

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.cluster import ClusterRun
    from marketsim.forecasts import ForecastStore
    from marketsim.progress import Progress

_OF_ONE = (MarketsimError, OSError, WorkerLostError)  # errors that cost their symbol alone


def add_jobs(group: argparse._ActionsContainer) -> None:
    """Add --jobs."""
    group.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="processes that share a folder's symbols; the result is the same (default: 1)",
    )

    group.add_argument(
        "--cluster",
        metavar="auto|ADDRESS",
        help="run a folder's symbols on a Ray cluster instead: auto, or the address of its head, "
        "host:port; --store is then a folder that its nodes share, or a URL",
    )


@dataclass(frozen=True)
class Ready:
    """What the work on a folder's symbols is given.

    Attributes:
        bars: bars by symbol.
        model: the model, or one whose forecasts the cluster's actors make.
        store: the store of forecasts; None for none.
        run: the run on a cluster; None for processes of this machine.
    """

    bars: Mapping[str, Bars]
    model: Any
    store: Any
    run: ClusterRun | None = None


@contextlib.contextmanager
def ready(
    args: argparse.Namespace,
    bars: Mapping[str, Bars],
    model: Any,
    store: Callable[[], ForecastStore | None] = lambda: None,
) -> Iterator[Ready]:
    """Prepare the work on symbols, here or with --cluster; what is wrong raises before it starts.

    Args:
        args: the command's arguments: cluster, jobs, and where it has a store store and no_store.
        bars: bars by symbol.
        model: the model; None for work without forecasts.
        store: opens the store of processes of this machine.
    """
    if args.cluster is None:
        yield Ready(bars, model, store())
        return
    from marketsim.cluster import run_on

    if args.jobs > 1:
        raise ArgumentError(f"--jobs and --cluster exclude each other: got --jobs {args.jobs}")
    shared = None if getattr(args, "no_store", False) else getattr(args, "store", None)
    with run_on(args.cluster, model, bars, shared) as run:
        if not args.quiet:
            count, cpus = len(run.cluster.nodes), run.cluster.cpus
            print(f"cluster {run.cluster.address}: {count} nodes, {cpus} CPUs", file=sys.stderr)
        yield Ready(run.bars, run.model, run.store, run)


def refuse_cluster(args: argparse.Namespace) -> None:
    """Raise for --cluster of one symbol.

    Raises:
        ArgumentError: --cluster is given.
    """
    if args.cluster is not None:
        raise ArgumentError("--cluster runs the symbols of a folder: got one symbol")


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number of processes, 1 to 1024: got {text!r}")
    return int(text)


@dataclass
class Ran:
    """What became of the symbols of a run.

    Attributes:
        done: symbols that finished, in their order.
        errors: error message of each symbol that failed.
        counts: hits, misses and damage that all processes counted in the store.
        left: symbols that Ctrl-C has left undone.
    """

    done: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def report_left(self) -> None:
        """Say on stderr what Ctrl-C has left undone."""
        if self.left:
            total = len(self.done) + len(self.errors) + len(self.left)
            print(
                f"interrupted: {len(self.left):,} of {total:,} symbols are not done, from "
                f"{self.left[0]} on",
                file=sys.stderr,
            )


def each_symbol(
    work: Callable[[str, Progress], Any],
    symbols: Sequence[str],
    take: Callable[[str, Any], None],
    args: argparse.Namespace,
    *,
    description: str,
    fork: bool,
    store: ForecastStore | None = None,
    unit: str = "forecasts",
    units: Callable[[Any], int],
    jobs: int | None = None,
    sizes: Mapping[str, int] | None = None,
    run: ClusterRun | None = None,
    symbols_of: Callable[[str], Sequence[str]] = lambda name: (name,),
) -> Ran:
    """Run `work` on each symbol in --jobs processes; `take` what it found, in the symbols' order.

    Output, errors and results are those of one process. Ctrl-C ends the processes; what they have
    finished is taken, and `Ran.left` names the rest.

    Args:
        work: function of a symbol and of how to report its progress: a function, or False in
            another process.
        symbols: the symbols.
        take: called here with a symbol and what `work` returned.
        args: the command's arguments: jobs, debug, quiet.
        description: what a progress bar says.
        fork: whether processes may be forked: torch was not loaded before the command began.
        store: the store that `work` uses, to count its hits.
        unit: what the bar counts; empty for no rate.
        units: how many of them a symbol's result is.
        jobs: instead of `args.jobs`.
        sizes: how many symbols each name of `symbols` stands for; one by default.
        run: the run on a cluster, whose nodes do the work instead of processes.
        symbols_of: the symbols that a name of `symbols` stands for, whose bars its task is given.

    Raises:
        Exception: an error of `work` that is no symbol's alone: a full store, or a defect.
    """
    from marketsim.progress import SymbolsBar

    ran, told = Ran(), set[str]()
    jobs = args.jobs if jobs is None else jobs
    several = jobs > 1 and len(symbols) > 1
    counted = dict.fromkeys(symbols, 1) if sizes is None else sizes
    call = _Heard(work, store)
    waiting: dict[str, Outcome] = {}
    order = iter(symbols)
    following = next(order, None)

    def settle(symbol: str, outcome: Outcome) -> None:
        heard = outcome.found if outcome.raised is None else _Said(raised=outcome.raised)
        heard.repeat(told)
        for name, count in heard.counts.items():
            ran.counts[name] = ran.counts.get(name, 0) + count
        if heard.raised is None:
            take(symbol, heard.found)
            ran.done.append(symbol)
        elif not _costs_one(heard.raised) or args.debug:
            raise heard.raised
        else:
            ran.errors[symbol] = as_flags(heard.raised)

    bar = SymbolsBar(
        description, sum(counted.values()), enabled=not args.quiet, delay=0.0, unit=unit
    )

    def here(symbol: str) -> _Said:
        return call.aloud(symbol, bar.within)

    if run is None:
        outcomes = run_each(call if several else here, symbols, jobs=jobs, fork=fork)
    else:
        outcomes = run.each(call, symbols, symbols_of)
    with contextlib.closing(outcomes), bar:  # type: ignore[type-var]

        def name_next() -> None:
            if following is not None:  # the first symbol that is not done
                bar.start(following)

        name_next()
        try:
            for symbol, outcome in outcomes:
                waiting[symbol] = outcome
                said = outcome.found
                failed = said is None or said.raised is not None
                bar.finish(0 if failed else units(said.found), counted[symbol])
                while following in waiting:
                    assert following is not None
                    settle(following, waiting.pop(following))
                    following = next(order, None)
                name_next()
        except KeyboardInterrupt:
            outcomes.close()  # type: ignore[attr-defined]
            for symbol in sorted(waiting, key=list(symbols).index):
                settle(symbol, waiting[symbol])
            ran.left = [s for s in symbols if s not in ran.done and s not in ran.errors]
    return ran


def _costs_one(error: BaseException) -> bool:
    """Whether an error costs its symbol alone; a full store costs the run."""
    if isinstance(error, BrokenPipeError | StoreWriteError):
        return False  # from the output, or of the store
    return isinstance(error, _OF_ONE)


@dataclass
class _Said:
    """What work returned or raised, and what it printed meanwhile."""

    found: Any = None
    raised: BaseException | None = None
    out: str = ""
    err: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def repeat(self, told: set[str]) -> None:
        """Print what was printed; a warning that another process has given is not given again."""
        print(self.out, end="")
        for line in self.err.splitlines(keepends=True):
            if not (line.startswith("warning: ") and line in told):
                print(line, end="", file=sys.stderr)
            told.add(line)


class _Heard:
    """Calls work; returns what it found, raised and printed."""

    def __init__(self, work: Callable[[str, Progress], Any], store: ForecastStore | None) -> None:
        self.work, self.store = work, store

    def __call__(self, symbol: str) -> _Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            said = self.aloud(symbol, False)
        said.out, said.err = out.getvalue(), err.getvalue()
        return said

    def aloud(self, symbol: str, progress: Progress) -> _Said:
        """Call work, which prints at once."""
        before = counts_of(self.store)
        said = _Said()
        try:
            said.found = self.work(symbol, progress)
        except Exception as error:
            said.raised = error
        after = counts_of(self.store)
        said.counts = {name: after[name] - before[name] for name in after}
        return said


def counts_of(store: ForecastStore | None) -> dict[str, int]:
    """Counters of a store on disk; empty for others."""
    return dict(getattr(store, "counters", {}))
