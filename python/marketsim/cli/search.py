"""marketsim search: parameters of a strategy, by grid or sampler, every trial in a ledger."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketsim.cli import search_ledger
from marketsim.cli.arguments import add_data_arguments, add_store_arguments, add_with_default
from marketsim.cli.parser import Source
from marketsim.cli.search_run import search

SPLITS = {
    "none": "score on all bars",
    "walk-forward": "--train bars before each test of --test bars",
    "anchored": "all bars before each test of --test bars",
    "k-fold": "each of --folds as the test once",
    "combinatorial": "every choice of --test-folds of --folds as the test",
}

_EXAMPLES = """the space, YAML or JSON (data alone: nothing in it is run):
  fast: {int: [5, 50], step: 5}
  slow: [60, 90, 120, 200]
  level: {float: [0.001, 0.1], log: true}
  where: ["fast < slow"]

examples: (`marketsim demo-data` writes demo.csv)
  echo '{"fast": [5, 10, 20], "slow": [50, 100]}' > space.json
  marketsim search demo.csv --strategy sma_cross --space space.json --sampler grid --fee-bps 10
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml --trials 500 --jobs 2 --dry-run
  marketsim search AAPL.csv --strategy mine.py:signals --space space.yaml --sampler tpe \\
      --trials 500 --jobs 2 --split walk-forward --train 1000 --test 250
  marketsim search AAPL.csv --strategy sma_cross --space space.yaml --sampler grid \\
      --split combinatorial --folds 6 --test-folds 2 --purge 20 --embargo 5
  marketsim search AAPL.csv --strategy mine.py:MyStrategy --model ewma --space space.yaml
  marketsim search list                            the searches of a ledger
  marketsim search best "sma_cross AAPL"           and: summary, compare, heatmap, export, promote

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""


def with_command(arguments: Sequence[str]) -> list[str]:
    """`search FILE ...` as `search run FILE ...`: the command that has no name of its own."""
    found = list(arguments)
    if found[:1] != ["search"] or found[1:2] == []:
        return found
    commands = ("run", *search_ledger.COMMANDS, "-h", "--help", "--debug")
    return found if found[1] in commands else ["search", "run", *found[1:]]


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command, its search and what reads its ledger."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "search",
        help="search for parameters; every trial is counted",
        description=(
            "Searches parameters of a strategy, records every trial in a ledger, and says how "
            "much of the best result is luck."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="FILE|COMMAND", required=True)
    run = below.add_parser(
        "run", help="search (the word may be left out: marketsim search FILE ...)",
        description="Searches parameters of a strategy.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _add_arguments(run)
    run.set_defaults(perform=search)
    search_ledger.add_parsers(below)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    return int(args.perform(args))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", action=Source, metavar="FILE|demo", help="CSV or Parquet file, or demo"
    )
    what = parser.add_argument_group("the strategy")
    what.add_argument(
        "--strategy", required=True, metavar="NAME",
        help="sma_cross, rsi_reversion, donchian_breakout, or module:function(bars, **params) -> "
        "(entries, exits); with --model a class that takes the parameters",
    )  # fmt: skip
    what.add_argument("--model", metavar="NAME", help="search a strategy on this model's forecasts")
    add_with_default(what, "--simulations", "with --model, as-of dates", "all", metavar="N|all")
    add_with_default(what, "--fee-bps", "fee of a fill", 0.0, type=float, metavar="X")
    add_with_default(
        what, "--slippage-bps", "half spread of a market fill", 0.0, type=float, metavar="X"
    )
    add_with_default(
        what,
        "--fill",
        "where market orders are filled",
        "next_open",
        choices=("next_open", "same_close"),
    )
    how = parser.add_argument_group("the search")
    _add_sampler(how)
    _add_split(how)
    _add_records(how)
    search_ledger.add_ledger(how)
    add_data_arguments(parser.add_argument_group("the data"))
    add_store_arguments(parser.add_argument_group("the store of forecasts, with --model"))
    output = parser.add_argument_group("the output")
    output.add_argument(
        "--no-progress", "--quiet", action="store_true", help="show no progress bar"
    )
    output.add_argument("--json", action="store_true", help="print JSON instead of text")


def _add_sampler(how: argparse._ArgumentGroup) -> None:
    """What is tried, and what is best."""
    how.add_argument(
        "--space",
        required=True,
        type=Path,
        metavar="PATH",
        help="YAML or JSON file of the parameters",
    )
    add_with_default(
        how, "--metric",
        "the score: total_return, sharpe, ..., or median_over_folds, lower_bound of the Sharpe "
        "ratio, which luck does not win", "sharpe", metavar="NAME",
    )  # fmt: skip
    how.add_argument(
        "--direction", choices=("maximize", "minimize"),
        help="which score is the best (default: by the metric, minimize for drawdown, cost, "
        "turnover and volatility)",
    )  # fmt: skip
    add_with_default(
        how,
        "--sampler",
        "how sets are chosen: grid, tpe, cmaes, gp, nsga2, qmc or random",
        "tpe",
        metavar="NAME",
    )
    add_with_default(
        how,
        "--trials",
        "number of trials, in each window of --split; a grid has its own",
        100,
        type=int,
        metavar="N",
    )
    add_with_default(how, "--jobs", "number of processes that run trials", 1, type=int, metavar="N")
    how.add_argument(
        "--cluster", metavar="auto|ADDRESS",
        help="run trials on a Ray cluster instead: auto, or the address of its head, host:port",
    )  # fmt: skip
    add_with_default(how, "--seed", "seed of the sampler", 0, type=int, metavar="N")


def _add_split(how: argparse._ArgumentGroup) -> None:
    """On which bars parameters are chosen and tested."""
    add_with_default(
        how, "--split",
        "choose parameters on training bars and test them on other bars: "
        + "; ".join(f"{name}: {what}" for name, what in SPLITS.items()), "none",
        choices=tuple(SPLITS),
    )  # fmt: skip
    add_with_default(how, "--train", "bars of a training window", 1000, type=int, metavar="BARS")
    add_with_default(how, "--test", "bars of a test window", 250, type=int, metavar="BARS")
    add_with_default(
        how, "--folds", "number of folds (k-fold, combinatorial)", 5, type=int, metavar="N"
    )
    add_with_default(
        how, "--test-folds", "number of folds in a test (combinatorial)", 2, type=int, metavar="N"
    )
    add_with_default(
        how, "--purge", "training bars left out beside each test", 0, type=int, metavar="BARS"
    )
    add_with_default(
        how,
        "--embargo",
        "training bars left out after each test, beyond the purge",
        0,
        type=int,
        metavar="BARS",
    )


def _add_records(how: argparse._ArgumentGroup) -> None:
    """What is kept, and what is refused."""
    how.add_argument(
        "--storage", metavar="PATH|URL",
        help="file of Optuna's journal, or URL of a database: continues a search that was stopped",
    )  # fmt: skip
    how.add_argument(
        "--study", metavar="NAME", help="name of the search (default: strategy and symbol)"
    )
    how.add_argument(
        "--code", metavar="TEXT",
        help="version of the strategy, of which the ledger's results are reused (default: a digest "
        "of its code and all that it uses)",
    )  # fmt: skip
    how.add_argument(
        "--keep-without-effect", action="store_true",
        help="accept parameters that change nothing",
    )  # fmt: skip
    how.add_argument(
        "--dry-run",
        action="store_true",
        help="print how many evaluations a search needs and how long they take; record nothing",
    )
