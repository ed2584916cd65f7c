"""marketsim backtest: walk-forward backtests of one symbol or many."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli import search_ledger
from marketsim.cli.arguments import (
    EXIT_INTERRUPTED,
    NAMES,
    add_data_arguments,
    add_model_arguments,
    add_plan_arguments,
    add_store_arguments,
    add_with_default,
    folder_exit,
    loaded_model,
    model_names,
    opened_store,
    read_folder_source,
    read_source,
    report_reading,
)
from marketsim.cli.costs import add_cost_arguments, allow_rebates, as_rate, costs_of, volume_cap_of
from marketsim.cli.each import add_jobs, counts_of, each_symbol, ready, refuse_cluster
from marketsim.cli.flags import as_flags
from marketsim.cli.outputs import add_force, check_output, is_page, is_saved_run, require_folder
from marketsim.cli.parser import Source
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import FILLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marketsim.bars import Bars
    from marketsim.cli.combined import SymbolSummary
    from marketsim.forecasts import ForecastStore
    from marketsim.models import Model
    from marketsim.progress import Progress
    from marketsim.walkforward import WalkForwardResult

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim backtest demo.csv --simulations 70 --report demo.html
  marketsim backtest AAPL.csv --model ewma --strategies simple maxdiff --fee 5bps
  marketsim backtest AAPL.csv --simulations all --start 2015-01-01
  marketsim backtest AAPL.csv --maker -0.2bps --taker 3bps --half-spread 1bp --borrow 2%
  marketsim backtest AAPL.csv --volume-cap 1e6:5% --execution next_open
  marketsim backtest AAPL.csv --benchmark SPY.csv --risk-free 4%
  marketsim backtest BTC-USD.parquet --asset-class crypto --json > result.json
  marketsim backtest AAPL.csv --model range ewma --strategies maxdiff high_low
  marketsim backtest AAPL.csv --columns return sortino calmar turnover
  marketsim backtest AAPL.csv --strategies simple --ledger trials.sqlite
  marketsim backtest bars/ --symbols AAPL MSFT --report reports/
  marketsim backtest bars/ --model ewma --jobs 8
  marketsim backtest bars/ --cluster 10.0.0.1:6379 --store s3://bucket/store
  marketsim backtest AAPL.csv --model Datadog/Toto-2.0-22m --dtype bfloat16
  marketsim backtest AAPL.csv --model checkpoints/toto --device cuda --variates joint

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 3 some symbols of a folder
failed, 130 interrupted
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "backtest",
        help="walk-forward backtest of a file, a folder of symbols, or the demo data",
        description=(
            "Forecast the open, high, low and close of every bar once, from the bars before it, "
            "and run walk-forward simulations of all strategies on these forecasts."
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
    allow_rebates(parser)
    add_model_arguments(parser.add_argument_group("the model"), several=True)
    run = parser.add_argument_group("the run")
    add_run_arguments(run)
    add_jobs(run)
    add_data_arguments(parser.add_argument_group("the data"))
    add_store_arguments(parser.add_argument_group("the store"))
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--report", type=Path, metavar="PATH", help="HTML report; for several symbols a folder"
    )
    add_force(output, "--report and --save")
    output.add_argument(
        "--save", type=Path, metavar="PATH", help="JSON file of the run for `marketsim compare`"
    )
    output.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_with_default(
        output, "--weights", "portfolio weights of a folder's symbols", "equal",
        choices=("equal", "volatility"),
    )  # fmt: skip
    output.add_argument(
        "--wide",
        action="store_true",
        help="show every column (default: seven that fit 80 characters; --columns NAME... chooses)",
    )
    output.add_argument("--quiet", action="store_true", help="no progress bar")
    search_ledger.add_behind(parser.add_argument_group("the trials behind it, of one symbol"))
    return parser


def add_run_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of a run: windows, strategies, costs."""
    add_plan_arguments(group)
    add_with_default(group, "--fill", "fill policy of limit orders", "open_aware", choices=FILLS)
    add_with_default(
        group, "--aggregate", "point forecast of strategies", "trimmed_mean_10", metavar="NAME"
    )
    for flag, options, help in (
        ("--strategies", NAMES | {"metavar": "NAME"}, "strategies to run (default: all)"),
        (
            "--asset-class",
            {"metavar": "NAME"},
            "equity, crypto, forex (default: inferred from the bars)",
        ),
        (
            "--periods-per-year",
            {"type": float, "metavar": "N"},
            "bars per year for annualisation (default: inferred from the bars)",
        ),
        (
            "--risk-free",
            {"type": as_rate, "metavar": "RATE", "default": 0.0},
            "yearly risk-free rate of Sharpe, Sortino and alpha, such as 4%% (default: 0)",
        ),
        (
            "--benchmark",
            {"metavar": "FILE", "default": None},
            "bars of the benchmark of alpha, beta and information ratio (default: none)",
        ),
        (
            "--offset-device",
            {"metavar": "DEVICE", "default": "cpu"},
            "device that fits offsets: cpu, cuda, cuda:<index>, auto (default: cpu)",
        ),
    ):
        group.add_argument(flag, help=help, **options)
    add_cost_arguments(group)


