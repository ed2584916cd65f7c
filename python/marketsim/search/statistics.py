"""Scores of net returns: what a search calls the best, and scores that luck does not win."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_numbers, as_share, check_function, check_seed, check_whole
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels.performance import net_rows
from marketsim.metrics import bootstrap_bands
from marketsim.metrics.bootstrap import check_block_length

Floats = npt.NDArray[np.float64]
# Net returns [set, bar] to a score [set]; more is better.
Statistic = Callable[[Floats], Floats]


def sharpe_scores(returns: Floats) -> Floats:
    """Sharpe ratio per bar of each row [set, bar]; NaN without variation.

    Raises:
        ArgumentError: returns that are not [set, bar] in finite numbers.
    """
    returns = net_rows(returns, "returns")
    deviation = returns.std(axis=1, ddof=1) if returns.shape[1] > 1 else np.zeros(len(returns))
    size = np.abs(returns).max(axis=1, initial=0.0)
    scores: Floats = returns.mean(axis=1) / np.where(deviation > 1e-12 * size, deviation, np.nan)
    return scores


def median_over_folds(folds: int = 5, statistic: Statistic = sharpe_scores) -> Statistic:
    """Make a statistic that resists luck: the median over equal folds of the bars.

    Args:
        folds: runs, at least 2.
        statistic: what is computed in each; a run without a score counts as 0.

    Raises:
        ArgumentError: fewer than two folds; when called, fewer bars than two a fold.

    Example:
        >>> score = median_over_folds(3)
        >>> lucky = np.array([[0.5, 0.4, -0.01, -0.02, -0.01, -0.02]])
        >>> bool(sharpe_scores(lucky)[0] > 0), bool(score(lucky)[0] > 0)
        (True, False)
    """
    check_whole("folds", folds, 2)
    check_function("statistic", statistic, "sharpe_scores")

    def score(returns: Floats) -> Floats:
        returns = net_rows(returns, "returns")
        if returns.shape[1] < 2 * folds:
            raise ArgumentError(
                f"{returns.shape[1]} bars are fewer than two for each of {folds} folds"
            )
        parts = [checked_scores(statistic, p) for p in np.array_split(returns, folds, axis=1)]
        return np.median(np.nan_to_num(np.stack(parts)), axis=0)

    return score


def lower_bound(
    figure: str = "sharpe",
    *,
    confidence: float = 0.9,
    block_length: float | None = None,
    repetitions: int = 500,
    seed: int = 0,
) -> Statistic:
    """Make a statistic that resists luck: the lower bootstrap bound of a figure.

    Args:
        figure: "sharpe", "mean_return" or "total_return", of a bar (not annualised).
        confidence: of the two-sided band, in (0, 1).
        block_length, repetitions, seed: of the stationary bootstrap, see `bootstrap_bands`.

    Raises:
        UnknownNameError: another figure.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> returns = rng.normal(0.02, 0.1, (1, 400))
        >>> bool(lower_bound()(returns)[0] < sharpe_scores(returns)[0])
        True
    """
    figures = ("sharpe", "mean_return", "total_return")
    if str(figure) not in figures:
        raise UnknownNameError("figure", str(figure), figures)
    as_share("confidence", confidence)
    check_block_length(1 if block_length is None else block_length, repetitions, 1_000_000_000)
    check_seed(seed)

    def score(returns: Floats) -> Floats:
        if not len(net_rows(returns, "returns")):
            return np.zeros(0)
        bands = bootstrap_bands(
            returns,
            periods_per_year=1.0,
            confidence=confidence,
            block_length=block_length,
            repetitions=repetitions,
            seed=seed,
        )
        return np.atleast_1d(bands.low[figure])

    return score


def named_statistic(statistic: str | Statistic) -> Statistic:
    """The function of a statistic: "sharpe", "mean", or the one given.

    Raises:
        UnknownNameError: another name.
    """
    if callable(statistic):
        return partial(checked_scores, statistic)
    if str(statistic) not in _NAMED:
        raise UnknownNameError("statistic", str(statistic), _NAMED)
    return _NAMED[statistic]


def checked_scores(statistic: Statistic, returns: Floats) -> Floats:
    """The scores [set] of a statistic; infinite ones become NaN, which no set wins by.

    Raises:
        ArgumentError: a statistic that does not return a number for each set.
    """
    found = statistic(returns)
    scores = as_numbers("the scores of a statistic", found, np.float64)
    if scores.shape != (len(returns),):
        raise ArgumentError(
            f"a statistic must return a score for each of {len(returns)} sets, an array "
            f"({len(returns)},): got shape {scores.shape}, {found!r:.80}"
        )
    finite: Floats = np.where(np.isfinite(scores), scores, np.nan)
    return finite


def mean_scores(returns: Floats) -> Floats:
    """Mean return per bar of each row [set, bar]."""
    mean: Floats = returns.mean(axis=1)
    return mean


_NAMED: dict[str, Statistic] = {"sharpe": sharpe_scores, "mean": mean_scores}
