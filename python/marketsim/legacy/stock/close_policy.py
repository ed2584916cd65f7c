"""Whether always-on orders of a symbol had better leave at the close, or wait for their limit."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.backtest import Hooks, simulation_rows
from marketsim.legacy.stock.maxdiff import evaluate_maxdiff_always_on_strategy
from marketsim.legacy.stock.simulation import Costs
from marketsim.text import get_logger

logger = get_logger(__name__)

_LEAST_ROWS = 100
_POLICIES = {"INSTANT_CLOSE": True, "KEEP_OPEN": False}


def evaluate_close_policy(hooks: Hooks, symbol: str, simulations: int) -> dict[str, Any] | None:
    """The mean returns of both policies over some simulations, in percent, and the better one.

    Offsets are fitted for each policy on the days that it is judged by.

    Returns:
        best_policy, advantage (percent), and the mean return of each; None where no simulation has
        100 rows.
    """
    data = hooks.download(None, symbols=[symbol])
    rows = [n for n in simulation_rows(len(data), simulations) if n >= _LEAST_ROWS]
    if not rows:
        logger.warning("no close policy for %s: %d rows are too few", symbol, len(data))
        return None
    is_crypto = symbol in hooks.crypto_symbols
    fee = loss_utils.CRYPTO_TRADING_FEE if is_crypto else loss_utils.TRADING_FEE
    spread = float(hooks.fetch_spread(symbol))
    results = hooks.simulations(data, symbol, Costs(fee, is_crypto, spread, spread)).run(rows)
    made: dict[str, list[float]] = {name: [] for name in _POLICIES}
    for count, row in zip(rows, results, strict=True):
        for name, at_close in _POLICIES.items():
            evaluation, _, _ = evaluate_maxdiff_always_on_strategy(
                row["last_preds"],
                data.iloc[:count],
                trading_fee=fee,
                trading_days_per_year=365 if is_crypto else 252,
                is_crypto=is_crypto,
                close_at_eod=at_close,
            )
            made[name].append(evaluation.total_return * 100.0)
    means = {name: float(np.mean(values)) for name, values in made.items()}
    best = max(means, key=lambda name: means[name])
    advantage = abs(means["INSTANT_CLOSE"] - means["KEEP_OPEN"])
    return {
        "best_policy": best,
        "advantage": advantage,
        "simulations": len(rows),
        "instant_close_return": means["INSTANT_CLOSE"],
        "keep_open_return": means["KEEP_OPEN"],
    }
