"""Positions from forecasts: the signal functions of the old backtest, on tensors."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from marketsim import _core
from marketsim.legacy.settings import setting

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
