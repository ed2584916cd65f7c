from __future__ import annotations

import math

import numpy as np
import pytest

from marketsim.search import (
    PurgedKFold,
    WalkForwardSplit,
    median_over_folds,
    select_walk_forward,
)
from marketsim.search.statistics import sharpe_scores

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("anchored", [False, True])
def test_the_best_of_each_training_is_held_in_its_test(anchored: bool) -> None:
    returns = RNG.normal(0, 0.01, (6, 150))
    splitter = WalkForwardSplit(40, 25, anchored=anchored, purge=2)
    found = select_walk_forward(returns, splitter)
    net, rows, chosen = [], [], []
    for i, (train, test) in enumerate(splitter.split(range(150))):
        part = returns[:, train]
        ratios = part.mean(axis=1) / part.std(axis=1, ddof=1)
        best = int(ratios.argmax())
        own = returns[best, test]
        assert found.in_sample[i] == pytest.approx(ratios[best])
        assert found.out_of_sample[i] == pytest.approx(own.mean() / own.std(ddof=1))
        chosen.append(best)
        net += own.tolist()
        rows += test.tolist()
    assert found.chosen.tolist() == chosen and found.rows.tolist() == rows
    np.testing.assert_array_equal(found.net, net)
    assert found.changes == sum(a != b for a, b in zip(chosen[1:], chosen[:-1], strict=True))
    ratios = sharpe_scores(returns[:, rows])
    np.testing.assert_array_equal(found.in_sample_net, returns[ratios.argmax(), rows])


def test_what_comes_later_does_not_change_a_choice() -> None:
    returns = RNG.normal(0, 0.01, (6, 150))
    splitter = WalkForwardSplit(40, 25)
    before = select_walk_forward(returns, splitter)
    spoilt = returns.copy()
    spoilt[:, 90:] = RNG.normal(0, 0.5, (6, 60))
    after = select_walk_forward(spoilt, splitter)
    known = [train[-1] < 90 for train, _ in splitter.split(range(150))]
    np.testing.assert_array_equal(before.chosen[known], after.chosen[known])


def test_selection_without_skill_earns_nothing_and_with_skill_it_does() -> None:
    noise = [
        select_walk_forward(RNG.normal(0, 0.01, (50, 300)), WalkForwardSplit(100, 50))
        for _ in range(40)
    ]
    means = [found.net.mean() for found in noise]
    assert abs(np.mean(means)) < 3 * np.std(means) / math.sqrt(40)
    assert all(found.in_sample_net.mean() > 0 for found in noise)
    skilled = RNG.normal(0, 0.01, (50, 600))
    skilled[9] += 0.004
    found = select_walk_forward(skilled, WalkForwardSplit(200, 100))
    assert (found.chosen == 9).all() and found.changes == 0


def test_the_median_over_folds_resists_one_lucky_stretch() -> None:
    returns = RNG.normal(0, 0.01, (3, 100))
    returns[1, :40] += 0.1
    returns[2] += 0.004
    score = median_over_folds(5)
    assert sharpe_scores(returns).argmax() != score(returns).argmax() == 2
    parts = [sharpe_scores(part) for part in np.split(returns, 5, axis=1)]
    np.testing.assert_allclose(score(returns), np.median(parts, axis=0))
    found = select_walk_forward(returns, WalkForwardSplit(80, 20), statistic=score)
    assert found.chosen.tolist() == [int(score(returns[:, :80]).argmax())]


def test_bad_arguments() -> None:
    returns = RNG.normal(0, 0.01, (3, 40))
    splitter = WalkForwardSplit(10, 10)
    with pytest.raises(ValueError, match="share bars"):
        select_walk_forward(returns, _Overlapping())
    with pytest.raises(ValueError, match="unknown statistic 'luck': expected one of sharpe, mean"):
        select_walk_forward(returns, splitter, statistic="luck")
    with pytest.raises(ValueError, match="no set has a score on the training bars 0 to 9"):
        select_walk_forward(np.zeros((2, 40)), splitter)
    with pytest.raises(ValueError, match="at least 2"):
        median_over_folds(1)
    with pytest.raises(ValueError, match="10 bars are fewer than two for each of 6 folds"):
        select_walk_forward(returns, splitter, statistic=median_over_folds(6))
    assert select_walk_forward(returns, PurgedKFold(4)).rows.tolist() == list(range(40))


class _Overlapping:
    def split(self, X, y=None, groups=None):
        yield np.arange(10), np.arange(10, 20)
        yield np.arange(10), np.arange(15, 25)
