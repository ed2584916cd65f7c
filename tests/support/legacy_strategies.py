"""The strategies of the old stack, written out: signals, fees, and the entry and exit rules.

Independent of the package, in the old order of operations. `periods` is the number of trading days
in a year; signals and forecasts are float32 tensors [day].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from legacy_profit import Choice, Days, Tensor, confirm, known, profit_of_days, shifted


class Evaluation(NamedTuple):
    """The five numbers of a strategy, in the order of the old dataclass."""

    total_return: float
    avg_daily_return: float
    annualized_return: float
    sharpe_ratio: float
    returns: Any


EMPTY = Evaluation(0.0, 0.0, 0.0, 0.0, np.zeros(0))


def simple(predictions: Tensor, crypto: bool) -> Tensor:
    up = (predictions > 0).float()
    return up if crypto else up * 2 - 1


def all_signals(close: Tensor, high: Tensor, low: Tensor, crypto: bool) -> Tensor:
    rises = ((close > 0) & (high > 0) & (low > 0)).float()
    if crypto:
        return rises
    return rises - ((close < 0) & (high < 0) & (low < 0)).float()


def buy_hold(predictions: Tensor) -> Tensor:
    return (predictions > 0).float()


def unprofit_shutdown(predictions: Tensor, actual: pd.Series, crypto: bool) -> Tensor:
    signals = torch.ones_like(predictions)
    for day in range(1, len(signals)):
        before, real = float(predictions[day - 1]), actual[day - 1]
        wrong = not ((real > 0 and before > 0) or (real < 0 and before < 0))
        if signals[day - 1] != 0 and wrong:
            signals[day] = 0.0
        else:
            signals[day] = torch.sign(predictions[day]).nan_to_num(0.0)
    if crypto:
        signals = torch.where(signals < 0, 0.0, signals)
    return signals


def confidence_guard(predictions: Tensor, band: Tensor, multiplier: float, crypto: bool) -> Tensor:
    width = torch.clamp(band.abs(), min=1e-8) * multiplier
    shorts = (predictions < -width).float()
    return (predictions > width).float() - (shorts * 0 if crypto else shorts)


def mean_and_annual(returns: np.ndarray, periods: int) -> tuple[float, float]:
    """Of the finite returns only."""
    finite = returns[np.isfinite(returns)]
    if periods <= 0 or finite.size == 0:
        return 0.0, 0.0
    mean = float(np.mean(finite))
    return mean, mean * periods


def sum_of_returns(returns: np.ndarray, periods: int) -> Evaluation:
    """A total that adds up, with the population's standard deviation."""
    if returns.size == 0:
        return EMPTY
    std = float(np.std(returns))
    sharpe = 0.0
    if std != 0.0 and np.isfinite(std):
        sharpe = float((float(np.mean(returns)) / std) * np.sqrt(max(periods, 1)))
    return Evaluation(float(np.sum(returns)), *mean_and_annual(returns, periods), sharpe, returns)


def follow_signals(
    signals: Tensor, actual: pd.Series, *, fee: float, periods: int, spread: float
) -> Evaluation:
    """Positions held over days, compounded; the newest of each where there are more of one."""
    count = min(len(signals), len(actual))
    if count == 0:
        return EMPTY
    held, actual = signals.numpy()[-count:], actual.iloc[-count:]
    if (held > 0).any() and (held < 0).any() and (held == 0).any():
        fee = fee * 0.523
    changes = np.abs(np.diff(np.concatenate(([0], held))))
    costs = changes * (fee + abs((1 - spread) / 2))  # nothing changes, nothing costs
    net = pd.Series(held, index=actual.index, dtype=float) * actual - pd.Series(
        costs, index=actual.index, dtype=float
    )
    std = net.std()
    sharpe = 0.0
    if std != 0 and not np.isnan(std):
        sharpe = float(net.mean() / std * np.sqrt(periods))
    total = float(((1 + net).cumprod() - 1).iloc[-1])
    return Evaluation(total, *mean_and_annual(net.to_numpy(), periods), sharpe, net)


def _switching_fee(side: str, before: str | None, fee: float) -> float:
    if side == before:
        return 0.0
    return fee if before is None else fee + fee


def entry_takeprofit(
    close_pred: Tensor,
    high_pred: Tensor,
    low_pred: Tensor,
    close: Tensor,
    high: Tensor,
    low: Tensor,
    *,
    fee: float,
    periods: int,
) -> Evaluation:
    """Long or short from the start of the day, out at the forecast high or low if touched.

    The old code took the fee of a long day off a view of its input. So from here on that day's
    forecast high (or actual close) is lower by the fee: for the high-low strategy, which it
    evaluates next, and in the tensors that it returns. That shows in numbers, so it happens here.
    """
    count = min(map(len, (close_pred, high_pred, low_pred, close, high, low)))
    if count == 0:
        return EMPTY
    returns, before = [], None
    for day in range(count):
        side = "buy" if bool(close_pred[day] > 0) else "short"
        charge = _switching_fee(side, before, fee)
        if side == "buy":
            leaves_at = high_pred if high[day] >= high_pred[day] else close
            leaves_at[day] -= charge
            returns.append(float(leaves_at[day]))
        else:
            leaves_at = low_pred if low[day] <= low_pred[day] else close
            returns.append(float((0 - leaves_at[day]) - charge))
        before = side
    return _day_returns(returns, periods)


