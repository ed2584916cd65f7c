"""marketsim demo-data: write a file of simulated bars."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from marketsim.cli.outputs import add_force, check_output

_EXAMPLES = """examples:
  marketsim demo-data demo.csv
  marketsim demo-data short.csv --bars 300 --seed 7

Equal --bars and --seed give equal files. No network and no optional package is needed.
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo-data",
        help="write a CSV file of simulated bars",
        description="Write simulated daily OHLCV bars of a fictitious stock.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=Path("demo.csv"), metavar="FILE",
        help="name of the .csv file (default: demo.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--bars", type=int, default=2_500, metavar="N", help="number of bars (default: 2500)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    add_force(parser, "demo-data")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the file; returns 0."""
    import pandas as pd

    from marketsim.atomic import replace_file
    from marketsim.bars.demo import simulated_bars
    from marketsim.errors import ArgumentError

    if args.file.suffix.lower() != ".csv":
        raise ArgumentError(f"demo-data writes a .csv file: got {args.file}")
    bars = simulated_bars(args.bars, seed=args.seed)
    days = pd.DatetimeIndex(bars.frame.index).strftime("%Y-%m-%d").rename("date")
    content = bars.frame.set_axis(days).to_csv(float_format="%.2f", lineterminator="\n").encode()

    def is_ours(_: Path, head: bytes) -> bool:
        return content.startswith(head)

    replace_file(check_output(args.file, "demo-data", args.force, is_ours), content)
    print(
        f"{args.file}: {len(bars):,} simulated bars of a fictitious stock, {days[0]} to {days[-1]}"
    )
    return 0
