"""The strategies that enter at the previous close, or at a limit, and leave within the day."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch

from marketsim.errors import ArgumentError
from marketsim.legacy.evaluation import Scores, StrategyEvaluation, no_scores, score_sums
from marketsim.legacy.quirks import active_quirks

Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])
_Row: TypeAlias = npt.NDArray[np.float64]
_SixRows: TypeAlias = tuple[_Row, _Row, _Row, _Row, _Row, _Row]


class TakeProfit(NamedTuple):
    """Daily returns of entry and take profit, and what the old code leaves of its arguments.

    Attributes:
        returns: [simulation, day].
        high_pred, close: the arrays handed over; where a long left at the one or the other, less
            the fee of the day.
    """

    returns: npt.NDArray[Any]
    high_pred: npt.NDArray[Any]
    close: npt.NDArray[Any]


def take_profit_returns(
    close_pred: Floats,
    high_pred: Floats,
    low_pred: Floats,
    close: Floats,
    high: Floats,
    low: Floats,
    fee: float,
) -> TakeProfit:
    """Long from the previous close where the forecast is above 0, else short, [simulation, day].

    Leaves at the forecast high (low) where the day reaches it, else at the close. The first day
    pays the fee once, a change of side twice. In the precision of the arrays.
    """
    is_long = close_pred > 0
    same = is_long[:, 1:] == is_long[:, :-1]
    fees = np.full(is_long.shape, fee, dtype=close.dtype)
    fees[:, 1:] = np.where(same, 0.0, fee + fee)
    touched = is_long & (high >= high_pred)
    of_long = np.where(touched, high_pred, close)
    of_short = 0 - np.where(low <= low_pred, low_pred, close)
    returns = np.where(is_long, of_long, of_short) - fees
    return TakeProfit(
        returns, np.where(touched, returns, high_pred), np.where(is_long & ~touched, returns, close)
    )


def high_low_returns(
    close_pred: Floats,
    high_pred: Floats,
    low_pred: Floats,
    close: Floats,
    high: Floats,
    low: Floats,
    fee: float,
    is_crypto: bool,
) -> Floats:
    """Buys at the forecast low where the close is forecast above 0; leaves at the close.

    Below 0 sells at the forecast high, but not crypto. Where the day does not reach the limit the
    position opens and closes at the close. [simulation, day], in the precision of the arrays.
    """
    side = (close_pred > 0).astype(np.int8)
    if not is_crypto:
        side -= close_pred < 0
    gain = np.where(
        side > 0,
        close - np.where(low <= low_pred, low_pred, close),
        np.where(high >= high_pred, high_pred, close) - close,
    )
    before = np.zeros_like(side)
    before[:, 1:] = side[:, :-1]
    opened = np.where(before == 0, fee, fee + fee)
    fees = np.where(side == before, 0.0, opened).astype(close.dtype)
    return np.where(side == 0, 0, gain - fees).astype(close.dtype)


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
    made = take_profit_returns(*rows, fee=trading_fee)
    if active_quirks().fees_kept_in_forecasts:
        _write_back(high_predictions, made.high_pred[0])
        _write_back(actual_close, made.close[0])
    return _scored(made.returns, trading_days_per_year).one()


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
    returns = high_low_returns(*rows, fee=trading_fee, is_crypto=is_crypto)
    return _scored(returns, trading_days_per_year).one()


def _scored(returns: npt.NDArray[Any], periods: int) -> Scores:
    return score_sums(returns.astype(np.float64), periods)


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
