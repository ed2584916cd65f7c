"""The old module `loss_utils`: profits of positions and of limit orders, on torch tensors.

Fees are those of November 2025: 5 basis points for stocks, 15 for crypto, charged on days on which
both limits are touched. Later versions of the old program had others, and charge on each entry;
`use_fees("later")` switches to these. Functions read the constants at each call, and so does all of
`marketsim.legacy`; `from loss_utils import TRADING_FEE` copies what is in force at that moment.

All functions take tensors on any device, float32 or float64, with gaps or without. The work is done
on the device and in the precision of the tensors. Where they take a `trading_fee`, None means
`TRADING_FEE`, also for crypto.

Gradients flow to every tensor of moves, forecasts and positions. Whether an order is filled is a
comparison: it has no gradient, so a loss of limit orders moves their levels only while they fill.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.stock.assignments import watch_callee
from marketsim.legacy.stock.tensor_profit import (
    as_floats,
    check_fee_rule,
    check_rate,
    check_tensors,
    limit_order_profit,
)

__all__ = [
    "CRYPTO_TRADING_FEE",
    "DAILY_LEVERAGE_COST",
    "DEFAULT_ANNUAL_LEVERAGE_COST",
    "DEFAULT_TRADING_DAYS",
    "DEVICE",
    "FEE_RULE",
    "TRADING_FEE",
    "calculate_profit_torch_with_entry_buysell_profit_values",
    "calculate_takeprofit_torch",
    "calculate_takeprofit_torch_sq",
    "calculate_trading_profit",
    "calculate_trading_profit_no_scale",
    "calculate_trading_profit_torch",
    "calculate_trading_profit_torch_buy_only",
    "calculate_trading_profit_torch_with_buysell",
    "calculate_trading_profit_torch_with_buysell_profit_values",
    "calculate_trading_profit_torch_with_entry_buysell",
    "get_trading_profits_list",
    "percent_movements_augment",
    "percent_movements_augment_to",
    "torch_inverse_transform",
    "use_fees",
]


class Fees(NamedTuple):
    """Rates for stocks and for crypto, when they are charged, and what a day of leverage costs."""

    stock: float
    crypto: float
    rule: str
    leverage: float


# What later versions charge each day for the part of a position beyond 1.
DEFAULT_ANNUAL_LEVERAGE_COST = 0.065
DEFAULT_TRADING_DAYS = 252
DAILY_LEVERAGE_COST = DEFAULT_ANNUAL_LEVERAGE_COST / DEFAULT_TRADING_DAYS

FEES = {
    "snapshot": Fees(0.0005, 0.0015, "touched_both", 0.0),
    "later": Fees(0.0000278, 0.008, "per_entry", DAILY_LEVERAGE_COST),
}

TRADING_FEE, CRYPTO_TRADING_FEE, FEE_RULE, _leverage_cost = FEES["snapshot"]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def use_fees(version: str) -> None:
    """Set `TRADING_FEE`, `CRYPTO_TRADING_FEE` and `FEE_RULE` to those of a version.

    With "later" a position beyond 1 also pays `DAILY_LEVERAGE_COST` where a function takes
    `leverage_cost_daily` and is given none.

    Args:
        version: "snapshot" (November 2025, the default) or "later".

    Raises:
        UnknownNameError: another version.

    Example:
        >>> from marketsim.legacy.stock import loss_utils
        >>> loss_utils.use_fees("later")
        >>> loss_utils.TRADING_FEE, loss_utils.FEE_RULE
        (2.78e-05, 'per_entry')
        >>> loss_utils.use_fees("snapshot")
    """
    global TRADING_FEE, CRYPTO_TRADING_FEE, FEE_RULE, _leverage_cost
    if version not in FEES:
        raise UnknownNameError("version of the fees", version, FEES)
    TRADING_FEE, CRYPTO_TRADING_FEE, FEE_RULE, _leverage_cost = FEES[version]


def calculate_profit_torch_with_entry_buysell_profit_values(
    y_test: torch.Tensor,
    y_test_high: torch.Tensor,
    y_test_high_pred: torch.Tensor,
    y_test_low: torch.Tensor,
    y_test_low_pred: torch.Tensor,
    y_test_pred: torch.Tensor,
    *,
    close_at_eod: bool = False,
    trading_fee: float | None = None,
    fee_rule: str | None = None,
) -> torch.Tensor:
    """Profit of each day under limit orders at the predicted low and high.

    Args:
        y_test, y_test_high, y_test_low: moves of the day's close, high and low against the
            previous close (0.01 is 1 %).
        y_test_high_pred, y_test_low_pred: what was predicted; cut to [0, 10] and [-1, 0].
        y_test_pred: positions, cut to [-10, 10]; the sign is the side.
        close_at_eod: leave at the close, never at the other limit.
        trading_fee: fraction of the position.
        fee_rule: "touched_both" or "per_entry", see `marketsim.kernels.rules`; None: `FEE_RULE`.

    Returns:
        [day], whatever the shapes of the arguments are.

    Raises:
        ArgumentError: something else than tensors, or lengths or devices that differ.
        UnknownNameError: an unknown fee rule.
    """
    rows = check_tensors(
        y_test=y_test,
        y_test_high=y_test_high,
        y_test_low=y_test_low,
        y_test_high_pred=y_test_high_pred,
        y_test_low_pred=y_test_low_pred,
        y_test_pred=y_test_pred,
    )
    return limit_order_profit(
        *rows,
        close_at_eod=bool(close_at_eod),
        fee=check_rate(trading_fee, TRADING_FEE),
        fee_rule=check_fee_rule(FEE_RULE if fee_rule is None else fee_rule),
    )


def calculate_trading_profit_torch_with_entry_buysell(
    scaler: object,
    last_values: object,
    y_test: torch.Tensor,
    y_test_pred: torch.Tensor,
    y_test_high: torch.Tensor,
    y_test_high_pred: torch.Tensor,
    y_test_low: torch.Tensor,
    y_test_low_pred: torch.Tensor,
    close_at_eod: bool = False,
    trading_fee: float | None = None,
    fee_rule: str | None = None,
) -> torch.Tensor:
    """The sum of `calculate_profit_torch_with_entry_buysell_profit_values`, a tensor of one value.

    `scaler` and `last_values` are not used. Raises what that function raises.
    """
    return torch.sum(
        calculate_profit_torch_with_entry_buysell_profit_values(
            y_test,
            y_test_high,
            y_test_high_pred,
            y_test_low,
            y_test_low_pred,
            y_test_pred,
            close_at_eod=close_at_eod,
            trading_fee=trading_fee,
            fee_rule=fee_rule,
        )
    )


def calculate_trading_profit_torch(
    scaler: object,
    last_values: object,
    y_test: torch.Tensor,
    y_test_pred: torch.Tensor,
    trading_fee: float | None = None,
    leverage_cost_daily: float | None = None,
    position_duration_days: float = 1.0,
) -> torch.Tensor:
    """Mean profit of holding each day's position over the day, a tensor of one value.

    Every day pays the fee on its whole position. `scaler` and `last_values` are not used.

    Args:
        y_test: moves of the close, of any shape.
        y_test_pred: positions of that shape, cut to [-10, 10] (the fee is on what was given).
        trading_fee: fraction of the position.
        leverage_cost_daily: fraction of the part of the position beyond 1, a day; None: 0, or with
            `use_fees("later")` `DAILY_LEVERAGE_COST`.
        position_duration_days: days for which that is paid.

    Raises:
        ArgumentError: as for `calculate_profit_torch_with_entry_buysell_profit_values`.
    """
    held = get_trading_profits_list(
        scaler,
        last_values,
        y_test,
        y_test_pred,
        trading_fee,
        leverage_cost_daily,
        position_duration_days,
    )
    return torch.sum(held) / y_test_pred.numel()


def calculate_trading_profit_torch_buy_only(
    scaler: object,
    last_values: object,
    y_test: torch.Tensor,
    y_test_pred: torch.Tensor,
    trading_fee: float | None = None,
) -> torch.Tensor:
    """`calculate_trading_profit_torch` without the profit of shorts, which pay their fee all the same."""  # noqa: E501
    y_test, y_test_pred = _pair(y_test, y_test_pred)
    fee = check_rate(trading_fee, TRADING_FEE)
    bought = torch.clip(y_test_pred, 0, 10) * y_test
    return torch.sum(bought - torch.abs(y_test_pred) * fee) / y_test_pred.numel()


def calculate_trading_profit_no_scale(
    last_values: object, y_test: torch.Tensor, y_test_pred: torch.Tensor
) -> torch.Tensor:
    """`calculate_trading_profit_torch` at the fee `TRADING_FEE`."""
    return calculate_trading_profit_torch(None, last_values, y_test, y_test_pred)


def get_trading_profits_list(
    scaler: object,
    last_values: object,
    y_test: torch.Tensor,
    y_test_pred: torch.Tensor,
    trading_fee: float | None = None,
    leverage_cost_daily: float | None = None,
    position_duration_days: float = 1.0,
) -> torch.Tensor:
    """The profits of the single days that `calculate_trading_profit_torch` is the mean of."""
    y_test, y_test_pred = _pair(y_test, y_test_pred)
    size = torch.abs(y_test_pred)
    held = _held(y_test, y_test_pred) - size * check_rate(trading_fee, TRADING_FEE)
    cost = check_rate(leverage_cost_daily, _leverage_cost)
    if cost == 0.0:
        return held
    return held - torch.clamp(size - 1.0, min=0.0) * cost * position_duration_days


def calculate_trading_profit_torch_with_buysell(
    scaler: object,
    last_values: object,
    y_test: torch.Tensor,
    y_test_pred: torch.Tensor,
    y_test_high: torch.Tensor,
    y_test_high_pred: torch.Tensor,
    y_test_low: torch.Tensor,
    y_test_low_pred: torch.Tensor,
) -> torch.Tensor:
    """The sum of `calculate_trading_profit_torch_with_buysell_profit_values`."""
    return torch.sum(
        calculate_trading_profit_torch_with_buysell_profit_values(
            y_test, y_test_high, y_test_high_pred, y_test_low, y_test_low_pred, y_test_pred
        )
    )


def calculate_trading_profit_torch_with_buysell_profit_values(
    y_test: torch.Tensor,
    y_test_high: torch.Tensor,
    y_test_high_pred: torch.Tensor,
    y_test_low: torch.Tensor,
    y_test_low_pred: torch.Tensor,
    y_test_pred: torch.Tensor,
    trading_fee: float | None = None,
) -> torch.Tensor:
    """Profit of each day of entering at the previous close and leaving at a predicted limit.

    A long leaves at the predicted high where the day reaches it, else at the close; a short at the
    predicted low. Every day pays the fee on its position. Arguments, result [day] and errors
    are as for `calculate_profit_torch_with_entry_buysell_profit_values`.
    """
    close, high, low, high_pred, low_pred, position = check_tensors(
        y_test=y_test,
        y_test_high=y_test_high,
        y_test_low=y_test_low,
        y_test_high_pred=y_test_high_pred,
        y_test_low_pred=y_test_low_pred,
        y_test_pred=y_test_pred,
    )
    sell, buy = torch.clamp(high_pred, 0, 10), torch.clamp(low_pred, -1, 0)
    long_size, short_size = torch.clip(position, 0, 10), torch.clip(position, -10, 0)
    longs = sell * (sell <= high) * long_size + long_size * close * (sell > high)
    shorts = buy * (buy >= low) * short_size + short_size * close * (buy < low)
    return longs + shorts - torch.abs(position) * check_rate(trading_fee, TRADING_FEE)


def calculate_trading_profit(scaler: Any, x_test: Any, y_test: Any, y_test_pred: Any) -> Any:
    """Mean of what a part of the capital in a position, and the rest in cash, is worth after a day.

    Args:
        scaler: its `inverse_transform` gives prices.
        x_test: tensor [sample, time, column]; the last time is the price before the day.
        y_test: array [sample, column], scaled prices after it.
        y_test_pred: array of that shape, positions cut to [-1, 1].
    """
    before = scaler.inverse_transform(x_test[:, -1, :].detach().cpu().numpy())
    growth = (scaler.inverse_transform(y_test) - before) / before + 1
    invested = np.clip(y_test_pred, 0, 1) * growth
    sold = np.abs(np.clip(y_test_pred, -1, 0) * growth)
    size = np.abs(y_test_pred)
    return np.sum((1 - size) + invested + sold - size * TRADING_FEE) / len(y_test_pred)


def calculate_takeprofit_torch(
    scaler: object, y_ndhalp_test: torch.Tensor, y_test: torch.Tensor, y_test_pred: torch.Tensor
) -> torch.Tensor:
    """Mean profit of selling at a predicted limit where the day goes beyond it, else at the close.

    Args:
        scaler: not used.
        y_ndhalp_test: how far the day went above the price before it.
        y_test: where it closed, as a move.
        y_test_pred: the limits, as moves.
    """
    under, over = _taken(y_ndhalp_test, y_test, y_test_pred)
    return (torch.sum(under) + torch.sum(over)) / y_test.numel()


def calculate_takeprofit_torch_sq(
    scaler: object, y_ndhalp_test: torch.Tensor, y_test: torch.Tensor, y_test_pred: torch.Tensor
) -> torch.Tensor:
    """`calculate_takeprofit_torch` times the share of days with a loss, as the old function had it."""  # noqa: E501
    under, over = _taken(y_ndhalp_test, y_test, y_test_pred)
    profits = under + over
    losing = torch.sum((profits < 0).float()) / y_test.numel()
    return torch.sum(profits) / y_test.numel() * losing


def _taken(
    reached: torch.Tensor, close: torch.Tensor, limit: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Profits of the days that went beyond the limit, and of the others; 0 elsewhere."""
    return limit * (limit < reached).float(), (limit >= reached).float() * close


