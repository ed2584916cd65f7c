"""Monte Carlo of trades: random order, and missed, late or worse fills."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.arguments import (
    as_finite,
    as_numbers,
    as_share,
    check_seed,
    check_whole,
    is_list,
    is_whole,
)
from marketsim.errors import ArgumentError
from marketsim.kernels.performance import net_rows
from marketsim.metrics.returns import account_returns

Floats = npt.NDArray[np.float64]


class Outcomes(NamedTuple):
    """Figures of resampled trades, arrays [repetition].

    Attributes:
        total_return: compounded.
        max_drawdown: of the equity after each trade, the start included.
        actual_total_return, actual_max_drawdown: of the trades in their own order.
    """

    total_return: Floats
    max_drawdown: Floats
    actual_total_return: float
    actual_max_drawdown: float


def shuffle_trades(net: npt.ArrayLike, *, repetitions: int = 1_000, seed: int = 0) -> Outcomes:
    """Shuffle the order of trades: how the drawdown depends on it.

    The total return is the same in any order, but for rounding and for orders that are ruined on
    the way. Trades that follow from one another (a series that trends) are taken as independent.

    Args:
        net: [trade], net returns of the trades as fractions of the equity at their entry.
        repetitions: number of random orders.
        seed: of the draws.

    Raises:
        ArgumentError: no trade, values that are not finite, or no repetition.

    Example:
        >>> found = shuffle_trades([0.1, -0.1, 0.1, -0.1], repetitions=100)
        >>> round(found.actual_max_drawdown, 3), round(float(found.max_drawdown.max()), 3)
        (0.109, 0.19)
    """
    trades = _trades(net, repetitions)
    draws = _generator(seed).permuted(np.tile(trades, (repetitions, 1)), axis=1)
    return _outcomes(draws, trades)


def degrade_fills(
    net: npt.ArrayLike,
    *,
    size: npt.ArrayLike = 1.0,
    missed: float = 0.0,
    worse: float = 0.0,
    repetitions: int = 1_000,
    seed: int = 0,
) -> Outcomes:
    """Remove or worsen random fills of the same trades.

    Args:
        net: [trade], net returns of the trades as fractions of the equity.
        size: [trade] or a number, position as a multiple of the equity.
        missed: probability that a trade is not filled and earns nothing, in [0, 1).
        worse: mean slippage of each of the two fills of a trade as a fraction of the price, drawn
            from an exponential distribution: most are small, some are large.
        repetitions, seed: of the draws.

    Raises:
        ArgumentError: no trade, values that are not finite, or numbers out of range.

    Example:
        >>> found = degrade_fills([0.01] * 50, worse=0.001, repetitions=100)
        >>> bool(found.total_return.max() < found.actual_total_return)
        True
    """
    trades = _trades(net, repetitions)
    sizes = as_numbers("size", size, np.float64)
    if sizes.shape not in ((), trades.shape) or not np.isfinite(sizes).all():
        raise ArgumentError(
            f"size must be a finite number, or one for each of {len(trades)} trades: got shape "
            f"{sizes.shape}, {size!r:.200}"
        )
    held = np.abs(np.broadcast_to(sizes, trades.shape))
    as_share("missed", missed, "[0, 1)")
    as_share("worse", worse, "[0, 1)")
    generator = _generator(seed)
    shape = (repetitions, len(trades))
    slippage = generator.exponential(size=(2, *shape)).sum(axis=0) * worse
    filled = generator.random(shape) >= missed
    return _outcomes(np.where(filled, trades - held * slippage, 0.0), trades)


def delayed_returns(
    position: npt.ArrayLike,
    market: npt.ArrayLike,
    *,
    delays: tuple[int, ...] = (0, 1, 2, 3),
    cost: float = 0.0,
) -> Floats:
    """Compute net returns [delay, bar] of a position that is taken late.

    If the profit is gone one bar later, the strategy depends on its exact fills.

    Args:
        position: [bar], held through each bar as a multiple of the equity.
        market: [bar], return of what is held over each bar.
        delays: bars by which every position is late; 0 is on time.
        cost: fraction of the value of every change of position.

    Raises:
        ArgumentError: arrays of another length, delays that are negative or no bar is left, values
            that are not finite.

    Example:
        >>> delayed_returns([1, 0, 0], [0.1, -0.2, 0.3], delays=(0, 1)).tolist()
        [[0.1, -0.0, 0.0], [0.0, -0.2, 0.0]]
    """
    held, moved = net_rows(position, "position"), net_rows(market, "market")
    if held.shape != moved.shape or len(held) != 1:
        raise ArgumentError(
            f"position and market must be [bar], of one length: got {held.shape[1]} and "
            f"{moved.shape[1]}"
        )
    bars = held.shape[1]
    if (
        not is_list(delays)
        or not len(delays)
        or not all(is_whole(delay) and 0 <= delay < bars for delay in delays)
    ):
        raise ArgumentError(
            f"delays must be whole numbers of bars in 0 .. {bars - 1}, such as (0, 1, 2): got "
            f"{delays!r:.200}"
        )
    fee = as_finite("cost", cost)
    late = np.zeros((len(delays), bars))
    for row, delay in zip(late, delays, strict=True):
        row[delay:] = held[0, : bars - delay]
    changes = np.abs(np.diff(late, axis=1, prepend=0.0))
    net: Floats = late * moved - changes * fee
    return net


def _trades(net: npt.ArrayLike, repetitions: int) -> Floats:
    trades = net_rows(net, "net returns of trades")
    if np.ndim(net) != 1:
        raise ArgumentError(f"net returns of trades must be [trade]: got shape {np.shape(net)}")
    check_whole("repetitions", repetitions, 1)
    row: Floats = trades[0]
    return row


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(check_seed(seed)))


def _outcomes(draws: Floats, actual: Floats) -> Outcomes:
    totals, drawdowns = _equity_figures(account_returns(draws).returns)
    total, drawdown = _equity_figures(account_returns(actual).returns)
    return Outcomes(totals, drawdowns, float(total[0]), float(drawdown[0]))


def _equity_figures(returns: Floats) -> tuple[Floats, Floats]:
    equity = np.cumprod(1.0 + returns, axis=1)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0), axis=1)
    total: Floats = np.asarray(equity[:, -1] - 1.0, dtype=np.float64)
    drawdown: Floats = (1.0 - equity / peak).max(axis=1)
    return total, drawdown
