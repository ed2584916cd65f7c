"""Trials in processes: the same answers, shared memory, kills, errors, pruning."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from market import random_bars

from marketsim.search import Choice, Float, Int, Ledger, Pruned, optuna, replay_objective

package = pytest.importorskip("optuna")
package.logging.set_verbosity(package.logging.ERROR)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without torch, whatever tests ran before."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)


SPACE = {"x": Float(-4.0, 4.0), "n": Int(1, 64)}


def bowl(x: float, n: int) -> dict[str, float]:
    return {"score": -((x - 1.0) ** 2) - 0.1 * abs(n - 8), "process": float(os.getpid())}


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = optuna(
            bowl, SPACE, trials=30, jobs=2, sampler="random", ledger=ledger,
            without_effect="keep", progress=False,
        )  # fmt: skip
        frame = ledger.trials("optuna")
    alone = optuna(bowl, SPACE, trials=30, sampler="random", progress=False)
    assert [trial.params for trial in found.study.trials] == [t.params for t in alone.study.trials]
    assert [trial.value for trial in found.study.trials] == [t.value for t in alone.study.trials]
    assert len(frame) == 30 and os.getpid() not in set(frame.metric_process)
    assert frame.metric_process.nunique() == 2


def test_a_compiled_objective_shares_its_bars(tmp_path: Path) -> None:
    objective = replay_objective(random_bars(400, seed=1), "sma_cross", keep_net=True)
    space = {"fast": Int(2, 9), "slow": Int(10, 40)}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = optuna(objective, space, trials=12, jobs=2, sampler="random", ledger=ledger,
                       progress=False)  # fmt: skip
        params, returns = ledger.returns("optuna")
        assert ledger.trials("optuna").data[0] == objective.data
    assert returns.shape[1] == 400 and len(params) >= 12
    best = objective.one(**found.best_params)
    assert best["score"] == found.best_score
    np.testing.assert_array_equal(returns[params.index(found.best_params)], best["net"])


def test_errors_come_back_as_they_are(tmp_path: Path) -> None:
    def objective(x: float) -> float:
        if x > 0.5:
            raise KeyError("no fills")
        return x

    options = {"trials": 12, "jobs": 2, "sampler": "random", "progress": False}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        with pytest.raises(KeyError, match="no fills"):
            optuna(objective, {"x": Float(0, 1)}, ledger=ledger, **options)
        frame = ledger.trials("optuna")
        assert "KeyError: 'no fills'" in set(frame.error)
        found = optuna(
            objective, {"x": Float(0, 1)}, study="all", catch=(KeyError,), ledger=ledger, **options
        )
        assert found.best_score <= 0.5 and ledger.summary("all").failed > 0


def test_a_result_that_cannot_be_sent_is_an_error() -> None:
    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("odd")

        def __reduce__(self):
            raise TypeError("cannot be sent")

    def objective(x: float) -> float:
        raise Odd(1, 2)

    with pytest.raises(RuntimeError, match="Odd: odd"):
        optuna(objective, {"x": Float(0, 1)}, trials=2, jobs=2, progress=False)
    with pytest.raises(ValueError, match="must return numbers: got 'text'"):
        optuna(lambda x: "text", {"x": Float(0, 1)}, trials=2, jobs=2, progress=False)


def test_a_process_that_is_killed_costs_its_trial_alone(tmp_path: Path) -> None:
    def objective(x: int) -> float:
        if x == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return float(x)

    with (
        Ledger(tmp_path / "t.sqlite") as ledger,
        pytest.warns(UserWarning, match="trial .*: the process of this trial ended: signal 9"),
    ):
        found = optuna(
            objective, {"x": Choice(range(6))}, trials=6, jobs=2, sampler="grid", ledger=ledger,
            without_effect="keep", progress=False,
        )  # fmt: skip
        assert found.best_score == 5.0
        summary = ledger.summary("optuna")
        assert (summary.complete, summary.failed) == (5, 1)


def test_reports_prune_across_processes() -> None:
    def objective(x: float, report) -> float:
        for step in range(5):
            report(x, step)
        return x

    def raising(x: float) -> float:
        raise Pruned

    pruner = package.pruners.ThresholdPruner(lower=0.5)
    options = {"trials": 20, "jobs": 2, "sampler": "random", "progress": False}
    found = optuna(objective, {"x": Float(0, 1)}, pruner=pruner, **options)
    states = [trial.state.name for trial in found.study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"} and found.best_score >= 0.5
    none = optuna(raising, {"x": Float(0, 1)}, **options)
    assert {trial.state.name for trial in none.study.trials} == {"PRUNED"}
    assert math.isclose(len(none), 20)


KILLED = """
import os, sys, time
from marketsim.search import Float, Ledger, optuna

def slow(x):
    time.sleep(0.02)
    os.write(1, b"done\\n")
    return x

with Ledger(sys.argv[2]) as ledger:
    optuna(slow, {"x": Float(0, 1)}, trials=10_000, jobs=2, sampler="random",
           storage=sys.argv[1], ledger=ledger, code="line", progress=False)
"""


def test_a_killed_search_loses_at_most_its_running_trials(tmp_path: Path) -> None:
    journal, trials = tmp_path / "journal.log", tmp_path / "t.sqlite"
    command = [sys.executable, "-c", KILLED, str(journal), str(trials)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        computed = 1 + process.stdout.read().count(b"\n")  # ends when both workers have ended
    with Ledger(trials) as ledger:
        recorded = ledger.summary("optuna").complete
        assert computed - 4 <= recorded <= computed  # two running, two on their way to the ledger
        found = optuna(
            lambda x: x, {"x": Float(0, 1)}, trials=computed + 5, jobs=2, sampler="random",
            storage=journal, ledger=ledger, code="line", without_effect="keep", progress=False,
        )  # fmt: skip
        finished = [trial for trial in found.study.trials if trial.state.is_finished()]
        assert len(finished) == computed + 5


def test_beside_torch_an_objective_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    objective = replay_objective(random_bars(200, seed=1), "sma_cross")
    space = {"fast": Int(2, 9), "slow": Int(10, 40)}
    options = {"trials": 4, "sampler": "random", "without_effect": "keep", "progress": False}
    found = optuna(objective, space, jobs=2, **options)
    alone = optuna(objective, space, jobs=1, **options)
    assert [t.value for t in found.study.trials] == [t.value for t in alone.study.trials]
    with pytest.raises(ValueError, match="handed to new processes, because torch is loaded"):
        optuna(lambda x: x, {"x": Float(0, 1)}, jobs=2, **options)
