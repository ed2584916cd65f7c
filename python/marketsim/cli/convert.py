"""marketsim convert: any export to clean Parquet."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import (
    add_data_arguments,
    folder_exit,
    read_options,
    read_symbols,
    report_reading,
)
from marketsim.cli.flags import as_flags
from marketsim.cli.parser import Source
from marketsim.errors import ArgumentError, MarketsimError, MissingDependencyError

if TYPE_CHECKING:
    from marketsim.bars import Bars

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim convert demo.csv demo.parquet
  marketsim convert export.csv AAPL.parquet
  marketsim convert prices.csv bars/                      a table of several symbols
  marketsim convert exports/ bars/ --repair sort --timezone Europe/Athens

exit codes: 0 done, 2 nothing could be converted, 3 some symbols could not
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "convert",
        help="write clean Parquet of a file, a table of several symbols or a folder",
        description=(
            "Reads and checks bars as all commands do, and writes them with the columns "
            "timestamp, open, high, low, close and volume. Daily bars are stamped at midnight UTC."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", action=Source, metavar="FILE|FOLDER", help="what to read")
    parser.add_argument("target", type=Path, metavar="FILE.parquet|FOLDER", help="what to write")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    add_data_arguments(parser.add_argument_group("the data"))
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the files; returns the exit code."""
    from marketsim.bars import BarsFolder, read_bars

    if args.target.suffix.lower() in (".parquet", ".pq"):
        symbol = args.symbol if args.symbol is not None else (args.symbols or [None])[0]
        _write(read_bars(args.source, symbol=symbol, **read_options(args)), args.target, args)
        return 0
    if args.target.exists() and not args.target.is_dir():
        raise ArgumentError(f"{args.target} is a file that is no Parquet file: expected a folder")
    args.target.mkdir(parents=True, exist_ok=True)
    many = read_symbols(args)
    problems = many.problems if isinstance(many, BarsFolder) else {}
    failed = {name: as_flags(why) for name, why in problems.items()}
    done = 0
    for name in many:
        try:
            _write(many[name], args.target / f"{name}.parquet", args)
            done += 1
        except (MarketsimError, OSError) as error:
            failed[name] = as_flags(error)
    for name, why in failed.items():
        print(f"error: {name}: {why}", file=sys.stderr)
    return folder_exit(done, len(failed))


def _write(bars: Bars, path: Path, args: argparse.Namespace) -> None:
    from marketsim.atomic import replace_file

    if path.exists() and not args.force:
        raise ArgumentError(f"{path} exists: expected a new name, or --force to replace it")
    report_reading(bars, args)
    buffer = io.BytesIO()
    try:
        bars.frame.to_parquet(buffer)
    except ImportError:
        raise MissingDependencyError(
            'Parquet needs pyarrow, not installed: pip install ".[parquet]" in the checkout'
        ) from None
    replace_file(path, buffer.getvalue())
    print(f"{path}: {bars.symbol}, {bars.span()}")
