"""Strategies that a program put in the place of ours: called for each simulation, as they were.

Everything is computed by our own functions first; what a replaced one decides is then overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

Function = Callable[..., Any]
Row = dict[str, Any]

# Function that gives the signals of a strategy: the strategy's name in columns.
_SIGNALS = {
    "simple_buy_sell_strategy": "simple_strategy",
    "all_signals_strategy": "all_signals_strategy",
    "buy_hold_strategy": "buy_hold",
    "unprofit_shutdown_buy_hold": "unprofit_shutdown",
}
_DAY_TRADES = {
    "evaluate_entry_takeprofit_strategy": ("entry_takeprofit", "entry_takeprofit_finalday"),
    "evaluate_highlow_strategy": ("highlow", "highlow_finalday_return"),
}
_LIMIT_ORDERS = {
    "evaluate_maxdiff_strategy": "maxdiff",
    "evaluate_maxdiff_always_on_strategy": "maxdiffalwayson",
}
NAMES = (*_SIGNALS, "evaluate_strategy", *_DAY_TRADES, *_LIMIT_ORDERS, "calibrate_signal")
"""Functions that are called for each simulation where a program replaced one of them."""


class Simulation(NamedTuple):
    """What a replaced function is handed of one simulation.

    Attributes:
        data: the rows that it sees.
        returns: float64 [day], what signals are held over.
        close_actuals, high_predictions: float32 [day], before fees were written into them.
        fee: fraction of the value traded.
        periods: trading days of a year.
        is_crypto: no shorts.
        spread: ask / bid that is paid.
    """

    data: pd.DataFrame
    returns: npt.NDArray[np.float64]
    close_actuals: npt.NDArray[np.float32]
    high_predictions: npt.NDArray[np.float32]
    fee: float
    periods: int
    is_crypto: bool
    spread: float


class Functions(NamedTuple):
    """The functions of the old module as they are now, and which of them are not ours."""

    current: Mapping[str, Function]
    replaced: frozenset[str]

    def apply(self, row: Row, simulation: Simulation) -> None:
        """Overwrite the columns that replaced functions decide, in a row of our own."""
        preds = row["last_preds"]
        for name, start in _SIGNALS.items():
            if {name, "evaluate_strategy"} & self.replaced:
                self._signals(name, start, row, simulation)
        for name, (start, last_day) in _DAY_TRADES.items():
            if name in self.replaced:
                self._day_trades(name, start, last_day, row, simulation)
        for name, start in _LIMIT_ORDERS.items():
            if name in self.replaced:
                self._limit_orders(name, start, row, simulation)
        if "calibrate_signal" in self.replaced:
            forecasts = preds["close_predictions"].numpy()
            found = self.current["calibrate_signal"](forecasts, simulation.returns)
            slope, intercept = (float(value) for value in found)
            raw = float(preds["raw_expected_move_pct"])
            changed = {
                "calibration_slope": slope,
                "calibration_intercept": intercept,
                "calibrated_expected_move_pct": slope * raw + intercept,
            }
            preds.update(changed)
            row.update(changed)

    def _signals(self, name: str, start: str, row: Row, of: Simulation) -> None:
        preds = row["last_preds"]
        close = preds["close_predictions"]
        returns = pd.Series(of.returns)
        function = self.current[name]
        if name == "all_signals_strategy":
            high = torch.from_numpy(of.high_predictions.copy())
            signals = function(close, high, preds["low_predictions"], is_crypto=of.is_crypto)
        elif name == "buy_hold_strategy":
            signals = function(close)
        elif name == "unprofit_shutdown_buy_hold":
            signals = function(close, returns, is_crypto=of.is_crypto)
        else:
            signals = function(close, is_crypto=of.is_crypto)
        made = self.current["evaluate_strategy"](signals, returns, of.fee, of.periods)
        held = name == "buy_hold_strategy"  # its return is that of holding, whatever signals say
        _fill(row, start, made, total=None if held else float(made.total_return))
        if len(returns) and not held:
            last = float(signals[-1]) * float(of.returns[-1]) - 2 * of.fee * of.spread
            row[f"{start}_finalday"] = last

    def _day_trades(self, name: str, start: str, last_day: str, row: Row, of: Simulation) -> None:
        preds = row["last_preds"]
        options: dict[str, Any] = {"trading_days_per_year": of.periods}
        if name == "evaluate_highlow_strategy":
            options["is_crypto"] = of.is_crypto
        made = self.current[name](
            preds["close_predictions"],
            preds["high_predictions"],
            preds["low_predictions"],
            preds["close_actual_movement_values"],
            preds["high_actual_movement_values"],
            preds["low_actual_movement_values"],
            of.fee,
            **options,
        )
        total = float(made.total_return)
        _fill(row, start, made, total=total)
        row[last_day] = total / len(of.returns) if len(of.returns) else 0.0

    def _limit_orders(self, name: str, start: str, row: Row, of: Simulation) -> None:
        preds = row["last_preds"]
        before = {
            "close_actual_movement_values": torch.from_numpy(of.close_actuals.copy()),
            "high_predictions": torch.from_numpy(of.high_predictions.copy()),
        }
        made, returns, metadata = self.current[name](
            {**preds, **before},
            of.data,
            trading_fee=of.fee,
            trading_days_per_year=of.periods,
            is_crypto=of.is_crypto,
        )
        preds.update(metadata)
        row.update({key: value for key, value in metadata.items() if key in row})
        _fill(row, start, made, total=float(made.total_return))
        row[f"{start}_finalday_return"] = float(returns[-1]) if len(returns) else 0.0
        row[f"{start}_turnover"] = float(metadata.get(f"{start}_turnover", 0.0))


def _fill(row: Row, start: str, made: Any, *, total: float | None) -> None:
    """The columns of a strategy, from its evaluation; the return where one is given."""
    if total is not None:
        row[f"{start}_return"] = total
    row[f"{start}_sharpe"] = float(made.sharpe_ratio)
    row[f"{start}_avg_daily_return"] = float(made.avg_daily_return)
    row[f"{start}_annual_return"] = float(made.annualized_return)