def _take_table_columns(args: argparse.Namespace) -> None:
    """Move the entries of --columns without "=" to `args.table`, the columns to print."""
    entries = args.columns or []
    args.table = [entry for entry in entries if "=" not in entry] or None
    args.columns = [entry for entry in entries if "=" in entry] or None
    if args.table and args.wide:
        raise ArgumentError("--wide shows every column: leave it out, or the names of --columns")
    if args.table:
        from marketsim.walkforward.summary import named_columns

        args.table = named_columns(args.table)  # before the run


def run(args: argparse.Namespace) -> int:
    """Run the backtest; returns the exit code."""
    _take_table_columns(args)
    models = model_names(args)
    folder = args.source != "demo" and Path(args.source).is_dir()
    if len(models) > 1 and (folder or args.ledger or args.study):
        raise ArgumentError(
            f"several models are compared on one symbol, without --ledger: got {', '.join(models)}"
        )
    args.model = models[0]
    if args.save and (folder or len(models) > 1):
        raise ArgumentError("--save is of one symbol and model: leave it out")
    if folder:
        return _run_folder(args)
    refuse_cluster(args)
    if args.save:
        check_output(args.save, "--save", args.force, is_saved_run)
    if args.report:
        from marketsim.report.files import check_page_path

        check_page_path(args.report)  # before the run, whose result would be lost
        check_output(args.report, "--report", args.force, is_page)
    store = opened_store(args)
    before = counts_of(store)
    if len(models) > 1:
        _compare_models(models, args, store)
        _report_store(_counted_since(before, store), args)
        return 0
    model = loaded_model(args)
    result = run_symbol(read_source(args), model, args, store, progress=not args.quiet)
    result = search_ledger.with_trials(result, args, f"{result.model.name} {result.bars.symbol}")
    if args.report:
        result.report(args.report)
    if args.save:
        from marketsim.walkforward.saved import save_run

        save_run(result, args.save)
    if args.json:
        print(json.dumps(result.to_dict(bands=True), indent=2, allow_nan=False))
    else:
        print(as_flags(result.summary(bands=True).text(args.table, wide=args.wide)))
        if args.report:
            print(f"\nreport: {args.report}")
    _report_store(_counted_since(before, store), args)
    return 0


def _compare_models(
    models: list[str], args: argparse.Namespace, store: ForecastStore | None
) -> None:
    """Run each model on the bars, and print one table."""
    from marketsim.walkforward.compare import compare

    bars = read_source(args)
    loaded = {name: loaded_model(args, name) for name in models}  # an error comes before the runs
    results = {
        name: run_symbol(bars, model, args, store, progress=not args.quiet)
        for name, model in loaded.items()
    }
    found = compare(results)
    heading = next(iter(results.values())).summary().heading
    if args.report:
        from marketsim.report.html import write_report
        from marketsim.walkforward.reporting import comparison_data

        write_report(
            comparison_data(f"{bars.symbol}: {len(models)} models", heading, found), args.report
        )
    if args.json:
        runs = {name: result.to_dict() for name, result in results.items()}
        print(json.dumps({"comparison": found.to_dict(), "runs": runs}, indent=2, allow_nan=False))
        return
    print(f"{bars.symbol}: {', '.join(models)}; differences against {models[0]}\n")
    print(found)
    if args.report:
        print(f"\nreport: {args.report}")


