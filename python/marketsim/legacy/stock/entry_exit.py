"""The strategies with limit orders at the forecast high and low: maxdiff and always-on.

All simulations of a run are computed together, in arrays [simulation, day]; each result depends on
its own row alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim import _core
from marketsim.kernels.rules import check_fee, fee_rule_code, fill_code
from marketsim.kernels.types import DEFAULT_BOUNDS
from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.evaluation import Scores, score_sums
from marketsim.legacy.stock.offset_search import Found, find_offsets, without_infinity
from marketsim.legacy.stock.quirks import Quirks
from marketsim.legacy.stock.scipy_search import Effort
from marketsim.legacy.stock.settings import setting

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

# What is added of the result at fitted offsets.
_FITTED_SHARE = 0.3
_MAXDIFF_EFFORT = Effort(50, 10, 1e-5, 42, 1)
_ALWAYS_ON_EFFORT = Effort(30, 8, 1e-5, 42, 1)
_FIT_ONE, _FIT_BOTH = "optimize_entry_exit_multipliers", "optimize_always_on_multipliers"


class Terms(NamedTuple):
    """How trades are charged and counted.

    Attributes:
        fee: fraction of the position; None: `loss_utils.TRADING_FEE`.
        periods: trading days of a year.
        is_crypto: no shorts.
        close_at_eod: leave at the close; None: whichever fitted better.
        fits: functions in the place of `optimize_entry_exit_multipliers` and
            `optimize_always_on_multipliers`, by name.
    """

    fee: float | None
    periods: int
    is_crypto: bool
    close_at_eod: bool | None = None
    fits: Mapping[str, Callable[..., Any]] = {}

    @property
    def rate(self) -> float:
        """The fee, or the default of `loss_utils` for None, as there."""
        return loss_utils.TRADING_FEE if self.fee is None else self.fee

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
        profits: at no offsets and at these, float32 [2, position, simulation, day].
    """

    close_at_eod: Flags
    high: Array
    low: Array
    profits: Floats


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
    with np.errstate(all="ignore"):
        ratios = np.array((day_high, day_low)) / day_close
    ratios = np.where(day_close == 0.0, 0.0, ratios)
    if quirks.previous_bar_levels:
        above, below = _known(np.abs(1.0 - ratios)).astype(np.float32)
        return Moves(close, high + above, low - below, high_pred + above, low_pred - below)
    up, down = ratios
    exact = [
        _known((1.0 + own.astype(np.float64)) * ratio - 1.0).astype(np.float32)
        for own, ratio in ((high, up), (low, down), (high_pred, up), (low_pred, down))
    ]
    return Moves(close, *exact)


class Orders(NamedTuple):
    """Limit orders of a strategy, and what is fitted to them.

    Attributes:
        side: positions [simulation, day]; where there are two a day, the longs.
        valid: whether the forecast low lies below the forecast high, bool [simulation, day].
        fitted: see `Fitted`.
    """

    side: Floats
    valid: Flags
    fitted: Fitted


def maxdiff(moves: Moves, terms: Terms, quirks: Quirks, *, skip_invalid: bool) -> Orders:
    """Long where the forecast high is farther off than the forecast low, else short."""
    valid = moves.low_pred < moves.high_pred
    side = np.where(np.abs(moves.high_pred) > np.abs(moves.low_pred), 1.0, -1.0)
    if terms.is_crypto:
        side = np.maximum(side, 0.0)
    if skip_invalid:
        side = np.where(valid, side, 0.0)
    positions = side.astype(np.float32)[None]
    search = _Search(moves, positions, terms, quirks, _MAXDIFF_EFFORT)
    return Orders(positions[0], valid, search.fit(base_at_close=True))


def always_on(moves: Moves, terms: Terms, quirks: Quirks) -> Orders:
    """Long and short on every day; crypto long only."""
    ones = np.ones_like(moves.close)
    positions = np.array((ones,) if terms.is_crypto else (ones, -ones))
    search = _Search(moves, positions, terms, quirks, _ALWAYS_ON_EFFORT)
    return Orders(ones, moves.low_pred < moves.high_pred, search.fit(base_at_close=False))


