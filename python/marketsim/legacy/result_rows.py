"""What a simulation returns: the columns of a row of the frame, and `last_preds`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim.legacy.forecasting import Forecasts
from marketsim.legacy.kronos_forecasting import KronosForecast
from marketsim.legacy.market_stats import MarketStats, calibrate_signal
from marketsim.legacy.maxdiff import always_on_row, maxdiff_row, no_always_on, no_maxdiff
from marketsim.legacy.outcomes import Outcomes, Validation
from marketsim.legacy.price_frame import KEYS, Prices

Array = npt.NDArray[np.float64]
Row = dict[str, Any]

# Strategy: the start of its columns, and the column of its last day's return.
STRATEGIES = {
    "simple": ("simple_strategy", "simple_strategy_finalday"),
    "all_signals": ("all_signals_strategy", "all_signals_strategy_finalday"),
    "buy_hold": ("buy_hold", "buy_hold_finalday"),
    "unprofit_shutdown": ("unprofit_shutdown", "unprofit_shutdown_finalday"),
    "entry_takeprofit": ("entry_takeprofit", "entry_takeprofit_finalday"),
    "highlow": ("highlow", "highlow_finalday_return"),
    "maxdiff": ("maxdiff", "maxdiff_finalday_return"),
    "maxdiffalwayson": ("maxdiffalwayson", "maxdiffalwayson_finalday_return"),
}
# Columns of a row that are entries of last_preds, and what stands for one that is not there.
_BEFORE: dict[str, tuple[str, Any]] = {
    "close": ("close_last_price", 0.0),
    "predicted_close": ("close_predicted_price_value", 0.0),
    "predicted_high": ("high_predicted_price_value", 0.0),
    "predicted_low": ("low_predicted_price_value", 0.0),
    "toto_expected_move_pct": ("toto_close_pred_pct", 0.0),
    "kronos_expected_move_pct": ("kronos_close_pred_pct", 0.0),
    "realized_volatility_pct": ("realized_volatility_pct", 0.0),
    "dollar_vol_20d": ("dollar_vol_20d", 0.0),
    "atr_pct_14": ("atr_pct_14", 0.0),
    "spread_bps_estimate": ("spread_bps_estimate", 0.0),
    "close_prediction_source": ("close_prediction_source", ""),
    "raw_expected_move_pct": ("raw_expected_move_pct", 0.0),
    "calibrated_expected_move_pct": ("calibrated_expected_move_pct", 0.0),
    "calibration_slope": ("calibration_slope", 1.0),
    "calibration_intercept": ("calibration_intercept", 0.0),
}
_ALWAYS_ON = (
    "profit",
    "profit_values",
    "high_multiplier",
    "low_multiplier",
    "high_price",
    "low_price",
    "buy_contribution",
    "sell_contribution",
    "filled_buy_trades",
    "filled_sell_trades",
    "trades_total",
    "trade_bias",
)
_MAXDIFF = (
    "profit",
    "profit_values",
    "profit_high_multiplier",
    "profit_low_multiplier",
    "high_price",
    "low_price",
)
_AFTER = (
    *(f"maxdiffalwayson_{name}" for name in _ALWAYS_ON),
    *(f"maxdiffprofit_{name}" for name in _MAXDIFF),
    "close_val_loss",
    "high_val_loss",
    "low_val_loss",
)


class Subject(NamedTuple):
    """What all simulations share.

    Attributes:
        symbol: the name of what is traded.
        spread: ask / bid as it is shown.
        model: "toto" or "kronos", whose forecasts are followed.
    """

    symbol: str
    spread: float
    model: str


class Made(NamedTuple):
    """What has been computed for simulations of one shape.

    Attributes:
        days: forecasts and what came.
        moves: by price, float64 [simulation, day], what came before it was rounded.
        followed: the forecasts that strategies follow, by price.
        toto, kronos: what each model forecast; None where it was not asked.
        outcomes: what the strategies made.
    """

    days: Validation
    moves: Mapping[str, Array]
    followed: Mapping[str, Forecasts]
    toto: Mapping[str, Forecasts] | None
    kronos: Mapping[str, KronosForecast] | None
    outcomes: Outcomes


def result_rows(
    prices: Prices, stats: MarketStats, subject: Subject, rows: Sequence[int], made: Made
) -> Iterator[Row]:
    """The result of each simulation, in the order of `rows`: how many rows each sees."""
    parts = zip(
        rows,
        _by_price(prices, rows, made),
        _bands(made),
        _scores(made.outcomes, len(rows)),
        strict=True,
    )
    for i, (count, of_prices, band, scores) in enumerate(parts):
        preds = _first_entries(prices, stats, subject, count)
        preds.update(of_prices)
        preds.update(_close_entries(subject, made, i, band))
        preds.update(_calibration(made.days, i, preds["close_raw_pred_pct"]))
        preds.update(_limit_order_entries(made.outcomes, i, preds))
        row: Row = {"date": prices.index[count - 1]}
        row.update({name: preds.get(*entry) for name, entry in _BEFORE.items()})
        row.update(scores)
        row.update({name: preds[name] for name in _AFTER})
        row["last_preds"] = preds
        yield row


def _first_entries(prices: Prices, stats: MarketStats, subject: Subject, count: int) -> Row:
    preds: Row = {
        "instrument": subject.symbol,
        "close_last_price": float(prices["Close"][count - 1]),
        "spread_bps_estimate": abs(float(subject.spread) - 1.0) * 1e4,
    }
    dollars, atr = stats.dollar_volume(count), stats.atr_percent(count)
    if dollars is not None:
        preds["dollar_vol_20d"] = dollars
    if atr is not None:
        preds["atr_pct_14"] = atr
    return preds


def _by_price(prices: Prices, rows: Sequence[int], made: Made) -> Iterator[Row]:
    """What each of the four prices adds to last_preds, simulation by simulation."""
    rest = {key: _price_columns(prices[key], rows, made, key) for key in KEYS}
    for i in range(len(rows)):
        preds: Row = {}
        for key, columns in rest.items():
            name = key.lower()
            preds.update({f"{name}_{what}": values[i] for what, values in columns.items()})
        yield preds


def _price_columns(
    price: Array, rows: Sequence[int], made: Made, key: str
) -> dict[str, Sequence[Any]]:
    """Entries by name, each [simulation]."""
    last = price[np.asarray(rows) - 1].tolist()
    points = made.followed[key].points
    forecast = points[:, -1].tolist()
    kronos = None if made.toto is not None or made.kronos is None else made.kronos[key].last
    moved = [value * (1.0 + move) for value, move in zip(last, forecast, strict=True)]
    with np.errstate(all="ignore"):
        errors = np.abs(made.moves[key] - points[:, :-1])
        losses = errors.mean(axis=1) if errors.shape[1] else np.full(len(rows), np.nan)
    predictions, actuals = made.days.predictions[key], made.days.actuals[key]
    if key == "High":
        predictions = made.outcomes.high_predictions
    if key == "Close":
        actuals = made.outcomes.close_actuals
    side = np.where(made.days.predictions[key] > 0, 1, -1)
    return {
        "last_price": last,
        "predicted_price": forecast,
        "predicted_price_value": moved if kronos is None else kronos,
        "val_loss": losses.tolist(),
        "actual_movement_values": _tensors(actuals),
        "trade_values": _tensors(side),
        "predictions": _tensors(predictions),
    }


def _tensors(values: npt.NDArray[Any]) -> Sequence[torch.Tensor]:
    """One tensor a row."""
    return torch.from_numpy(np.ascontiguousarray(values)).unbind(0)


def _bands(made: Made) -> Sequence[torch.Tensor]:
    return _tensors(made.followed["Close"].bands)


def _close_entries(subject: Subject, made: Made, i: int, band: torch.Tensor) -> Row:
    """What the forecasts of the close add to last_preds."""
    preds: Row = {}
    if made.toto is not None:
        preds["toto_close_pred_pct"] = float(made.toto["Close"].points[i, -1])
    preds["close_ci_band"] = band
    if made.kronos is not None:
        preds["kronos_close_pred_pct"] = float(made.kronos["Close"].percent[i, -1])
    preds["close_prediction_source"] = subject.model
    preds["close_raw_pred_pct"] = float(made.followed["Close"].points[i, -1])
    return preds


def _calibration(days: Validation, i: int, raw: float) -> Row:
    returns = days.returns[i]
    slope, intercept = calibrate_signal(days.predictions["Close"][i], returns)
    return {
        "realized_volatility_pct": _deviation(returns) * 100.0,
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "raw_expected_move_pct": raw,
        "calibrated_expected_move_pct": slope * raw + intercept,
    }


def _deviation(returns: Array) -> float:
    """The sample's standard deviation: 0 of no return, NaN of one."""
    if returns.size < 2:
        return float("nan") if returns.size else 0.0
    with np.errstate(all="ignore"):
        return float(returns.std(ddof=1))


