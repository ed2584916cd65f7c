"""marketsim forecast: fill the store with the forecasts that backtests need."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from marketsim.cli.arguments import (
    EXIT_INTERRUPTED,
    add_data_arguments,
    add_lock_timeout,
    add_model_arguments,
    add_plan_arguments,
    folder_exit,
    loaded_model,
    read_folder_source,
    read_source,
    store_location,
)
from marketsim.cli.each import Ran, Ready, add_jobs, each_symbol, ready
from marketsim.cli.flags import as_flags
from marketsim.cli.forecast_plan import (
    Planner,
    SymbolForecasts,
    estimate_facts,
    estimate_lines,
    plan_forecasts,
)
from marketsim.cli.parser import Source
from marketsim.cli.store_look import store_path
from marketsim.cli.store_text import plural, print_json
from marketsim.errors import (
    ArgumentError,
    MarketsimError,
    StoreReadOnlyError,
    StoreWarning,
    StoreWriteError,
)
from marketsim.processes import can_share_memory

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.forecasts import ForecastPlan, ForecastStore, PredictionStore
    from marketsim.models import Model
    from marketsim.progress import Progress

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim forecast demo.csv                      forecasts of `marketsim backtest demo.csv`
  marketsim forecast bars/ --model ewma --all-days every bar of every symbol
  marketsim forecast bars/ --jobs 8                symbols in eight processes
  marketsim forecast AAPL.csv --plan               count and estimate without forecasting
  marketsim forecast AAPL.csv --model Datadog/Toto-2.0-22m --dtype bfloat16
  marketsim forecast AAPL.csv --model checkpoints/toto --device cuda --compile --plan

A backtest with the same data, model, --simulations, --window, --offset-window, --purge and
--embargo finds all its forecasts in the store. One whose strategies fit no offsets needs fewer:
--offset-window 0.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, or a forecast that could not
be stored, 130 interrupted; forecasts made until then are stored
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "forecast",
        help="fill the store with the forecasts that a backtest needs",
        description=(
            "Make the forecasts that `marketsim backtest` would make, each once, and store them."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        action=Source,
        metavar="FILE|FOLDER|demo",
        help="CSV or Parquet file, folder of files, or demo",
    )
    add_model_arguments(parser.add_argument_group("the model"))
    group = parser.add_argument_group("the forecasts")
    add_plan_arguments(group)
    group.add_argument(
        "--all-days",
        action="store_true",
        help="every bar that can be forecast, whatever the options above",
    )
    group.add_argument(
        "--horizons",
        type=_horizons,
        default=(1,),
        metavar="H[,H...]",
        help="steps ahead, such as 1,5,20; a backtest uses 1 (default: 1)",
    )
    add_jobs(group)
    add_data_arguments(parser.add_argument_group("the data"))
    store = parser.add_argument_group("the store")
    store.add_argument(
        "--store",
        type=store_location,
        metavar="PATH",
        help="folder of the store (default: MARKETSIM_STORE, or marketsim/store in the user's "
        "cache folder)",
    )
    add_lock_timeout(store)
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--plan", action="store_true", help="count missing forecasts without running the model"
    )
    output.add_argument("--json", action="store_true", help="print JSON instead of tables")
    output.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _horizons(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be whole numbers separated by commas, such as 1,5,20: got {text!r}"
        ) from None


def run(args: argparse.Namespace) -> int:
    """Fill the store; returns the exit code."""
    folder = args.source != "demo" and Path(args.source).is_dir()
    fork = can_share_memory()  # asked before a model loads torch
    model = loaded_model(args)
    path = _store_of(args, folder)
    planner = Planner(args, model, path) if isinstance(path, Path) and args.plan else None
    ran = Ran()
    if folder:
        listed = read_folder_source(args)
        with ready(args, listed, model, lambda: None if planner else _opened(args, path)) as given:
            work = planner.count_all if planner else _Maker(args, given.model, given.store)
            found, ran = _each_group(given, work, args, fork, 1 if planner else together(model))
        ran.errors = listed.problems | ran.errors
    else:
        work = planner.count_all if planner else _Maker(args, model, _opened(args, path))
        bars = read_source(args)
        found = work([(bars, plan_forecasts(args, bars))], not args.quiet)
    if args.json:
        facts: dict[str, Any] = {
            "store": str(path),
            "model": model.name,
            "fingerprint": model.fingerprint,
        }
        facts |= {"symbols": [asdict(row) for row in found], "errors": ran.errors}
        print_json(facts | ({"estimate": estimate_facts(planner)} if planner else {}))
    elif found:
        print("\n".join([f"{model.name}  {path}", "", *_table(found, plan=args.plan)]))
        if planner:
            print("\n".join(estimate_lines(planner)))
    for symbol, message in ran.errors.items():
        print(f"error: {symbol}: {message}", file=sys.stderr)
    if ran.left:
        ran.report_left()
        return EXIT_INTERRUPTED
    return folder_exit(len(found), len(ran.errors))


def _store_of(args: argparse.Namespace, folder: bool) -> Path | str:
    if args.cluster is None:
        if isinstance(args.store, str):
            raise ArgumentError(f"--store {args.store} is a URL, which --cluster alone can use")
        return store_path(args.store)
    if args.plan or not folder or args.store is None:
        raise ArgumentError(
            "--cluster fills a store that its nodes share with the forecasts of a folder: give a "
            "folder and --store, and leave out --plan"
        )
    location: Path | str = args.store
    return location


def _opened(args: argparse.Namespace, path: Path | str) -> PredictionStore:
    from marketsim.forecasts import PredictionStore

    store = PredictionStore(path, lock_timeout=args.lock_timeout)
    if store.why_not:
        raise StoreReadOnlyError(f"this store cannot be written: {store.why_not}")
    return store


Planned: TypeAlias = "tuple[Bars, tuple[ForecastPlan, ...]]"
Work: TypeAlias = "Callable[[Sequence[Planned], Progress], list[SymbolForecasts]]"


def together(model: Model) -> int:
    """Return the most symbols whose forecasts are made together.

    A model with its own batches fills them better with several symbols.
    """
    from marketsim.models.traits import traits_of

    return 32 if traits_of(model).batched else 1


def _each_group(
    given: Ready, work: Work, args: argparse.Namespace, fork: bool, most: int
) -> tuple[list[SymbolForecasts], Ran]:
    """Forecast groups of symbols; note a symbol's error, stop at a store's."""
    symbols = list(given.bars)
    jobs = 1 if args.plan else args.jobs  # counting adds up in this process
    shares = jobs if given.run is None else given.run.cluster.cpus
    size = min(most, -(-len(symbols) // shares))
    groups = [symbols[i : i + size] for i in range(0, len(symbols), size)]
    names = {f"{group[0]} to {group[-1]}" if group[1:] else group[0]: group for group in groups}
    found: list[SymbolForecasts] = []
    errors: dict[str, str] = {}

    def take(_: str, made: tuple[list[SymbolForecasts], dict[str, str]]) -> None:
        found.extend(made[0])
        errors.update(made[1])

    ran = each_symbol(
        _Group(args, given.bars, work, names), list(names), take, args, description="forecasting",
        fork=fork, jobs=jobs, unit="" if args.plan else "forecasts",
        units=lambda made: sum(one.needed for one in made[0]),
        sizes={name: len(group) for name, group in names.items()},
        run=given.run, symbols_of=names.__getitem__,
    )  # fmt: skip
    ran.errors = errors | ran.errors
    ran.done = [row.symbol for row in found]
    ran.left = [symbol for name in ran.left for symbol in names[name]]
    return found, ran


@dataclass(frozen=True)
class _Group:
    """The forecasts of a group of symbols."""

    args: argparse.Namespace
    folder: Mapping[str, Bars]
    work: Work
    groups: Mapping[str, Sequence[str]]

    def __call__(
        self, name: str, progress: Progress
    ) -> tuple[list[SymbolForecasts], dict[str, str]]:
        """Return (forecasts of each symbol, errors by symbol)."""
        errors: dict[str, str] = {}
        planned: list[Planned] = []
        for symbol in self.groups[name]:
            with self._noted(symbol, errors):
                bars = self.folder[symbol]
                planned.append((bars, plan_forecasts(self.args, bars)))
        try:
            return self.work(planned, progress) if planned else [], errors
        except StoreWriteError:
            raise
        except MarketsimError:
            found: list[SymbolForecasts] = []
            for one in planned:  # find the symbol that failed
                with self._noted(one[0].symbol, errors):
                    found += self.work([one], False)
            return found, errors

    @contextmanager
    def _noted(self, symbol: str, errors: dict[str, str]) -> Iterator[None]:
        try:
            yield
        except StoreWriteError:
            raise
        except (MarketsimError, OSError) as error:
            if self.args.debug:
                raise
            errors[symbol] = as_flags(error)


@dataclass(frozen=True)
class _Maker:
    """Makes the missing forecasts."""

    args: argparse.Namespace
    model: Model
    store: ForecastStore

    def __call__(self, group: Sequence[Planned], progress: Progress) -> list[SymbolForecasts]:
        from marketsim.forecasts import ReturnTable, held, run_plans

        model, start = self.model, time.perf_counter()
        tables = [ReturnTable.for_model(bars, model, self.args.targets) for bars, _ in group]
        stored = [
            sum(int(held(table, model, plan, self.store).sum()) for plan in plans)
            for table, (_, plans) in zip(tables, group, strict=True)
        ]
        planned = [
            (table, plan) for table, (_, plans) in zip(tables, group, strict=True) for plan in plans
        ]
        with _failing_store():
            run_plans(planned, model, store=self.store, progress=progress)
        seconds = time.perf_counter() - start
        rows = [
            SymbolForecasts.of(bars, plans, known)
            for (bars, plans), known in zip(group, stored, strict=True)
        ]
        # Split the time of the group by each symbol's share of missing forecasts.
        missing = sum(row.missing for row in rows) or 1
        return [replace(row, seconds=seconds * row.missing / missing) for row in rows]


@contextmanager
def _failing_store() -> Iterator[None]:
    """Raise where a forecast cannot be stored: storing is this command's purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", StoreWarning)
        warnings.filterwarnings("always", "waiting for the lock", StoreWarning)  # it may come free
        try:
            yield
        except StoreWarning as warning:
            raise StoreWriteError(str(warning)) from warning


