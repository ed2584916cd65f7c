"""What choosing the best is worth: the selection of each training, held in the test after it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.kernels.performance import net_rows
from marketsim.search.splits import checked_splits
from marketsim.search.statistics import Statistic, named_statistic

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class Splitter(Protocol):
    """What divides bars: those of `marketsim.search`, of scikit-learn and the like."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Yield (train, test) row numbers."""


class WalkForwardSelection(NamedTuple):
    """Result of `select_walk_forward`: the best set of each training, and its test.

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
    for train, test in checked_splits(splitter, rows.shape[1]):
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
