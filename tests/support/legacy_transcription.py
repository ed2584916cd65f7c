"""One simulation and one backtest of the old stack, written out: every column of its frame.

Plain and slow, in the old order of operations, and independent of the package: it takes nothing
from marketsim but the offsets that it reports, and those only after trying all others. Forecasts
come from a function of the context (see legacy_forecasts.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from legacy_profit import Choice, OldCodeFailsError, Tensor
from legacy_strategies import (
    Evaluation,
    all_signals,
    always_on,
    buy_hold,
    entry_takeprofit,
    follow_signals,
    highlow,
    maxdiff,
    simple,
    unprofit_shutdown,
)

KEYS = ("Close", "Low", "High", "Open")
STOCK_FEE, CRYPTO_FEE = 0.0005, 0.0015
SPREAD = 1.0008711461252937
UNDEFINED = object()  # the old code failed on the way to this value alone

# What the old code raised where data were too short for its seven days, or a forecast was missing.
_OLD_ERRORS = (ValueError, IndexError, KeyError, RuntimeError, np.linalg.LinAlgError)


class Exact(NamedTuple):
    """What is read off a distribution where there is one instead of samples."""

    point: float
    band: float
    median: float


@dataclass(frozen=True)
class Setting:
    """What a simulation needs beside the data."""

    forecast: Callable[[Tensor], np.ndarray | Exact]  # samples of what follows a context
    symbol: str = "TEST"
    fee: float = STOCK_FEE
    crypto: bool = False
    per_entry: bool = False  # the fee rule of later versions
    spread: float = 1.0005  # the argument: reported only
    module_spread: float = SPREAD  # the module's: what a change of position costs
    horizon: int = 7
    trim: float = 0.1  # of trimmed_mean
    # Kronos: percent moves and prices of a target, or None where there is no such model.
    kronos: Callable[[str, pd.DataFrame], tuple[list[float], list[float]]] | None = None
    kronos_first: bool = False

    @property
    def periods(self) -> int:
        return 365 if self.crypto else 252


@dataclass(frozen=True)
class Reported:
    """What marketsim chose, of which the transcription shows that it was a best choice."""

    maxdiff: Choice
    always_on: Choice

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Reported:
        preds = result["last_preds"]
        one, both = "maxdiffprofit_profit_", "maxdiffalwayson_"
        return cls(
            Choice(
                result[one + "high_multiplier"],
                result[one + "low_multiplier"],
                preds["maxdiff_close_at_eod"],
            ),
            Choice(
                result[both + "high_multiplier"],
                result[both + "low_multiplier"],
                preds["maxdiffalwayson_close_at_eod"],
            ),
        )


def changes(data: pd.DataFrame, key: str) -> pd.DataFrame:
    """The frame with one column as its own changes: 1.0 first, then x[t]/x[t-1]-1 or 0."""
    result = data.copy(deep=True)
    values = data[key].to_numpy(dtype=float)
    moves = []
    for day, value in enumerate(values):
        before = values[day - 1]
        if day == 0:
            moves.append(1.0)
        elif before == 0.0 or not np.isfinite((value - before) / before):
            moves.append(0.0)
        else:
            moves.append((value - before) / before)
    result[key] = np.array(moves, dtype=float)
    return result


def targets(data: pd.DataFrame, key: str) -> np.ndarray:
    """y: the next row's change of each row but the last, without rows that miss a price."""
    moves = changes(data, key)
    following = moves[key].to_numpy()[1:]
    whole = moves[list(KEYS)].notna().all(axis=1).to_numpy()[:-1]
    return following[whole]


def point(samples: np.ndarray, trim: float) -> float:
    """The mean without the lowest and highest samples."""
    ordered = np.sort(np.asarray(samples, dtype=np.float32).reshape(-1).astype(np.float64))
    drop = int(len(ordered) * trim)
    kept = ordered if drop == 0 or drop * 2 >= len(ordered) else ordered[drop : len(ordered) - drop]
    return float(kept.mean())


def band(samples: np.ndarray) -> float:
    flat = np.asarray(samples, dtype=np.float32).reshape(-1)
    return float(max(np.percentile(flat, 60) - np.percentile(flat, 40), 0.0))


def forecasts(y: np.ndarray, setting: Setting) -> tuple[Tensor, Tensor]:
    """One-step forecasts of the last `horizon` entries of y, each from those before, and bands."""
    points, bands = [], []
    for back in range(setting.horizon, 0, -1):
        if len(y) <= back:
            continue
        found = setting.forecast(torch.tensor(y[:-back], dtype=torch.float32))
        exact = isinstance(found, Exact)
        points.append(found.point if exact else point(found, setting.trim))
        bands.append(found.band if exact else band(found))
    if not points:
        points, bands = [0.0], [0.0]
    return torch.tensor(points), torch.tensor(bands)


