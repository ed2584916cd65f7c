"""The strategies with limit orders at the forecast high and low: maxdiff and always-on.

All simulations of a run are computed together, in arrays [simulation, day]; each result depends on
its own row alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim import _core
from marketsim.kernels.offsets import DEFAULT_BOUNDS, best_offsets
from marketsim.kernels.rules import check_fee, fee_rule_code, fill_code
from marketsim.legacy import loss_utils
from marketsim.legacy.evaluation import Scores, score_sums
from marketsim.legacy.offset_search import Effort, find_offsets
from marketsim.legacy.quirks import Quirks, active_quirks
from marketsim.legacy.settings import setting

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

# What is added of the result at fitted offsets.
_FITTED_SHARE = 0.3
_NO_OFFSET = np.zeros(1, dtype=np.float32)
_MAXDIFF_EFFORT = Effort(50, 10, 1e-5, 42, 1)
_ALWAYS_ON_EFFORT = Effort(30, 8, 1e-5, 42, 1)


class Terms(NamedTuple):
    """How trades are charged and counted.

    Attributes:
        fee: fraction of the position.
        periods: trading days of a year.
        is_crypto: no shorts.
        close_at_eod: leave at the close; None: whichever fitted better.
    """

    fee: float
    periods: int
    is_crypto: bool
    close_at_eod: bool | None = None

    @property
    def choices(self) -> tuple[bool, ...]:
        """The values of `close_at_eod` that are tried."""
        return (False, True) if self.close_at_eod is None else (bool(self.close_at_eod),)


class Moves(NamedTuple):
    """Moves against the previous close, float32 [simulation, day]; the last two are forecasts."""

    close: Floats
    high: Floats
    low: Floats
    high_pred: Floats
    low_pred: Floats


class Fitted(NamedTuple):
    """The better way to leave, and the offsets that fit it, of each simulation.

    Attributes:
        close_at_eod: bool [simulation].
        high, low: offsets, float64 [simulation].
        positions: profits by position handed over, float32 [simulation, day] each.
        base: profits at no offsets, likewise.
    """

    close_at_eod: npt.NDArray[np.bool_]
    high: Array
    low: Array
    positions: tuple[Floats, ...]
    base: tuple[Floats, ...]


class EntryExit(NamedTuple):
    """What a strategy made in each simulation.

    Attributes:
        reported, base, fitted: scores as reported, at no offsets, and at the fitted ones.
        found: the offsets.
        side: positions [simulation, day]; of always-on, those of its longs.
        valid: whether the forecast low lies below the forecast high, bool [simulation, day].
    """

    reported: Scores
    base: Scores
    fitted: Scores
    found: Fitted
    side: Floats
    valid: npt.NDArray[np.bool_]


def moves_against_close(
    close: Floats, extremes: tuple[Floats, ...], before: tuple[Array, ...], quirks: Quirks
) -> Moves:
    """Moves against the previous close from those of high and low against their own last values.

    Args:
        close: [simulation, day].
        extremes: high, low, high_pred, low_pred as returns of their own columns.
        before: high, low and close of the days before, prices [simulation, day].
        quirks: with `previous_bar_levels` the distances of high and low from the close are added,
            as the old code did; else returns are compounded.
    """
    high, low, high_pred, low_pred = extremes
    day_high, day_low, day_close = before
    up, down = _ratio(day_high, day_close), _ratio(day_low, day_close)
    if quirks.previous_bar_levels:
        above = _known(np.abs(1.0 - up)).astype(np.float32)
        below = _known(np.abs(1.0 - down)).astype(np.float32)
        return Moves(close, high + above, low - below, high_pred + above, low_pred - below)
    exact = [
        _known((1.0 + own.astype(np.float64)) * ratio - 1.0).astype(np.float32)
        for own, ratio in ((high, up), (low, down), (high_pred, up), (low_pred, down))
    ]
    return Moves(close, *exact)


def maxdiff(moves: Moves, terms: Terms, skip_invalid: bool) -> EntryExit:
    """Long where the forecast high is farther off than the forecast low, else short."""
    valid = moves.low_pred < moves.high_pred
    side = np.where(np.abs(moves.high_pred) > np.abs(moves.low_pred), 1.0, -1.0)
    if terms.is_crypto:
        side = np.maximum(side, 0.0)
    if skip_invalid:
        side = np.where(valid, side, 0.0)
    positions = (side.astype(np.float32),)
    found = _fit(moves, positions, terms, _MAXDIFF_EFFORT, base_at_close=True)
    return _scored(found, positions[0], valid, terms)


def always_on(moves: Moves, terms: Terms) -> EntryExit:
    """Long and short on every day; crypto long only."""
    ones = np.ones_like(moves.close)
    positions = (ones,) if terms.is_crypto else (ones, -ones)
    found = _fit(moves, positions, terms, _ALWAYS_ON_EFFORT, base_at_close=False)
    return _scored(found, ones, moves.low_pred < moves.high_pred, terms)


def _fit(
    moves: Moves,
    positions: tuple[Floats, ...],
    terms: Terms,
    effort: Effort,
    *,
    base_at_close: bool,
) -> Fitted:
    """The best offsets of each simulation.

    The profits at no offsets are those of the way to leave that was chosen, or, unless
    `base_at_close`, always those with exits at the limits.
    """
    count = len(moves.close)
    none = np.zeros(count)

    def unfitted(leaving: bool) -> tuple[Floats, ...]:
        return tuple(_profit(moves, at, none, none, terms, leaving) for at in positions)

    at_limits = None if base_at_close else unfitted(False)
    best: Fitted | None = None
    best_total = np.full(count, -np.inf)
    for close_at_eod in terms.choices:
        high, low, total = _offsets(moves, positions, terms, close_at_eod, effort)
        at_close = np.full(count, close_at_eod)
        made = tuple(_profit(moves, at, high, low, terms, close_at_eod) for at in positions)
        base = unfitted(close_at_eod) if at_limits is None else at_limits
        found = Fitted(at_close, high, low, made, base)
        best = found if best is None else _chosen(total > best_total, found, best)
        best_total = np.maximum(total, best_total)
    assert best is not None
    return best


def _chosen(better: npt.NDArray[np.bool_], new: Fitted, old: Fitted) -> Fitted:
    """Row by row the new one where it is better."""
    rows = better[:, None]

    def each(of_new: tuple[Floats, ...], of_old: tuple[Floats, ...]) -> tuple[Floats, ...]:
        return tuple(np.where(rows, a, b) for a, b in zip(of_new, of_old, strict=True))

    return Fitted(
        np.where(better, new.close_at_eod, old.close_at_eod),
        np.where(better, new.high, old.high),
        np.where(better, new.low, old.low),
        each(new.positions, old.positions),
        each(new.base, old.base),
    )


def _offsets(
    moves: Moves, positions: tuple[Floats, ...], terms: Terms, close_at_eod: bool, effort: Effort
) -> tuple[Array, Array, Array]:
    """Offsets of high and low and the total profit, [simulation] each, by the optimizer set."""
    if setting("optimizer") == "exact":
        rows = (moves.close, moves.high, moves.low, moves.high_pred, moves.low_pred)
        found = best_offsets(
            *rows,
            positions[0],
            fee=terms.fee,
            fee_rule=loss_utils.FEE_RULE,
            fill=_fill(close_at_eod),
            always_on=len(positions) == 2,
        )
        return (
            np.asarray(found.high, dtype=np.float64),
            np.asarray(found.low, dtype=np.float64),
            np.asarray(found.profit, dtype=np.float64),
        )
    answers = [
        find_offsets(
            [torch.from_numpy(row[i]) for row in moves],
            [torch.from_numpy(position[i]) for position in positions],
            close_at_eod=close_at_eod,
            fee=terms.fee,
            fee_rule=loss_utils.FEE_RULE,
            bounds=DEFAULT_BOUNDS,
            effort=effort,
        )
        for i in range(len(moves.close))
    ]
    high, low, total = np.array(answers, dtype=np.float64).T
    return high, low, total


def _profit(
    moves: Moves, position: Floats, high: Array, low: Array, terms: Terms, close_at_eod: bool
) -> Floats:
    """Profit of each day [simulation, day] at offsets [simulation]."""
    values = _core.profit(
        moves.close.reshape(-1),
        moves.high.reshape(-1),
        moves.low.reshape(-1),
        (moves.high_pred + high[:, None].astype(np.float32)).reshape(-1),
        (moves.low_pred + low[:, None].astype(np.float32)).reshape(-1),
        position.reshape(-1),
        None,
        _NO_OFFSET,
        _NO_OFFSET,
        fill_code(_fill(close_at_eod)),
        fee_rule_code(loss_utils.FEE_RULE),
        check_fee(terms.fee),
    )
    profits: Floats = values[0].reshape(position.shape)
    return profits


def _fill(close_at_eod: bool) -> str:
    if close_at_eod:
        return "close_only"
    return "optimistic" if active_quirks().favourable_order else "pessimistic"


def _scored(found: Fitted, side: Floats, valid: npt.NDArray[np.bool_], terms: Terms) -> EntryExit:
    both = np.concatenate((_together(found.base), _together(found.positions)))
    base, fitted = score_sums(both, terms.periods).split(2)
    if not active_quirks().fitted_in_sample:
        return EntryExit(base, base, fitted, found, side, valid)
    blended = Scores(
        base.total + _FITTED_SHARE * fitted.total,
        base.mean + _FITTED_SHARE * fitted.mean,
        base.annual + _FITTED_SHARE * fitted.annual,
        base.sharpe + _FITTED_SHARE * fitted.sharpe,
        fitted.returns,
    )
    return EntryExit(blended, base, fitted, found, side, valid)


def _together(parts: tuple[Floats, ...]) -> Array:
    """The sum of the positions' profits, added as float32."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.astype(np.float64)


def _ratio(price: Array, close: Array) -> Array:
    """Price / close, 0 where the close is 0."""
    with np.errstate(all="ignore"):
        return np.divide(price, close, out=np.zeros_like(price), where=close != 0.0)


def _known(values: Array) -> Array:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
