"""marketsim fetch: fetch new bars of a data source into a folder of CSV files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from marketsim.cli.arguments import add_with_default, folder_exit

_EXAMPLES = """examples:
  marketsim fetch AAPL MSFT --source yfinance --to bars/
  marketsim fetch BTC/USDT ETH/USDT --source ccxt --exchange kraken --timeframe 1h --to crypto/
  marketsim fetch AAPL --source alpaca --to bars/ --start 2020-01-01

A second run fetches new bars only. Incomplete bars are left out. If the source gives other prices
for stored bars, nothing is written: --accept-revised fetches the whole history again. Each source
is an extra of the same name: yfinance, ccxt, alpaca (which reads APCA_API_KEY_ID and
APCA_API_SECRET_KEY).

exit codes: 0 done, 2 nothing could be fetched or wrong arguments, 3 some symbols failed
"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "fetch",
        help="fetch new bars of a data source into a folder of CSV files",
        description="Fetch the bars of symbols; existing files get only new bars.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "symbols", nargs="+", metavar="SYMBOL", help="symbols in the source's notation"
    )
    parser.add_argument(
        "--source", required=True, choices=("yfinance", "ccxt", "alpaca"), help="data source"
    )
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="folder of the files"
    )
    what = parser.add_argument_group("the bars")
    add_with_default(
        what, "--timeframe", "length of a bar: 1m, 5m, 15m, 30m, 1h, 1d", "1d", metavar="LENGTH"
    )
    what.add_argument("--start", metavar="DATE", help="first date of new files (default: all)")
    what.add_argument("--exchange", metavar="ID", help="exchange of ccxt (default: binance)")
    what.add_argument("--feed", choices=("iex", "sip"), help="feed of alpaca (default: iex)")
    parser.add_argument(
        "--accept-revised", action="store_true", help="fetch revised histories again from the start"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def run(args: argparse.Namespace) -> int:
    """Fetch; returns the exit code."""
    from marketsim.live.refresh import refresh
    from marketsim.live.sources import load_source
    from marketsim.progress import ProgressBar

    options = {"exchange": args.exchange, "feed": args.feed}
    given = {name: value for name, value in options.items() if value is not None}
    source = load_source(args.source, timeframe=args.timeframe, **given)
    args.to.mkdir(parents=True, exist_ok=True)
    errors: dict[str, str] = {}
    with ProgressBar(
        len(args.symbols), "fetching", enabled=not args.quiet, delay=0.0, unit="symbols"
    ) as bar:
        found = refresh(
            args.to, args.symbols, source, start=args.start, accept_revised=args.accept_revised,
            errors=errors, done=lambda _: bar.advance(1),
        )  # fmt: skip
    if args.json:
        rows = [one._asdict() | {"path": str(one.path)} for one in found]
        print(json.dumps({"source": source.name, "files": rows, "errors": errors}, indent=2))
    else:
        for one in found:
            note = f"; history revised: {one.revised}" if one.revised else ""
            print(
                f"{one.path}: {one.added:,} new bars, {one.total:,} in all, {one.first} to "
                f"{one.last}{note}"
            )
    for symbol, message in errors.items():
        print(f"error: {symbol}: {message}", file=sys.stderr)
    return folder_exit(len(found), len(errors))
