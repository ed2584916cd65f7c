"""Strategies that follow forecasts: signals held over returns, and trades within a day."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.legacy.stock.evaluation import Scores, StrategyEvaluation, no_scores, score_sums
from marketsim.legacy.stock.quirks import active_quirks
from marketsim.legacy.stock.settings import setting

Values: TypeAlias = npt.NDArray[Any]
Signals: TypeAlias = npt.NDArray[np.float32]

ONE, ZERO = np.float32(1), np.float32(0)


def simple_buy_sell_strategy(predictions: Any, is_crypto: bool = False) -> torch.Tensor:
    """Long where a forecast of the close is above 0, else short; crypto flat instead of short.

    Args:
        predictions: [..., day], forecast returns; a tensor, or what torch.as_tensor takes.
        is_crypto: no shorts.

    Returns:
        float32 of the same shape: 1, -1 or 0.
    """
    return _as_given(simple_signals(_values(predictions), is_crypto), predictions)


def simple_signals(forecasts: Values, is_crypto: bool) -> Signals:
    """`simple_buy_sell_strategy` of arrays [..., day]."""
    return np.where(forecasts > 0, ONE, ZERO if is_crypto else -ONE)


def all_signals_strategy(
    close_pred: Any, high_pred: Any, low_pred: Any, is_crypto: bool = False
) -> torch.Tensor:
    """Long where all three forecasts are above 0, short where all are below; else flat.

    Arguments and result are as for `simple_buy_sell_strategy`.
    """
    values = (_values(close_pred), _values(high_pred), _values(low_pred))
    return _as_given(agreeing_signals(*values, is_crypto), close_pred)


def agreeing_signals(close: Values, high: Values, low: Values, is_crypto: bool) -> Signals:
    """`all_signals_strategy` of arrays [..., day]."""
    up = ((close > 0) & (high > 0) & (low > 0)).astype(np.float32)
    return up if is_crypto else up - ((close < 0) & (high < 0) & (low < 0))


def buy_hold_strategy(predictions: Any) -> torch.Tensor:
    """Long where a forecast is above 0, else flat; see `simple_buy_sell_strategy`."""
    return _as_given(simple_signals(_values(predictions), is_crypto=True), predictions)


def unprofit_shutdown_buy_hold(
    predictions: Any, actual_returns: Any, is_crypto: bool = False
) -> torch.Tensor:
    """Long on the first day; later by the sign of the forecast, but flat after a day it got wrong.

    A day after a flat one opens by the sign whatever was before.

    Args:
        predictions: [day], forecast returns.
        actual_returns: [day], what came; a day beyond its end counts as got wrong.
        is_crypto: flat instead of short.

    Returns:
        [day] in the dtype and on the device of the predictions.
    """
    forecasts = torch.as_tensor(predictions)
    if not forecasts.is_floating_point():
        forecasts = forecasts.float()
    given = actual_returns.cpu() if isinstance(actual_returns, torch.Tensor) else actual_returns
    values = forecasts.detach().cpu().double().numpy()[None]
    came = np.ascontiguousarray(given, dtype=np.float64)[None]
    signals = _core.shutdown_signals(values, came, is_crypto)
    return torch.from_numpy(signals[0]).to(forecasts)


def _values(given: Any) -> Values:
    """A tensor on any device, or what torch.as_tensor takes, as an array."""
    return torch.as_tensor(given).detach().cpu().numpy()


def _as_given(signals: Signals, given: Any) -> torch.Tensor:
    """Signals as a tensor on the device of what they were made from."""
    device = given.device if isinstance(given, torch.Tensor) else None
    return torch.from_numpy(np.asarray(signals, dtype=np.float32)).to(device)


def confidence_guard_strategy(
    close_predictions: Any,
    ci_band: Any,
    ci_multiplier: float | None = None,
    is_crypto: bool = False,
) -> torch.Tensor:
    """Long above the band, short below minus the band (not crypto), flat within it.

    Args:
        close_predictions: [..., day], forecast returns.
        ci_band: of the same shape, the width that a move must exceed; at least 1e-8.
        ci_multiplier: what the width is multiplied with; None: TOTO_CI_GUARD_MULTIPLIER.
        is_crypto: no shorts.

    Returns:
        float32 of the same shape.
    """
    forecasts = torch.as_tensor(close_predictions, dtype=torch.float32)
    band = torch.as_tensor(ci_band, dtype=torch.float32)
    factor = setting("toto_ci_guard_multiplier") if ci_multiplier is None else float(ci_multiplier)
    width = torch.clamp(band.abs(), min=1e-8) * factor
    up = (forecasts > width).float()
    return up if is_crypto else up - (forecasts < -width).float()


_Row: TypeAlias = npt.NDArray[np.float64]
_SixRows: TypeAlias = tuple[_Row, _Row, _Row, _Row, _Row, _Row]


def evaluate_entry_takeprofit_strategy(
    close_predictions: Any,
    high_predictions: Any,
    low_predictions: Any,
    actual_close: Any,
    actual_high: Any,
    actual_low: Any,
    trading_fee: float,
    trading_days_per_year: int,
) -> StrategyEvaluation:
    """Entry at the previous close by the sign of the close forecast, exit at the forecast extreme.

    Where a day does not reach the extreme, exit at the close. A forecast of 0 or below is a short,
    of crypto, too.

    Args:
        close_predictions, high_predictions, low_predictions: [day], forecast returns; tensors,
            arrays or lists. Where lengths differ the first days count.
        actual_close, actual_high, actual_low: [day], what came.
        trading_fee: paid on the first day, and twice where the side changes.
        trading_days_per_year: for the annual figures.

    Returns:
        The evaluation; returns float64 [day]. With the quirk `fees_kept_in_forecasts` the tensors
        `high_predictions` and `actual_close` are changed in place; arrays never are.
    """
    given = (
        close_predictions,
        high_predictions,
        low_predictions,
        actual_close,
        actual_high,
        actual_low,
    )
    rows = _rows(given, shortest=True)
    if rows[0].shape[1] == 0:
        return no_scores(1).one()
    returns, high_pred, close = _core.take_profit_returns(*rows, trading_fee)
    if active_quirks().fees_kept_in_forecasts:
        _write_back(high_predictions, high_pred[0])
        _write_back(actual_close, close[0])
    return _scored(returns, trading_days_per_year).one()


def evaluate_highlow_strategy(
    close_predictions: Any,
    high_predictions: Any,
    low_predictions: Any,
    actual_close: Any,
    actual_high: Any,
    actual_low: Any,
    trading_fee: float,
    is_crypto: bool = False,
    trading_days_per_year: int = 252,
) -> StrategyEvaluation:
    """Entry at the forecast low (or high, short), exit at the close.

    Args:
        close_predictions, high_predictions, low_predictions, actual_close, actual_high,
            actual_low: as for `evaluate_entry_takeprofit_strategy`, all of one length.
        trading_fee: paid where a side begins, and once more where the other one ends.
        is_crypto: no shorts.
        trading_days_per_year: for the annual figures.

    Returns:
        The evaluation; returns float64 [day].
    """
    given = (
        close_predictions,
        high_predictions,
        low_predictions,
        actual_close,
        actual_high,
        actual_low,
    )
    rows = _rows(given, shortest=False)
    if rows[0].shape[1] == 0:
        return no_scores(1).one()
    returns = _core.high_low_returns(*rows, trading_fee, is_crypto)
    return _scored(returns, trading_days_per_year).one()


def _scored(returns: npt.NDArray[Any], periods: int) -> Scores:
    return score_sums(returns[None].astype(np.float64), periods)[0]


def _rows(given: tuple[Any, ...], *, shortest: bool) -> _SixRows:
    """The arguments as arrays [1, day] of one precision: float32 where all are, else float64."""
    arrays = [
        value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        for value in given
    ]
    small = all(array.dtype == np.float32 for array in arrays)
    days = min(array.size for array in arrays)
    if not shortest and any(array.size < arrays[0].size for array in arrays):
        sizes = ", ".join(str(array.size) for array in arrays)
        raise ArgumentError(f"forecasts and returns must cover the same days: got {sizes}")
    days = days if shortest else arrays[0].size
    rows = tuple(
        array.reshape(-1)[:days].astype(np.float32 if small else np.float64)[None]
        for array in arrays
    )
    return cast(_SixRows, rows)


def _write_back(target: Any, values: npt.NDArray[Any]) -> None:
    if isinstance(target, torch.Tensor) and not target.requires_grad:
        target[: len(values)] = torch.from_numpy(values).to(target)
