"""Paper decisions for tomorrow from the old backtest functions, as JSON orders.

    python examples/trading_loop.py data/daily AAPL BTCUSD --output orders.json

The folder holds a CSV or Parquet file a symbol. Nothing is traded: for each symbol the strategy
with the best average over its simulations is picked, and what it would do is written down. Averages
of the past promise nothing; most of what they find is noise.

PAPER=1, which is the default, is what this program does anyway; PAPER=0 is refused. With the speed
guide's MARKETSIM_MAX_HORIZON=1 no day is left to judge strategies by: the sign of the forecast
decides, and the order says so.
"""

import marketsim.legacy

marketsim.legacy.install()  # the whole migration: below stand old names only

import argparse
import json
import os
import sys
from pathlib import Path

from backtest_test3_inline import (
    backtest_forecasts,
    crypto_symbols,
    release_model_resources,
    resolve_close_policy,
)
from loss_utils import CRYPTO_TRADING_FEE, TRADING_FEE

# Strategy: the column of its average daily return.
STRATEGIES = {
    "simple": "simple_strategy_avg_daily_return",
    "highlow": "highlow_avg_daily_return",
    "maxdiff": "maxdiff_avg_daily_return",
}
# Strategy: the columns of its lower and its upper limit price; a market order where there are none.
LIMITS = {
    "highlow": ("predicted_low", "predicted_high"),
    "maxdiff": ("maxdiffprofit_low_price", "maxdiffprofit_high_price"),
}


def main() -> int:
    """Decide for each symbol and write the orders; returns 0, or 2 where a symbol failed."""
    args = parsed_arguments()
    if os.environ.get("PAPER", "1").strip().lower() in ("0", "false", "no", "off"):
        print("PAPER=0: this program writes orders and sends none; unset PAPER", file=sys.stderr)
        return 2
    os.environ["MARKETSIM_DATA"] = str(args.data)
    os.environ["MARKETSIM_LEGACY_QUIRKS"] = args.quirks
    os.environ.setdefault("TOTO_MODEL_ID", args.model)
    orders, skipped = [], {}
    for symbol in args.symbols:
        try:
            results = backtest_forecasts(symbol, args.simulations)
        except (ValueError, OSError) as error:
            skipped[symbol] = str(error)
            continue
        if results.empty:
            skipped[symbol] = "too few rows"
            continue
        orders.append(decision(symbol, results))
    release_model_resources(force=True)
    write({"orders": orders, "skipped": skipped}, args.output)
    for symbol, reason in skipped.items():
        print(f"{symbol}: {reason}", file=sys.stderr)
    return 2 if skipped else 0


def parsed_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of SYMBOL.csv or SYMBOL.parquet")
    parser.add_argument("symbols", nargs="+", metavar="SYMBOL")
    parser.add_argument("--simulations", type=int, default=70)
    parser.add_argument("--model", default="ewma", help="where TOTO_MODEL_ID says nothing")
    parser.add_argument("--output", type=Path, help="file of the orders; printed if not given")
    parser.add_argument(
        "--quirks",
        choices=("fixed", "legacy"),
        default="fixed",
        help="legacy: the old numbers, whose newest forecast is of the last known day",
    )
    return parser.parse_args()


def decision(symbol, results) -> dict:
    """What the best strategy of a symbol would do tomorrow; side is "none" for nothing."""
    newest = results.iloc[0]
    averages = {name: float(results[column].mean()) for name, column in STRATEGIES.items()}
    judged = any(averages.values())
    best = max(averages, key=averages.get) if judged else "simple"
    move = float(newest["calibrated_expected_move_pct" if judged else "raw_expected_move_pct"])
    is_crypto = symbol in crypto_symbols
    side = "buy" if move > 0 else "sell"
    # Crypto is not sold short.
    if (judged and averages[best] <= 0) or (is_crypto and side == "sell"):
        side = "none"
    order = {
        "symbol": symbol,
        "as_of": newest["date"].isoformat(),
        "strategy": best,
        "judged": judged,  # by past days; False where the settings leave none
        "side": side,
        "kind": "limit" if best in LIMITS else "market",
        "expected_move": move,
        "fee": CRYPTO_TRADING_FEE if is_crypto else TRADING_FEE,
        "close_policy": resolve_close_policy(symbol),
        "average_daily_returns": averages,
        "simulations": len(results),
    }
    if best in LIMITS:
        low, high = (float(newest[column]) for column in LIMITS[best])
        # A long buys at the lower price and leaves at the upper one, a short the other way round.
        order["entry"], order["take_profit"] = (low, high) if move > 0 else (high, low)
    return order


def write(content: dict, path: Path | None) -> None:
    """Print the orders, or write them so that the file is never half there."""
    text = json.dumps(content, indent=2, allow_nan=False)
    if path is None:
        print(text)
        return
    part = path.with_name(f".{path.name}.part")
    part.write_text(text + "\n")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
