"""The strategies that enter at the previous close, or at a limit, and leave within the day."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.legacy.evaluation import Scores, StrategyEvaluation, no_scores, score_sums
from marketsim.legacy.quirks import active_quirks

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
