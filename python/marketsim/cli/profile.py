"""marketsim profile: time the stages of a backtest."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
from marketsim.cli.parser import Source
from marketsim.cli.store_text import plural, print_json
from marketsim.errors import ArgumentError
from marketsim.timing import OTHER, Profile, profiled, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marketsim.bars import Bars
    from marketsim.forecasts import MemoryStore, PredictionStore

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim profile demo.csv
  marketsim profile AAPL.csv --model Datadog/Toto-2.0-22m --dtype bfloat16
  marketsim profile AAPL.csv --model checkpoints/toto --output profile.svg
  marketsim profile AAPL.csv --legacy --simulations 70

--output x.svg writes a flame graph; any other name collapsed stacks, for flamegraph.pl and
speedscope. --legacy runs `backtest_forecasts` of the old modules on the same bars: the successor of
profile_real_backtest.py; it stores forecasts where the old functions do. Otherwise forecasts are
held in memory only, so that all of them are made; with --store, stored ones are read instead.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""

_ROOT = "marketsim"  # of the collapsed stacks
# Stages in the order of a run, and their descriptions.
_STAGES = {
    "imports": "import libraries",
    "bars": "read the bars",
    "load": "load and hash the model's library and weights",
    "model": "run a model that has no stages of its own",
    "prepare": "arrange series as rows, scales and batches",
    "encode": "run the layers of the network",
    "head": "compute distributions, means and quantiles",
    "store keys": "hash the inputs of each forecast",
    "store read": "look forecasts up",
    "store append": "store forecasts",
    "forecasts": "forecasting outside the stages above",
    "slices": "build the decision views of strategies",
    "strategies": "decide orders and account for them",
    "fills": "fill orders on the bars, in the kernel",
    "offsets": "search the best offsets, in the kernel",
    "transfer": "copy bars to a GPU and results back",
    "metrics": "compute the figures of the summary",
    OTHER: "everything else",
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "profile",
        help="run a backtest once and time its stages",
        description=(
            "Run a `marketsim backtest` once and print the time of each stage. Time counts for the "
            "innermost stage only, so stages add up to the total. On a GPU each stage waits for "
            "its kernels, so that their time counts for it."
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
    native = [parser.add_argument_group(title) for title in ("the model", "the run")]
    add_model_arguments(native[0])
    add_run_arguments(native[1])
    add_data_arguments(parser.add_argument_group("the data"))
    parser.add_argument(
        "--legacy", action="store_true", help="run the old functions instead (marketsim.legacy)"
    )
    store = parser.add_argument_group("the store")
    store.add_argument(
        "--store", type=Path, metavar="PATH", help="folder of a store (default: none)"
    )
    parser.set_defaults(native=[a for group in (*native, store) for a in group._group_actions])
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
    """Result of a profiled run.

    Attributes:
        title: the model and the symbols.
        needed, made: forecasts that the run needed, and those that the store lacked.
        profile: times of the stages.
    """

    title: str
    needed: int
    made: int
    profile: Profile

    @property
    def rate(self) -> float | None:
        """Forecasts made per second, from bars to store, without loading the model."""
        seconds = self.profile.within("forecasts") - self.profile.within("forecasts", "load")
        return self.made / seconds if self.made and seconds > 0.0 else None


def run(args: argparse.Namespace) -> int:
    """Run once and print the stages; returns 0."""
    target = None
    if args.output is not None:  # before the run, whose result would be lost
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
    """Whether a file begins like an output of --output: a flame graph, or collapsed stacks."""
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
    """Profile the legacy `backtest_forecasts` with the forecasts of --model, or TOTO_MODEL_ID.

    Raises:
        ArgumentError: an option that the old functions do not read.
    """
    _refuse_native(args)
    # The legacy functions need own returns, which "range", the default, does not forecast.
    model = args.model
    if model == "range":
        model = os.environ.get("TOTO_MODEL_ID") or "ewma"
    os.environ["TOTO_MODEL_ID"] = model
    symbols = []
    days = 0
    with profiled() as profile:
        with stage("imports", whole=True):
            from marketsim.legacy.stock import backtest_test3_inline as old
            from marketsim.legacy.stock.data_source import set_data_source
            from marketsim.legacy.stock.pipelines import prediction_store
            from marketsim.legacy.stock.settings import setting

            _import()
        store = cast("PredictionStore | None", prediction_store())
        before = 0 if store is None else _misses(store)
        for bars in _sources(args):
            names = {name: name.capitalize() for name in bars.frame.columns}
            frame = bars.frame.rename(columns=names)
            set_data_source({bars.symbol: frame}.__getitem__)
            asked = (
                setting("backtest_simulations") if args.simulations is None else args.simulations
            )
            with stage("strategies"):
                made = old.backtest_forecasts(bars.symbol, len(bars) if asked == "all" else asked)
            symbols.append(bars.symbol)
            days += len(made) + int(setting("max_horizon")) - 1
    needed = 4 * days  # four prices
    # Beside these it looks up at most one forecast of each strategy's profits.
    found = needed if store is None else min(_misses(store) - before, needed)
    title = symbols[0] if len(symbols) == 1 else plural(len(symbols), "symbol")
    return _Found(f"backtest_forecasts  {model}  {title}", needed, found, profile)


def _refuse_native(args: argparse.Namespace) -> None:
    for action in args.native:
        read = action.dest in ("model", "simulations")
        if not read and getattr(args, action.dest, action.default) != action.default:
            raise ArgumentError(
                f"{action.option_strings[0]} has no effect with --legacy: leave it out. Variables "
                "say how the old functions run: MARKETSIM_TOTO_DEVICE, TOTO_COMPILE, "
                "MARKETSIM_STORE and those of docs/migration.md"
            )


def _import() -> None:
    """Import the run's libraries, so that no other stage is charged for them."""
    import marketsim.walkforward  # noqa: F401


def _sources(args: argparse.Namespace) -> Iterator[Bars]:
    """Yield the bars of each symbol.

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
    """Return (stage, seconds, share, calls) in the order of `_STAGES`; unlisted stages last."""
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
