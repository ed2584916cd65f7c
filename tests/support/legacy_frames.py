"""The frame of a whole backtest of the old stack: its rows, and what it adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from legacy_transcription import Exact, Reported, Setting, simulate

# Strategies in the order in which their forecast profit is added, by the start of their columns.
STRATEGIES = (
    ("simple_strategy", "simple"),
    ("all_signals_strategy", "all_signals"),
    ("buy_hold", "buy_hold"),
    ("unprofit_shutdown", "unprofit_shutdown"),
    ("entry_takeprofit", "entry_takeprofit"),
    ("highlow", "highlow"),
    ("maxdiff", "maxdiff"),
    ("maxdiffalwayson", "maxdiffalwayson"),
)
_SHARPES = {
    "highlow": "highlow_sharpe",
    "takeprofit": "entry_takeprofit_sharpe",
    "maxdiff": "maxdiff_sharpe",
    "maxdiffalwayson": "maxdiffalwayson_sharpe",
}


def walk_forward(rows: pd.DataFrame) -> dict[str, float]:
    return {
        "walk_forward_oos_sharpe": float(rows["simple_strategy_sharpe"].mean()),
        "walk_forward_turnover": float(rows["simple_strategy_return"].abs().mean()),
    } | {f"walk_forward_{name}_sharpe": float(rows[of].mean()) for name, of in _SHARPES.items()}


def forecast_profit(days: pd.Series, setting: Setting) -> float:
    """The median forecast of what follows the mean daily returns, newest first as they come.

    Below four rows, or with a negative mean, the mean.
    """
    known = days.dropna()
    mean = float(known.mean()) if len(known) else float(days.mean())
    if len(known) < 4 or mean < 0:
        return mean
    found = setting.forecast(torch.tensor(known.to_numpy(), dtype=torch.float32))
    return found.median if isinstance(found, Exact) else float(np.median(np.asarray(found)))


def backtest(
    stock: pd.DataFrame, simulations: int, setting: Setting, reported: Sequence[Reported]
) -> pd.DataFrame:
    """The frame of `simulations` rows: row s from all but the last s + 1 rows of the data."""
    rows: list[dict[str, Any]] = []
    within = replace(setting, module_spread=setting.spread)  # the spread that was fetched
    for number in range(simulations):
        rows.append(simulate(stock.iloc[: -(number + 1)], within, reported[number]))
    frame = pd.DataFrame(rows)
    for name, value in walk_forward(frame).items():
        frame[name] = value
    for columns, name in STRATEGIES:
        frame[f"{name}_forecasted_pnl"] = forecast_profit(
            frame[f"{columns}_avg_daily_return"], within
        )
    return frame