def forecast_target(preds: dict[str, Any], data: pd.DataFrame, key: str, setting: Setting) -> None:
    """Everything that a target adds to last_preds."""
    y = targets(data, key)
    last = float(data[key].iloc[-1])
    name = key.lower()
    toto = toto_band = kronos = None
    if not setting.kronos_first:
        toto, toto_band = forecasts(y, setting)
        predicted, price = toto, float(last * (1.0 + toto[-1].item()))
    if setting.kronos is not None and (setting.kronos_first or key == "Close"):
        percent, prices = setting.kronos(key, data)
        kronos = torch.tensor(percent, dtype=torch.float32)
        if setting.kronos_first:
            predicted, price = kronos, float(prices[-1])
    validation = y[-setting.horizon :]
    loss = np.abs(validation[:-1] - predicted[:-1].numpy())
    preds |= {
        f"{name}_last_price": last,
        f"{name}_predicted_price": float(predicted[-1].item()),
        f"{name}_predicted_price_value": price,
        f"{name}_val_loss": float(loss.mean()) if loss.size else np.nan,
        f"{name}_actual_movement_values": torch.tensor(validation[:-1], dtype=torch.float32),
        f"{name}_trade_values": (predicted[:-1] > 0) * 2 - 1,
        f"{name}_predictions": predicted[:-1].clone(),
    }
    if key != "Close":
        return
    if toto is not None:
        preds["toto_close_pred_pct"] = float(toto[-1].item())
    if kronos is not None:
        preds["kronos_close_pred_pct"] = float(kronos[-1].item())
    preds["close_ci_band"] = torch.zeros_like(predicted) if toto_band is None else toto_band
    preds["close_prediction_source"] = "kronos" if setting.kronos_first else "toto"
    preds["close_raw_pred_pct"] = float(predicted[-1].item())


def average_dollar_volume(data: pd.DataFrame, window: int = 20) -> float | None:
    if "Volume" not in data:
        return None
    tail = data.tail(window)
    traded = tail["Close"].to_numpy(dtype=float) * tail["Volume"].to_numpy(dtype=float)
    known = traded[~np.isnan(traded)]
    return float(known.mean()) if known.size else None


def atr_percent(data: pd.DataFrame, window: int = 14) -> float | None:
    """The mean true range of the last rows as a percentage of the last close."""
    if len(data) < window + 1:
        return None
    ranges = []
    high, low, close = (data[name].to_numpy(dtype=float) for name in ("High", "Low", "Close"))
    for day in range(len(data) - window, len(data)):
        three = np.array(
            [high[day] - low[day], high[day] - close[day - 1], low[day] - close[day - 1]]
        )
        three[1:] = np.abs(three[1:])
        known = three[~np.isnan(three)]
        ranges.append(known.max() if known.size else np.nan)
    mean = np.mean(ranges)
    # A missing close is not "at or below zero": the old code then answered nan.
    return None if np.isnan(mean) or close[-1] <= 0 else float(mean / close[-1] * 100.0)


def calibration(predictions: Tensor, actual: pd.Series, raw: float) -> tuple[Any, Any, Any]:
    """Slope and intercept of actual returns over forecasts (one day apart, as they come), and the
    last forecast moved by them.

    UNDEFINED where the old fit failed: all forecasts 0, or one that is not finite.
    """
    count = min(len(predictions), len(actual))
    if count <= 1:
        return 1.0, 0.0, raw
    x, y = predictions.numpy()[:count], actual.to_numpy()[:count]
    if not x.any() or not np.isfinite(x).all():
        return UNDEFINED, UNDEFINED, UNDEFINED
    with warnings.catch_warnings():
        # All forecasts the same; NumPy 1 has the warning elsewhere.
        where = np.exceptions if hasattr(np.exceptions, "RankWarning") else np
        warnings.simplefilter("ignore", where.RankWarning)
        slope, intercept = map(float, np.polyfit(x, y, 1))
    return slope, intercept, float(slope * raw + intercept)


def simulate(data: pd.DataFrame, setting: Setting, reported: Reported) -> dict[str, Any]:
    """All columns of one simulation on data that end at its as-of row.

    Raises:
        OldCodeFailsError: the old code raised, or had no numbers.
    """
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return _simulate(data, setting, reported)
    except _OLD_ERRORS as error:
        raise OldCodeFailsError(f"{type(error).__name__}: {error}") from error


def _simulate(data: pd.DataFrame, setting: Setting, reported: Reported) -> dict[str, Any]:
    preds: dict[str, Any] = {
        "instrument": setting.symbol,
        "close_last_price": data["Close"].iloc[-1],
        "spread_bps_estimate": float(abs(float(setting.spread) - 1.0) * 1e4),
    }
    for name, value in (
        ("dollar_vol_20d", average_dollar_volume(data)),
        ("atr_pct_14", atr_percent(data)),
    ):
        if value is not None:
            preds[name] = value
    for key in KEYS:
        forecast_target(preds, data, key, setting)
    # Missing closes count as unchanged: pct_change filled them when the old code was written.
    closes = data["Close"].iloc[-setting.horizon :].ffill()
    actual = closes.pct_change().dropna().reset_index(drop=True)
    raw = preds["close_raw_pred_pct"]
    slope, intercept, calibrated = calibration(preds["close_predictions"], actual, raw)
    preds |= {
        "realized_volatility_pct": float(actual.std() * 100.0) if len(actual) else 0.0,
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "raw_expected_move_pct": raw,
        "calibrated_expected_move_pct": calibrated,
    }
    evaluations = _evaluate(preds, data, actual, setting, reported)
    return {"date": data.index[-1]} | _leading_columns(preds) | evaluations | _last_columns(preds)


