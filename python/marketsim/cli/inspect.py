"""marketsim inspect: how files of bars are understood, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketsim.cli.arguments import add_data_arguments, folder_exit, read_symbols
from marketsim.cli.flags import as_flags
from marketsim.cli.parser import Source
from marketsim.errors import BarsError, MarketsimError

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim inspect demo.csv
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
    parser.add_argument("source", action=Source, metavar="FILE|FOLDER|demo", help="what to look at")
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
            blocks.append(as_flags("\n".join(inspection_lines(bars, found[-1]))))
        except BarsError as error:
            found.append(_flagged(defect_facts(symbol, error)))
            blocks.append(_broken(found[-1]))
        except (MarketsimError, OSError) as error:
            if len(found) == 0 and symbol == "":
                raise
            text = as_flags(error)
            found.append({"symbol": symbol, "ok": False, "defects": [], "error": text})
            blocks.append(f"{symbol}\n\n  error: {text}")
    if args.json:
        print(json.dumps(found[0] if len(found) == 1 else {"symbols": found}, indent=2))
    else:
        print("\n\n".join(blocks))
    bad = sum(not facts["ok"] for facts in found)
    return folder_exit(len(found) - bad, bad)


def _flagged(facts: Any) -> Any:
    """Facts whose texts name flags."""
    if isinstance(facts, dict):
        return {key: _flagged(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [_flagged(value) for value in facts]
    return as_flags(facts) if isinstance(facts, str) else facts


def _broken(facts: dict[str, Any]) -> str:
    understood = "; ".join(facts["understood"])
    head = f"  understood  {understood}\n\n" if understood else ""
    return f"{facts['symbol']}\n\n{head}  {facts['error']}".replace("\n  - ", "\n    - ")


def _sources(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Symbols and their read options; "" where the symbol is known only after reading."""
    from marketsim.bars import BarsFolder, demo_bars

    if args.source == "demo":
        yield "SP500", demo_bars
        return
    try:
        many = read_symbols(args)
    except BarsError as error:
        stored = error
        yield Path(args.source).name, lambda: _raise(stored)
        return
    if isinstance(many, BarsFolder):
        for name, why in many.problems.items():
            yield name, lambda why=why: _raise(MarketsimError(why))
    for name in many:
        yield name, lambda name=name: many[name]


def _raise(error: MarketsimError) -> Any:
    raise error
