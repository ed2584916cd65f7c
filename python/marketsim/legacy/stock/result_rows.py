"""What a simulation returns: the columns of a row of the frame, and `last_preds`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim.legacy.stock.evaluation import MarketStats, calibrate_signal
from marketsim.legacy.stock.forecasting import Forecasts
from marketsim.legacy.stock.kronos_forecasting import KronosForecast
from marketsim.legacy.stock.maxdiff import (
    Levels,
    always_on_rows,
    maxdiff_rows,
    no_always_on,
    no_maxdiff,
)
from marketsim.legacy.stock.outcomes import Outcomes, Validation
from marketsim.legacy.stock.price_frame import KEYS, Prices

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
# What each price adds to last_preds, after its name.
_OF_A_PRICE = (
    "last_price",
    "predicted_price",
    "predicted_price_value",
    "val_loss",
    "actual_movement_values",
    "trade_values",
    "predictions",
)
_HIGH_LEVEL, _LOW_LEVEL = "high_predicted_price_value", "low_predicted_price_value"
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
)
_LOSSES = ("close_val_loss", "high_val_loss", "low_val_loss")


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
        moves: float64 [price, simulation, day], what came before it was rounded.
        followed: the forecasts that strategies follow.
        toto, kronos: what each model forecast; None where it was not asked.
        outcomes: what the strategies made.
    """

    days: Validation
    moves: Array
    followed: Forecasts
    toto: Forecasts | None
    kronos: Mapping[str, KronosForecast] | None
    outcomes: Outcomes


def result_rows(
    prices: Prices, stats: MarketStats, subject: Subject, rows: Sequence[int], made: Made
) -> Iterator[Row]:
    """The result of each simulation, in the order of `rows`: how many rows each sees."""
    of_prices = _by_price(prices, rows, made)
    levels = list(zip(of_prices[_HIGH_LEVEL], of_prices[_LOW_LEVEL], strict=True))
    parts = zip(
        rows,
        _rows(of_prices),
        _of_close(subject, made),
        _limit_order_entries(made.outcomes, levels),
        _scores(made.outcomes),
        strict=True,
    )
    for i, (count, by_price, of_close, of_orders, scores) in enumerate(parts):
        preds = _first_entries(prices, stats, subject, count)
        preds.update(by_price)
        preds.update(of_close)
        preds.update(_calibration(made.days, i, of_close))
        preds.update(of_orders)
        row: Row = {"date": prices.index[count - 1]}
        row.update({name: preds.get(*entry) for name, entry in _BEFORE.items()})
        row.update(scores)
        row.update({name: preds[name] for name in _AFTER})
        row.update({name: float(preds[name]) for name in _LOSSES})
        row["last_preds"] = preds
        yield row


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    """The entries of each simulation of columns [simulation]."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


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


def _by_price(prices: Prices, rows: Sequence[int], made: Made) -> dict[str, Sequence[Any]]:
    """What the four prices add to last_preds, by name, each [simulation]."""
    last = prices.values[:, np.asarray(rows) - 1]
    forecast = made.followed.points[:, :, -1].astype(np.float64)
    with np.errstate(all="ignore"):
        moved = (last * (1.0 + forecast)).tolist()
    if made.toto is None and made.kronos is not None:
        moved = [made.kronos[key].last for key in KEYS]
    columns = (
        last.tolist(),
        forecast.tolist(),
        moved,
        _losses(made),
        *_shown_days(made),
    )
    return {
        f"{key.lower()}_{what}": column[i]
        for i, key in enumerate(KEYS)
        for what, column in zip(_OF_A_PRICE, columns, strict=True)
    }


def _losses(made: Made) -> Sequence[Sequence[np.floating[Any]]]:
    """Mean absolute errors of the validated days, [price][simulation]; NaN where there are none."""
    _, count, days = made.moves.shape
    if not days:
        return [[np.float64("nan")] * count for _ in KEYS]
    with np.errstate(all="ignore"):
        errors = np.abs(made.moves - made.followed.points[:, :, :-1])
        return [list(row) for row in np.add.reduce(errors, axis=2) / days]


def _shown_days(made: Made) -> Iterator[list[list[torch.Tensor]]]:
    """What came, sides and forecasts as last_preds shows them, [price][simulation] each."""
    floats = np.array((made.days.actuals, made.days.predictions))
    floats[0, KEYS.index("Close")] = made.outcomes.close_actuals
    floats[1, KEYS.index("High")] = made.outcomes.high_predictions
    tensors = _tensors(np.concatenate(floats))
    yield tensors[: len(KEYS)]
    yield _tensors(np.where(made.days.predictions > 0, 1, -1))
    yield tensors[len(KEYS) :]


def _tensors(values: npt.NDArray[Any]) -> list[list[torch.Tensor]]:
    """One tensor a row: [price][simulation] of [price, simulation, day]."""
    count = values.shape[1]
    rows = torch.from_numpy(values.reshape(len(values) * count, values.shape[2])).unbind(0)
    return [list(rows[i : i + count]) for i in range(0, len(rows), count)]


def _of_close(subject: Subject, made: Made) -> Iterator[Row]:
    """What the forecasts of the close add to last_preds."""
    raw = made.followed.points[0, :, -1].tolist()
    bands = torch.from_numpy(made.followed.bands[0]).unbind(0)
    columns: dict[str, Sequence[Any]] = {}
    if made.toto is not None:
        columns["toto_close_pred_pct"] = raw
    columns["close_ci_band"] = bands
    if made.kronos is not None:
        columns["kronos_close_pred_pct"] = made.kronos["Close"].percent[:, -1].tolist()
    columns["close_prediction_source"] = [subject.model] * len(raw)
    columns["close_raw_pred_pct"] = raw
    return _rows(columns)


def _calibration(days: Validation, i: int, of_close: Row) -> Row:
    returns, raw = days.returns[i], of_close["close_raw_pred_pct"]
    slope, intercept = calibrate_signal(days.predictions[0, i], returns)
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
        centred = returns - np.add.reduce(returns) / returns.size
        return math.sqrt(np.add.reduce(centred * centred) / (returns.size - 1))


def _limit_order_entries(outcomes: Outcomes, levels: Sequence[Levels]) -> Iterator[Row]:
    """What the strategies with limit orders add to last_preds, of forecast (high, low) prices."""
    if outcomes.maxdiff is None or outcomes.always_on is None:
        yield from ({**no_maxdiff(prices), **no_always_on(prices)} for prices in levels)
        return
    one = maxdiff_rows(outcomes.maxdiff, levels)
    both = always_on_rows(outcomes.always_on, levels)
    yield from (a | b for a, b in zip(one, both, strict=True))


def _scores(outcomes: Outcomes) -> Iterator[Row]:
    """The columns of the strategies, simulation by simulation."""
    columns: dict[str, Sequence[Any]] = {}
    for name, (start, last_day) in STRATEGIES.items():
        scores, of_last_day = outcomes.by_name[name]
        columns[f"{start}_return"] = scores.total.tolist()
        columns[f"{start}_sharpe"] = scores.sharpe.tolist()
        columns[last_day] = of_last_day.tolist()
        columns[f"{start}_avg_daily_return"] = scores.mean.tolist()
        columns[f"{start}_annual_return"] = scores.annual.tolist()
        if name.startswith("maxdiff"):
            columns[f"{start}_turnover"] = scores.turnover.tolist()
    return _rows(columns)
