"""One evening: refresh the bars, settle yesterday's orders on paper, place those for the next bar.

    python examples/paper_trading.py bars/ --source yfinance --symbols AAPL MSFT --tick 0.01

The folder holds a CSV file a symbol; --source fetches its new bars, and --symbols adds new files.
Without --source the bars must be up to date, without a bar that is not complete. Run it each
evening: what was done stays in the ledger, and running it twice changes nothing. With --real FILE,
a CSV of the fills of a real account (symbol, strategy, bar, leg, side, quantity, price), it says
what they cost more than was assumed. No order leaves this machine, unless --account names a broker:
its paper account or sandbox, whose fills are then compared. Only --live trades real money.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import marketsim as ms
from marketsim.live import (
    AlpacaBroker,
    CcxtBroker,
    PaperBroker,
    Source,
    compare_fills,
    load_source,
    next_orders,
    refresh,
)


def main(words: Sequence[str] | None = None, source: Source | None = None) -> int:
    """Refresh, settle, order, report; returns 0, 3 where symbols failed, 2 where all did."""
    args = parsed_arguments(words)
    failed: dict[str, str] = {}
    if args.source and source is None:
        source = load_source(args.source)
    if source is not None:
        args.folder.mkdir(exist_ok=True)
        named = [*args.symbols, *sorted(path.stem for path in args.folder.glob("*.csv"))]
        fresh = refresh(args.folder, named, source, start=args.start, errors=failed)
        print(f"{sum(one.added for one in fresh)} new bars of {len(fresh)} symbols")
    folder = ms.read_folder(args.folder, calendar=args.calendar)
    bars = []
    failed |= folder.problems
    for symbol in folder:
        try:
            bars.append(folder[symbol])
        except ms.BarsError as error:
            failed[symbol] = str(error)
    broker = PaperBroker(args.ledger, cash=args.cash)
    filled = broker.settle(bars)
    orders = next_orders(
        bars, args.model, args.strategies, equity=args.equity, tick=args.tick, errors=failed
    )
    account = account_of(args, broker)
    laid = (broker if account is None else account).submit(orders)
    print(f"{len(filled)} fills of earlier orders, {len(laid)} new orders")
    print(f"cash {broker.cash:,.2f}, units held: {broker.positions or 'none'}")
    shown = orders[orders["order"] != "none"]
    print(shown[["symbol", "strategy", "bar", "side", "quantity", "entry_limit", "take_profit"]]
          .to_string(index=False))  # fmt: skip
    for note in orders.attrs["notes"]:
        print(f"note: {note}", file=sys.stderr)
    if account is not None and len(done := account.fills(last=5)):
        print(compare_fills(broker.fills(), done).to_string(index=False))
    if args.real:
        print(compare_fills(broker.fills(), pd.read_csv(args.real)).to_string(index=False))
    for symbol, why in failed.items():
        print(f"error: {symbol}: {why}", file=sys.stderr)
    return 0 if not failed else 3 if len(orders) else 2


def account_of(args: argparse.Namespace, ledger: PaperBroker) -> AlpacaBroker | CcxtBroker | None:
    """The account that the orders go to; None for paper alone."""
    if args.account is None:
        return None
    if args.account == "alpaca":
        return AlpacaBroker(ledger, live=args.live)
    return CcxtBroker(ledger, exchange=args.account, live=args.live)


def parsed_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of bars, a file a symbol")
    parser.add_argument("--source", help="fetch new bars first: yfinance, ccxt or alpaca")
    parser.add_argument("--symbols", nargs="+", default=[], help="symbols to fetch besides")
    parser.add_argument("--start", help="first date of new files")
    parser.add_argument("--ledger", type=Path, default=Path("paper.sqlite"))
    parser.add_argument("--model", default="range")
    parser.add_argument("--strategies", nargs="+", default=["maxdiff"])
    parser.add_argument("--calendar", help="such as XNYS, so that holidays are known")
    parser.add_argument("--equity", type=float, default=10_000.0, help="a strategy and symbol")
    parser.add_argument("--cash", type=float, default=100_000.0, help="of a new ledger")
    parser.add_argument("--tick", type=float, help="price step of the market")
    parser.add_argument("--account", help="alpaca, or an exchange of ccxt such as binance")
    parser.add_argument("--live", action="store_true", help="trade real money on --account")
    parser.add_argument("--real", type=Path, help="CSV of the fills of a real account")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