def _limit_order_entries(outcomes: Outcomes, i: int, preds: Row) -> Row:
    levels = (preds["high_predicted_price_value"], preds["low_predicted_price_value"])
    if outcomes.maxdiff is None or outcomes.always_on is None:
        return {**no_maxdiff(levels), **no_always_on(levels)}
    return {
        **maxdiff_row(outcomes.maxdiff, i, levels),
        **always_on_row(outcomes.always_on, i, levels),
    }


def _scores(outcomes: Outcomes, count: int) -> Iterator[Row]:
    """The columns of the strategies, simulation by simulation."""
    columns: dict[str, list[float]] = {}
    for name, (start, last_day) in STRATEGIES.items():
        outcome = outcomes.by_name[name]
        columns[f"{start}_return"] = outcome.scores.total.tolist()
        columns[f"{start}_sharpe"] = outcome.scores.sharpe.tolist()
        columns[last_day] = outcome.last_day.tolist()
        columns[f"{start}_avg_daily_return"] = outcome.scores.mean.tolist()
        columns[f"{start}_annual_return"] = outcome.scores.annual.tolist()
        if name.startswith("maxdiff"):
            returns = outcome.scores.returns
            turnover = np.abs(returns).mean(axis=1) if returns.shape[1] else np.zeros(count)
            columns[f"{start}_turnover"] = turnover.tolist()
    for i in range(count):
        yield {name: values[i] for name, values in columns.items()}
