"""marketsim check: test a strategy, model or function for look-ahead."""

from __future__ import annotations

import argparse
import json
from typing import Any

from marketsim.cli.arguments import add_data_arguments, add_with_default, read_source
from marketsim.cli.loading import load_object
from marketsim.cli.parser import Source

EXIT_LEAK = 3

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim check marketsim.indicators:atr demo.csv
  marketsim check mine.py:signals AAPL.csv
  marketsim check mypackage.strategies:Momentum AAPL.csv --reads before
  marketsim check mine.py:pipeline demo --json

NAME is a function of bars that returns one number per bar or a replay, an indicator of columns
(high, low, close), a feature pipeline, on_bar of a replay, a strategy, a model, or a class of these
whose constructor takes no arguments.

exit codes: 0 no look-ahead found, 3 a leak, 1 a defect of marketsim, 2 wrong arguments or data
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="check a strategy, model or function for look-ahead",
        description=(
            "Change, then remove, all bars after several cuts and run the code again: values of "
            "earlier bars must stay the same, bit for bit."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subject", metavar="MODULE:NAME", help="or file.py:name")
    parser.add_argument(
        "source", action=Source, metavar="FILE|demo", help="CSV or Parquet file, or demo"
    )
    what = parser.add_argument_group("the check")
    what.add_argument(
        "--reads",
        choices=("current", "before"),
        help="rows that a function's value at bar t may read: up to t (default), or before t",
    )
    add_with_default(what, "--cuts", "number of cuts", 8, type=int, metavar="N")
    add_data_arguments(parser.add_argument_group("the data"))
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the check; returns 0, or 3 for a leak."""
    from marketsim.lookahead import check_lookahead

    subject = load_object(args.subject)
    if isinstance(subject, type):
        subject = subject()
    report = check_lookahead(subject, read_source(args), reads=args.reads, cuts=args.cuts)
    if args.json:
        leaks = [
            {**vars(leak), "time": leak.time.isoformat(), "fields": list(leak.fields)}
            for leak in report.leaks
        ]
        found = {"name": report.name, "ok": report.ok, "cuts": report.cuts, "leaks": leaks}
        print(json.dumps(found, indent=2))
    else:
        print(report)
    return 0 if report.ok else EXIT_LEAK
