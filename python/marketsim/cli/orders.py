"""marketsim orders: print the orders for the next bar."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import (
    NAMES,
    add_data_arguments,
    add_model_arguments,
    add_store_arguments,
    add_with_default,
    fee,
    folder_exit,
    loaded_model,
    opened_store,
    read_all,
)
from marketsim.cli.each import add_jobs
from marketsim.cli.parser import Source
from marketsim.cli.store_text import name_text, plural
from marketsim.kernels.rules import FILLS
from marketsim.text import json_rows, printable

if TYPE_CHECKING:
    import pandas as pd


_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim orders demo.csv --strategies maxdiff --tick 0.01
  marketsim orders AAPL.csv --calendar XNYS --strategies maxdiff --equity 10000 --tick 0.01 --lot 1
  marketsim orders bars/ --strategies maxdiff high_low --equity 2000 --format csv > orders.csv
  marketsim orders AAPL.csv --strategies unprofit_shutdown --start 2024-01-02 --json

The orders equal those of `marketsim backtest` with the same options for the next bar, made from the
bars up to the last one in the file: leave out an incomplete bar. Buy prices are rounded down to
--tick, sell prices up.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 3 some symbols of a folder
failed, 130 interrupted
"""
_SHOWN = ("symbol", "strategy", "order", "side", "size", "entry", "take_profit", "stop", "leave")


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "orders",
        help="print the orders of strategies for the next bar",
        description=(
            "Forecast the bar after the last one, and print the orders of all strategies for it."
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
    add_model_arguments(parser.add_argument_group("the model"))
    rules = parser.add_argument_group("the rules, as in the backtest")
    rules.add_argument("--strategies", **NAMES, metavar="NAME", help="strategies (default: all)")
    rules.add_argument(
        "--start",
        metavar="DATE",
        help="first bar of strategies that carry state (default: the newest 250 bars)",
    )
    add_with_default(rules, "--fill", "fill policy of the fit of offsets", "open_aware",
                     choices=FILLS)  # fmt: skip
    rules.add_argument("--fee", type=fee, help="5bps, 0.05%% or 0.0005 (default: by asset class)")
    add_with_default(
        rules, "--aggregate", "point forecast of strategies", "trimmed_mean_10", metavar="NAME"
    )
    for flag, help, default in (
        ("--offset-window", "bars that offsets are fitted on", 60),
        ("--purge", "bars between fit and decision", 0),
    ):
        add_with_default(rules, flag, help, default, type=int, metavar="BARS")
    rules.add_argument(
        "--asset-class",
        metavar="NAME",
        help="equity, crypto, forex (default: inferred from the bars)",
    )
    add_jobs(rules)
    account = parser.add_argument_group("the account")
    for flag, help in (
        ("--equity", "capital per strategy and symbol, for quantities (default: fractions)"),
        ("--tick", "tick size that prices are rounded to (default: no rounding)"),
        ("--lot", "lot size that quantities are rounded to (default: no rounding)"),
    ):
        account.add_argument(flag, type=float, metavar="X", help=help)
    add_data_arguments(parser.add_argument_group("the data"))
    add_store_arguments(parser.add_argument_group("the store"))
    output = parser.add_argument_group("the output")
    add_with_default(output, "--format", "output format", "table", choices=("table", "csv", "json"))
    output.add_argument("--json", action="store_true", help="same as --format json")
    output.add_argument("--all", action="store_true", help="also show rows without an order")
    output.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the orders; returns the exit code."""
    from marketsim.live import next_orders

    folder = args.source != "demo" and Path(args.source).is_dir()
    model = loaded_model(args)
    shared = None if args.no_store else args.store
    store = shared if args.cluster is not None else opened_store(args)
    bars, errors = read_all(args)
    frame = next_orders(
        bars,
        model,
        args.strategies,
        start=args.start,
        fill=args.fill,
        fee=args.fee,
        aggregate=args.aggregate,
        targets=args.targets,
        offset_window=args.offset_window,
        purge=args.purge,
        asset_class=args.asset_class,
        equity=args.equity,
        tick=args.tick,
        lot=args.lot,
        store=False if store is None else store,
        progress=not args.quiet,
        errors=errors if folder else None,
        jobs=args.jobs,
        cluster=args.cluster,
    )
    kind = "json" if args.json else args.format
    if kind == "json":
        rows = json_rows(frame.to_dict("records"))
        facts = {"orders": rows, "notes": frame.attrs["notes"], "errors": errors}
        print(json.dumps(facts, indent=2, allow_nan=False))
    else:
        for note in frame.attrs["notes"]:
            print(f"note: {printable(note)}", file=sys.stderr)
        shown = frame if args.all else frame[frame["order"] != "none"]
        print(shown.to_csv(index=False), end="") if kind == "csv" else _print(frame, shown)
    for symbol, why in errors.items():
        print(f"error: {name_text(symbol)}: {printable(why)}", file=sys.stderr)
    return folder_exit(frame["symbol"].nunique(), len(errors))


def _print(frame: pd.DataFrame, shown: pd.DataFrame) -> None:
    """Print the orders as one table per bar."""
    for bar, rows in shown.groupby("bar", sort=True):
        print(f"orders for the bar {_when(bar)}, from the close of {_when(rows['last_bar'].max())}")
        print()
        table = [list(_SHOWN), *(_cells(row) for _, row in rows.iterrows())]
        if rows["stop"].isna().all():
            table = [[*cells[:7], *cells[8:]] for cells in table]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = [
                cell.rjust(width) if 4 <= i < len(line) - 1 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            print("  ".join(cells).rstrip())
        print()
    without = len(frame) - len(shown)
    if without:
        print(f"{plural(without, 'row')} without an order; --all shows them")


def _when(moment: Any) -> str:
    """Format a time; midnight as the date alone."""
    text = moment.isoformat(" ")
    return str(text[:10] if text[11:19] == "00:00:00" else text)


def _cells(row: pd.Series[Any]) -> list[str]:
    size = row["quantity"]
    if math.isnan(size):
        part = row["position"] if math.isnan(row["change"]) else row["change"]
        text = f"{abs(part):.4g} of equity"
    else:
        text = f"{size:,.6g}"
    entry = _price(row["entry_limit"]) or {
        "close of the last bar": "at close", "open of the bar": "at open",
    }.get(row["enter"], "")  # fmt: skip
    if row["order"] == "exit":
        entry, text = "", ""
    return [
        name_text(row["symbol"]), row["strategy"], row["order"], row["side"], text, entry,
        _price(row["take_profit"]), _price(row["stop"]),
        row["leave"].replace("with the next order", "next order"),
    ]  # fmt: skip


def _price(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.10g}"
