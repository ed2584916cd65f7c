"""Round trips of held positions and of filled orders, and their figures.

One definition for every engine: a trade begins when a position opens from 0 or turns to the other
side, and ends when it returns to 0 or turns; changes of its size on the way are part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.kernels.performance import net_rows

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trades:
    """Round trips, one row each: arrays [trade] in the order of their entries.

    Attributes:
        side: 1 long, -1 short.
        size: largest absolute position, as a multiple of the equity.
        entry_bar, exit_bar: the first and the last bar on which it is held.
        entry_price, exit_price: where it was entered and left; NaN where no prices were given.
        entry_kind, exit_kind: how: "close", "open", "limit", "end" (of the data), ...
        gross, costs, net: profit before costs, costs, and profit after them, as fractions of the
            equity, added over its bars.
        net_return: profit after costs, compounded over its bars.
        mae, mfe: maximum adverse (at most 0) and favourable (at least 0) excursion: the worst and
            the best price of its bars against the entry price, by side, as fractions of it; NaN
            without prices. Of a trade that begins inside a bar they are bounds, since the bar does
            not say what came before the entry.
        ambiguous: whether a bar of it leaves open what was filled first.
    """

    side: Ints
    size: Floats
    entry_bar: Ints
    exit_bar: Ints
    entry_price: Floats
    exit_price: Floats
    entry_kind: npt.NDArray[np.str_]
    exit_kind: npt.NDArray[np.str_]
    gross: Floats
    costs: Floats
    net: Floats
    net_return: Floats
    mae: Floats
    mfe: Floats
    ambiguous: Flags

    def __len__(self) -> int:
        return len(self.side)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, for a frame."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class TradeStatistics(NamedTuple):
    """Figures of round trips; NaN where there is none of the kind.

    Attributes:
        trades: how many.
        win_rate: share with a profit after costs above 0.
        profit_factor: profits of the winners / -losses of the losers.
        average_win, average_loss: mean net of the winners, and of the losers.
        expectancy: mean net of all.
        best, worst: largest and smallest net.
        average_bars: mean bars from entry to exit, both counted.
        longest_losing_streak: losers in a row, by entry.
        costs: of all, added.
    """

    trades: int
    win_rate: float
    profit_factor: float
    average_win: float
    average_loss: float
    expectancy: float
    best: float
    worst: float
    average_bars: float
    longest_losing_streak: int
    costs: float


def held_trades(
    position: npt.ArrayLike,
    *,
    gross: npt.ArrayLike,
    costs: npt.ArrayLike,
    entry_price: npt.ArrayLike | None = None,
    exit_price: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    low: npt.ArrayLike | None = None,
    ambiguous: npt.ArrayLike | None = None,
    breaks: npt.ArrayLike | None = None,
    entry_kind: str = "close",
    exit_kind: str = "close",
) -> Trades:
    """Find the round trips of positions that are held from bar to bar.

    The net of the trades adds up to the gross less the costs of all bars, where every bar with a
    profit or a cost belongs to a trade or follows one.

    Args:
        position: [bar], held through each bar, as a multiple of the equity.
        gross: [bar], profit before costs, as a fraction of the equity.
        costs: [bar], costs likewise. What is traded before a bar is in the costs of the bar, and
            what is sold after the last bar, or before a gap, in those of the bar that ends there.
            What a turn costs is split between both trades by the value that each trades.
        entry_price: [bar], the price at which a position held from this bar on is entered.
        exit_price: [bar], the price at which a position whose last bar this is is left.
        high, low: [bar], for the excursions, which need entry prices as well.
        ambiguous: [bar], bars that leave open what was filled first.
        breaks: [bar], True where no position comes from the bar before: after a gap.
        entry_kind, exit_kind: how positions are taken and left; the last one is left at the "end".

    Raises:
        ArgumentError: arrays of another length, or values that are not finite where they count.

    Example:
        >>> trades = held_trades([0, 1, 1, -1], gross=[0, 0.1, 0, 0.2], costs=[0, 0.01, 0, 0.02])
        >>> trades.side.tolist(), trades.net.round(3).tolist()
        ([1, -1], [0.08, 0.19])
    """
    held = net_rows(position, "position")[0]
    count = len(held)
    earned, paid = _row(gross, "gross", count), _row(costs, "costs", count)
    first, last, follows = _round_trips(held, _flags(breaks, "breaks", count))
    spent = _by_trade(paid, held, first, last, follows)
    side = np.sign(held[first]).astype(np.int64)
    entered = _optional(entry_price, "entry_price", count)[first]
    highs, lows = _optional(high, "high", count), _optional(low, "low", count)
    worst, best = _excursions(
        side, entered, _over(np.minimum, lows, first, last), _over(np.maximum, highs, first, last)
    )
    total = _over(np.add, earned, first, last)
    charged = _over(np.add, spent, first, last)
    unclear = _flags(ambiguous, "ambiguous", count)
    return Trades(
        side=side,
        size=_over(np.maximum, np.abs(held), first, last),
        entry_bar=first,
        exit_bar=last,
        entry_price=entered,
        exit_price=_optional(exit_price, "exit_price", count)[last],
        entry_kind=np.full(len(first), entry_kind),
        exit_kind=np.where(last == count - 1, "end", exit_kind),
        gross=total,
        costs=charged,
        net=total - charged,
        net_return=_over(np.multiply, 1.0 + (earned - spent), first, last) - 1.0,
        mae=worst,
        mfe=best,
        ambiguous=_over(np.maximum, unclear.astype(np.float64), first, last) > 0.0,
    )


def filled_trades(
    side: npt.ArrayLike,
    *,
    size: npt.ArrayLike,
    gross: npt.ArrayLike,
    costs: npt.ArrayLike,
    entry_price: npt.ArrayLike,
    exit_price: npt.ArrayLike,
    entry_kind: npt.ArrayLike = "limit",
    exit_kind: npt.ArrayLike = "close",
    high: npt.ArrayLike | None = None,
    low: npt.ArrayLike | None = None,
    ambiguous: npt.ArrayLike | None = None,
) -> Trades:
    """Find the round trips of orders within one bar: each bar that entered is a trade.

    A long and a short of the same bar are two trades: call it once for each, and join them.

    Args:
        side: [bar], 1 where a long entered, -1 where a short did, 0 where nothing did.
        size: [bar] or a number, absolute position as a multiple of the equity.
        gross, costs: [bar], profit before costs and costs, as fractions of the equity.
        entry_price, exit_price: [bar], prices of the fills.
        entry_kind, exit_kind: [bar] or one for all, such as "limit", "open", "close".
        high, low: [bar], of the bar, for the excursions.
        ambiguous: [bar], bars that leave open what was filled first.

    Raises:
        ArgumentError: arrays of another length, or sides other than -1, 0 and 1.

    Example:
        >>> one = filled_trades([0, 1], size=1, gross=[0, 0.02], costs=[0, 0.001],
        ...                     entry_price=[0, 100.0], exit_price=[0, 102.0])
        >>> one.net.round(3).tolist(), one.exit_kind.tolist()
        ([0.019], ['close'])
    """
    sides = net_rows(side, "side")[0]
    if not np.isin(sides, (-1.0, 0.0, 1.0)).all():
        raise ArgumentError("side must be -1, 0 or 1 for each bar")
    count, at = len(sides), np.flatnonzero(sides)
    direction = sides[at].astype(np.int64)
    entered = _row(entry_price, "entry_price", count, finite=False)[at]
    earned, paid = _row(gross, "gross", count)[at], _row(costs, "costs", count)[at]
    worst, best = _excursions(
        direction, entered, _optional(low, "low", count)[at], _optional(high, "high", count)[at]
    )
    return Trades(
        side=direction,
        size=np.abs(_row(size, "size", count))[at],
        entry_bar=at,
        exit_bar=at.copy(),
        entry_price=entered,
        exit_price=_row(exit_price, "exit_price", count, finite=False)[at],
        entry_kind=np.broadcast_to(np.asarray(entry_kind, dtype=np.str_), count)[at],
        exit_kind=np.broadcast_to(np.asarray(exit_kind, dtype=np.str_), count)[at],
        gross=earned,
        costs=paid,
        net=earned - paid,
        net_return=earned - paid,
        mae=worst,
        mfe=best,
        ambiguous=_flags(ambiguous, "ambiguous", count)[at],
    )


def join_trades(parts: Sequence[Trades]) -> Trades:
    """Join trades of several sources, ordered by entry and then by source.

    Raises:
        ArgumentError: no part.
    """
    if not parts:
        raise ArgumentError("expected at least one Trades to join: got none")
    order = np.argsort(np.concatenate([part.entry_bar for part in parts]), kind="stable")
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])[order]
        for field in fields(Trades)
    }
    return Trades(**joined)


def trade_statistics(trades: Trades) -> TradeStatistics:
    """Figures of round trips.

    Example:
        >>> trades = held_trades([1, 0, 1], gross=[0.1, 0, -0.05], costs=[0, 0, 0])
        >>> statistics = trade_statistics(trades)
        >>> statistics.trades, statistics.win_rate, round(statistics.profit_factor, 6)
        (2, 0.5, 2.0)
    """
    net = trades.net
    wins, losses = net[net > 0.0], net[net < 0.0]
    streak = longest = 0
    for value in net.tolist():
        streak = streak + 1 if value < 0.0 else 0
        longest = max(longest, streak)
    lost = float(losses.sum())
    some = len(net) > 0
    return TradeStatistics(
        trades=len(net),
        win_rate=len(wins) / len(net) if some else math.nan,
        profit_factor=float(wins.sum()) / -lost if lost < 0.0 else math.nan,
        average_win=_mean(wins),
        average_loss=_mean(losses),
        expectancy=_mean(net),
        best=float(net.max()) if some else math.nan,
        worst=float(net.min()) if some else math.nan,
        average_bars=_mean(trades.exit_bar - trades.entry_bar + 1.0),
        longest_losing_streak=longest,
        costs=float(trades.costs.sum()),
    )


def ambiguous_share(net: npt.ArrayLike, ambiguous: npt.ArrayLike) -> Floats:
    """Compute the share of absolute profit made on bars of unknown order, [strategy].

    sum of |net| over the ambiguous bars / sum of |net| over all; NaN where every net is 0.

    Args:
        net: [bar] or [strategy, bar].
        ambiguous: booleans of the same shape.

    Raises:
        ArgumentError: other shapes, or values that are not finite.

    Example:
        >>> float(ambiguous_share([0.1, -0.1, 0.2], [False, True, False]))
        0.25
    """
    size = np.abs(net_rows(net))
    unclear = np.atleast_2d(np.asarray(ambiguous))
    if unclear.dtype != np.bool_ or unclear.shape != size.shape:
        raise ArgumentError(
            f"ambiguous must be booleans in the shape of the net returns {size.shape}: "
            f"got {unclear.dtype} of shape {unclear.shape}"
        )
    total = size.sum(axis=1)
    share: Floats = (size * unclear).sum(axis=1) / np.where(total > 0.0, total, np.nan)
    return share[0] if np.ndim(net) == 1 else share


def traded_value(
    position: npt.ArrayLike, market: npt.ArrayLike, *, breaks: npt.ArrayLike | None = None
) -> Floats:
    """Compute the value that a held position trades for each bar [bar], in multiples of equity.

    Before a bar it trades the difference between the target and what the position of the bar before
    has drifted to, s (1 + r) / (1 + s r). The last position, and those before a gap, are sold at
    the end of their bar, which is counted there.

    Args:
        position: [bar], the target held through each bar.
        market: [bar], return of what is held over each bar.
        breaks: [bar], True where no position comes from the bar before: after a gap.

    Raises:
        ArgumentError: arrays of another length, or values that are not finite.

    Example:
        >>> traded_value([1, 1, 0], [0.1, 0.0, 0.5]).tolist()
        [1.0, 0.0, 1.0]
    """
    held = net_rows(position, "position")[0]
    moved = _row(market, "market", len(held))
    alone = _flags(breaks, "breaks", len(held))
    left = 1.0 + held * moved  # the equity after the bar; nothing is left after a ruin
    drifted = np.where(left > 0.0, held * (1.0 + moved) / np.where(left > 0.0, left, 1.0), 0.0)
    before = np.where(alone, 0.0, np.r_[0.0, drifted[:-1]])
    ends = np.r_[alone[1:], True]
    value: Floats = np.abs(held - before) + np.where(ends, np.abs(drifted), 0.0)
    return value


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _row(values: npt.ArrayLike, name: str, count: int, finite: bool = True) -> Floats:
    row = np.asarray(values, dtype=np.float64)
    row = np.full(count, float(row)) if row.ndim == 0 else row
    if row.shape != (count,):
        raise ArgumentError(f"{name} must be [bar] with {count}: got shape {row.shape}")
    if finite and not np.isfinite(row).all():
        bar = int(np.flatnonzero(~np.isfinite(row))[0])
        raise ArgumentError(f"{name} must be finite: got {row[bar]} at bar {bar}")
    return row


def _optional(values: npt.ArrayLike | None, name: str, count: int) -> Floats:
    return np.full(count, np.nan) if values is None else _row(values, name, count, finite=False)


def _flags(values: npt.ArrayLike | None, name: str, count: int) -> Flags:
    flags = np.zeros(count, dtype=np.bool_) if values is None else np.asarray(values)
    if flags.dtype != np.bool_ or flags.shape != (count,):
        raise ArgumentError(
            f"{name} must be booleans [bar] with {count}: got {flags.dtype} of shape {flags.shape}"
        )
    return flags


def _round_trips(held: Floats, breaks: Flags) -> tuple[Ints, Ints, Flags]:
    """Return (first bar, last bar, whether the close is traded before the next) of each trade."""
    sign = np.sign(held)
    begins = np.r_[True, (sign[1:] != sign[:-1]) | breaks[1:]]
    starts = np.flatnonzero(begins)
    ends = np.r_[starts[1:], len(held)] - 1
    is_held = sign[starts] != 0.0
    first, last = starts[is_held], ends[is_held]
    goes_on = last < len(held) - 1
    goes_on[goes_on] = ~breaks[last[goes_on] + 1]
    return first, last, goes_on


def _by_trade(paid: Floats, held: Floats, first: Ints, last: Ints, follows: Flags) -> Floats:
    """Move the cost that ends a trade from the bar after it to its last bar; costs [bar]."""
    spent = paid.copy()
    closed = last[follows]
    old, new = np.abs(held[closed]), np.abs(held[closed + 1])
    part = paid[closed + 1] * (old / (old + new))
    spent[closed + 1] -= part
    spent[closed] += part
    return spent


def _over(reduce: np.ufunc, values: Floats, first: Ints, last: Ints) -> Floats:
    """Apply `reduce` to the bars of each trade."""
    if not len(first):
        return np.zeros(0)
    at = np.stack([first, last + 1], axis=1).reshape(-1)
    result: Floats = reduce.reduceat(np.r_[values, 0.0], at)[::2]
    return result


def _excursions(
    side: Ints, entered: Floats, lowest: Floats, highest: Floats
) -> tuple[Floats, Floats]:
    """Return the (worst, best) move against the entry price, by side; NaN without a price."""
    with np.errstate(divide="ignore", invalid="ignore"):
        down, up = lowest / entered - 1.0, highest / entered - 1.0
    worst = np.where(side > 0, down, -up)
    best = np.where(side > 0, up, -down)
    return np.minimum(worst, 0.0), np.maximum(best, 0.0)
