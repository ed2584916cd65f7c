"""Simulations of the old backtest: forecasts once, then all simulations of one shape together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import NotEnoughBarsError
from marketsim.legacy.stock.entry_exit import Terms
from marketsim.legacy.stock.evaluation import MarketStats, last_returns
from marketsim.legacy.stock.forecasting import (
    Data,
    Forecasts,
    Predict,
    forecasts_by_frames,
    forecasts_by_function,
    forecasts_by_model,
    no_forecasts,
)
from marketsim.legacy.stock.kronos_forecasting import KronosForecast, as_forecasts, kronos_forecasts
from marketsim.legacy.stock.maxdiff import days_before
from marketsim.legacy.stock.outcomes import Outcomes, Validation, run_strategies
from marketsim.legacy.stock.price_frame import (
    KEYS,
    Prices,
    Series,
    column_of,
    last_moves,
    moves_before,
)
from marketsim.legacy.stock.quirks import Quirks, active_quirks
from marketsim.legacy.stock.replaced import Functions, Simulation
from marketsim.legacy.stock.result_rows import Made, Subject, result_rows

Array = npt.NDArray[np.float64]
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
        forecast_frame: a function like `_compute_toto_forecast` that forecasts the last days of a
            frame; None where contexts are forecast.
        aggregate: a function like `aggregate_with_spec`; None: ours.
    """

    model: str
    params: Mapping[str, Any]
    predict: Predict | None
    kronos: Callable[[], tuple[Any, Mapping[str, Any]]] | None
    forecast_frame: Callable[..., Any] | None = None
    aggregate: Callable[..., Any] | None = None


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
    """Simulations of one symbol, each of the first so many rows of the data.

    Args:
        frame, symbol: the data.
        costs, sources: see there.
        horizon: forecasts of a simulation.
        fits: functions in the place of those that fit offsets, by name.
        functions: the strategies as a program has replaced them; None: ours.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        symbol: str,
        costs: Costs,
        sources: Sources,
        horizon: int,
        fits: Mapping[str, Callable[..., Any]] | None = None,
        functions: Functions | None = None,
    ) -> None:
        self._frame = frame
        self._prices = Prices.of(frame)
        # The old returns of the close were as precise as its column.
        single = frame.dtypes.get(column_of(frame, "Close")) == np.dtype(np.float32)
        close = self._prices["Close"]
        self._close = close.astype(np.float32) if single else close
        self._subject = Subject(symbol, costs.reported_spread, sources.model)
        self._costs = costs
        self._sources = sources
        self._horizon = horizon
        self._fits = fits or {}
        self._functions = functions
        self._outcomes: dict[int, tuple[Outcomes, int]] = {}
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
            for i, count in enumerate(part.rows):
                self._outcomes[count] = made.outcomes, i
                self._replace(found[count], count, made.days, i)
        return [found[count] for count in rows]

    def daily_returns(self, count: int) -> dict[str, list[float]]:
        """The daily returns of each strategy in the simulation of so many rows."""
        outcomes, i = self._outcomes[count]
        return {
            name: outcome.scores.returns[i].tolist() for name, outcome in outcomes.by_name.items()
        }

    def _replace(self, row: Row, count: int, days: Validation, i: int) -> None:
        """What functions of the program decide in the place of ours."""
        if self._functions is None or not self._functions.replaced:
            return
        terms = self._terms()
        simulation = Simulation(
            self._frame.iloc[:count],
            days.returns[i],
            days.actuals[KEYS.index("Close"), i],
            days.predictions[KEYS.index("High"), i],
            terms.rate,
            int(terms.periods),
            terms.is_crypto,
            self._costs.spread,
        )
        self._functions.apply(row, simulation)

    def _terms(self) -> Terms:
        periods = _CRYPTO_DAYS if self._costs.is_crypto else _STOCK_DAYS
        return Terms(self._costs.fee, periods, self._costs.is_crypto, fits=self._fits)

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
            returns = last_returns(self._close, self._end(count), max(number - 1, 0))
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
        if self._sources.forecast_frame is not None:
            return list(forecasts_by_frames(self._data, groups, self._sources.forecast_frame))
        if self._sources.predict is None:
            return list(forecasts_by_model(self._data, groups))
        predict, aggregate = self._sources.predict, self._sources.aggregate
        return list(forecasts_by_function(self._data, groups, predict, aggregate))

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
        outcomes = run_strategies(validation, self._terms(), self._costs.spread, self._quirks)
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