def _table(found: list[SymbolForecasts], *, plan: bool) -> list[str]:
    from marketsim.text import aligned

    if plan:
        head = ["symbol", "needed", "one by one", "held", "to make"]
        rows = [
            [f.symbol, *(f"{n:,}" for n in (f.needed, f.one_by_one, f.held, f.missing))]
            for f in found
        ]
        if found[0].passes is not None:
            head.append("passes")
            rows = [[*row, f"{f.passes:,}"] for row, f in zip(rows, found, strict=True)]
    else:
        head = ["symbol", "needed", "held", "made", "seconds", "made/s"]
        rows = [
            [f.symbol, f"{f.needed:,}", f"{f.held:,}", f"{f.missing:,}", *_pace(f)] for f in found
        ]
    lines = aligned(head, rows)
    missing = sum(f.missing for f in found)
    total = plural(sum(f.needed for f in found), "forecast")
    lines += [
        "",
        f"{total} of {plural(len(found), 'symbol')}: {missing:,} "
        + ("to make" if plan else "made"),
    ]
    calls = sum(f.one_by_one for f in found)
    if plan and calls != sum(f.needed for f in found):
        lines.append(
            f"one by one: {calls:,} calls, if each simulation forecast its validation window itself"
        )
    return lines


def _pace(found: SymbolForecasts) -> tuple[str, str]:
    seconds = found.seconds or 0.0
    pace = f"{found.missing / seconds:,.0f}" if found.missing and seconds else "–"
    return f"{seconds:.2f}", pace
