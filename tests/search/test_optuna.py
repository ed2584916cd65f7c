from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import pytest

from marketsim.errors import ArgumentError
from marketsim.search import Choice, Float, Int, Ledger, Pruned, optuna
from marketsim.search.spaces import as_space

package = pytest.importorskip("optuna")
package.logging.set_verbosity(package.logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SPACE = {"x": Float(-4.0, 4.0), "n": Int(1, 64, log=True), "kind": ["a", "b"]}


def bowl(x: float, n: int, kind: str) -> float:
    return -((x - 1.0) ** 2) - 0.1 * abs(n - 8) + (kind == "b")


def direct_loop(sampler: object, trials: int, direction: str = "maximize") -> list[dict]:
    """What Optuna does without us."""
    study = package.create_study(sampler=sampler, direction=direction)

    def objective(trial: object) -> float:
        return bowl(
            trial.suggest_float("x", -4.0, 4.0),
            trial.suggest_int("n", 1, 64, log=True),
            trial.suggest_categorical("kind", ("a", "b")),
        )

    study.optimize(objective, n_trials=trials)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "nsga2"])
def test_parameters_are_those_of_a_direct_loop(name: str) -> None:
    found = optuna(bowl, SPACE, trials=25, sampler=name, seed=3, progress=False)
    samplers = package.samplers
    kind = {
        "tpe": samplers.TPESampler,
        "random": samplers.RandomSampler,
        "qmc": samplers.QMCSampler,
        "nsga2": samplers.NSGAIISampler,
    }[name]
    assert [trial.params for trial in found.study.trials] == direct_loop(kind(seed=3), 25)
    assert found.best_score == max(bowl(**trial.params) for trial in found.study.trials)
    assert bowl(**found.best_params) == found.best_score
    assert len(found) == 25 and repr(found).startswith("TuningResult(25 trials")
    assert found.summary().startswith("25 trials: 25 complete; 0 reused from the ledger\nbest ")


def test_every_trial_is_in_the_ledger(tmp_path: Path) -> None:
    calls = []

    def objective(x: int) -> dict[str, float]:
        calls.append(x)
        if x == 0:
            raise RuntimeError("no fills")
        if x == 1:
            raise Pruned
        return {"score": math.nan if x == 2 else float(x), "trades": 10.0 * x}

    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = optuna(
            objective, {"x": list(range(6))}, trials=40, sampler="random", ledger=ledger,
            study="s", catch=(RuntimeError,), without_effect="keep", progress=False,
        )  # fmt: skip
        assert found.best_params == {"x": 5}
        # Complete and finite ones are never computed twice.
        assert all(calls.count(x) == 1 for x in (3, 4, 5))
        summary = ledger.summary("s")
        assert summary.trials == 6 and summary.attempts == len(calls) == 40 - found.reused
        assert summary.best is not None and summary.best.params == {"x": 5}
        assert summary.best.metrics == {"trades": 50.0}
        frame = ledger.trials("s")
        assert set(frame.status) == {"complete", "failed", "pruned"}
        assert set(frame.error[frame.status == "failed"]) == {"RuntimeError: no fills"}


def test_an_error_is_recorded_and_raised(tmp_path: Path) -> None:
    def objective(x: float) -> float:
        raise ValueError("bad bars")

    with Ledger(tmp_path / "t.sqlite") as ledger:
        with pytest.raises(ValueError, match="bad bars"):
            optuna(objective, {"x": Float(0, 1)}, trials=3, ledger=ledger, progress=False)
        assert ledger.summary("optuna").failed == 1
    nothing = optuna(objective, {"x": Float(0, 1)}, trials=3, catch=(ValueError,), progress=False)
    with pytest.raises(ValueError, match="none of the 3 trials has a score: 3 failed"):
        _ = nothing.best_params


def test_reports_prune(tmp_path: Path) -> None:
    steps = []

    def objective(x: float, report) -> float:
        for step in range(10):
            report(x, step)
            steps.append(step)
        return x

    pruner = package.pruners.ThresholdPruner(lower=0.5)
    with Ledger(tmp_path / "t.sqlite") as ledger:
        found = optuna(
            objective, {"x": Float(0, 1)}, trials=20, pruner=pruner, ledger=ledger,
            without_effect="keep", progress=False,
        )  # fmt: skip
        pruned = ledger.summary("optuna").pruned
    assert 0 < pruned < 20
    assert len(steps) == 10 * (20 - pruned)
    assert found.best_score >= 0.5


def test_a_stopped_search_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    first = optuna(bowl, SPACE, trials=10, storage=journal, progress=False)
    before = [tuple(trial.params.items()) for trial in first.study.trials]
    assert len(optuna(bowl, SPACE, trials=10, storage=journal, progress=False)) == 10
    more = optuna(bowl, SPACE, trials=15, storage=journal, progress=False)
    params = [tuple(trial.params.items()) for trial in more.study.trials]
    assert params[:10] == before
    assert len(set(params)) == 15  # another stream, not the first proposals again


