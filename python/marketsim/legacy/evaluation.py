"""What daily returns of a strategy amount to: totals, means and Sharpe ratios, many at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core

logger = logging.getLogger(__name__)

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
