"""The old program `backtest_test3_inline.py SYMBOL [--output-json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from marketsim.atomic import replace_file
from marketsim.errors import MarketsimError
from marketsim.legacy.stock.result_rows import STRATEGIES

_METRICS = (
    "close_val_loss",
    "high_val_loss",
    "low_val_loss",
    "walk_forward_oos_sharpe",
    "walk_forward_turnover",
    "walk_forward_maxdiff_sharpe",
    "walk_forward_maxdiffalwayson_sharpe",
)
# What is also reported of strategies with limit orders, and the start of these columns.
_FITTED = ("baseline_return", "optimized_return", "adjusted_return")
_LIMIT_ORDERS = {"maxdiff": "maxdiffprofit", "maxdiffalwayson": "maxdiffalwayson"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Backtest a symbol and write the means of its columns.

    Exits with 1 where there are no data, and with 2 and a message where something is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="backtest_test3_inline",
        description="Runs the old backtest of a symbol, and writes means over its simulations.",
        epilog="python -m marketsim.legacy.backtest_test3_inline AAPL --output-json a.json",
    )
    parser.add_argument("symbol", nargs="?", default="ETHUSD", help="what is traded: ETHUSD")
    parser.add_argument("--output-json", metavar="FILE", help="where the means are written")
    parser.add_argument("--output-label", metavar="NAME", help="stands there as the symbol")
    parser.add_argument("--simulations", type=int, default=50, metavar="N", help="how many: 50")
    asked = parser.parse_args(arguments)
    module = importlib.import_module("marketsim.legacy.stock.backtest_test3_inline")
    try:
        frame = module.backtest_forecasts(asked.symbol, asked.simulations)
    except MarketsimError as error:
        sys.exit(f"backtest_test3_inline: {error}")
    if frame.empty:
        print(f"{asked.symbol}: no simulation was made: there are no data", file=sys.stderr)
        sys.exit(1)
    payload = summary_of(frame, asked.output_label or asked.symbol)
    for name, figures in payload["strategies"].items():
        shown = ", ".join(
            f"{key} {value:.6f}" for key, value in figures.items() if value is not None
        )
        print(f"{payload['symbol']} {name}: {shown}")
    if asked.output_json:
        path = Path(asked.output_json)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(payload, indent=2) + "\n").encode())


def summary_of(frame: pd.DataFrame, symbol: str) -> dict[str, Any]:
    """The means of a backtest's columns, as the old program wrote them.

    Returns:
        symbol, runs, generated_at, strategies (by name return, sharpe, final_day,
        avg_daily_return, annual_return, ...) and metrics; None for a mean that is not known.
    """

    def mean(column: str) -> float | None:
        values = frame.get(column)
        if values is None:  # in last_preds only, as the columns of fitted returns are
            values = pd.Series([row.get(column, math.nan) for row in frame["last_preds"]])
        value = float(values.mean())
        return None if math.isnan(value) else value

    strategies: dict[str, dict[str, float | None]] = {}
    for name, (start, last_day) in STRATEGIES.items():
        strategies[name] = {
            "return": mean(f"{start}_return"),
            "sharpe": mean(f"{start}_sharpe"),
            "final_day": mean(last_day),
            "avg_daily_return": mean(f"{start}_avg_daily_return"),
            "annual_return": mean(f"{start}_annual_return"),
        }
        if name in _LIMIT_ORDERS:
            strategies[name]["turnover"] = mean(f"{start}_turnover")
            strategies[name] |= {what: mean(f"{_LIMIT_ORDERS[name]}_{what}") for what in _FITTED}
    return {
        "symbol": symbol,
        "runs": len(frame),
        "generated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "strategies": strategies,
        "metrics": {name: mean(name) for name in _METRICS},
    }
