"""Replay target weights over many instruments that share one account."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_number
from marketsim.errors import ArgumentError, UnknownNameError


class PortfolioResult:
    """Curves of a portfolio.

    Attributes:
        equity, cash, cost, turnover: [bar] in cash; turnover is the value traded.
        units: [bar, asset] held at the close, or None where they were not kept.
        metrics: total_return, max_drawdown, sharpe (of bars, times the root of the periods a year),
            cost, turnover (over the mean equity).
    """

    def __init__(
        self,
        index: pd.Index[Any],
        columns: pd.Index[Any],
        arrays: tuple[npt.NDArray[np.float64], ...],
        start: float,
        periods: float,
        keep_units: bool,
    ) -> None:
        equity, cash, units, cost, turnover = arrays
        self.equity = pd.Series(equity, index, name="equity")
        self.cash = pd.Series(cash, index, name="cash")
        self.cost = pd.Series(cost, index, name="cost")
        self.turnover = pd.Series(turnover, index, name="turnover")
        self.units = pd.DataFrame(units, index, columns) if keep_units else None
        path = np.concatenate(([start], equity))
        before = path[:-1]
        change = np.divide(path[1:], before, out=np.ones(len(before)), where=before > 0.0) - 1.0
        deviation = change.std(ddof=1) if len(change) > 1 else np.nan
        self.metrics = {
            "total_return": float(path[-1] / start - 1.0),
            "max_drawdown": float((1.0 - path / np.maximum.accumulate(path)).max()),
            "sharpe": float(change.mean() / deviation * np.sqrt(periods))
            if deviation > 0.0
            else float("nan"),
            "cost": float(cost.sum()),
            "turnover": float(turnover.sum() / equity.mean()) if len(equity) else 0.0,
        }

    def __repr__(self) -> str:
        m = self.metrics
        return (
            f"PortfolioResult({len(self.equity):,} bars, total return {m['total_return']:.2%}, "
            f"max drawdown {m['max_drawdown']:.2%})"
        )


def replay_portfolio(
    close: pd.DataFrame,
    weights: pd.DataFrame,
    *,
    open: pd.DataFrame | None = None,
    cash: float = 10_000.0,
    cost_bps: float = 0.0,
    fee_per_trade: float = 0.0,
    fill: Literal["next_open", "same_close"] = "next_open",
    lot: float = 0.0,
    max_weight: float | None = None,
    max_gross: float | None = 1.0,
    periods_per_year: float = 252.0,
    keep_units: bool = True,
) -> PortfolioResult:
    """Move a portfolio to target weights: decided at the close of a bar, filled at the next open.

    At a rebalance every instrument with a price trades from what is held to its weight of the
    equity that is left after the costs of the rebalance; sales come before purchases. An instrument
    without a price (NaN) then is left as it is and valued at its last price. Borrowed cash and
    short positions cost nothing here: `replay_symbols` charges them, and checks margin.

    Args:
        close: prices [bar, asset].
        weights: fractions of the equity [bar, asset], on the same index and columns; below 0 is
            short, a row of NaN keeps what is held, and a NaN beside numbers is refused.
        open: prices [bar, asset]; needed for `fill="next_open"`.
        cash: at the start.
        cost_bps: cost of every trade in basis points of its value.
        fee_per_trade: cash a trade.
        fill: "next_open", or "same_close": at the close that was seen.
        lot: holdings are multiples of it, such as 1 for whole shares, rounded towards 0; what is
            left over stays in cash. 0 for fractions.
        max_weight: refuses a weight beyond it; None for no limit.
        max_gross: refuses weights whose sizes add up to more; above 1 cash is borrowed or sold
            short. None for no limit.
        periods_per_year: to annualise the Sharpe ratio with.
        keep_units: keep what is held [bar, asset].

    Raises:
        ArgumentError: frames whose index or columns differ, weights that are not finite or too
            large, no `open`.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> close = pd.DataFrame({"A": [10.0, 11.0, 12.0], "B": [5.0, 5.0, 4.0]}, days)
        >>> half = pd.DataFrame(0.5, days, close.columns)
        >>> replay_portfolio(close, half, fill="same_close").equity.round(2).tolist()
        [10000.0, 10500.0, 9927.27]
    """
    if fill not in ("next_open", "same_close"):
        raise UnknownNameError("fill", fill, ("next_open", "same_close"))
    if fill == "next_open" and open is None:
        raise ArgumentError('fill="next_open" needs open=, or state fill="same_close"')
    frames = {"weights": weights} | ({} if open is None else {"open": open})
    for name, frame in ({"close": close} | frames).items():
        if not isinstance(frame, pd.DataFrame):
            raise ArgumentError(
                f"{name} must be a DataFrame [bar, asset]: got {type(frame).__name__}"
            )
    for name, frame in frames.items():
        if not (frame.index.equals(close.index) and frame.columns.equals(close.columns)):
            raise ArgumentError(
                f"{name} must have the index and columns of close: got {frame.shape[0]} x "
                f"{frame.shape[1]} from {list(frame.columns)[:3]}, expected {close.shape[0]} x "
                f"{close.shape[1]} from {list(close.columns)[:3]}; use .reindex_like(close)"
            )
    wanted = _numbers("weights", weights)
    finite = np.isfinite(wanted)
    wrong = np.zeros(0, dtype=np.int64)
    if not finite.all():
        wrong = np.flatnonzero(~finite.all(axis=1) & ~np.isnan(wanted).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise ArgumentError(
            f"weights of {close.index[row]} must be finite, or all NaN to keep what is held; "
            "give 0 to what is not to be held"
        )
    _check_limits(wanted, close, max_weight, max_gross)
    whole = as_number("lot", lot)
    if not (np.isfinite(whole) and whole >= 0.0):
        raise ArgumentError(f"lot must be finite and at least 0: got {lot!r}")
    start = as_number("cash", cash)
    if not (np.isfinite(start) and start > 0.0):
        raise ArgumentError(f"cash must be finite and above 0: got {cash}")
    closes = _prices("close", close)
    opens = closes if open is None else _prices("open", open)
    periods = as_number("periods_per_year", periods_per_year)
    arrays = _core.replay_portfolio(
        opens,
        closes,
        wanted,
        start,
        as_number("cost_bps", cost_bps) * 1e-4,
        as_number("fee_per_trade", fee_per_trade),
        whole,
        fill == "same_close",
        keep_units,
    )
    return PortfolioResult(close.index, close.columns, arrays, start, periods, keep_units)


def _check_limits(
    wanted: npt.NDArray[np.float64],
    close: pd.DataFrame,
    max_weight: float | None,
    max_gross: float | None,
) -> None:
    if (max_weight is None and max_gross is None) or not wanted.size:
        return
    # Without short weights the sizes are the weights themselves. A row of NaN is beyond no limit.
    sizes = wanted if wanted.min() >= 0.0 else np.abs(wanted)
    if max_weight is not None:
        limit = as_number("max_weight", max_weight)
        if (beyond := sizes > limit).any():
            row, column = np.argwhere(beyond)[0]
            raise ArgumentError(
                f"weight {wanted[row, column]:g} of {close.columns[column]} on {close.index[row]} "
                f"is beyond max_weight={limit:g}"
            )
    if max_gross is not None:
        limit, gross = as_number("max_gross", max_gross), sizes.sum(axis=1)
        if (above := gross > limit * (1.0 + 1e-12)).any():
            row = int(above.argmax())
            raise ArgumentError(
                f"weights of {close.index[row]} add up to {gross[row]:g}, beyond "
                f"max_gross={limit:g}"
            )


def _numbers(name: str, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    dtypes = frame.dtypes
    if len(dtypes) and (dtypes == np.float64).all():
        return np.ascontiguousarray(frame.to_numpy())
    for column, dtype in dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
            raise ArgumentError(f"{name} must be numbers: column {column!r} has dtype {dtype}")
    return np.ascontiguousarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))


def _prices(name: str, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    prices = _numbers(name, frame)
    # A minimum or maximum of numbers with a NaN among them is NaN.
    if not prices.size or (prices.min() > 0.0 and prices.max() < np.inf):
        return prices
    wrong = (prices <= 0.0) | np.isinf(prices)
    if not wrong.any():
        return prices
    row, column = np.argwhere(wrong)[0]
    raise ArgumentError(
        f"{name} must be above 0 and finite, or NaN where there is no price: got "
        f"{prices[row, column]:g} of {frame.columns[column]} on {frame.index[row]}"
    )