def highlow(
    close_pred: Tensor,
    high_pred: Tensor,
    low_pred: Tensor,
    close: Tensor,
    high: Tensor,
    low: Tensor,
    *,
    fee: float,
    periods: int,
    crypto: bool,
) -> Evaluation:
    """Enters at the forecast low or high if touched (else at the close), leaves at the close."""
    returns, before = [], None
    for day, forecast in enumerate(close_pred):
        if forecast > 0:
            side, touched = "buy", low[day] <= low_pred[day]
            gain = close[day] - (low_pred[day] if touched else close[day])
        elif forecast < 0 and not crypto:
            side, touched = "short", high[day] >= high_pred[day]
            gain = (high_pred[day] if touched else close[day]) - close[day]
        else:
            returns.append(0.0)
            before = None
            continue
        returns.append(float(gain - _switching_fee(side, before, fee)))
        before = side
    return _day_returns(returns, periods)


def _day_returns(days: list[float], periods: int) -> Evaluation:
    returns = np.array(days, dtype=float)
    if returns.size == 0:
        return EMPTY
    mean, annual = mean_and_annual(returns, periods)
    std = float(returns.std())
    sharpe = 0.0
    if std != 0.0 and not np.isnan(std):
        sharpe = float((returns.mean() / std) * np.sqrt(periods))
    return Evaluation(float(returns.sum()), mean, annual, sharpe, returns)


def days_of(preds: dict[str, Any], data: pd.DataFrame) -> Days | None:
    """Returns and forecasts moved by how far high and low were from the close two days before.

    None where there are no days to fit, or fewer rows than two more than days.
    """
    close = torch.as_tensor(preds["close_actual_movement_values"], dtype=torch.float32)
    count = len(close)
    if count == 0 or len(data) < count + 2:
        return None
    rows = data.iloc[-(count + 2) : -2]
    above, below = (_distance(rows[name], rows["Close"]) for name in ("High", "Low"))
    return Days(
        close=close,
        high=preds["high_actual_movement_values"] + above,
        high_pred=preds["high_predictions"] + above,
        low=preds["low_actual_movement_values"] - below,
        low_pred=preds["low_predictions"] - below,
    )


def _distance(prices: pd.Series, closes: pd.Series) -> Tensor:
    price, close = prices.to_numpy(dtype=float), closes.to_numpy(dtype=float)
    share = np.zeros_like(price)
    np.divide(price, close, out=share, where=close != 0.0)
    away = np.nan_to_num(np.abs(1.0 - share), nan=0.0, posinf=0.0, neginf=0.0)
    return torch.tensor(away, dtype=torch.float32)


def _of_baseline_and_optimised(
    baseline: np.ndarray, optimised: np.ndarray, periods: int
) -> tuple[Evaluation, Evaluation, Evaluation]:
    """What is reported: the baseline plus 0.3 of the optimised; then the two."""
    first, second = sum_of_returns(baseline, periods), sum_of_returns(optimised, periods)
    mixed = [a + 0.3 * b for a, b in zip(first[:4], second[:4], strict=True)]
    return Evaluation(*mixed, optimised), first, second


def _numbers(values: Tensor) -> np.ndarray:
    return known(values).numpy().astype(float)


def maxdiff(
    preds: dict[str, Any],
    data: pd.DataFrame,
    reported: Choice,
    *,
    fee: float,
    periods: int,
    crypto: bool,
    skip_invalid: bool = True,
    per_entry: bool = False,
    policies: tuple[bool, ...] = (False, True),
) -> tuple[Evaluation, dict[str, Any]]:
    """Long where the forecast high is further away than the low, else short; offsets fitted."""
    high_price = float(preds.get("high_predicted_price_value", 0.0))
    low_price = float(preds.get("low_predicted_price_value", 0.0))
    days = days_of(preds, data)
    if days is None:
        return EMPTY, _maxdiff_of_nothing(high_price, low_price)
    valid = days.low_pred < days.high_pred
    trades = torch.where(torch.abs(days.high_pred) > torch.abs(days.low_pred), 1.0, -1.0)
    if crypto:
        trades = torch.where(trades < 0, 0.0, trades)
    if skip_invalid:
        trades = torch.where(valid, trades, 0.0)
    fees = {"fee": fee, "per_entry": per_entry}
    chosen = confirm(days, [trades], reported, policies=policies, **fees)
    rule = fees | {"close_at_eod": chosen.close_at_eod}
    fitted = _numbers(profit_of_days(shifted(days, *chosen[:2]), trades, **rule))
    mixed, baseline, optimised = _of_baseline_and_optimised(
        _numbers(profit_of_days(days, trades, **rule)), fitted, periods
    )
    longs, shorts = int((trades > 0).sum()), int((trades < 0).sum())
    net = longs - shorts
    return mixed, {
        "maxdiffprofit_profit": mixed.total_return,
        "maxdiffprofit_profit_values": fitted.tolist(),
        "maxdiffprofit_profit_high_multiplier": chosen.high,
        "maxdiffprofit_profit_low_multiplier": chosen.low,
        "maxdiffprofit_high_price": high_price * (1.0 + chosen.high),
        "maxdiffprofit_low_price": low_price * (1.0 + chosen.low),
        "maxdiffprofit_baseline_return": baseline.total_return,
        "maxdiffprofit_optimized_return": optimised.total_return,
        "maxdiffprofit_adjusted_return": mixed.total_return,
        "maxdiff_turnover": float(np.mean(np.abs(fitted))),
        "maxdiff_primary_side": "buy" if net > 0 else "sell" if net < 0 else "neutral",
        "maxdiff_trade_bias": net / (longs + shorts) if longs + shorts else 0.0,
        "maxdiff_trades_positive": longs,
        "maxdiff_trades_negative": shorts,
        "maxdiff_trades_total": longs + shorts,
        "maxdiff_invalid_forecasts": int((~valid).sum()),
        "maxdiff_valid_forecasts": int(valid.sum()),
        "maxdiff_close_at_eod": chosen.close_at_eod,
    }


