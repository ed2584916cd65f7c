"""evaluate_maxdiff_strategy and evaluate_maxdiff_always_on_strategy, and what they report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from marketsim.errors import ArgumentError
from marketsim.legacy.entry_exit import (
    EntryExit,
    Moves,
    Terms,
    always_on,
    maxdiff,
    moves_against_close,
)
from marketsim.legacy.evaluation import StrategyEvaluation, no_scores
from marketsim.legacy.price_frame import column_values
from marketsim.legacy.quirks import Quirks, active_quirks

logger = logging.getLogger(__name__)

Result = tuple[StrategyEvaluation, npt.NDArray[np.float64], dict[str, object]]
_TENSORS = (
    "high_actual_movement_values",
    "low_actual_movement_values",
    "high_predictions",
    "low_predictions",
)


def evaluate_maxdiff_strategy(
    last_preds: dict[str, Any],
    simulation_data: pd.DataFrame,
    *,
    trading_fee: float,
    trading_days_per_year: int,
    is_crypto: bool = False,
    skip_invalid_forecasts: bool = True,
    close_at_eod: bool | None = None,
) -> Result:
    """Limit orders at the forecast high and low, on the side of the extreme that is farther off.

    Args:
        last_preds: close_actual_movement_values, high_actual_movement_values,
            low_actual_movement_values, high_predictions and low_predictions, tensors [day], and
            high_predicted_price_value and low_predicted_price_value for the prices reported.
        simulation_data: High, Low and Close; the last rows belong to the days of the tensors.
        trading_fee: fraction of the position, see `loss_utils`.
        trading_days_per_year: for the annual figures.
        is_crypto: no shorts.
        skip_invalid_forecasts: no trade where the forecast low is not below the forecast high.
        close_at_eod: leave at the close; None: whichever has the higher total on these days.

    Returns:
        (evaluation, its daily returns float64 [day], metadata). Returns are those at the fitted
        offsets; the other numbers add 0.3 times theirs to those at no offsets (quirk
        `fitted_in_sample`).

    Raises:
        ArgumentError: tensors of different lengths, or a fee out of range.
        UnknownNameError: a column is missing.
    """
    last_preds.setdefault("close_actual_movement_values", torch.zeros(0))
    terms = Terms(trading_fee, trading_days_per_year, is_crypto, close_at_eod)
    moves = _moves(last_preds, simulation_data)
    prices = _reference_prices(last_preds)
    if moves is None:
        return (*_nothing(), no_maxdiff(prices))
    result = maxdiff(moves, terms, skip_invalid_forecasts)
    metadata = maxdiff_row(result, 0, prices)
    logger.info("MaxDiff: %s", _summary("maxdiffprofit", "maxdiff", metadata))
    return result.reported.one(), result.reported.returns[0], metadata


def evaluate_maxdiff_always_on_strategy(
    last_preds: dict[str, Any],
    simulation_data: pd.DataFrame,
    *,
    trading_fee: float,
    trading_days_per_year: int,
    is_crypto: bool = False,
    close_at_eod: bool | None = None,
) -> Result:
    """Buy orders at the forecast low and sell orders at the forecast high, both on every day.

    Arguments, result and errors are as for `evaluate_maxdiff_strategy`; at no offsets positions
    leave at the limits whatever `close_at_eod` says.
    """
    terms = Terms(trading_fee, trading_days_per_year, is_crypto, close_at_eod)
    moves = _moves(last_preds, simulation_data)
    prices = _reference_prices(last_preds)
    if moves is None:
        return (*_nothing(), no_always_on(prices))
    result = always_on(moves, terms)
    metadata = always_on_row(result, 0, prices)
    logger.info("MaxDiffAlwaysOn: %s", _summary("maxdiffalwayson", "maxdiffalwayson", metadata))
    return result.reported.one(), result.reported.returns[0], metadata


def days_before(rows: int, days: int, quirks: Quirks) -> slice:
    """The rows of the days before the validated ones, of so many rows and validated days."""
    last = rows - (2 if quirks.stale_forecasts else 1)
    return slice(last - days, last)


def _moves(last_preds: Mapping[str, Any], data: pd.DataFrame) -> Moves | None:
    """The moves of one simulation; None where there are no days."""
    close = _row(last_preds.get("close_actual_movement_values"))
    quirks = active_quirks()
    days = 0 if close is None else close.shape[1]
    rows = days_before(len(data), days, quirks)
    if close is None or days == 0 or rows.start < 0:
        return None
    extremes = [_row(last_preds.get(name)) for name in _TENSORS]
    missing = [name for name, values in zip(_TENSORS, extremes, strict=True) if values is None]
    if missing:
        logger.warning("no entry and exit strategy: last_preds lacks %s", ", ".join(missing))
        return None
    for name, values in zip(_TENSORS, extremes, strict=True):
        if values is not None and values.shape != close.shape:
            raise ArgumentError(
                f"{name} must have as many days as close_actual_movement_values, {days}: "
                f"got {values.shape[1]}"
            )
    before = tuple(column_values(data, name)[None, rows] for name in ("High", "Low", "Close"))
    given = tuple(values for values in extremes if values is not None)
    return moves_against_close(close, given, before, quirks)


def _row(values: Any) -> npt.NDArray[np.float32] | None:
    """One simulation, float32 [1, day]."""
    if values is None:
        return None
    tensor = torch.as_tensor(values, dtype=torch.float32).detach().cpu()
    return np.ascontiguousarray(tensor.reshape(1, -1).numpy())


def _reference_prices(last_preds: Mapping[str, Any]) -> tuple[float, float]:
    names = ("high_predicted_price_value", "low_predicted_price_value")
    return float(last_preds.get(names[0], 0.0)), float(last_preds.get(names[1], 0.0))


def _nothing() -> tuple[StrategyEvaluation, npt.NDArray[np.float64]]:
    none = no_scores(1).one(np.zeros(0))
    return none, np.zeros(0)


def _summary(profit: str, rest: str, metadata: Mapping[str, object]) -> str:
    names = [f"{profit}_{what}_return" for what in ("baseline", "optimized", "adjusted")]
    shown = [f"{name.split('_')[1]}={metadata[name]:.4f}" for name in names]
    return ", ".join([*shown, f"close_at_eod={metadata[f'{rest}_close_at_eod']}"])


def maxdiff_row(result: EntryExit, row: int, prices: tuple[float, float]) -> dict[str, object]:
    """The metadata of one simulation of `maxdiff`; prices are the forecast high and low."""
    side, valid = result.side[row], int(result.valid[row].sum())
    longs, shorts = int((side > 0).sum()), int((side < 0).sum())
    trades, net = longs + shorts, float(side.sum())
    primary = "buy" if net > 0 else "sell" if net < 0 else "neutral"
    return {
        **_profits("maxdiffprofit", "profit_", result, row, prices),
        "maxdiff_turnover": _turnover(result, row),
        "maxdiff_primary_side": primary,
        "maxdiff_trade_bias": net / trades if trades else 0.0,
        "maxdiff_trades_positive": longs,
        "maxdiff_trades_negative": shorts,
        "maxdiff_trades_total": trades,
        "maxdiff_invalid_forecasts": side.size - valid,
        "maxdiff_valid_forecasts": valid,
        "maxdiff_close_at_eod": bool(result.found.close_at_eod[row]),
    }


def always_on_row(result: EntryExit, row: int, prices: tuple[float, float]) -> dict[str, object]:
    """The metadata of one simulation of `always_on`; prices are the forecast high and low."""
    parts = [part[row].astype(np.float64) for part in result.found.positions]
    bought, sold = parts[0], parts[1] if len(parts) == 2 else np.zeros_like(parts[0])
    of_longs, of_shorts = float(bought.sum()), float(sold.sum())
    moved = float(np.sum(np.abs(result.reported.returns[row])))
    longs, shorts = int(np.count_nonzero(bought)), int(np.count_nonzero(sold))
    return {
        **_profits("maxdiffalwayson", "", result, row, prices),
        "maxdiffalwayson_turnover": _turnover(result, row),
        "maxdiffalwayson_buy_contribution": of_longs,
        "maxdiffalwayson_sell_contribution": of_shorts,
        "maxdiffalwayson_filled_buy_trades": longs,
        "maxdiffalwayson_filled_sell_trades": shorts,
        "maxdiffalwayson_trades_total": longs + shorts,
        "maxdiffalwayson_trade_bias": (of_longs - of_shorts) / moved if moved else 0.0,
        "maxdiffalwayson_close_at_eod": bool(result.found.close_at_eod[row]),
    }


def _profits(
    name: str, prefix: str, result: EntryExit, row: int, prices: tuple[float, float]
) -> dict[str, object]:
    """What both strategies report; their names differ by a prefix."""
    high, low = float(result.found.high[row]), float(result.found.low[row])
    reported = float(result.reported.total[row])
    return {
        f"{name}_profit": reported,
        f"{name}_profit_values": result.reported.returns[row].tolist(),
        f"{name}_{prefix}high_multiplier": high,
        f"{name}_{prefix}low_multiplier": low,
        f"{name}_high_price": prices[0] * (1.0 + high),
        f"{name}_low_price": prices[1] * (1.0 + low),
        f"{name}_baseline_return": float(result.base.total[row]),
        f"{name}_optimized_return": float(result.fitted.total[row]),
        f"{name}_adjusted_return": reported,
    }


def _turnover(result: EntryExit, row: int) -> float:
    return float(np.mean(np.abs(result.reported.returns[row])))


def no_maxdiff(prices: tuple[float, float]) -> dict[str, object]:
    """The metadata of a simulation without days."""
    return {
        **_no_profits("maxdiffprofit", "profit_", prices),
        "maxdiff_turnover": 0.0,
        "maxdiff_primary_side": "neutral",
        "maxdiff_trade_bias": 0.0,
        "maxdiff_trades_positive": 0,
        "maxdiff_trades_negative": 0,
        "maxdiff_trades_total": 0,
        "maxdiff_invalid_forecasts": 0,
        "maxdiff_valid_forecasts": 0,
        "maxdiff_close_at_eod": False,
    }


def no_always_on(prices: tuple[float, float]) -> dict[str, object]:
    """The metadata of a simulation without days."""
    return {
        **_no_profits("maxdiffalwayson", "", prices),
        "maxdiffalwayson_turnover": 0.0,
        "maxdiffalwayson_buy_contribution": 0.0,
        "maxdiffalwayson_sell_contribution": 0.0,
        "maxdiffalwayson_filled_buy_trades": 0,
        "maxdiffalwayson_filled_sell_trades": 0,
        "maxdiffalwayson_trades_total": 0,
        "maxdiffalwayson_trade_bias": 0.0,
        "maxdiffalwayson_close_at_eod": False,
    }


def _no_profits(name: str, prefix: str, prices: tuple[float, float]) -> dict[str, object]:
    return {
        f"{name}_profit": 0.0,
        f"{name}_profit_values": [],
        f"{name}_{prefix}high_multiplier": 0.0,
        f"{name}_{prefix}low_multiplier": 0.0,
        f"{name}_high_price": prices[0],
        f"{name}_low_price": prices[1],
        f"{name}_baseline_return": 0.0,
        f"{name}_optimized_return": 0.0,
        f"{name}_adjusted_return": 0.0,
    }