def percent_movements_augment(to_scale_tensor: npt.ArrayLike) -> list[float]:
    """1.0, and then each move against the value before, its decimals after the third cut off.

    Raises:
        ArgumentError: a move that is not finite: a value of 0 before it, or one that is not finite.

    Example:
        >>> percent_movements_augment([100.0, 101.2345, 100.0])
        [1.0, 0.012, -0.012]
    """
    values = np.asarray(to_scale_tensor, dtype=np.float64).reshape(-1)
    with np.errstate(all="ignore"):
        moves = (values[1:] - values[:-1]) / values[:-1]
    if not np.isfinite(moves).all():
        at = int(np.flatnonzero(~np.isfinite(moves))[0])
        raise ArgumentError(
            f"the move from value {at} to the next one is not finite: "
            f"got {float(values[at])!r} and {float(values[at + 1])!r}"
        )
    return [1.0, *(_cut(move) for move in moves.tolist())]


def percent_movements_augment_to(to_scale_tensor: Any, movement_to_tensor: Any) -> Any:
    """The moves from values to others, as fractions of the first."""
    return (movement_to_tensor - to_scale_tensor) / to_scale_tensor


def torch_inverse_transform(scaler: object, values: Any) -> Any:
    """`values`, unchanged: nothing is scaled any more."""
    return values


def _cut(move: float) -> float:
    """A number without its decimals after the third, as they are written."""
    return float(Decimal(repr(move)).quantize(Decimal("0.001"), rounding=ROUND_DOWN))


def _pair(y_test: torch.Tensor, y_test_pred: torch.Tensor) -> list[torch.Tensor]:
    """Both, checked, in their own shapes."""
    check_tensors(y_test=y_test, y_test_pred=y_test_pred)
    return as_floats((y_test, y_test_pred))


def _held(move: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """The profit of positions held over a move; float32 results depend on the two products."""
    return torch.clip(position, 0, 10) * move + torch.clip(position, -10, 0) * move


watch_callee(
    __name__, kept=["calculate_profit_torch_with_entry_buysell_profit_values"], unread=["DEVICE"]
)
