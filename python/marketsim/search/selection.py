"""What choosing the best is worth: walk-forward selection, and the evidence of a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.kernels.performance import net_rows
from marketsim.metrics import (
    Evidence,
    deflated_sharpe_ratio,
    effective_trials,
    probability_of_backtest_overfitting,
)
from marketsim.search.ledger import Ledger
from marketsim.search.objectives import ReplayObjective, WalkForwardObjective
from marketsim.search.statistics import Statistic, named_statistic

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class Splitter(Protocol):
    """What divides bars: those of `marketsim.search`, of scikit-learn and the like."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Yield (train, test) row numbers."""


class WalkForwardSelection(NamedTuple):
    """The best set of each training, held in the test after it.

    Attributes:
        chosen: [split], the set with the best score in training; of equals the first.
        in_sample, out_of_sample: [split], its score in training and in test.
        rows: [tested bar], the bars of all tests, joined in the order of the splits.
        net: [tested bar], what the chosen sets earned on them: the out-of-sample returns.
        in_sample_net: [tested bar], what the set that is best over these very bars earned: what
            hindsight would have shown.
        changes: how often the choice was another one than in the split before: each change trades
            from one set's position to the other's, which `net` does not charge.
    """

    chosen: Rows
    in_sample: Floats
    out_of_sample: Floats
    rows: Rows
    net: Floats
    in_sample_net: Floats
    changes: int


def select_walk_forward(
    returns: npt.ArrayLike, splitter: Splitter, *, statistic: str | Statistic = "sharpe"
) -> WalkForwardSelection:
    """Choose the best set on each training and hold it in the test after it.

    The sets' returns are those of one whole run each, so every set has to be causal: its return of
    a bar must not depend on later bars. Then this is the walk-forward search, without running a set
    again.

    Args:
        returns: [set, bar], net returns of every parameter set.
        splitter: as `WalkForwardSplit`; its tests must not share bars.
        statistic: what is the best: "sharpe", "mean", or a function of returns [set, bar] to scores
            [set], such as `median_over_folds`. Sets with a NaN are not chosen.

    Raises:
        ArgumentError: returns that are not finite, tests that share bars, another statistic, or a
            training without any score.

    Example:
        >>> from marketsim.search import WalkForwardSplit
        >>> returns = np.array([[1, 1, 1, -1, -1, -1], [-1, 1, -1, 1, 2, 1]]) / 100
        >>> found = select_walk_forward(returns, WalkForwardSplit(2, 2), statistic="mean")
        >>> found.chosen.tolist(), found.net.tolist()
        ([0, 0], [0.01, -0.01, -0.01, -0.01])
    """
    rows = net_rows(returns, "returns")
    score = named_statistic(statistic)
    chosen, inside, outside, tested = [], [], [], []
    for train, test in splitter.split(rows.T):
        scores = score(rows[:, train])
        if np.isnan(scores).all():
            raise ArgumentError(
                f"no set has a score on the training bars {train[0]} to {train[-1]}: use longer "
                "training windows"
            )
        best = int(np.nanargmax(scores))
        chosen.append(best)
        inside.append(float(scores[best]))
        outside.append(float(score(rows[best : best + 1, test])[0]))
        tested.append(np.asarray(test, dtype=np.int64))
    joined = np.concatenate(tested)
    if len(np.unique(joined)) < len(joined):
        raise ArgumentError(
            "the tests share bars, which would count twice: use a splitter whose tests follow one "
            "another, such as WalkForwardSplit"
        )
    net = np.concatenate([rows[best, test] for best, test in zip(chosen, tested, strict=True)])
    hindsight = score(rows[:, joined])
    best = int(np.nanargmax(hindsight)) if not np.isnan(hindsight).all() else 0
    return WalkForwardSelection(
        np.array(chosen),
        np.array(inside),
        np.array(outside),
        joined,
        net,
        rows[best, joined],
        int((np.diff(chosen) != 0).sum()),
    )


def evidence(ledger: Ledger, study: str, params: Mapping[str, Any] | None = None) -> Evidence:
    """Deflated Sharpe ratio and probability of backtest overfitting of a study.

    Args:
        ledger: with the net returns of its trials (`Trial.net`).
        study: the name of the search.
        params: the set to judge; None: the one with the largest Sharpe ratio.

    Raises:
        ArgumentError: no trial kept its returns, they have different bars, or the set is none.
    """
    sets, returns = ledger.returns(study)
    if not sets:
        raise ArgumentError(
            f"no complete trial of {study!r} kept its returns: search with keep_net=True, or "
            "record Trial(..., net=returns)"
        )
    if params is not None and dict(params) not in sets:
        raise ArgumentError(f"no complete trial {dict(params)} of {study!r} kept its returns")
    row = None if params is None else sets.index(dict(params))
    trials = ledger.summary(study).trials
    deflated = deflated_sharpe_ratio(
        returns, strategy=row, trials=trials, variance=None if len(sets) > 1 else 0.0
    )
    enough = len(sets) > 1 and returns.shape[1] >= 32
    return Evidence(
        study,
        trials,
        effective_trials(returns).number,
        sets[deflated.strategy],
        deflated,
        probability_of_backtest_overfitting(returns) if enough else None,
    )


def best_result(
    objective: ReplayObjective | WalkForwardObjective,
    ledger: Ledger,
    study: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    direction: str = "maximize",
) -> Any:
    """The whole result of a study's best set, with how many trials led to it and what they mean.

    Its `summary()` and report say the deflated Sharpe ratio and the probability of backtest
    overfitting as soon as more than one trial stands behind it.

    Args:
        objective: what was searched.
        ledger: where its trials are, with their net returns (`keep_net=True`).
        study: the name of the search; None: that of the objective.
        params: another set than the best by its score.
        direction: of the score.

    Raises:
        ArgumentError: no complete trial, or none that kept its returns.

    Example:
        >>> import tempfile
        >>> import marketsim as ms
        >>> objective = ms.search.replay_objective(ms.demo_bars(), "sma_cross", keep_net=True)
        >>> space = {"fast": [10, 20], "slow": [50, 100, 200]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Ledger(f"{folder}/t.sqlite") as ledger:
        ...         _ = ms.search.grid(objective, space, ledger=ledger, study="sma_cross",
        ...                            progress=False)
        ...         result = best_result(objective, ledger)
        >>> result.evidence.trials, "6 trials" in result.summary()
        (6, True)
    """
    name = objective.name if study is None else study
    if params is None:
        best = ledger.best(name, 1, direction=direction)
        if not best:
            raise ArgumentError(f"no complete trial of {name!r} has a finite score")
        params = best[0].params
    return objective.result(params, evidence(ledger, name, params))
