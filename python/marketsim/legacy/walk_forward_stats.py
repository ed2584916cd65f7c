"""What a backtest adds to its simulations: averages, and forecasts of the next return."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from marketsim.legacy.context_forecasts import forecast_contexts
from marketsim.legacy.forecasting import Predict, samples_of
from marketsim.legacy.pipelines import load_toto_pipeline, prediction_store
from marketsim.legacy.quirks import active_quirks
from marketsim.legacy.result_rows import STRATEGIES

logger = logging.getLogger(__name__)

# Fewer values are not forecast from; with fewer than seven fewer samples are drawn.
_LEAST, _FEW = 4, 7
_SAMPLES, _FEW_SAMPLES, _PER_BATCH = 512, 256, 64
# Column of the statistics: the column it is the mean of.
_MEANS = {
    "walk_forward_highlow_sharpe": "highlow_sharpe",
    "walk_forward_takeprofit_sharpe": "entry_takeprofit_sharpe",
    "walk_forward_maxdiff_sharpe": "maxdiff_sharpe",
    "walk_forward_maxdiffalwayson_sharpe": "maxdiffalwayson_sharpe",
}


def compute_walk_forward_stats(results_df: pd.DataFrame) -> dict[str, float]:
    """Averages over the rows of a backtest's frame.

    Returns:
        walk_forward_oos_sharpe (of the simple strategy), walk_forward_turnover (in fact its mean
        absolute return, as the old function had it), and the mean Sharpe ratios of highlow,
        takeprofit, maxdiff and maxdiffalwayson where the frame has their columns. Nothing for an
        empty frame.
    """
    if results_df.empty:
        return {}
    missing = pd.Series(dtype=np.float64)
    sharpe = results_df.get("simple_strategy_sharpe", missing)
    returns = results_df.get("simple_strategy_return", missing)
    stats = {
        "walk_forward_oos_sharpe": float(sharpe.mean()),
        "walk_forward_turnover": float(returns.abs().mean()),
    }
    for name, column in _MEANS.items():
        if column in results_df:
            stats[name] = float(results_df[column].mean())
    return stats


def forecast_profits(
    results: Mapping[str, list[float]], symbol: str, predict: Predict | None
) -> dict[str, float]:
    """The forecast of each strategy's next average daily return.

    Args:
        results: by strategy, its average daily returns, newest simulation first.
        symbol: named in what is asked.
        predict: a function like `cached_predict`; None for the model that is set, through the
            prediction store.

    Returns:
        By strategy, under "<strategy>_forecasted_pnl": the median of the forecast; the mean where
        there are fewer than four values, or where it is negative (quirk `pnl_newest_first`).
    """
    found: dict[str, float] = {}
    asked: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    quirk = active_quirks().pnl_newest_first
    for name, values in results.items():
        known = np.array([value for value in values if not np.isnan(value)], dtype=np.float64)
        mean = float(known.mean()) if known.size else float("nan")
        if known.size < _LEAST or (quirk and mean < 0):
            found[name] = mean
        else:
            asked[name] = known if quirk else np.ascontiguousarray(known[::-1])
    found.update(_forecast(asked, symbol, predict))
    return {f"{name}_forecasted_pnl": found[name] for name in results}


def _forecast(
    asked: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]],
    symbol: str,
    predict: Predict | None,
) -> dict[str, float]:
    if predict is None and asked:
        model = load_toto_pipeline().model
        assert model is not None  # it has just been loaded
        contexts = [values.astype(np.float32).astype(np.float64) for values in asked.values()]
        made = forecast_contexts(model, contexts, 1, prediction_store())
        return {
            name: float(one.aggregate("median").reshape(-1)[0])
            for name, one in zip(asked, made, strict=True)
        }
    found = {}
    for name, values in asked.items():
        assert predict is not None
        column = f"{STRATEGIES[name][0]}_avg_daily_return"
        one = predict(
            torch.tensor(values, dtype=torch.float32),
            prediction_length=1,
            num_samples=_SAMPLES if len(values) >= _FEW else _FEW_SAMPLES,
            samples_per_batch=_PER_BATCH,
            symbol=f"{symbol}_{column}_pnl_forecast",
        )[0]
        found[name] = _median(one)
    return found


def _median(made: Any) -> float:
    exact = getattr(made, "distribution", None)
    if exact is not None:
        return float(exact.aggregate("median").reshape(-1)[0])
    return float(np.median(samples_of(made)))


def log_summary(
    results: pd.DataFrame, symbol: str, num_simulations: int, say: Callable[..., None] = logger.info
) -> None:
    """Write the averages of a backtest to the log, one line a strategy, and the errors."""
    for name, (start, last_day) in STRATEGIES.items():
        columns = {
            "return": f"{start}_return",
            "sharpe": f"{start}_sharpe",
            "annual": f"{start}_annual_return",
            "forecast": f"{name}_forecasted_pnl",
            "last day": last_day,
        }
        shown = [
            f"{what} {float(results[column].mean()):.4f}"
            for what, column in columns.items()
            if column in results
        ]
        if shown:
            say("%s, %d simulations, %s: %s", symbol, num_simulations, name, ", ".join(shown))
    losses = [
        f"{key} {float(results[f'{key}_val_loss'].mean()):.6f}"
        for key in ("close", "high", "low")
        if f"{key}_val_loss" in results
    ]
    if losses:
        say("%s, mean absolute error: %s", symbol, ", ".join(losses))
