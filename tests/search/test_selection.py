from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.metrics import probability_of_backtest_overfitting
from marketsim.replay import replay
from marketsim.replay.rules import sma_cross
from marketsim.search import (
    Ledger,
    PurgedKFold,
    Trial,
    WalkForwardSplit,
    best_result,
    evidence,
    grid,
    median_over_folds,
    replay_objective,
    select_walk_forward,
    walk_forward_objective,
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


def test_evidence_of_a_ledger(tmp_path: Path) -> None:
    nets = RNG.normal(0, 0.01, (30, 250))
    nets[4] += 0.001
    nets[20:] = nets[19] + RNG.normal(0, 0.001, (10, 250))  # ten times nearly the same
    with Ledger(tmp_path / "t.sqlite") as ledger:
        with pytest.raises(ValueError, match="kept its returns"):
            evidence(ledger, "s")
        ledger.record(Trial("s", {"i": 0}, 0.1, net=nets[0]))
        alone = evidence(ledger, "s")
        assert (alone.trials, alone.effective, alone.overfitting) == (1, 1, None)
        ledger.record(*(Trial("s", {"i": i}, 0.1, net=net) for i, net in enumerate(nets[1:], 1)))
        ledger.record(*(Trial("s", {"i": 100 + i}, status="failed") for i in range(50)))
        found = evidence(ledger, "s")
    assert (found.trials, found.effective) == (80, 20)
    assert found.deflated.trials == 80.0
    ratios = nets.mean(axis=1) / nets.std(axis=1, ddof=1)
    assert found.params == {"i": int(ratios.argmax())}
    assert found.overfitting is not None and 0.0 <= found.overfitting.probability <= 1.0


def test_a_result_says_how_many_trials_led_to_it(tmp_path: Path) -> None:
    bars = random_bars(300, seed=3)
    objective = replay_objective(bars, "sma_cross", fee_bps=5, keep_net=True)
    space = {"fast": [2, 5, 9], "slow": [10, 20, 30], "stop_loss": [None, 0.05]}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        grid(objective, space, ledger=ledger, study="s", progress=False)
        found = best_result(objective, ledger, "s")
        best = ledger.best("s", 1)[0]
        nets = ledger.returns("s")[1]
        other = best_result(objective, ledger, "s", params=ledger.best("s", 9)[8].params)
        with pytest.raises(ValueError, match="no complete trial .* kept its returns"):
            evidence(ledger, "s", {"fast": 1})
        with pytest.raises(ValueError, match="no complete trial of 'none'"):
            best_result(objective, ledger, "none")
    assert found.metrics["total_return"] == best.score
    assert found.evidence.params == dict(best.params) and found.evidence.trials == 18
    sentence = found.evidence.sentence()
    assert "chosen among 18 trials of the search 's'" in sentence and sentence in found.summary()
    pbo = probability_of_backtest_overfitting(nets).probability
    assert found.to_dict()["search"]["probability_of_overfitting"] == pbo
    assert other.evidence.params != found.evidence.params
    assert other.evidence.deflated.probability != found.evidence.deflated.probability
    alone = replay(bars, *sma_cross(bars))
    assert alone.evidence is None and "search" not in alone.to_dict()


def test_a_walk_forward_result_and_its_report_say_it_too(tmp_path: Path) -> None:
    prepared = ms.prepare(random_bars(200, seed=3), simulations=60, store=False, progress=False)
    objective = walk_forward_objective(prepared, _Threshold, keep_net=True, fee=0.0)
    with Ledger(tmp_path / "t.sqlite") as ledger:
        grid(objective, {"threshold": [-0.01, 0.0, 0.01]}, ledger=ledger, study="s", progress=False)
        found = best_result(objective, ledger, "s")
    sentence = found.evidence.sentence()
    assert sentence.startswith("chosen among 3 trials") and sentence in str(found.summary())
    assert found.to_dict()["search"]["trials"] == 3
    page = found.report(tmp_path / "r.html").read_text()
    assert "hosen among 3 trials of the search" in page
    assert "How sure these figures are" in page


class _Threshold:
    name, targets, fitted = "threshold", ("close",), False

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((view.last_return > self.threshold).astype(float))
