"""What daily returns amount to, many at a time; and what a simulation reports of its market."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.legacy.stock.price_frame import Prices
from marketsim.text import get_logger

logger = get_logger(__name__)

Array = npt.NDArray[np.float64]
ReturnSeries: TypeAlias = "npt.NDArray[np.float64] | pd.Series[float]"

# The old spread of a symbol, as ask / bid; half of what is above 1 is paid at each change.
SPREAD = 1.0008711461252937


@dataclass(frozen=True)
class StrategyEvaluation:
    """What a strategy would have made.

    Attributes:
        total_return: compounded where positions follow signals, else the sum of the daily returns.
        avg_daily_return: their mean.
        annualized_return: the mean times the trading days of a year.
        sharpe_ratio: mean / standard deviation * sqrt(trading days of a year); 0 where that is
            not defined.
        returns: the daily returns, after costs.
    """

    total_return: float
    avg_daily_return: float
    annualized_return: float
    sharpe_ratio: float
    returns: ReturnSeries


class Scores(NamedTuple):
    """The numbers of `StrategyEvaluation` of many simulations: [simulation]; returns [.., day].

    Between them `turnover`, which the old code calls so: the mean size of a daily return.
    """

    total: Array
    mean: Array
    annual: Array
    sharpe: Array
    turnover: Array
    returns: Array

    def one(self, returns: ReturnSeries | None = None) -> StrategyEvaluation:
        """The evaluation of the only simulation there is."""
        total, mean, annual, sharpe = (float(column[0]) for column in self[:4])
        shown = self.returns[0] if returns is None else returns
        return StrategyEvaluation(total, mean, annual, sharpe, shown)


def score_sums(returns: Array, periods: float) -> list[Scores]:
    """Scores of strategies by their daily returns [strategy, simulation, day], which add up.

    The deviation is the population's.
    """
    strategies, count, days = returns.shape
    if not days:
        return [no_scores(count)] * strategies
    return _by_strategy(_core.score_sums(returns, periods), returns)


def score_signals(
    signals: Array, returns: Array, fee: float, spread: float, periods: float
) -> list[Scores]:
    """Scores of strategies that hold signals over returns, which compound.

    A change of position costs its size times the fee and half the spread. A day without a number
    is left out of the mean and the deviation.

    Args:
        signals: positions [strategy, simulation, day].
        returns: [simulation, day].
        fee, spread, periods: see `evaluate_signals`.
    """
    strategies, count, days = signals.shape
    if not days:
        return [no_scores(count)] * strategies
    return _by_strategy(*_core.score_signals(signals, returns, fee, spread, periods))


def _by_strategy(figures: Array, returns: Array) -> list[Scores]:
    """Of figures [figure, strategy, simulation]."""
    return [Scores._make((*figures[:, i], of_one)) for i, of_one in enumerate(returns)]


def no_scores(count: int) -> Scores:
    """Zeros, of simulations without a day."""
    zero = np.zeros(count)
    return Scores(zero, zero, zero, zero, zero, np.zeros((count, 0)))


def evaluate_daily_returns(
    daily_returns: ReturnSeries, trading_days_per_year: int
) -> StrategyEvaluation:
    """The evaluation of daily returns [day] that add up."""
    values = np.atleast_1d(np.asarray(daily_returns, dtype=np.float64))
    return score_sums(values[None, None], trading_days_per_year)[0].one(values)


def evaluate_signals(
    strategy_signals: Any,
    actual_returns: Any,
    trading_fee: float,
    trading_days_per_year: int,
    spread: float,
) -> StrategyEvaluation:
    """The evaluation of signals that are held over returns.

    Args:
        strategy_signals: [day], a tensor or an array: 1 long, -1 short, 0 flat.
        actual_returns: [day], a series or an array. Where lengths differ the last days count.
        trading_fee: fraction of the value traded, paid for each change of position.
        trading_days_per_year: for the annual figures.
        spread: ask / bid.

    Returns:
        The evaluation; its returns are a series with the index of `actual_returns`.
    """
    signals = np.asarray(
        strategy_signals.detach().cpu() if hasattr(strategy_signals, "detach") else strategy_signals
    ).astype(np.float64)
    series = pd.Series(actual_returns, dtype=np.float64)
    days = min(len(signals), len(series))
    if len(signals) != len(series) and days:
        logger.warning(
            "%d signals and %d returns: the last %d of both count", len(signals), len(series), days
        )
    if days == 0:
        return no_scores(1).one()
    series = series.iloc[-days:]
    scores = score_signals(
        signals[None, None, -days:],
        np.ascontiguousarray(series)[None],
        trading_fee,
        spread,
        trading_days_per_year,
    )[0]
    return scores.one(pd.Series(scores.returns[0], index=series.index))


ATR_DAYS = 14
VOLUME_DAYS = 20


class MarketStats:
    """Figures of the last days of simulations; what they need of each row is computed once.

    Args:
        prices: of all rows.
        fewest: how many of them the simulation sees that sees the fewest.
    """

    def __init__(self, prices: Prices, fewest: int) -> None:
        self._first = max(fewest - VOLUME_DAYS, 0)  # rows before it count in no simulation
        self._close = prices["Close"][self._first :]
        self._ranges = _true_ranges(prices, self._first)
        volume = prices.volume
        with np.errstate(all="ignore"):
            self._dollars = None if volume is None else self._close * volume[self._first :]

    def dollar_volume(self, rows: int) -> float | None:
        """The mean of close times volume over the last 20 days; None where nothing is known."""
        if self._dollars is None:
            return None
        end = rows - self._first
        days = self._dollars[max(end - VOLUME_DAYS, 0) : end]
        known = ~np.isnan(days)
        number = int(np.count_nonzero(known))
        return float(np.add.reduce(np.where(known, days, 0.0)) / number) if number else None

    def atr_percent(self, rows: int) -> float | None:
        """The mean true range of the last 14 days in percent of the last close.

        None for fewer than 15 rows, where a range is missing, or without a positive close.
        """
        if rows < ATR_DAYS + 1:
            return None
        end = rows - self._first
        mean = float(np.add.reduce(self._ranges[end - ATR_DAYS : end])) / ATR_DAYS
        last = float(self._close[end - 1])
        return None if math.isnan(mean) or last <= 0 else mean / last * 100.0


def _true_ranges(prices: Prices, first: int) -> Array:
    """The largest distance between high, low and the close before, [row], from row `first` on."""
    high, low = prices["High"][first:], prices["Low"][first:]
    before = np.full(len(high), np.nan)  # no close comes before row 0
    if first:
        before[:] = prices["Close"][first - 1 : -1]
    else:
        before[1:] = prices["Close"][:-1]
    with np.errstate(all="ignore"):
        spans = (high - low, np.abs(high - before), np.abs(low - before))
        ranges: Array = np.fmax(np.fmax(spans[0], spans[1]), spans[2])
    return ranges


def last_returns(
    close: npt.NDArray[np.float32] | npt.NDArray[np.float64], end: int, days: int
) -> Array:
    """The returns of the `days` days before row `end`, without those that are not known.

    float64, computed in the precision of the closes. A missing close counts as unchanged, as it did
    for the old code's version of pandas.
    """
    window = close[end - days - 1 : end]
    missing = np.isnan(window)
    if missing.any():
        known = np.maximum.accumulate(np.where(missing, 0, np.arange(len(window))))
        window = window[known]
    with np.errstate(all="ignore"):
        returns = window[1:] / window[:-1] - 1
    return returns[~np.isnan(returns)].astype(np.float64)


def calibrate_signal(predictions: Any, actual_returns: Any) -> tuple[float, float]:
    """The line through forecasts and returns by least squares.

    Args:
        predictions: [day].
        actual_returns: [day]. Where lengths differ the first days count.

    Returns:
        (slope, intercept); (1, 0) for fewer than two days. Where all forecasts are the same the
        line is not determined, and the shortest of the solutions, in units of the forecasts' size,
        is meant. Both are NaN where a return is not finite.

    Example:
        >>> slope, intercept = calibrate_signal([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
        >>> round(slope, 9), round(intercept, 9)
        (2.0, 1.0)
    """
    x, y = np.asarray(predictions), np.asarray(actual_returns, dtype=np.float64)
    days = min(len(x), len(y))
    if days < 2:
        return 1.0, 0.0
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    table = np.ones((days, 2))
    table[:, 0] = x[:days]
    if not (np.isfinite(table).all() and np.isfinite(y[:days]).all()):
        return float("nan"), float("nan")
    size = np.sqrt(np.add.reduce(table * table, axis=0))
    if size[0] == 0.0:
        size[0] = 1.0
    # Smaller singular values are noise of the forecasts' own precision.
    noise = days * float(np.finfo(kind).eps)
    solution = np.linalg.lstsq(table / size, y[:days], noise)[0] / size
    return float(solution[0]), float(solution[1])
