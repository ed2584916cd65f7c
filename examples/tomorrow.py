"""Tomorrow's orders for a folder of bars, as a table and a CSV file.

    python examples/tomorrow.py bars/ --equity 10000 --tick 0.01 --csv orders.csv
    python examples/tomorrow.py                     # three simulated symbols

Forecasts are stored, so that an evening costs one forecast a symbol and target. A symbol that fails
stops no other. examples/paper_trading.py hands such orders to a broker.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import marketsim as ms
from marketsim.bars.demo import simulated_bars

SHOWN = [
    "symbol",
    "bar",
    "side",
    "quantity",
    "entry_limit",
    "take_profit",
    "close_q10",
    "close_q90",
]


def main() -> int:
    """Print the orders; returns 0, or 3 where a symbol failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="folder of bars, a file a symbol")
    parser.add_argument("--model", default="range", help="forecasting model")
    parser.add_argument("--strategies", nargs="+", default=["maxdiff"])
    parser.add_argument("--calendar", help="such as XNYS, so that holidays are known")
    parser.add_argument("--equity", type=float, default=10_000.0, help="a strategy and symbol")
    parser.add_argument("--tick", type=float, default=0.01, help="price step of the market")
    parser.add_argument("--csv", type=Path, help="file for all columns")
    args = parser.parse_args()

    failed: dict[str, str] = {}
    if args.folder is None:
        bars = [simulated_bars(500, seed=i, symbol=f"SIM{i}") for i in range(3)]
    else:
        folder = ms.read_folder(args.folder, calendar=args.calendar)
        failed |= folder.problems
        bars = []
        for symbol in folder:
            try:
                bars.append(folder[symbol])
            except ms.BarsError as error:
                failed[symbol] = str(error)

    orders = ms.next_orders(
        bars, args.model, args.strategies, equity=args.equity, tick=args.tick, errors=failed
    )
    placed = orders[orders["order"] != "none"]
    print(placed[SHOWN].to_string(index=False, float_format="{:,.2f}".format))
    print(f"{len(placed)} orders, {len(orders) - len(placed)} rows without one")
    for note in dict.fromkeys(text.split(": ", 1)[-1] for text in orders.attrs["notes"]):
        print(f"note: {note}", file=sys.stderr)
    for symbol, why in failed.items():
        print(f"error: {symbol}: {why}", file=sys.stderr)
    if args.csv:
        placed.to_csv(args.csv, index=False)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
