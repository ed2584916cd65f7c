"""The later versions' strategy that enters at a forecast extreme and leaves a part beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import MissingDependencyError
from marketsim.legacy.stock.entry_exit import moves_against_close
from marketsim.legacy.stock.evaluation import StrategyEvaluation, evaluate_daily_returns, no_scores
from marketsim.legacy.stock.maxdiff import moves_of, prices_before
from marketsim.legacy.stock.optimization_utils import run_bounded_optimizer
from marketsim.legacy.stock.quirks import LEGACY

__all__ = ["evaluate_pctdiff_strategy"]

Array = npt.NDArray[np.float64]
Pair = tuple[float, float]

# No day earns or loses more.
MOST_A_DAY = 0.10
_LEAST_PRICE = 1e-6


class _Days(NamedTuple):
    """The days that trade: sides, and prices [day].

    Attributes:
        side: 1 long, -1 short, 0 none.
        close, high, low: prices.
        entry: the forecast low of a long, the forecast high of a short.
    """

    side: Array
    close: Array
    high: Array
    low: Array
    entry: Array

    def returns(self, low: float, high: float, take: Pair, fee: float) -> tuple[Array, int, int]:
        """Returns [day] at these shifts of the entries, and how many entered and took profit."""
        is_long = self.side > 0
        entry = np.maximum(self.entry * (1.0 + np.where(is_long, low, high)), _LEAST_PRICE)
        entered = np.where(is_long, self.low <= entry, self.high >= entry) & (self.side != 0)
        target = entry * np.where(is_long, 1.0 + take[0], 1.0 - take[1])
        took = np.where(is_long, self.high >= target, self.low <= target) & entered
        left = np.where(took, target, self.close)
        gain = np.where(is_long, left - entry, entry - left)
        made = np.where(entered, (gain - fee * entry) / entry, 0.0)
        clipped = np.clip(made, -MOST_A_DAY, MOST_A_DAY)
        return clipped, int(entered.sum()), int(took.sum())


def evaluate_pctdiff_strategy(
    last_preds: dict[str, Any],
    simulation_data: pd.DataFrame,
    *,
    trading_fee: float,
    trading_days_per_year: int,
    is_crypto: bool = False,
    pct_bounds: Pair = (0.003, 0.09),
    multiplier_bounds: Pair = (-0.03, 0.03),
) -> tuple[StrategyEvaluation, Array, dict[str, object]]:
    """Enter at the forecast low or high, shifted, and leave a part of the price beyond, or at the close.

    Shifts and parts are fitted on the same days by DIRECT, as the old function did; where SciPy is
    not installed, on a grid.

    Args:
        last_preds, simulation_data, trading_fee, trading_days_per_year, is_crypto: as for
            `evaluate_maxdiff_strategy`; sides are those of that strategy.
        pct_bounds: least and most that is taken, as fractions of the entry.
        multiplier_bounds: least and most shift of the entries.

    Returns:
        (evaluation, daily returns float64 [day], metadata).
    """  # noqa: E501
    moves = moves_of(last_preds, simulation_data, LEGACY)
    if moves is None:
        none = no_scores(1).one(np.zeros(0))
        return none, np.zeros(0), _metadata(last_preds, None, np.zeros(0), np.zeros(0), 0, 0)
    days = _days(last_preds, simulation_data, is_crypto)
    best = _fitted(days, trading_fee, pct_bounds, multiplier_bounds)
    low, high, *take = best
    returns, entered, took = days.returns(low, high, (take[0], take[1]), trading_fee)
    made = evaluate_daily_returns(returns, trading_days_per_year)
    return made, returns, _metadata(last_preds, best, returns, days.side, entered, took)


def _days(last_preds: Mapping[str, Any], data: pd.DataFrame, is_crypto: bool) -> _Days:
    close, own, before = prices_before(last_preds, data, LEGACY)
    moves = moves_against_close(close, own, before, LEGACY)
    high_pred, low_pred = moves.high_pred[0], moves.low_pred[0]
    side = np.where(np.abs(high_pred) > np.abs(low_pred), 1.0, 0.0 if is_crypto else -1.0)
    side = np.where(low_pred < high_pred, side, 0.0)
    day_high, day_low, day_close = (prices[0] for prices in before)
    moved = np.where(side > 0, own[3][0], own[2][0]).astype(np.float64)
    return _Days(side, day_close, day_high, day_low, day_close * (1.0 + moved))


def _fitted(days: _Days, fee: float, take: Pair, shift: Pair) -> tuple[float, ...]:
    """(low shift, high shift, long part, short part) with the highest sum of returns."""

    def loss(at: Sequence[float]) -> float:
        parts = tuple(float(np.clip(part, *take)) for part in at[2:])
        return -float(days.returns(at[0], at[1], (parts[0], parts[1]), fee)[0].sum())

    try:
        found, _ = run_bounded_optimizer(
            loss, bounds=(shift, shift, take, take), maxiter=60, popsize=12, seed=42, workers=1
        )
    except MissingDependencyError:
        grid = [np.linspace(*shift, 7)] * 2 + [np.linspace(*take, 10)] * 2
        points = np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 4)
        found = min(map(tuple, points.tolist()), key=loss)
    low, high, *parts = found
    return (low, high, *(float(np.clip(part, *take)) for part in parts))


def _metadata(
    last_preds: Mapping[str, Any],
    best: tuple[float, ...] | None,
    returns: Array,
    side: Array,
    entered: int,
    took: int,
) -> dict[str, object]:
    low, high, long_part, short_part = best or (0.0, 0.0, 0.0, 0.0)
    low_price = float(last_preds.get("low_predicted_price_value", 0.0) or 0.0) * (1.0 + low)
    high_price = float(last_preds.get("high_predicted_price_value", 0.0) or 0.0) * (1.0 + high)
    longs, shorts = int((side > 0).sum()), int((side < 0).sum())
    net, trades = longs - shorts, longs + shorts
    return {
        "pctdiff_profit": float(returns.sum()),
        "pctdiff_profit_values": returns.tolist(),
        "pctdiff_turnover": float(np.abs(returns).mean()) if returns.size else 0.0,
        "pctdiff_entry_low_multiplier": low,
        "pctdiff_entry_high_multiplier": high,
        "pctdiff_long_pct": long_part,
        "pctdiff_short_pct": short_part,
        "pctdiff_entry_low_price": low_price,
        "pctdiff_entry_high_price": high_price,
        "pctdiff_takeprofit_high_price": low_price * (1.0 + long_part),
        "pctdiff_takeprofit_low_price": high_price * (1.0 - short_part),
        "pctdiff_primary_side": "buy" if net > 0 else "sell" if net < 0 else "neutral",
        "pctdiff_trade_bias": net / trades if trades else 0.0,
        "pctdiff_trades_positive": longs,
        "pctdiff_trades_negative": shorts,
        "pctdiff_trades_total": trades,
        "pctdiff_entry_hits": entered,
        "pctdiff_takeprofit_hits": took,
    }
