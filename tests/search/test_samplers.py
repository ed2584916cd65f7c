"""What Optuna's samplers and pruners are given: constraints, parts, other engines."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from marketsim.search import Choice, Float, Int, Ledger, in_parts, optuna

package = pytest.importorskip("optuna")
package.logging.set_verbosity(package.logging.ERROR)
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:optuna"),
]
SPACE = {"x": Float(-4.0, 4.0), "y": Float(-4.0, 4.0)}


def bowl(x: float, y: float) -> dict[str, float]:
    return {"score": -((x - 1.0) ** 2) - (y + 2.0) ** 2, "risk": x}


@pytest.mark.parametrize(("sampler", "needs"), [("cmaes", "cmaes"), ("gp", "torch")])
def test_other_engines(sampler: str, needs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec(needs) is not None:
        count = 60 if sampler == "cmaes" else 15
        found = optuna(bowl, SPACE, trials=count, sampler=sampler, seed=1, progress=False)
        kind = {"cmaes": "CmaEsSampler", "gp": "GPSampler"}[sampler]
        study = package.create_study(
            sampler=getattr(package.samplers, kind)(seed=1), direction="maximize"
        )
        study.optimize(
            lambda t: bowl(t.suggest_float("x", -4, 4), t.suggest_float("y", -4, 4))["score"],
            n_trials=count,
        )
        assert [t.params for t in found.study.trials] == [t.params for t in study.trials]
        assert found.best_score > -0.5
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"needs .*{needs}"):
        optuna(bowl, SPACE, trials=1, sampler=sampler, progress=False)


def test_the_grid_sampler_tries_everything_once() -> None:
    space = {"a": Int(2, 9, step=3), "b": Choice(["x", "y"]), "c": Float(0.0, 1.0, step=0.5)}
    seen = []
    found = optuna(
        lambda a, b, c: seen.append((a, b, c)) or a + c + (b == "y"), space, trials=100,
        sampler="grid", without_effect="keep", progress=False,
    )  # fmt: skip
    assert len(seen) == len(set(seen)) == 3 * 2 * 3 == len(found)
    assert found.best_params == {"a": 8, "b": "y", "c": 1.0}
    with pytest.raises(ValueError, match="a grid needs a list of values or a step for 'x'"):
        optuna(bowl, SPACE, trials=5, sampler="grid")
    with pytest.raises(ValueError, match="not a function"):
        optuna(bowl, lambda trial: {}, trials=5, sampler="grid")


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_trial_beyond_a_constraint_is_never_the_best(sampler: str, tmp_path: Path) -> None:
    with Ledger(tmp_path / "t.sqlite") as ledger:
        options = {"sampler": sampler, "ledger": ledger, "progress": False, "trials": 40}
        bounds = {"risk": (None, -1.0), "score": (-30.0, None)}
        found = optuna(bowl, SPACE, constraints=bounds, **options)
        assert found.best_params["x"] <= -1.0
        best = [t for t in found.study.trials if t.params["x"] <= -1.0 and t.value >= -30.0]
        assert found.best_score == max(trial.value for trial in best)
        # Answered from the ledger, the constraint still holds.
        again = optuna(bowl, SPACE, constraints={"risk": -1.0}, **options)
        assert again.reused > 0 and again.best_params["x"] <= -1.0
    with pytest.raises(ValueError, match="constraint on 'rsk', which is no figure"):
        optuna(bowl, SPACE, trials=3, constraints={"rsk": 1.0}, progress=False)
    with pytest.raises(ValueError, match="3 are complete, and none of them meets"):
        _ = optuna(
            bowl, SPACE, trials=3, constraints={"risk": -9.0}, without_effect="keep", progress=False
        ).best_params


def test_partial_windows_prune() -> None:
    """Windows one after the other; a set that does badly in the first is not run in the rest."""
    windows = np.random.default_rng(0).normal(0.0, 0.001, 8)
    calls = []

    def part(number: int):
        def score(level: float) -> float:
            calls.append(number)
            return windows[number] - abs(level - 0.3)

        return score

    objective = in_parts([part(number) for number in range(8)])
    options = {"trials": 40, "sampler": "random", "without_effect": "keep", "progress": False}
    whole = optuna(objective, {"level": Float(0, 1)}, pruner="none", **options)
    assert len(calls) == 8 * 40
    calls.clear()
    found = optuna(objective, {"level": Float(0, 1)}, pruner="median", **options)
    states = [trial.state.name for trial in found.study.trials]
    assert "PRUNED" in states and len(calls) < 8 * 40 * 0.7
    assert found.best_params == whole.best_params
    value = np.mean(windows) - abs(found.best_params["level"] - 0.3)
    assert found.best_score == pytest.approx(value)
    with pytest.raises(ValueError, match="unknown pruner 'x'"):
        optuna(objective, {"level": Float(0, 1)}, pruner="x", **options)
    with pytest.raises(ValueError, match="at least one part"):
        in_parts([])


def test_several_objectives_are_answered_from_the_ledger(tmp_path: Path) -> None:
    calls = []

    def two(n: int) -> tuple[float, float]:
        calls.append(n)
        return float(n), float(n % 3)

    options = {"trials": 30, "direction": ["maximize", "minimize"], "progress": False}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = optuna(two, {"n": list(range(7))}, ledger=ledger, sampler="random", **options)
        assert sorted(calls) == list(range(7)) and found.reused >= 23
        assert ({"n": 6}, (6.0, 0.0)) in found.pareto


def test_nan_and_infinite_scores_neither_win_nor_block() -> None:
    def odd(n: int) -> float:
        return {0: float("nan"), 1: float("inf"), 2: float("-inf")}.get(n, float(n))

    for direction, best in (("maximize", 5), ("minimize", 3)):
        found = optuna(
            odd, {"n": list(range(6))}, trials=6, sampler="grid", direction=direction,
            without_effect="keep", progress=False,
        )  # fmt: skip
        assert found.best_params == {"n": best}
