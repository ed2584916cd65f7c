"""marketsim profile: where the time of a backtest goes."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.atomic import replace_file
from marketsim.cli.arguments import (
    add_data_arguments,
    add_model_arguments,
    loaded_model,
    read_folder_source,
    read_source,
)
from marketsim.cli.backtest import add_run_arguments, run_symbol
from marketsim.cli.flame import FLAME_MARK, flame_svg
from marketsim.cli.outputs import add_force, check_output
from marketsim.cli.store_text import plural, print_json
from marketsim.timing import OTHER, Profile, profiled, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketsim.bars import Bars
    from marketsim.forecasts import MemoryStore, PredictionStore

_EXAMPLES = """examples:
  marketsim profile demo
  marketsim profile AAPL.csv --model Datadog/Toto-2.0-22m --dtype bfloat16
  marketsim profile AAPL.csv --model checkpoints/toto --output profile.svg
  marketsim profile AAPL.csv --legacy --simulations 70

--output x.svg writes a flame graph; any other name collapsed stacks, for flamegraph.pl and
speedscope. --legacy runs `backtest_forecasts` of the old modules on the same bars: the successor of
profile_real_backtest.py; it keeps forecasts where the old functions do. Else forecasts are kept in
memory and forgotten, so that all of them are made; with --store those that are there are not.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""

_ROOT = "marketsim"  # of the collapsed stacks
# Stages in the order in which a forecast meets them, and what each does.
_STAGES = {
    "imports": "libraries",
    "bars": "the file or files",
    "load": "the model's library and weights, and their hash",
    "model": "the model, where it names no stages of its own",
    "prepare": "series into rows, scales and batches",
    "encode": "the layers of the network",
    "head": "into distributions, means and quantiles",
    "store keys": "hashes of what each forecast sees",
    "store read": "forecasts looked up",
    "store append": "forecasts kept",
    "forecasts": "what lies between the above",
    "slices": "what each strategy may see of the days",
    "strategies": "orders, and what became of them",
    "fills": "orders against the bars, in the kernel",
    "offsets": "the search for the best offsets, in the kernel",
    "transfer": "days to a GPU, and answers back",
    "metrics": "figures of the summary, naive forecasts included",
    OTHER: "everything else",
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "profile",
        help="run a backtest once and say where its time goes",
        description=(
            "Runs what `marketsim backtest` runs, once, and prints the time of each stage. Each "
            "moment counts for one stage, the innermost, so that they add up. On a GPU, stages "
            "wait for it, so that its time counts where it belongs."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="FILE|FOLDER|demo", help="CSV or Parquet file, folder of such, or demo"
    )
    add_model_arguments(parser.add_argument_group("the model"))
    add_run_arguments(parser.add_argument_group("the run"))
    add_data_arguments(parser.add_argument_group("the data"))
    parser.add_argument(
        "--legacy", action="store_true", help="run the old functions instead (marketsim.legacy)"
    )
    store = parser.add_argument_group("the store")
    store.add_argument(
        "--store", type=Path, metavar="PATH", help="a folder of kept forecasts (default: none)"
    )
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--output", type=Path, metavar="PATH", help="write a flame graph (.svg) or collapsed stacks"
    )
    add_force(output, "--output")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    output.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


@dataclass(frozen=True)
class _Found:
    """What was run.

    Attributes:
        title: the model and the symbols.
        needed, made: forecasts that the run asked for, and those that the store lacked.
        profile: where the time went.
    """

    title: str
    needed: int
    made: int
    profile: Profile

    @property
    def rate(self) -> float | None:
        """Forecasts made a second, from the bars to the store, without loading the model."""
        seconds = self.profile.within("forecasts") - self.profile.within("forecasts", "load")
        return self.made / seconds if self.made and seconds > 0.0 else None


def run(args: argparse.Namespace) -> int:
    """Run once and print the stages; returns 0."""
    target = None
    if args.output is not None:  # before anything runs that would be lost with it
        target = check_output(args.output, "--output", args.force, _is_profile)
    found = _profiled_legacy(args) if args.legacy else _profiled(args)
    if target is not None:
        stacks = found.profile.folded(_ROOT)
        if args.output.suffix.lower() == ".svg":
            stacks = flame_svg(stacks, f"{found.title}: {found.profile.seconds:.3f} s")
        replace_file(target, stacks.encode())
    if args.json:
        print_json(_facts(found))
    else:
        print("\n".join(_lines(found)))
        if args.output is not None:
            print(f"\nwritten: {args.output}")
    return 0


def _is_profile(_: Path, head: bytes) -> bool:
    """Whether a file begins as one of --output does: a flame graph, or collapsed stacks."""
    root = _ROOT.encode()
    return FLAME_MARK in head or head.startswith((root + b";", root + b" "))


