"""Trials of a search on a cluster's nodes: scores, pruning, lost workers, refusals."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars

from marketsim.cluster import TrialTasks
from marketsim.errors import ArgumentError
from marketsim.processes import Pruned, WorkerLostError
from marketsim.search import (
    Float,
    Int,
    Ledger,
    WalkForwardSplit,
    optuna,
    replay_objective,
    search_walk_forward,
)

pytest.importorskip("optuna", reason="optuna is not installed")

SPACE = {"fast": Int(2, 20), "slow": Int(21, 60)}


def test_the_ledger_has_the_scores_of_one_process(cluster: Any, tmp_path: Path) -> None:
    objective = replay_objective(random_bars(400, seed=3), "sma_cross", fee_bps=10)
    found = optuna(
        objective, SPACE, trials=24, sampler="random", cluster=cluster,
        ledger=tmp_path / "ledger.sqlite", without_effect="keep", progress=False,
    )  # fmt: skip
    assert len(found) == 24
    for trial in found.study.trials:
        assert trial.value == objective.one(**trial.params)["score"]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        sets = {tuple(trial.params.items()) for trial in found.study.trials}
        assert len(ledger.keys("optuna")) == len(sets)
    again = optuna(
        objective, SPACE, trials=24, sampler="random", cluster=cluster,
        ledger=tmp_path / "ledger.sqlite", without_effect="keep", progress=False,
    )  # fmt: skip
    assert again.best_score == found.best_score and again.reused > 0


def test_reports_prune_trials(cluster: Any) -> None:
    def objective(x: float, report: Any) -> float:
        for step in range(5):
            report(x, step)
        return x

    import optuna as package

    pruner = package.pruners.ThresholdPruner(lower=0.5)
    found = optuna(
        objective, {"x": Float(0.0, 1.0)}, trials=12, sampler="random", pruner=pruner,
        cluster=cluster, without_effect="keep", progress=False,
    )  # fmt: skip
    states = {
        trial.number: (trial.params["x"] < 0.5, trial.state.name) for trial in found.study.trials
    }
    assert {state for below, state in states.values() if below} == {"PRUNED"}
    assert {state for below, state in states.values() if not below} == {"COMPLETE"}


def test_a_lost_worker_is_tried_again_and_errors_are_the_trial_s(
    cluster: Any, tmp_path: Path
) -> None:
    def objective(x: int) -> float:
        tries = tmp_path / str(x)
        tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
        if x == 3 or (x == 1 and tries.read_text() == "x"):
            os.kill(os.getpid(), signal.SIGKILL)
        if x == 2:
            raise ValueError("no such bars")
        if x == 4:
            raise Pruned
        return float(x)

    outcomes = {}
    with TrialTasks(cluster, objective, reports=False) as tasks:
        assert tasks.idle and tasks.running == []
        waiting = [0, 1, 2, 3, 4]
        while waiting or tasks.running:
            while waiting and tasks.idle:
                x = waiting.pop(0)
                tasks.start(x, {"x": x})
            outcomes.update(tasks.finished(lambda job, value, step: False))
    assert (outcomes[0].found, outcomes[1].found) == (0.0, 1.0)
    assert (tmp_path / "1").read_text() == "xx"
    assert isinstance(outcomes[2].raised, ValueError)
    assert "on node" in "".join(outcomes[2].raised.__notes__)
    assert isinstance(outcomes[3].raised, WorkerLostError) and "3 times" in str(outcomes[3].raised)
    assert isinstance(outcomes[4].raised, Pruned)


def test_windows_of_a_split_search_run_there_too(cluster: Any) -> None:
    objective = replay_objective(random_bars(500, seed=5), "sma_cross", fee_bps=10)
    arguments: dict[str, Any] = {
        "trials": 8, "sampler": "grid", "progress": False, "without_effect": "keep",
    }  # fmt: skip
    space = {"fast": [3, 5], "slow": [20, 30, 40, 50]}
    here = search_walk_forward(objective, space, WalkForwardSplit(200, 100), **arguments)
    there = search_walk_forward(
        objective, space, WalkForwardSplit(200, 100), cluster=cluster, **arguments
    )
    np.testing.assert_array_equal(here.net, there.net)
    assert here.windows["param_slow"].tolist() == there.windows["param_slow"].tolist()


def test_jobs_and_what_cannot_be_handed_over_are_refused(cluster: Any) -> None:
    with pytest.raises(ArgumentError, match="jobs and cluster exclude each other"):
        optuna(lambda x: x, {"x": Int(1, 9)}, trials=3, jobs=2, cluster=cluster, progress=False)
    with pytest.raises(ArgumentError, match="jobs and cluster exclude each other"):
        search_walk_forward(
            lambda x: np.zeros(99), {"x": Int(1, 9)}, WalkForwardSplit(20, 10),
            trials=3, jobs=2, cluster=cluster,
        )  # fmt: skip
    with Path(os.devnull).open("rb") as handle, pytest.raises(ArgumentError, match="cannot be"):
        optuna(
            lambda x: x + handle.fileno(), {"x": Int(1, 9)}, trials=3, cluster=cluster,
            progress=False,
        )  # fmt: skip