def _maxdiff_of_nothing(high_price: float, low_price: float) -> dict[str, Any]:
    return {
        "maxdiffprofit_profit": 0.0,
        "maxdiffprofit_profit_values": [],
        "maxdiffprofit_profit_high_multiplier": 0.0,
        "maxdiffprofit_profit_low_multiplier": 0.0,
        "maxdiffprofit_high_price": high_price,
        "maxdiffprofit_low_price": low_price,
        "maxdiffprofit_baseline_return": 0.0,
        "maxdiffprofit_optimized_return": 0.0,
        "maxdiffprofit_adjusted_return": 0.0,
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


def always_on(
    preds: dict[str, Any],
    data: pd.DataFrame,
    reported: Choice,
    *,
    fee: float,
    periods: int,
    crypto: bool,
    per_entry: bool = False,
    policies: tuple[bool, ...] = (False, True),
) -> tuple[Evaluation, dict[str, Any]]:
    """Both sides every day (crypto: long only); offsets fitted on their sum."""
    high_price = float(preds.get("high_predicted_price_value", 0.0))
    low_price = float(preds.get("low_predicted_price_value", 0.0))
    name = "maxdiffalwayson_"
    days = days_of(preds, data)
    if days is None:
        chosen, mixed, baseline, optimised = Choice(0.0, 0.0, False), EMPTY, EMPTY, EMPTY
        bought = sold = total = np.zeros(0)
    else:
        buys = torch.ones_like(days.close)
        sides = [buys] if crypto else [buys, -buys]
        fees = {"fee": fee, "per_entry": per_entry}
        chosen = confirm(days, sides, reported, policies=policies, **fees)
        bought_at, sold_at = _of_both_sides(days, chosen, crypto, fees)
        bought, sold, total = map(_numbers, (bought_at, sold_at, known(bought_at) + known(sold_at)))
        plain = _of_both_sides(days, Choice(0.0, 0.0, False), crypto, fees)
        mixed, baseline, optimised = _of_baseline_and_optimised(
            _numbers(known(plain[0]) + known(plain[1])), total, periods
        )
    moved = float(np.sum(np.abs(total)))
    filled = [int(np.count_nonzero(bought)), int(np.count_nonzero(sold))]
    return mixed, {
        name + "profit": mixed.total_return,
        name + "profit_values": total.tolist(),
        name + "high_multiplier": chosen.high,
        name + "low_multiplier": chosen.low,
        name + "high_price": high_price * (1.0 + chosen.high),
        name + "low_price": low_price * (1.0 + chosen.low),
        name + "baseline_return": baseline.total_return,
        name + "optimized_return": optimised.total_return,
        name + "adjusted_return": mixed.total_return,
        name + "turnover": float(np.mean(np.abs(total))) if total.size else 0.0,
        name + "buy_contribution": float(bought.sum()),
        name + "sell_contribution": float(sold.sum()),
        name + "filled_buy_trades": filled[0],
        name + "filled_sell_trades": filled[1],
        name + "trades_total": filled[0] + filled[1],
        name + "trade_bias": float((bought.sum() - sold.sum()) / moved) if moved else 0.0,
        name + "close_at_eod": chosen.close_at_eod,
    }


def _of_both_sides(
    days: Days, choice: Choice, crypto: bool, fees: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Daily profits of buying and of selling (crypto: zeros)."""
    moved = shifted(days, choice.high, choice.low)
    buys = torch.ones_like(days.close)
    rule = fees | {"close_at_eod": choice.close_at_eod}
    bought = profit_of_days(moved, buys, **rule)
    return bought, torch.zeros_like(bought) if crypto else profit_of_days(moved, -buys, **rule)
