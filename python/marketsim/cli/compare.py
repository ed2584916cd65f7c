"""marketsim compare: compare saved runs in one table, and on one page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketsim.cli.outputs import add_force, check_output, is_page
from marketsim.errors import ArgumentError

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim backtest demo.csv --model ewma --save ewma.json
  marketsim backtest demo.csv --model range --save range.json
  marketsim compare ewma.json range.json
  marketsim compare ewma.json range.json --report compared.html

Differences are against the first run; p is of a test paired by day, where the days are the same.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="compare saved runs in one table or on one page",
        description="Compare the strategies of runs that `marketsim backtest --save` wrote.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="saved runs, two or more")
    parser.add_argument("--report", type=Path, metavar="PATH", help="HTML page of the comparison")
    add_force(parser, "--report")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Compare the runs; returns the exit code."""
    from marketsim.walkforward.compare import compare
    from marketsim.walkforward.saved import load_run, settings_that_differ

    if args.report:
        from marketsim.report.files import check_page_path

        check_page_path(args.report)
        check_output(args.report, "--report", args.force, is_page)
    runs = {name: load_run(path) for name, path in run_names(args.runs).items()}
    found = compare(runs)
    differ = settings_that_differ(runs)
    if args.report:
        from dataclasses import replace

        from marketsim.report.data import Table
        from marketsim.report.html import write_report
        from marketsim.walkforward.reporting import comparison_data

        data = comparison_data(f"{len(runs)} runs", ", ".join(runs), found)
        table = Table("Settings that differ", ["setting", *runs], differ)
        write_report(replace(data, tables=[*data.tables, table]), args.report)
    if args.json:
        rows = [dict(zip(["setting", *runs], row, strict=True)) for row in differ]
        content = {"comparison": found.to_dict(), "settings_that_differ": rows}
        print(json.dumps(content, indent=2, allow_nan=False))
        return 0
    print(found)
    for name, *values in differ:
        print(f"{name}: {' | '.join(values)}")
    if args.report:
        print(f"\nreport: {args.report}")
    return 0


def run_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Name each run by its file, with its folder where files have the same name.

    Example:
        >>> list(run_names([Path("a/ewma.json"), Path("b/ewma.json"), Path("b/range.json")]))
        ['a/ewma', 'b/ewma', 'range']
    """
    stems = [path.stem for path in paths]
    names = [
        path.stem if stems.count(path.stem) == 1 else str(path.with_suffix("")) for path in paths
    ]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"the run {name} is given twice: name each run once")
    return dict(zip(names, paths, strict=True))