class _Search(NamedTuple):
    """What offsets are fitted to: the days, the positions held on them, and how they are charged.

    Attributes:
        moves: of all simulations.
        positions: [position, simulation, day], one or two a day.
        terms, quirks: see there.
        effort: of a search that is not exact.
    """

    moves: Moves
    positions: Floats
    terms: Terms
    quirks: Quirks
    effort: Effort

    def fit(self, *, base_at_close: bool) -> Fitted:
        """The best offsets of each simulation.

        The profits at no offsets are those of the way to leave that was chosen, or, unless
        `base_at_close`, always those with exits at the limits.
        """
        chosen, high, low = self._offsets()
        high_offsets, low_offsets = np.zeros((2, 2, len(high)), dtype=np.float32)
        high_offsets[1], low_offsets[1] = high, low
        fills = np.full((2, len(high)), self._fill(False), dtype=np.uint8)
        fills[0 if base_at_close else 1 :, chosen] = self._fill(True)
        made = _core.profit_of_rows(
            *self.moves, self.positions, high_offsets, low_offsets, fills, *self._fee()
        )
        return Fitted(chosen, high, low, made)

    def _offsets(self) -> tuple[Flags, Array, Array]:
        """The way to leave, and the offsets of high and low, [simulation], by the optimizer set."""
        choices = self.terms.choices
        both = len(self.positions) == 2 or self.effort is _ALWAYS_ON_EFFORT
        fit = self.terms.fits.get(_FIT_BOTH if both else _FIT_ONE)
        if fit is not None:
            return self._searched(choices, functools.partial(self._fit_by, fit, both))
        if setting("optimizer") == "exact":
            found, high, low, _ = _core.best_offsets_of_fills(
                self.moves.close,
                without_infinity(self.moves.high),
                without_infinity(self.moves.low),
                without_infinity(self.moves.high_pred),
                without_infinity(self.moves.low_pred),
                self.positions[0],
                *DEFAULT_BOUNDS[0],
                *DEFAULT_BOUNDS[1],
                [self._fill(choice) for choice in choices],
                *self._fee(),
                len(self.positions) == 2,
            )
            return np.array(choices)[found], high.astype(np.float64), low.astype(np.float64)
        return self._searched(choices, self._by_scipy)

    def _by_scipy(self, i: int, choice: bool) -> Found:
        return find_offsets(
            [torch.from_numpy(row[i]) for row in self.moves],
            [torch.from_numpy(position[i]) for position in self.positions],
            close_at_eod=choice,
            fee=self.terms.rate,
            fee_rule=loss_utils.FEE_RULE,
            bounds=DEFAULT_BOUNDS,
            effort=self.effort,
        )

    def _fit_by(self, fit: Callable[..., Any], both: bool, i: int, choice: bool) -> Found:
        """The offsets that a program's own function gives, called as the old backtest did."""
        close, high, low, high_pred, low_pred = (torch.from_numpy(row[i]) for row in self.moves)
        longs = torch.from_numpy(self.positions[0, i])
        sides: tuple[torch.Tensor, ...] = (longs,)
        options: dict[str, Any] = {}
        if both:
            shorts = torch.zeros_like(longs) if self.terms.is_crypto else -longs
            sides = (longs, shorts)
            options["is_crypto"] = self.terms.is_crypto
        found = fit(
            close,
            *sides,
            high,
            high_pred,
            low,
            low_pred,
            close_at_eod=choice,
            trading_fee=self.terms.rate,
            maxiter=self.effort.maxiter,
            popsize=self.effort.popsize,
            workers=self.effort.workers,
            **options,
        )
        return float(found[0]), float(found[1]), float(found[2])

    def _searched(
        self, choices: tuple[bool, ...], find: Callable[[int, bool], Found]
    ) -> tuple[Flags, Array, Array]:
        """The same simulation by simulation."""
        best = []
        for i in range(len(self.moves.close)):
            answers = [find(i, choice) for choice in choices]
            totals = [total for _, _, total in answers]
            at = totals.index(max(totals))  # the first of several
            best.append((choices[at], *answers[at][:2]))
        chosen, high, low = zip(*best, strict=True)
        return np.array(chosen), np.array(high), np.array(low)

    def _fill(self, close_at_eod: bool) -> int:
        """The fill policy of a way to leave, as kernels take it."""
        if close_at_eod:
            return fill_code("legacy_close_only", legacy=True)
        favourable = self.quirks.favourable_order
        return fill_code("legacy" if favourable else "legacy_proven", legacy=True)

    def _fee(self) -> tuple[int, float]:
        """Fee rule and fee, as kernels take them."""
        return fee_rule_code(loss_utils.FEE_RULE), check_fee(self.terms.rate)


def scored(orders: Orders, terms: Terms, quirks: Quirks) -> EntryExit:
    """What a strategy made."""
    profits = orders.fitted.profits
    daily = profits[:, 0] if profits.shape[1] == 1 else profits[:, 0] + profits[:, 1]  # as float32
    base, fitted = score_sums(daily.astype(np.float64), terms.periods)
    reported = base
    if quirks.fitted_in_sample:
        reported = Scores(
            base.total + _FITTED_SHARE * fitted.total,
            base.mean + _FITTED_SHARE * fitted.mean,
            base.annual + _FITTED_SHARE * fitted.annual,
            base.sharpe + _FITTED_SHARE * fitted.sharpe,
            fitted.turnover,
            fitted.returns,
        )
    return EntryExit(reported, base, fitted, orders.fitted, orders.side, orders.valid)


def _known(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0.0)
