"""All strategies of a group of simulations that have equally many forecasts and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.legacy.stock.entry_exit import (
    EntryExit,
    Orders,
    Terms,
    always_on,
    maxdiff,
    moves_against_close,
    scored,
)
from marketsim.legacy.stock.evaluation import Scores, no_scores, score_signals, score_sums
from marketsim.legacy.stock.quirks import Quirks
from marketsim.legacy.stock.strategies import agreeing_signals, simple_signals

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


class Validation(NamedTuple):
    """What strategies are judged by: forecasts of days, and what came.

    Attributes:
        predictions: float32 [price, simulation, day], prices in the order `KEYS`.
        actuals: float32 [price, simulation, day], returns of these days.
        returns: float64 [simulation, return], of the close: those that signals are held over, at
            most as many as days.
        before: high, low and close of the days before, float64 [simulation, day].
    """

    predictions: Floats
    actuals: Floats
    returns: Array
    before: tuple[Array, Array, Array]


class Outcome(NamedTuple):
    """One strategy: its scores, and the return of its last day, [simulation]."""

    scores: Scores
    last_day: Array


@dataclass(frozen=True)
class Outcomes:
    """What the strategies made.

    Attributes:
        by_name: simple, all_signals, buy_hold, unprofit_shutdown, entry_takeprofit, highlow,
            maxdiff, maxdiffalwayson.
        maxdiff, always_on: their details; None where there are no days.
        high_predictions, close_actuals: as `Validation` has them, or what the old code leaves of
            them, see `Quirks.fees_kept_in_forecasts`.
    """

    by_name: dict[str, Outcome]
    maxdiff: EntryExit | None
    always_on: EntryExit | None
    high_predictions: Floats
    close_actuals: Floats


def run_strategies(days: Validation, terms: Terms, spread: float, quirks: Quirks) -> Outcomes:
    """Run all strategies.

    Args:
        days: forecasts and what came.
        terms: fee, periods, whether it is crypto.
        spread: ask / bid, of which half is paid where a position follows signals.
        quirks: what is reproduced.
    """
    trades, high_predictions, close_actuals = _day_trades(days, terms, quirks)
    number = days.returns.shape[1]
    found = _by_signals(days, terms, spread)
    scores = score_sums(trades, terms.periods)
    for name, score in zip(("entry_takeprofit", "highlow"), scores, strict=True):
        mean = score.total / number if number else np.zeros_like(score.total)
        found[name] = Outcome(score, mean)
    orders = _orders(days, terms, quirks)
    one, both = [scored(order, terms, quirks) for order in orders] or (None, None)
    found |= {"maxdiff": _limit_orders(one, days), "maxdiffalwayson": _limit_orders(both, days)}
    return Outcomes(found, one, both, high_predictions, close_actuals)


def _orders(days: Validation, terms: Terms, quirks: Quirks) -> tuple[Orders, ...]:
    """Those of maxdiff and of always-on; none where there are no days."""
    if not days.predictions.shape[2]:
        return ()
    close, low, high, _ = days.actuals
    _, low_pred, high_pred, _ = days.predictions
    moves = moves_against_close(close, (high, low, high_pred, low_pred), days.before, quirks)
    return (
        maxdiff(moves, terms, quirks, skip_invalid=True),
        always_on(moves, terms, quirks),
    )


def _by_signals(days: Validation, terms: Terms, spread: float) -> dict[str, Outcome]:
    """The strategies that hold a position over a day's return of the close."""
    close, low, high, _ = days.predictions
    crypto = terms.is_crypto
    returns = days.returns
    signals: dict[str, npt.NDArray[Any]] = {
        "simple": simple_signals(close, crypto),
        "all_signals": agreeing_signals(close, high, low, crypto),
        "buy_hold": simple_signals(close, is_crypto=True),
        "unprofit_shutdown": _core.shutdown_signals(close, returns, crypto),
    }
    count, number = returns.shape
    cost = 2 * terms.rate * spread
    held = np.array(list(signals.values()))[..., close.shape[1] - number :].astype(np.float64, "C")
    scores = score_signals(held, returns, terms.rate, spread, terms.periods)
    with np.errstate(all="ignore"):
        last = held[..., -1] * returns[:, -1] - cost if number else np.zeros(held.shape[:2])
    found = {name: Outcome(*pair) for name, *pair in zip(signals, scores, last, strict=True)}
    total, last_held = _bought_and_held(returns, terms.rate)
    found["buy_hold"] = Outcome(found["buy_hold"].scores._replace(total=total), last_held)
    if not number:
        found["unprofit_shutdown"] = Outcome(no_scores(count), np.full(count, -cost))
    return found


def _bought_and_held(returns: Array, fee: float) -> tuple[Array, Array]:
    """(return of all days, return of the last one) of holding from first to last, less one fee."""
    count, number = returns.shape
    if not number:
        return np.full(count, -fee), np.full(count, -fee)
    with np.errstate(all="ignore"):  # a price of 0 is a return of -1, and after it an infinite one
        return np.multiply.reduce(1 + returns, axis=1) - 1 - fee, returns[:, -1] - fee


def _day_trades(days: Validation, terms: Terms, quirks: Quirks) -> tuple[Array, Floats, Floats]:
    """Returns [strategy, simulation, day] of the two strategies that leave within the day.

    Beside them high forecasts and closes as they are afterwards.
    """
    close_pred, low_pred, high_pred, _ = days.predictions
    close, low, high, _ = days.actuals
    fee = terms.rate
    first, charged_pred, charged_close = _core.take_profit_returns(
        close_pred, high_pred, low_pred, close, high, low, fee
    )
    if quirks.fees_kept_in_forecasts:
        high_pred, close = charged_pred, charged_close
    second = _core.high_low_returns(
        close_pred, high_pred, low_pred, close, high, low, fee, terms.is_crypto
    )
    return np.array((first, second), dtype=np.float64), high_pred, close


def _limit_orders(result: EntryExit | None, days: Validation) -> Outcome:
    count = len(days.returns)
    if result is None:
        return Outcome(no_scores(count), np.zeros(count))
    return Outcome(result.reported, result.reported.returns[:, -1])