def _run_folder(args: argparse.Namespace) -> int:
    """Backtest symbols one by one; only their summaries stay in memory."""
    from marketsim.cli.combined import INDEX, PORTFOLIO, Combined, page_names
    from marketsim.processes import can_share_memory

    if args.ledger or args.study:
        raise ArgumentError("--ledger and --study are of one symbol: got a folder")
    folder = read_folder_source(args)
    if args.report:
        require_folder(args.report)
    combined, pages = Combined(args.weights), page_names(folder)
    if args.report:
        for name in (INDEX, PORTFOLIO, *pages.values()):
            check_output(args.report / name, "--report", args.force, is_page)
    for name, why in folder.problems.items():
        combined.fail(name, why)
    fork = can_share_memory()  # asked before a model loads torch
    model = loaded_model(args)
    with ready(args, folder, model, lambda: opened_store(args)) as given:
        if given.run is not None and args.report:
            args.report = args.report.resolve()
            given.run.cluster.require_shared(args.report)
        ran = each_symbol(
            _SymbolRun(args, given.bars, given.model, given.store, pages), list(folder),
            combined.add, args, description="backtesting", fork=fork, store=given.store,
            units=lambda found: found.forecasts, run=given.run,
        )  # fmt: skip
    for symbol, why in ran.errors.items():
        combined.fail(symbol, why)
    if args.report:
        combined.write_pages(args.report, pages)
    print(json.dumps(combined.to_dict(), indent=2, allow_nan=False) if args.json else combined)
    for symbol, message in combined.errors.items():
        print(f"error: {symbol}: {as_flags(message)}", file=sys.stderr)
    if args.report and not args.json:
        print(f"\nreports: {args.report / INDEX}")
    _report_store(ran.counts, args)
    if ran.left:
        ran.report_left()
        return EXIT_INTERRUPTED
    return folder_exit(len(combined.symbols), len(combined.errors))


@dataclass(frozen=True)
class _SymbolRun:
    """The backtest of one symbol of a folder."""

    args: argparse.Namespace
    folder: Mapping[str, Bars]
    model: Model
    store: ForecastStore | None
    pages: Mapping[str, str]

    def __call__(self, symbol: str, progress: Progress) -> SymbolSummary:
        from marketsim.cli.combined import INDEX, SymbolSummary

        bars = self.folder[symbol]
        report_reading(bars, self.args)
        result = run_symbol(bars, self.model, self.args, self.store, progress=progress)
        if self.args.report:
            result.report(self.args.report / self.pages[symbol], home=INDEX)
        return SymbolSummary.of(result)


def _counted_since(before: dict[str, int], store: ForecastStore | None) -> dict[str, int]:
    return {name: count - before[name] for name, count in counts_of(store).items()}


def _report_store(counts: dict[str, int], args: argparse.Namespace) -> None:
    """Print hits, misses and damage of the store, on stderr: results do not depend on it."""
    if not counts:
        return
    if not args.quiet and not args.json:
        print(
            f"forecasts: {counts['hits']:,} from the store, {counts['misses']:,} made",
            file=sys.stderr,
        )
    kinds = {
        "corrupt": "corrupt records",
        "quarantined": "files set aside",
        "unreadable": "unreadable files",
    }
    trouble = [f"{counts[name]:,} {what}" for name, what in kinds.items() if counts[name]]
    if trouble:
        print(
            f"the store is damaged: {', '.join(trouble)}; their forecasts were made again; "
            "`marketsim store verify` lists the defects",
            file=sys.stderr,
        )


def run_symbol(
    bars: Bars,
    model: Model,
    args: argparse.Namespace,
    store: ForecastStore | None,
    *,
    progress: Progress,
) -> WalkForwardResult:
    """Run the backtest of `add_run_arguments` for one symbol."""
    from marketsim.walkforward import walk_forward

    return walk_forward(
        bars,
        model,
        simulations=args.simulations,
        start=args.start,
        end=args.end,
        window=args.window,
        strategies=args.strategies,
        fill=args.fill,
        fee=costs_of(args, bars),
        aggregate=args.aggregate,
        targets=args.targets,
        offset_window=args.offset_window,
        store=False if store is None else store,
        progress=progress,
        purge=args.purge,
        embargo=args.embargo,
        asset_class=args.asset_class,
        periods_per_year=args.periods_per_year,
        volume_cap=volume_cap_of(args),
        execution=args.execution,
        risk_free=args.risk_free,
        benchmark=args.benchmark,
        device=args.offset_device,
    )