def _evaluate(
    preds: dict[str, Any],
    data: pd.DataFrame,
    actual: pd.Series,
    setting: Setting,
    reported: Reported,
) -> dict[str, Any]:
    """The columns of the strategies; `preds` gains what the entry and exit strategies tell."""
    options = {"fee": setting.fee, "periods": setting.periods}
    crypto = setting.crypto
    limits = options | {"crypto": crypto, "per_entry": setting.per_entry}
    one, one_tells = maxdiff(preds, data, reported.maxdiff, **limits)
    preds |= one_tells
    both, both_tells = always_on(preds, data, reported.always_on, **limits)
    preds |= both_tells

    close, high, low = (preds[f"{name}_predictions"] for name in ("close", "high", "low"))
    signals = {
        "simple_strategy": simple(close, crypto),
        "all_signals_strategy": all_signals(close, high, low, crypto),
        "buy_hold": buy_hold(close),
        "unprofit_shutdown": unprofit_shutdown(close, actual, crypto),
    }
    columns: dict[str, Any] = {}
    cost = 2 * setting.fee * setting.module_spread
    for name, held in signals.items():
        found = follow_signals(held, actual, spread=setting.module_spread, **options)
        total, days = found.total_return, len(actual)
        if name == "buy_hold":
            total = (1 + actual).prod() - 1 - setting.fee if days else -setting.fee
            final = (actual.iloc[-1] if days else 0.0) - setting.fee
        elif days:
            final = held[-1].item() * actual.iloc[-1] - cost
        else:
            final = -cost if name == "unprofit_shutdown" else 0.0
        columns |= _columns(name, "finalday", found._replace(total_return=total), final)

    prices = [preds[f"{name}_actual_movement_values"] for name in ("close", "high", "low")]
    found = entry_takeprofit(close, high, low, *prices, **options)
    columns |= _columns(
        "entry_takeprofit", "finalday", found, found.total_return / len(actual) if days else 0.0
    )
    found = highlow(close, high, low, *prices, crypto=crypto, **options)
    columns |= _columns(
        "highlow", "finalday_return", found, found.total_return / len(actual) if days else 0.0
    )
    columns |= _entry_exit_columns("maxdiff", one, one_tells)
    return columns | _entry_exit_columns("maxdiffalwayson", both, both_tells)


def _columns(name: str, final_name: str, found: Evaluation, final: float) -> dict[str, float]:
    values = {
        "return": found.total_return,
        "sharpe": found.sharpe_ratio,
        final_name: final,
        "avg_daily_return": found.avg_daily_return,
        "annual_return": found.annualized_return,
    }
    return {f"{name}_{column}": float(value) for column, value in values.items()}


def _entry_exit_columns(name: str, found: Evaluation, tells: dict[str, Any]) -> dict[str, float]:
    final = float(found.returns[-1]) if len(found.returns) else 0.0
    turnover = {f"{name}_turnover": tells[f"{name}_turnover"]}
    return _columns(name, "finalday_return", found, final) | turnover


def _leading_columns(preds: dict[str, Any]) -> dict[str, Any]:
    return {
        "close": float(preds["close_last_price"]),
        "predicted_close": preds["close_predicted_price_value"],
        "predicted_high": preds["high_predicted_price_value"],
        "predicted_low": preds["low_predicted_price_value"],
        "toto_expected_move_pct": preds.get("toto_close_pred_pct", 0.0),
        "kronos_expected_move_pct": preds.get("kronos_close_pred_pct", 0.0),
        "realized_volatility_pct": preds["realized_volatility_pct"],
        "dollar_vol_20d": preds.get("dollar_vol_20d", 0.0),
        "atr_pct_14": preds.get("atr_pct_14", 0.0),
        "spread_bps_estimate": preds["spread_bps_estimate"],
        "close_prediction_source": preds["close_prediction_source"],
        "raw_expected_move_pct": preds["raw_expected_move_pct"],
        "calibrated_expected_move_pct": preds["calibrated_expected_move_pct"],
        "calibration_slope": preds["calibration_slope"],
        "calibration_intercept": preds["calibration_intercept"],
    }


def _last_columns(preds: dict[str, Any]) -> dict[str, Any]:
    both = ["profit", "profit_values", "high_multiplier", "low_multiplier", "high_price"]
    both += ["low_price", "buy_contribution", "sell_contribution", "filled_buy_trades"]
    both += ["filled_sell_trades", "trades_total", "trade_bias"]
    one = ["profit", "profit_values", "profit_high_multiplier", "profit_low_multiplier"]
    one += ["high_price", "low_price"]
    names = [f"maxdiffalwayson_{name}" for name in both] + [f"maxdiffprofit_{name}" for name in one]
    names += ["close_val_loss", "high_val_loss", "low_val_loss"]
    return {name: preds[name] for name in names} | {"last_preds": preds}
