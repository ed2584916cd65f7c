"""marketsim inspect: how files of bars are understood, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import add_data_arguments, folder_exit, read_options
from marketsim.errors import BarsError, MarketsimError

if TYPE_CHECKING:
    from marketsim.bars import Bars

_EXAMPLES = """examples:
  marketsim inspect AAPL.csv
  marketsim inspect export.csv --dayfirst yes --json
  marketsim inspect EURUSD_H1.csv --timezone Europe/Athens --calendar 24/5
  marketsim inspect bars/
  marketsim inspect demo

exit codes: 0 usable, 2 not usable, 3 some symbols are not
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help="how a file of bars is understood: layout, clock, market, holes, defects",
        description=(
            "Shows layout, time zone, frequency, sessions, asset class and why, holes, split "
            "suspects and defects of a file, a table of several symbols or a folder."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="FILE|FOLDER|demo", help="what to look at")
    add_data_arguments(parser.add_argument_group("the data"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the facts; returns the exit code."""
    from marketsim.bars.inspection import defect_facts, inspect_bars, inspection_lines

    found: list[dict[str, Any]] = []
    blocks: list[str] = []
    for symbol, read in _sources(args):
        try:
            bars = read()
            found.append(inspect_bars(bars))
            blocks.append("\n".join(inspection_lines(bars, found[-1])))
        except BarsError as error:
            found.append(defect_facts(symbol, error))
            blocks.append(_broken(found[-1]))
        except (MarketsimError, OSError) as error:
            if len(found) == 0 and symbol == "":
                raise
            found.append({"symbol": symbol, "ok": False, "defects": [], "error": str(error)})
            blocks.append(f"{symbol}\n\n  error: {error}")
    if args.json:
        print(json.dumps(found[0] if len(found) == 1 else {"symbols": found}, indent=2))
    else:
        print("\n\n".join(blocks))
    bad = sum(not facts["ok"] for facts in found)
    return folder_exit(len(found) - bad, bad)


def _broken(facts: dict[str, Any]) -> str:
    understood = "; ".join(facts["understood"])
    head = f"  understood  {understood}\n\n" if understood else ""
    return f"{facts['symbol']}\n\n{head}  {facts['error']}".replace("\n  - ", "\n    - ")


def _sources(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Symbols and their read options; "" where the symbol is known only after reading."""
    from marketsim.bars import BarsFolder, demo_bars, read_bars, read_many

    if args.source == "demo":
        yield "SP500", demo_bars
        return
    options = read_options(args)
    symbol = args.symbol if args.symbol is not None else (args.symbols or [None])[0]
    if symbol is not None and not Path(args.source).is_dir():
        yield "", lambda: read_bars(args.source, symbol=symbol, **options)
        return
    try:
        many: Mapping[str, Bars] = read_many(args.source, **options)
    except BarsError as error:
        stored = error
        yield Path(args.source).name, lambda: _raise(stored)
        return
    if isinstance(many, BarsFolder):
        for name, why in many.skipped.items():
            print(f"left out {name}: {why}", file=sys.stderr)
        for name, why in many.problems.items():
            yield name, lambda why=why: _raise(MarketsimError(why))
    for name in many:
        yield name, lambda name=name: many[name]


def _raise(error: MarketsimError) -> Any:
    raise error
