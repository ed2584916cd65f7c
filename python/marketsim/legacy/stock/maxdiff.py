"""evaluate_maxdiff_strategy and evaluate_maxdiff_always_on_strategy, and what they report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from marketsim.errors import ArgumentError
from marketsim.legacy.stock.entry_exit import (
    Array,
    EntryExit,
    Floats,
    Moves,
    Terms,
    always_on,
    maxdiff,
    moves_against_close,
    scored,
)
from marketsim.legacy.stock.evaluation import StrategyEvaluation, no_scores
from marketsim.legacy.stock.price_frame import column_values
from marketsim.legacy.stock.quirks import Quirks, active_quirks
from marketsim.text import get_logger

logger = get_logger(__name__)

Result = tuple[StrategyEvaluation, npt.NDArray[np.float64], dict[str, object]]
Levels = tuple[float, float]
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
    trading_fee: float | None,
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
        trading_fee: fraction of the position, see `loss_utils`; None: `TRADING_FEE`.
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
    quirks = active_quirks()
    moves = moves_of(last_preds, simulation_data, quirks)
    prices = _reference_prices(last_preds)
    if moves is None:
        return (*_nothing(), no_maxdiff(prices))
    orders = maxdiff(moves, terms, quirks, skip_invalid=skip_invalid_forecasts)
    result = scored(orders, terms, quirks)
    metadata = maxdiff_rows(result, [prices])[0]
    logger.info("MaxDiff: %s", _summary("maxdiffprofit", "maxdiff", metadata))
    return result.reported.one(), result.reported.returns[0], metadata


def evaluate_maxdiff_always_on_strategy(
    last_preds: dict[str, Any],
    simulation_data: pd.DataFrame,
    *,
    trading_fee: float | None,
    trading_days_per_year: int,
    is_crypto: bool = False,
    close_at_eod: bool | None = None,
) -> Result:
    """Buy orders at the forecast low and sell orders at the forecast high, both on every day.

    Arguments, result and errors are as for `evaluate_maxdiff_strategy`; at no offsets positions
    leave at the limits whatever `close_at_eod` says.
    """
    terms = Terms(trading_fee, trading_days_per_year, is_crypto, close_at_eod)
    quirks = active_quirks()
    moves = moves_of(last_preds, simulation_data, quirks)
    prices = _reference_prices(last_preds)
    if moves is None:
        return (*_nothing(), no_always_on(prices))
    result = scored(always_on(moves, terms, quirks), terms, quirks)
    metadata = always_on_rows(result, [prices])[0]
    logger.info("MaxDiffAlwaysOn: %s", _summary("maxdiffalwayson", "maxdiffalwayson", metadata))
    return result.reported.one(), result.reported.returns[0], metadata


def days_before(rows: int, days: int, quirks: Quirks) -> slice:
    """The rows of the days before the validated ones, of so many rows and validated days."""
    last = rows - (2 if quirks.stale_forecasts else 1)
    return slice(last - days, last)


def moves_of(last_preds: Mapping[str, Any], data: pd.DataFrame, quirks: Quirks) -> Moves | None:
    """The moves of one simulation; None where there are no days."""
    close = _row(last_preds.get("close_actual_movement_values"))
    days = 0 if close is None else close.shape[1]
    if close is None or days == 0 or days_before(len(data), days, quirks).start < 0:
        return None
    missing = [name for name in _TENSORS if last_preds.get(name) is None]
    if missing:
        logger.warning("no entry and exit strategy: last_preds lacks %s", ", ".join(missing))
        return None
    return moves_against_close(*prices_before(last_preds, data, quirks), quirks)


def prices_before(
    last_preds: Mapping[str, Any], data: pd.DataFrame, quirks: Quirks
) -> tuple[Floats, tuple[Floats, ...], tuple[Array, Array, Array]]:
    """What `moves_against_close` takes, of one simulation: [1, day] each.

    Raises:
        ArgumentError: tensors of different lengths.
    """
    close = _row(last_preds["close_actual_movement_values"])
    assert close is not None  # the caller has looked
    given = []
    for name in _TENSORS:
        values = _row(last_preds[name])
        if values is None or values.shape != close.shape:
            got = 0 if values is None else values.shape[1]
            raise ArgumentError(
                f"{name} must have as many days as close_actual_movement_values, "
                f"{close.shape[1]}: got {got}"
            )
        given.append(values)
    rows = days_before(len(data), close.shape[1], quirks)
    high, low, last = (column_values(data, name)[None, rows] for name in ("High", "Low", "Close"))
    return close, tuple(given), (high, low, last)


def _row(values: Any) -> npt.NDArray[np.float32] | None:
    """One simulation, float32 [1, day]."""
    if values is None:
        return None
    tensor = torch.as_tensor(values, dtype=torch.float32).detach().cpu()
    return np.ascontiguousarray(tensor.reshape(1, -1).numpy())


def _reference_prices(last_preds: Mapping[str, Any]) -> Levels:
    names = ("high_predicted_price_value", "low_predicted_price_value")
    return float(last_preds.get(names[0], 0.0)), float(last_preds.get(names[1], 0.0))


def _nothing() -> tuple[StrategyEvaluation, npt.NDArray[np.float64]]:
    none = no_scores(1).one(np.zeros(0))
    return none, np.zeros(0)


def _summary(profit: str, rest: str, metadata: Mapping[str, object]) -> str:
    names = [f"{profit}_{what}_return" for what in ("baseline", "optimized", "adjusted")]
    shown = [f"{name.split('_')[1]}={metadata[name]:.4f}" for name in names]
    return ", ".join([*shown, f"close_at_eod={metadata[f'{rest}_close_at_eod']}"])


def maxdiff_rows(result: EntryExit, prices: Sequence[Levels]) -> list[dict[str, object]]:
    """The metadata of each simulation of `maxdiff`; `prices` are its forecast high and low."""
    days = result.side.shape[1]
    longs = np.add.reduce(result.side > 0, axis=1).tolist()
    shorts = np.add.reduce(result.side < 0, axis=1).tolist()
    trades = [up + down for up, down in zip(longs, shorts, strict=True)]
    net = np.add.reduce(result.side, axis=1).tolist()
    valid = np.add.reduce(result.valid, axis=1).tolist()
    return _rows(
        {
            **_profits("maxdiffprofit", "profit_", result, prices),
            "maxdiff_turnover": result.reported.turnover.tolist(),
            "maxdiff_primary_side": [
                "buy" if side > 0 else "sell" if side < 0 else "neutral" for side in net
            ],
            "maxdiff_trade_bias": _ratios(net, trades),
            "maxdiff_trades_positive": longs,
            "maxdiff_trades_negative": shorts,
            "maxdiff_trades_total": trades,
            "maxdiff_invalid_forecasts": [days - number for number in valid],
            "maxdiff_valid_forecasts": valid,
            "maxdiff_close_at_eod": result.found.close_at_eod.tolist(),
        }
    )


def always_on_rows(result: EntryExit, prices: Sequence[Levels]) -> list[dict[str, object]]:
    """The metadata of each simulation of `always_on`; `prices` are its forecast high and low."""
    parts = result.found.profits[1].astype(np.float64)
    if len(parts) == 1:  # nobody sells
        parts = np.concatenate((parts, np.zeros_like(parts)))
    of_longs, of_shorts = np.add.reduce(parts, axis=2)
    longs, shorts = np.add.reduce(parts != 0.0, axis=2)
    moved = np.add.reduce(np.abs(result.reported.returns), axis=1)
    return _rows(
        {
            **_profits("maxdiffalwayson", "", result, prices),
            "maxdiffalwayson_turnover": result.reported.turnover.tolist(),
            "maxdiffalwayson_buy_contribution": of_longs.tolist(),
            "maxdiffalwayson_sell_contribution": of_shorts.tolist(),
            "maxdiffalwayson_filled_buy_trades": longs.tolist(),
            "maxdiffalwayson_filled_sell_trades": shorts.tolist(),
            "maxdiffalwayson_trades_total": (longs + shorts).tolist(),
            "maxdiffalwayson_trade_bias": _ratios((of_longs - of_shorts).tolist(), moved.tolist()),
            "maxdiffalwayson_close_at_eod": result.found.close_at_eod.tolist(),
        }
    )


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, object]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _ratios(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    return [part / whole if whole else 0.0 for part, whole in zip(parts, wholes, strict=True)]


def _profits(
    name: str, prefix: str, result: EntryExit, prices: Sequence[Levels]
) -> dict[str, Sequence[Any]]:
    """What both strategies report, [simulation] each; their names differ by a prefix."""
    highs, lows = result.found.high.tolist(), result.found.low.tolist()
    reported = result.reported.total.tolist()
    return {
        f"{name}_profit": reported,
        f"{name}_profit_values": result.reported.returns.tolist(),
        f"{name}_{prefix}high_multiplier": highs,
        f"{name}_{prefix}low_multiplier": lows,
        f"{name}_high_price": [
            price * (1.0 + high) for (price, _), high in zip(prices, highs, strict=True)
        ],
        f"{name}_low_price": [
            price * (1.0 + low) for (_, price), low in zip(prices, lows, strict=True)
        ],
        f"{name}_baseline_return": result.base.total.tolist(),
        f"{name}_optimized_return": result.fitted.total.tolist(),
        f"{name}_adjusted_return": reported,
    }


def no_maxdiff(prices: Levels) -> dict[str, object]:
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


def no_always_on(prices: Levels) -> dict[str, object]:
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


def _no_profits(name: str, prefix: str, prices: Levels) -> dict[str, object]:
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
