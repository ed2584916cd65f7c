"""`marketsim genesis`: the commands of the second old system."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """examples:
  marketsim genesis run-backtest --symbol tBTCUSD --timeframe 1h --fast-window
  marketsim genesis optimizer summarize run_20251113_120000 --top 5
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command; its modules are imported here, and load little."""
    from marketsim.legacy.genesis import run_backtest
    from marketsim.legacy.genesis.optimizer import summary

    form = argparse.RawDescriptionHelpFormatter
    parser: argparse.ArgumentParser = commands.add_parser(
        "genesis",
        help="commands of the second old system",
        description="Commands of the second old system: see docs/migration_genesis.md.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    parts = parser.add_subparsers(dest="genesis_command", required=True)
    backtest = parts.add_parser(
        "run-backtest",
        help="one backtest (scripts/run_backtest.py)",
        epilog=run_backtest.EXAMPLES,
        formatter_class=form,
    )
    run_backtest.add_arguments(backtest)
    optimizer = parts.add_parser("optimizer", help="runs of the search (scripts/optimizer.py)")
    summary.add_arguments(optimizer)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command that was named."""
    from marketsim.legacy.genesis import run_backtest
    from marketsim.legacy.genesis.optimizer import summary

    commands = {"run-backtest": run_backtest.run, "optimizer": summary.run}
    return commands[args.genesis_command](args)