def test_several_objectives() -> None:
    found = optuna(
        lambda x: (x, (x - 1.0) ** 2), {"x": Float(0, 2)}, trials=40, seed=1,
        direction=["maximize", "minimize"], progress=False,
    )  # fmt: skip
    front = sorted(scores for _, scores in found.pareto)
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(front))
    with pytest.raises(ValueError, match="read `pareto`"):
        _ = found.best_params
    with pytest.raises(ValueError, match="must return 2 scores: got 1"):
        optuna(
            lambda x: x, {"x": Float(0, 1)}, trials=1, direction=["maximize"] * 2, progress=False
        )


def test_parameters_that_depend_on_one_another() -> None:
    def space(trial) -> dict:
        kind = trial.suggest_categorical("kind", ["flat", "fast"])
        if kind == "flat":
            return {"kind": kind, "window": 0}
        return {"kind": kind, "window": trial.suggest_int("window", 2, 9)}

    seen = []

    def objective(kind: str, window: int) -> float:
        seen.append((kind, window))
        return float(window)

    found = optuna(objective, space, trials=30, progress=False)
    assert found.best_score == 9.0
    assert {window for kind, window in seen if kind == "flat"} == {0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_space({}), "the space is empty"),
        (lambda: as_space({"x": "abc"}), "parameter 'x' must be Float, Int, Choice or a list"),
        (lambda: Float(2.0, 1.0), "low <= high"),
        (lambda: Float(0.0, math.inf), "finite bounds"),
        (lambda: Float(0.0, 1.0, log=True), "above 0"),
        (lambda: Float(1.0, 2.0, log=True, step=0.1), "exclude each other"),
        (lambda: Float(1.0, 2.0, step=0.0), "step must be above 0"),
        (lambda: Int(1, 2.5), "whole numbers, got 2.5"),
        (lambda: Choice([]), "at least one value"),
        (lambda: Choice([1, 1]), "a value twice"),
        (lambda: Choice([[1]]), "takes numbers, text"),
        (lambda: optuna(bowl, SPACE, trials=0), "trials must be a whole number of at least 1"),
        (lambda: optuna(bowl, SPACE, trials=2.5), "trials must be a whole number .*: got 2.5"),
        (lambda: optuna(bowl, SPACE, trials=1, seed=-1), "seed must be a whole number from 0"),
        (lambda: optuna(bowl, [1, 2], trials=1), r"by name: got \[1, 2\]"),
        (lambda: optuna(bowl, {1: [2]}, trials=1), "a parameter's name must be text: got 1"),
        (lambda: optuna(bowl, SPACE, trials=1, constraints={"a": "low"}), "highest allowed number"),
        (lambda: optuna(bowl, SPACE, trials=1, constraints={"a": (2, 1)}), "allows no or any"),
        (
            lambda: optuna(lambda x: {"score": x, "a": "t"}, {"x": [1]}, trials=1, progress=False),
            "'a' is 't'",
        ),
        (
            lambda: (
                optuna(
                    lambda x: {"score": x, "a": x},
                    {"x": [1, 2]},
                    trials=2,
                    progress=False,
                    constraints={"a": 0},
                ).best_params
            ),
            "2 are complete, and none of them meets",
        ),
        (lambda: optuna(bowl, SPACE, trials=1, direction="up"), "direction"),
        (lambda: optuna(bowl, SPACE, trials=1, sampler="magic"), "unknown sampler 'magic'"),
        (lambda: optuna(lambda x: "text", {"x": [1]}, trials=1, progress=False), "numbers: got"),
        (lambda: optuna(lambda x: {"a": 1}, {"x": [1]}, trials=1, progress=False), "'score'"),
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_missing_optuna_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"\.\[search\]"):
        optuna(bowl, SPACE, trials=1)


def test_what_several_objectives_exclude_is_said_before_anything_runs() -> None:
    ran = []

    def two(x: float) -> tuple[float, float]:
        ran.append(x)
        return x, -x

    def reports(x: float, report) -> tuple[float, float]:
        ran.append(x)
        return x, -x

    options = {"trials": 3, "direction": ["maximize", "minimize"], "progress": False}
    for sampler in ("cmaes", package.samplers.CmaEsSampler(seed=1)):
        with pytest.raises(ArgumentError, match=r"a single objective: got 2 .* nsga2"):
            optuna(two, {"x": Float(0, 1)}, sampler=sampler, **options)
    with pytest.raises(ArgumentError, match="cannot be pruned: got an objective with"):
        optuna(reports, {"x": Float(0, 1)}, **options)
    assert not ran


def test_names_and_values_that_cannot_be_told_apart() -> None:
    with pytest.raises(ArgumentError, match="cannot be named 'report'"):
        optuna(lambda report: report, {"report": Float(0, 1)}, trials=2, progress=False)
    for values in ([True, 1], [1, 1.0], [None, False, 0]):  # a sampler gives the first of equals
        with pytest.raises(ArgumentError, match="twice, or equal ones"):
            Choice(values)