def _profiled(args: argparse.Namespace) -> _Found:
    from marketsim.forecasts import MemoryStore, PredictionStore

    store = MemoryStore() if args.store is None else PredictionStore(args.store)
    symbols, needed = [], 0
    before = _misses(store)
    with profiled() as profile:
        with stage("imports", whole=True):
            _import()
        model = loaded_model(args)
        for bars in _sources(args):
            result = run_symbol(bars, model, args, store, progress=not args.quiet)
            result.summary()
            symbols.append(bars.symbol)
            needed += sum(plan.forecasts for plan in result.plans)
    title = symbols[0] if len(symbols) == 1 else plural(len(symbols), "symbol")
    return _Found(f"{model.name}  {title}", needed, _misses(store) - before, profile)


def _profiled_legacy(args: argparse.Namespace) -> _Found:
    """The same of `backtest_forecasts`, whose forecasts are those of --model."""
    os.environ["TOTO_MODEL_ID"] = args.model
    symbols = []
    with profiled() as profile:
        with stage("imports", whole=True):
            from marketsim.legacy.stock import backtest_test3_inline as old
            from marketsim.legacy.stock.data_source import set_data_source
            from marketsim.legacy.stock.settings import setting

            _import()
        for bars in _sources(args):
            names = {name: name.capitalize() for name in bars.frame.columns}
            frame = bars.frame.rename(columns=names)
            set_data_source({bars.symbol: frame}.__getitem__)
            with stage("strategies"):
                old.backtest_forecasts(bars.symbol, args.simulations)
            symbols.append(bars.symbol)
    prices, days = 4, args.simulations + int(setting("max_horizon")) - 1
    needed = prices * days * len(symbols)
    title = symbols[0] if len(symbols) == 1 else plural(len(symbols), "symbol")
    return _Found(f"backtest_forecasts  {args.model}  {title}", needed, 0, profile)


def _import() -> None:
    """Import the run's libraries first, so that no stage is charged for them."""
    import marketsim.walkforward  # noqa: F401


def _sources(args: argparse.Namespace) -> Iterator[Bars]:
    """The bars of each symbol.

    Raises:
        ArgumentError: a folder without a symbol.
    """
    if args.source == "demo" or not Path(args.source).is_dir():
        with stage("bars"):
            bars = read_source(args)
        yield bars
        return
    folder = read_folder_source(args)
    for symbol in folder:
        with stage("bars"):
            bars = folder[symbol]
        yield bars


def _misses(store: MemoryStore | PredictionStore) -> int:
    from marketsim.forecasts import MemoryStore

    return store.misses if isinstance(store, MemoryStore) else store.counters["misses"]


def _rows(profile: Profile) -> list[tuple[str, float, float, int]]:
    """(stage, seconds, share, calls) in the order of `_STAGES`; what has no place there is last."""
    order = {name: i for i, name in enumerate(_STAGES)}
    found = sorted(profile.by_stage(), key=lambda s: (order.get(s.name, len(order)), s.name))
    total = profile.seconds
    return [(s.name, s.seconds, s.seconds / total, s.calls) for s in found]


def _facts(found: _Found) -> dict[str, Any]:
    rows = _rows(found.profile)
    return {
        "run": found.title,
        "seconds": found.profile.seconds,
        "stages": [
            {"stage": name, "seconds": seconds, "share": share, "calls": calls}
            for name, seconds, share, calls in rows
        ],
        "bottleneck": max(rows, key=lambda row: row[1])[0],
        "forecasts_needed": found.needed,
        "forecasts_made": found.made,
        "forecasts_per_second": found.rate,
    }


def _lines(found: _Found) -> list[str]:
    from marketsim.text import aligned

    rows = _rows(found.profile)
    total = found.profile.seconds
    cells = [
        [name, f"{seconds:.4f}", f"{100 * share:.1f} %", f"{calls:,}"]
        for name, seconds, share, calls in rows
    ]
    cells.append(["total", f"{total:.4f}", "100.0 %", ""])
    table = aligned(["stage", "seconds", "share", "calls"], cells, split=len(rows))
    for i, (stage_name, *_) in enumerate(rows):
        table[2 + i] = f"{table[2 + i]}  {_STAGES.get(stage_name, '')}".rstrip()
    name, seconds, share, _ = max(rows, key=lambda row: row[1])
    rate = "" if found.rate is None else f": {found.rate:,.0f} forecasts/s without loading"
    return [
        found.title,
        "",
        *table,
        "",
        f"{plural(found.needed, 'forecast')} needed, {found.made:,} made{rate}",
        f"bottleneck: {name}, {100 * share:.0f} % of the time ({seconds:.2f} of {total:.2f} s): "
        f"{_STAGES.get(name, 'a stage of its own')}",
    ]
