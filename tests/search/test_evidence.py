from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.metrics import deflated_sharpe_ratio, probability_of_backtest_overfitting
from marketsim.replay import replay
from marketsim.replay.rules import sma_cross
from marketsim.search import (
    Ledger,
    Trial,
    best_result,
    champion,
    evidence,
    grid,
    ledger_grid,
    promote,
    replay_objective,
    trials_of,
    walk_forward_objective,
    with_ledger,
)

SPACE = {"fast": [2, 5, 9], "slow": [10, 20, 30], "stop_loss": [None, 0.01]}


def test_evidence_of_a_ledger(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    nets = rng.normal(0, 0.01, (30, 250))
    nets[4] += 0.001
    nets[20:] = nets[19] + rng.normal(0, 0.001, (10, 250))  # ten times nearly the same
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
    with Ledger(tmp_path / "t.sqlite") as ledger:
        grid(objective, SPACE, ledger=ledger, study="s", progress=False)
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
    printed = " ".join(str(found.summary()).split())
    assert sentence.startswith("chosen among 3 trials") and sentence in printed
    assert found.to_dict()["search"]["trials"] == 3
    page = found.report(tmp_path / "r.html").read_text()
    assert "hosen among 3 trials of the search" in page
    assert "Confidence bands" in page


@pytest.mark.parametrize("keep_net", [True, False])
def test_a_plain_replay_finds_the_search_that_made_it(tmp_path: Path, keep_net: bool) -> None:
    bars, other = random_bars(300, seed=3), random_bars(300, seed=4)
    path = tmp_path / "t.sqlite"
    with Ledger(path) as ledger:
        for name, data in (("s", bars), ("other bars", other)):
            objective = replay_objective(data, "sma_cross", fee_bps=5, keep_net=keep_net)
            grid(objective, SPACE, ledger=ledger, study=name, progress=False)
    plain = replay(bars, *sma_cross(bars, 5, 20), fee_bps=5, stop_loss=0.01)
    found = with_ledger(plain, path)
    assert plain.evidence is None and found.metrics == plain.metrics
    judged = found.evidence
    assert (judged.study, judged.trials) == ("s", 18)
    assert judged.params == {"fast": 5, "slow": 20, "stop_loss": 0.01}
    with Ledger(path) as ledger:
        assert [one[:2] for one in trials_of(plain, ledger)] == [("s", judged.params)]
        assert ledger.summary("s").attempts == 18  # nothing was recorded
    # The oracle: every set's returns, from a replay of its own.
    protected = [{} if stop is None else {"stop_loss": stop} for stop in SPACE["stop_loss"]]
    nets = np.stack([
        replay(bars, *sma_cross(bars, fast, slow), fee_bps=5, **more).returns
        for fast in SPACE["fast"] for slow in SPACE["slow"] for more in protected
    ])  # fmt: skip
    oracle = deflated_sharpe_ratio(nets, strategy=9, trials=18)
    np.testing.assert_array_equal(nets[9], plain.returns)
    assert judged.deflated.probability == pytest.approx(oracle.probability, rel=1e-9)
    assert judged.deflated.threshold == pytest.approx(oracle.threshold, rel=1e-9)
    if keep_net:
        pbo = probability_of_backtest_overfitting(nets).probability
        assert judged.overfitting.probability == pbo
    else:
        assert judged.overfitting is None and judged.effective is None
        assert "18 trials of the search 's' (which kept no returns)" in judged.sentence()
    sentence = judged.sentence()
    assert sentence in found.summary() and found.to_dict()["search"]["trials"] == 18
    page = found.report(tmp_path / "r.html").read_text()
    assert "hosen among 18 trials of the search" in page

    strange = replay(bars, *sma_cross(bars, 5, 20), fee_bps=6, stop_loss=0.01)
    with pytest.raises(ValueError, match="no search of .* made this result.*'s'.*state study="):
        with_ledger(strange, path)
    with Ledger(path) as ledger:
        objective = replay_objective(bars, "sma_cross", fee_bps=5, keep_net=keep_net)
        grid(objective, SPACE, ledger=ledger, study="again", progress=False)
    with pytest.raises(ValueError, match="2 searches .* state study=, one of"):
        with_ledger(plain, path)
    assert with_ledger(plain, path, "again").evidence.study == "again"


def test_what_is_tried_by_hand_counts(tmp_path: Path) -> None:
    bars, path = random_bars(300, seed=3), tmp_path / "t.sqlite"
    nets = []
    for number, fast in enumerate((2, 5, 9, 5), 1):
        plain = replay(bars, *sma_cross(bars, fast, 20))
        found = with_ledger(plain, path, "by hand", params={"fast": fast})
        nets.append(plain.returns.to_numpy())
        assert found.evidence.trials == min(number, 3)  # the same again is no new trial
        assert found.evidence.params == {"fast": fast}
    oracle = deflated_sharpe_ratio(np.stack(nets[:3]), strategy=1)
    assert found.evidence.deflated.probability == pytest.approx(oracle.probability, rel=1e-12)
    # The same parameters with another fee are another trial.
    dear = with_ledger(
        replay(bars, *sma_cross(bars, 5, 20), fee_bps=9), path, "by hand", params={"fast": 5}
    )
    assert dear.evidence.trials == 4
    with Ledger(path) as ledger:
        assert ledger.summary("by hand").best.score == max(
            replay(bars, *sma_cross(bars, fast, 20)).metrics["sharpe"] for fast in (2, 5, 9)
        )
    idle = replay(bars, np.zeros(300, bool), np.zeros(300, bool))
    with pytest.raises(ValueError, match="no search of"):
        with_ledger(idle, path)
    assert with_ledger(idle, path, "by hand").evidence.trials == 5
    with pytest.raises(ValueError, match="unknown metric 'x'"):
        with_ledger(plain, path, "new", metric="x")
    with pytest.raises(FileNotFoundError, match="there is no ledger"):
        with_ledger(plain, tmp_path / "none.sqlite")
    with pytest.raises(TypeError, match="the result of one symbol"):
        with_ledger({"net": nets[0]}, path)


def test_trials_on_other_bars_are_counted_apart(tmp_path: Path) -> None:
    path, space = tmp_path / "t.sqlite", {"fast": [2, 5, 9], "slow": [10, 20]}
    older, newer = random_bars(300, seed=3), random_bars(310, seed=3)
    with Ledger(path) as ledger:
        for bars in (older, newer):  # the file has grown since
            objective = replay_objective(bars, "sma_cross", keep_net=True)
            grid(objective, space, ledger=ledger, study="s", progress=False)
        judged = evidence(ledger, "s")
        assert (judged.trials, judged.deflated.bars, judged.elsewhere) == (6, 310, 6)
        with pytest.raises(ValueError, match="300, 310 bars"):
            ledger.returns("s")
        decision = promote(ledger, "s")
        assert decision.evidence["trials"] == 6 and decision.evidence["bars"] in (300, 310)
    old = with_ledger(replay(older, *sma_cross(older, 5, 20)), path).evidence
    nets = np.stack([
        replay(older, *sma_cross(older, fast, slow)).returns
        for fast in space["fast"] for slow in space["slow"]
    ])  # fmt: skip
    assert old.overfitting.probability == probability_of_backtest_overfitting(nets).probability
    oracle = deflated_sharpe_ratio(nets, strategy=3, trials=6)
    assert old.deflated.probability == pytest.approx(oracle.probability, rel=1e-12)
    assert "besides 6 on other bars or with other settings" in old.sentence()


def test_a_ledger_may_be_a_path(tmp_path: Path) -> None:
    path, space = tmp_path / "t.sqlite", {"fast": [2, 5, 9], "slow": [10, 20]}
    objective = replay_objective(random_bars(300, seed=3), "sma_cross", keep_net=True)
    grid(objective, space, ledger=path, progress=False)
    assert grid(objective, space, ledger=str(path), progress=False).reused == 6
    found = best_result(objective, path)
    assert [one[:2] for one in trials_of(found, path)] == [("sma_cross", found.evidence.params)]
    assert evidence(path, "sma_cross").trials == 6 and ledger_grid(path, "sma_cross").reused == 6
    promote(path, "sma_cross")
    assert champion(path, "sma_cross") is None
    with pytest.raises(FileNotFoundError):
        evidence(tmp_path / "none.sqlite", "sma_cross")
    with pytest.raises(ValueError, match="ledger must be a Ledger or a path: got 5"):
        grid(objective, space, ledger=5, progress=False)


def test_each_strategy_of_a_walk_forward_result_is_a_trial(tmp_path: Path) -> None:
    bars, path = random_bars(200, seed=3), tmp_path / "t.sqlite"
    prepared = ms.prepare(bars, simulations=60, store=False, progress=False)
    first = prepared.evaluate(["simple", "maxdiff"])
    found = with_ledger(first, path, "walks")
    assert found.evidence.trials == 2 and first.evidence is None
    ratios = {n: d.net.mean() / d.net.std(ddof=1) for n, d in first.outcomes.items()}
    assert found.evidence.params == {"strategy": max(ratios, key=ratios.get)}
    assert found.evidence.sentence() in " ".join(str(found.summary()).split())
    again = with_ledger(prepared.evaluate(["simple"]), path)
    assert again.evidence.params == {"strategy": "simple"} and again.evidence.trials == 2
    with pytest.raises(ValueError, match="params= is of one strategy"):
        with_ledger(first, path, "walks", params={"a": 1})


class _Threshold:
    name, targets, fitted = "threshold", ("close",), False

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((view.last_return > self.threshold).astype(float))
