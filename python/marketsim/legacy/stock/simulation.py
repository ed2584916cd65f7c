"""Simulations of the old backtest: forecasts once, then all simulations of one shape together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.errors import NotEnoughBarsError
from marketsim.legacy.stock.entry_exit import (
    EntryExit,
    Orders,
    Terms,
    always_on,
    maxdiff,
    moves_against_close,
    scored,
)
from marketsim.legacy.stock.evaluation import (
    MarketStats,
    Scores,
    last_returns,
    no_scores,
    score_signals,
    score_sums,
)
from marketsim.legacy.stock.forecasting import (
    Data,
    Forecasts,
    Predict,
    forecasts_by_function,
    forecasts_by_model,
    no_forecasts,
)
from marketsim.legacy.stock.kronos_forecasting import KronosForecast, as_forecasts, kronos_forecasts
from marketsim.legacy.stock.maxdiff import days_before
from marketsim.legacy.stock.price_frame import KEYS, Prices, Series, last_moves, moves_before
from marketsim.legacy.stock.quirks import Quirks, active_quirks
from marketsim.legacy.stock.result_rows import Made, Subject, result_rows
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
    cost = 2 * terms.fee * spread
    held = np.array(list(signals.values()))[..., close.shape[1] - number :].astype(np.float64, "C")
    scores = score_signals(held, returns, terms.fee, spread, terms.periods)
    with np.errstate(all="ignore"):
        last = held[..., -1] * returns[:, -1] - cost if number else np.zeros(held.shape[:2])
    found = {name: Outcome(*pair) for name, *pair in zip(signals, scores, last, strict=True)}
    total, last_held = _bought_and_held(returns, terms.fee)
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
    fee = terms.fee
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


Indices = npt.NDArray[np.int64]
Row = dict[str, Any]

# Trading days of a year.
_CRYPTO_DAYS, _STOCK_DAYS = 365, 252


@dataclass(frozen=True)
class Sources:
    """Where forecasts come from.

    Attributes:
        model: "toto" or "kronos": whose forecasts strategies follow.
        params: num_samples, samples_per_batch and aggregate.
        predict: a function like `cached_predict` that is called for each context; None for the
            model that is set, asked for all contexts at once through the prediction store.
        kronos: gives the Kronos wrapper, and its parameters; None where none is to be asked.
    """

    model: str
    params: Mapping[str, Any]
    predict: Predict | None
    kronos: Callable[[], tuple[Any, Mapping[str, Any]]] | None


@dataclass(frozen=True)
class Costs:
    """What trades cost.

    Attributes:
        fee: fraction of the value traded.
        is_crypto: no shorts, and 365 days a year.
        spread: ask / bid that is paid.
        reported_spread: ask / bid that is shown.
    """

    fee: float
    is_crypto: bool
    spread: float
    reported_spread: float


class Simulations:
    """Simulations of one symbol, each of the first so many rows of the data."""

    def __init__(
        self, frame: pd.DataFrame, symbol: str, costs: Costs, sources: Sources, horizon: int
    ) -> None:
        self._frame = frame
        self._prices = Prices.of(frame)
        self._subject = Subject(symbol, costs.reported_spread, sources.model)
        self._costs = costs
        self._sources = sources
        self._horizon = horizon
        self._quirks: Quirks = active_quirks()
        series = Series.all_of(self._prices)
        self._data = Data(self._prices, symbol, series, sources.params)

    def run(self, rows: Sequence[int]) -> list[Row]:
        """The result of each simulation, in the order asked for; it depends on its own rows alone.

        Raises:
            NotEnoughBarsError: a simulation without a row.
            ArgumentError: the model returned a forecast that is not finite.
        """
        if min(rows, default=1) < 1:
            raise NotEnoughBarsError("a simulation needs at least one row of data: got none")
        parts = self._parts(rows)
        stats = MarketStats(self._prices, min(rows, default=1))
        toto = self._toto([part.moves for part in parts])
        kronos = self._kronos(parts)
        found: dict[int, Row] = {}
        for part, forecasts, bars in zip(parts, toto, kronos, strict=True):
            made = self._made(part, forecasts, bars)
            results = result_rows(self._prices, stats, self._subject, part.rows, made)
            found.update(zip(part.rows, results, strict=True))
        return [found[count] for count in rows]

    def _parts(self, rows: Sequence[int]) -> list[_Part]:
        """The simulations, grouped by the numbers of their forecasts and returns.

        Each asks for the last `horizon` moves of each price, or for as many as have a move before
        them; for equally many of each price.
        """
        counts = list(dict.fromkeys(rows))
        last = last_moves(self._data.series, counts, self._quirks)
        least = np.minimum.reduce(last, axis=0).tolist()
        numbers = [min(max(number, 0), self._horizon) for number in least]
        grouped: dict[tuple[int, int], list[tuple[int, Array]]] = defaultdict(list)
        for i, (count, number) in enumerate(zip(counts, numbers, strict=True)):
            returns = last_returns(self._prices["Close"], self._end(count), max(number - 1, 0))
            grouped[number, len(returns)].append((i, returns))
        parts = []
        for (number, _), members in grouped.items():
            which = [i for i, _ in members]
            parts.append(
                _Part(
                    [counts[i] for i in which],
                    moves_before(last[:, which], number),
                    np.array([returns for _, returns in members]),
                )
            )
        return parts

    def _end(self, count: int) -> int:
        """The row after the last return that signals are held over."""
        aligned = self._quirks.stale_forecasts and not self._quirks.late_returns
        return count - 1 if aligned else count

    def _toto(self, groups: list[Indices]) -> list[Forecasts | None]:
        if self._sources.model == "kronos":
            return [None for _ in groups]
        if self._sources.predict is None:
            return list(forecasts_by_model(self._data, groups))
        return list(forecasts_by_function(self._data, groups, self._sources.predict))

    def _kronos(self, parts: list[_Part]) -> list[dict[str, KronosForecast] | None]:
        if self._sources.kronos is None:
            return [None for _ in parts]
        keys = KEYS if self._sources.model == "kronos" else KEYS[:1]
        return kronos_forecasts(
            self._frame,
            [(part.rows, part.moves.shape[2]) for part in parts],
            keys,
            self._sources.kronos,
            self._quirks,
            required=self._sources.model == "kronos",
        )

    def _made(
        self, part: _Part, toto: Forecasts | None, kronos: dict[str, KronosForecast] | None
    ) -> Made:
        followed = toto
        if followed is None:
            followed = no_forecasts(len(part.rows)) if kronos is None else as_forecasts(kronos)
        predictions = np.ascontiguousarray(followed.points[:, :, :-1])
        moves = np.array(
            [self._data.series[key].moves_at(part.moves[i, :, :-1]) for i, key in enumerate(KEYS)]
        )
        validation = Validation(
            predictions,
            moves.astype(np.float32),
            part.returns,
            self._days_before(part.rows, predictions.shape[2]),
        )
        periods = _CRYPTO_DAYS if self._costs.is_crypto else _STOCK_DAYS
        terms = Terms(self._costs.fee, periods, self._costs.is_crypto)
        outcomes = run_strategies(validation, terms, self._costs.spread, self._quirks)
        return Made(validation, moves, followed, toto, kronos, outcomes)

    def _days_before(self, rows: Sequence[int], days: int) -> tuple[Array, Array, Array]:
        """High, low and close of the days before the validated ones, [simulation, day]."""
        at = np.array([days_before(count, days, self._quirks).start for count in rows])
        index = at[:, None] + np.arange(days)
        close, low, high, _ = self._prices.values[:, index]
        return high, low, close


@dataclass(frozen=True)
class _Part:
    """Simulations with equally many forecasts and returns.

    Attributes:
        rows: how many rows each sees.
        moves: int64 [price, simulation, forecast], what is forecast.
        returns: float64 [simulation, return].
    """

    rows: list[int]
    moves: Indices
    returns: Array
