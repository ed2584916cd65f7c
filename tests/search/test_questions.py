"""No score is served for another question than the one that was asked."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from market import random_bars

import marketsim as ms
from marketsim.cli import main
from marketsim.errors import MarketsimWarning, StorageError
from marketsim.metrics import deflated_sharpe_ratio
from marketsim.replay.rules import sma_cross
from marketsim.search import (
    Float,
    Int,
    Ledger,
    PromotionRule,
    Trial,
    WalkForwardSplit,
    best_result,
    evidence,
    grid,
    ledger_grid,
    lower_bound,
    median_over_folds,
    one_by_one,
    optuna,
    promote,
    replay_objective,
    search_walk_forward,
    walk_forward_objective,
)

SPACE = {"fast": [2, 5, 9], "slow": [10, 20]}
QUIET: dict[str, Any] = {"progress": False}
BARS = random_bars(300, seed=3)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "t.sqlite") as opened:
        yield opened


class Above:
    """A rule with a setting of its own: an object that is called."""

    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, bars: ms.Bars, n: int) -> tuple[np.ndarray, np.ndarray]:
        return above(bars, n, self.level)

    def rule(self, bars: ms.Bars, n: int) -> tuple[np.ndarray, np.ndarray]:
        return above(bars, n, self.level)


class Named(NamedTuple):
    level: float

    def __call__(self, bars: ms.Bars, n: int) -> Any:
        return above(bars, n, self.level)


class Listed(list):
    def __call__(self, bars: ms.Bars, n: int) -> Any:
        return above(bars, n, self[0])


@cache
def level_of(level: float) -> float:
    return level


def above(bars: ms.Bars, n: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    close = np.asarray(bars.close)
    up = np.r_[0.0, close[1:] / close[:-1] - 1.0] > level * n
    return up, ~up


def closed_over(level: float) -> Callable[..., Any]:
    return lambda bars, n: above(bars, n, level)


def by_default(level: float) -> Callable[..., Any]:
    def rule(bars: ms.Bars, n: int, level: float = level) -> Any:
        return above(bars, n, level)

    return rule


def times(factor: float) -> Callable[..., Any]:
    return lambda net: net.mean(axis=1) * factor


METRICS = [
    "total_return", "sharpe", "max_drawdown", median_over_folds(3), median_over_folds(7),
    median_over_folds(3, times(1.0)), median_over_folds(3, times(2.0)),
    lower_bound(confidence=0.5), lower_bound(confidence=0.99), lower_bound("mean_return"),
    lower_bound(seed=1), times(1.0), times(3.0), partial(np.quantile, q=0.5, axis=1),
    partial(np.quantile, q=0.6, axis=1),
]  # fmt: skip
RULES = [
    make(level)
    for make in (
        closed_over, by_default, Above, lambda level: Above(level).rule, Named,
        lambda level: Listed([level]),
        lambda level: lambda bars, n: above(bars, n, level_of(level)),
        lambda level: partial(above, level=level),
        lambda level: partial(lambda bars, n, v: above(bars, n, v[0]), v=pd.Series([level])),
    )
    for level in (0.001, 0.01)
]  # fmt: skip


def test_each_metric_is_a_question_of_its_own(ledger: Ledger) -> None:
    for metric in METRICS:
        found = grid("sma_cross", BARS, SPACE, metric=metric, ledger=ledger, study="s", **QUIET)
        fresh = grid("sma_cross", BARS, SPACE, metric=metric, **QUIET)
        assert found.reused == 0
        np.testing.assert_array_equal(found.scores, fresh.scores)
    for metric in METRICS:  # and each has its answers
        found = grid("sma_cross", BARS, SPACE, metric=metric, ledger=ledger, study="s", **QUIET)
        assert found.reused == 6
    assert len(ledger.questions("s")) == len(METRICS)


def test_each_rule_is_a_question_of_its_own(ledger: Ledger) -> None:
    for rule in RULES:
        found = grid(rule, BARS, {"n": [1, 2]}, ledger=ledger, study="s", **QUIET)
        assert found.reused == 0
        fresh = grid(rule, BARS, {"n": [1, 2]}, **QUIET)
        np.testing.assert_array_equal(found.scores, fresh.scores)
        assert grid(rule, BARS, {"n": [1, 2]}, ledger=ledger, study="s", **QUIET).reused == 2


@pytest.mark.parametrize("search", ["grid", "optuna"])
def test_plain_functions_are_told_apart(ledger: Ledger, search: str) -> None:
    for factor in (1.0, 2.0):
        for make in (
            lambda c: lambda x: c * x,
            lambda c: partial(lambda x, c: c * x, c=c),
            lambda c: lambda x, c=c: c * x,
        ):
            if search == "grid":
                found = grid(one_by_one(make(factor)), {"x": [1, 2]}, ledger=ledger, **QUIET)
                assert found.reused == 0 and found.scores.tolist() == [factor, 2 * factor]
            else:
                tuned = optuna(
                    make(factor), {"x": [1, 2]}, trials=6, sampler="random", ledger=ledger, **QUIET
                )
                assert tuned.best_score == 2 * factor


def test_what_no_digest_covers_is_not_answered(ledger: Ledger) -> None:
    network = threading.local()  # its class is not ours to read
    network.weight = 1.0

    def objective(x: int) -> float:
        return network.weight * x

    options: dict[str, Any] = {"ledger": ledger, "sampler": "random", "trials": 6, **QUIET}
    for weight in (1.0, 2.0):
        network.weight = weight
        with pytest.warns(MarketsimWarning, match="no digest covers all that .* state code="):
            found = grid(one_by_one(objective), {"x": [1, 2]}, ledger=ledger, **QUIET)
        assert found.reused == 0 and found.scores.tolist() == [weight, 2 * weight]
        with pytest.warns(MarketsimWarning, match="state code="):
            assert optuna(objective, {"x": [1, 2]}, **options).best_score == 2 * weight
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reused in (0, 2):
            found = grid(
                one_by_one(objective), {"x": [1, 2]}, ledger=ledger, code="network 2", **QUIET
            )
            assert found.reused == reused


@pytest.mark.parametrize(
    "head",
    ["class Rule:", "class Rule(NamedTuple):", "class Rule(dict):", "@dataclass\nclass Rule:"],
)
def test_an_edited_method_of_an_object_is_another_rule(ledger: Ledger, head: str) -> None:
    for sign in "><":
        scope: dict[str, Any] = {"__name__": "mine", "NamedTuple": NamedTuple, "np": np}
        code = (
            f"from dataclasses import dataclass\n{head}\n    level: float = 0.0\n"
            "    def __call__(self, bars, n):\n"
            "        moved = np.r_[0.0, np.diff(np.asarray(bars.close))]\n"
            f"        return moved {sign} n * 0.01, ~(moved {sign} n * 0.01)\n"
        )
        exec(compile(code, "mine.py", "exec", dont_inherit=True), scope)
        found = grid(scope["Rule"](), BARS, {"n": [1, 2]}, ledger=ledger, study="s", **QUIET)
        assert found.reused == 0
        again = grid(scope["Rule"](), BARS, {"n": [1, 2]}, ledger=ledger, study="s", **QUIET)
        assert again.reused == 2


def test_a_stated_version_keeps_settings_and_metric_apart(ledger: Ledger) -> None:
    for fee in (0.0, 100.0):
        for metric in ("total_return", "sharpe"):
            objective = replay_objective(BARS, "sma_cross", fee_bps=fee, metric=metric)
            found = grid(objective, SPACE, ledger=ledger, code="v1", **QUIET)
            assert found.reused == 0
            assert best_result(objective, ledger).metrics[metric] == found.scores[found.best]


def test_a_walk_forward_search_keeps_its_statistics_apart(ledger: Ledger) -> None:
    prepared = ms.prepare(BARS, simulations=60, store=False, progress=False)
    for metric in ("sharpe", "total_return", median_over_folds(2), median_over_folds(3)):
        objective = walk_forward_objective(prepared, Threshold, metric)
        options = {"ledger": ledger, "study": "w", **QUIET}
        found = grid(objective, {"threshold": [-0.01, 0.0, 0.01]}, **options)
        assert found.reused == 0
    space = {"fast": Int(2, 9), "slow": Int(10, 30)}
    for statistic in ("sharpe", "mean", median_over_folds(3), median_over_folds(7)):
        options = {"trials": 4, "sampler": "random", "statistic": statistic, **QUIET}
        search = [
            search_walk_forward(
                replay_objective(BARS, "sma_cross"), space, WalkForwardSplit(150, 75), **options,
                **more,
            ).windows.drop(columns=["seconds", "evaluations"])
            for more in ({}, {"ledger": ledger, "study": "wf"})
        ]  # fmt: skip
        assert search[0].equals(search[1])


class Threshold:
    name, targets, fitted = "threshold", ("close",), False

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((view.last_return > self.threshold).astype(float))


def test_evidence_is_of_the_trial_that_is_named(ledger: Ledger) -> None:
    """Its figures from returns that were computed apart from the search."""
    for fee in (0.0, 100.0):
        objective = replay_objective(BARS, "sma_cross", fee_bps=fee, keep_net=True)
        found = grid(objective, SPACE, ledger=ledger, study="s", **QUIET)
        nets = np.stack([
            ms.replay(BARS, *sma_cross(BARS, f, s), fee_bps=fee).returns
            for f in SPACE["fast"] for s in SPACE["slow"]
        ])  # fmt: skip
        oracle = deflated_sharpe_ratio(nets, strategy=found.best, trials=6)
        [trial] = ledger.best("s", 1)
        judged = evidence(ledger, "s", trial=trial)
        assert judged.deflated.probability == pytest.approx(oracle.probability, rel=1e-12)
        assert (judged.trials, judged.elsewhere) == (6, 6 if fee else 0)
        result = best_result(objective, ledger, "s")
        assert result.metrics["total_return"] == found.scores[found.best] == trial.score
        assert result.evidence.deflated == judged.deflated
        decision = promote(ledger, "s", PromotionRule(least_deflated=0.0, most_overfitting=1.0))
        assert decision.evidence["score"] == trial.score
        assert decision.evidence["deflated_sharpe"] == judged.deflated.probability


def test_the_direction_is_that_of_the_search(ledger: Ledger) -> None:
    objective = replay_objective(BARS, "sma_cross", metric="max_drawdown", keep_net=True)
    found = grid(objective, SPACE, direction="minimize", ledger=ledger, study="s", **QUIET)
    assert found.scores[found.best] == found.scores.min() < found.scores.max()
    assert ledger.summary("s").best.params == found.best_params
    assert ledger_grid(ledger, "s").best_params == found.best_params
    assert best_result(objective, ledger, "s").evidence.params == found.best_params
    assert promote(ledger, "s").evidence["score"] == found.scores.min()
    assert ledger.best("s", 1, direction="maximize")[0].score == found.scores.max()
    # The other direction is another question, and a set tried for both is one run.
    grid(objective, SPACE, direction="maximize", ledger=ledger, study="s", **QUIET)
    assert ledger.summary("s").best.score == found.scores.max()
    assert evidence(ledger, "s").trials == 6 and evidence(ledger, "s").elsewhere == 0


def test_best_compares_one_question_alone(ledger: Ledger) -> None:
    ledger.record(*(Trial("s", {"i": i}, 100.0 + i, metric="trades") for i in range(3)))
    ledger.record(*(Trial("s", {"i": i}, float(i), metric="sharpe") for i in range(3)))
    assert [trial.score for trial in ledger.best("s")] == [2.0, 1.0, 0.0]
    older = list(ledger.questions("s"))[1]
    assert (older.metric, ledger.questions("s")[older]) == ("trades", 3)
    assert ledger.best("s", 1, question=older)[0].score == 102.0
    assert ledger_grid(ledger, "s").scores.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="count must be"):
        ledger.best("s", 0)


def test_a_storage_of_another_search_is_refused(tmp_path: Path) -> None:
    storage = f"{tmp_path}/journal.log"
    space = {"fast": Int(2, 9), "slow": Int(10, 30)}

    def search(more: dict[str, Any], space: Any = space, trials: int = 4) -> Any:
        bars = more.pop("bars", BARS)
        objective = replay_objective(bars, more.pop("rule", "sma_cross"), **more)
        return optuna(objective, space, trials=trials, sampler="random", storage=storage, **QUIET)

    first = search({})
    for more, name in (
        ({"bars": random_bars(300, seed=4)}, "data"),
        ({"fee_bps": 5}, "settings"),
        ({"metric": "sharpe"}, "metric"),
        ({"metric": median_over_folds(3)}, "metric"),
        ({"rule": lambda bars, fast, slow: above(bars, fast, slow)}, "code"),
    ):
        with pytest.raises(StorageError, match=rf"\({name}: got .*expected .*another study name"):
            search(more)
    with pytest.raises(StorageError, match=r"\(space: got"):
        search({}, {"fast": Int(2, 9), "slow": Int(10, 31)})
    assert len(search({}, trials=6)) == 6 and first.best_score <= search({}, trials=6).best_score
    for factor in (1.0, 2.0):

        def objective(x: int, factor: float = factor) -> float:
            return factor * x

        def go() -> Any:
            return optuna(
                objective, {"x": Int(1, 9)}, trials=5, study="f", storage=storage, **QUIET
            )

        if factor == 1.0:
            assert len(go()) == 5
        else:
            with pytest.raises(StorageError, match=r"\(code: got"):
                go()


def test_a_storage_keeps_its_constraints(tmp_path: Path) -> None:
    """Trials that were allowed once would be the best beyond the constraints of today."""

    def both(x: float) -> dict[str, float]:
        return {"score": x, "risk": x}

    options: dict[str, Any] = {"sampler": "random", "without_effect": "keep", **QUIET}
    options |= {"storage": tmp_path / "journal.log", "trials": 8}
    optuna(both, {"x": Float(0, 1)}, constraints={"risk": 0.9}, **options)
    optuna(both, {"x": Float(0, 1)}, constraints={"risk": 0.9}, **options)
    for other in ({"risk": 0.3}, {}):
        with pytest.raises(StorageError, match="constraints: got .*, expected 'risk None to 0.9'"):
            optuna(both, {"x": Float(0, 1)}, constraints=other, **options)


def test_a_storage_that_does_not_say_of_what_it_is_is_refused(tmp_path: Path) -> None:
    package = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path}/o.db"
    study = package.create_study(study_name="s", storage=storage, direction="maximize")
    study.optimize(lambda trial: trial.suggest_int("x", 1, 9), n_trials=2)
    with pytest.raises(StorageError, match="does not say of which data"):
        optuna(lambda x: -x, {"x": Int(1, 9)}, trials=4, study="s", storage=storage, **QUIET)


MINE = """
import numpy as np
from helper import SHIFT
LEVEL = 0.001
def up(bars, n):
    close = np.asarray(bars.close)
    return np.r_[0.0, close[1:] / close[:-1] - 1.0] > LEVEL * n * SHIFT
def signals(bars, n):
    found = up(bars, n)
    return found, ~found
"""
MOMENTUM = """
from marketsim import Hold
class Momentum:
    name, targets, fitted = "momentum", ("close",), False
    def __init__(self, n):
        self.n = n
    def decide(self, view):
        return Hold((view.last_return > self.n * 0.01).astype(float))
"""


def test_an_edited_file_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    random_bars(300, seed=5).frame.to_csv("X.csv")
    Path("space.json").write_text('{"n": [0, 1, 2]}')
    Path("helper.py").write_text("SHIFT = 1.0\n")

    def search(*arguments: str) -> dict[str, Any]:
        code = main(["search", "X.csv", "--space", "space.json", "--sampler", "grid", *arguments,
                     "--json", "--no-progress"])  # fmt: skip
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    for name in ("mine.py", "signal.py"):  # the second has a name of Python's own
        text = MINE
        strategy = ("--strategy", f"{name}:signals", "--ledger", f"{name}.sqlite")
        for old, new in (("", ""), ("LEVEL = 0.001", "LEVEL = 0.01"), ("0.0, close", "1.0, close"),
                         ("return found, ~found", "return ~found, found")):  # fmt: skip
            text = text.replace(old, new) if old else text
            Path(name).write_text(text)
            assert search(*strategy)["evaluated"] == 3
            assert search(*strategy)["reused"] == 3
    text = MOMENTUM
    model = ("--strategy", "momo.py:Momentum", "--model", "ewma", "--simulations", "60",
             "--no-store", "--ledger", "m.sqlite")  # fmt: skip
    scores = []
    for sign in (">", "<"):
        Path("momo.py").write_text(text.replace(">", sign))
        found = search(*model)
        assert found["evaluated"] == 3
        scores.append(found["score"])
    assert scores[0] != scores[1]
    stated = ("--strategy", "mine.py:signals", "--code", "v1", "--ledger", "c.sqlite")
    assert search(*stated)["evaluated"] == 3
    Path("mine.py").write_text(MINE)
    assert search(*stated)["reused"] == 3


def test_the_printed_luck_is_of_the_printed_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    BARS.frame.to_csv("X.csv")
    Path("space.json").write_text(json.dumps(SPACE))

    def command(*arguments: str) -> dict[str, Any]:
        assert main(["search", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    run = ("X.csv", "--strategy", "sma_cross", "--space", "space.json")
    for more in (
        ("--metric", "max_drawdown", "--direction", "minimize"),
        ("--metric", "total_return", "--fee-bps", "100"),
        ("--metric", "total_return"),
        ("--sampler", "random", "--trials", "9"),
    ):
        found = command(*run, "--sampler", "grid", *more)
        fee = 100.0 if "100" in more else 0.0
        objective = replay_objective(ms.read_bars("X.csv"), "sma_cross", fee_bps=fee)
        nets = np.stack([
            objective.result({"fast": f, "slow": s}).returns
            for f in SPACE["fast"] for s in SPACE["slow"]
        ])  # fmt: skip
        own = [{"fast": f, "slow": s} for f in SPACE["fast"] for s in SPACE["slow"]]
        at = own.index(found["best"])
        oracle = deflated_sharpe_ratio(nets, strategy=at, trials=6).probability
        assert found["deflated_sharpe"] == pytest.approx(oracle, rel=1e-9)
        assert found["trials_behind"] == 6
        shown = command("summary")
        assert shown["best"] == found["best"] and shown["score"] == found["score"]
        assert shown["deflated_sharpe"] == found["deflated_sharpe"]
        assert command("best", "--count", "1")[0]["params"] == found["best"]
    assert main(["search", "best"]) == 0
    assert "and not of 3 other questions:" in capsys.readouterr().out


def test_an_unknown_question_is_named(ledger: Ledger) -> None:
    for fee in (0.0, 5.0):
        grid(
            replay_objective(BARS, "sma_cross", fee_bps=fee), SPACE, ledger=ledger, study="s",
            **QUIET,
        )  # fmt: skip
    newest, older = ledger.questions("s")
    assert older.words(newest) == "fee_bps 0.0"
    with pytest.raises(ValueError, match="answers this objective's question.*the study has 2:"):
        best_result(replay_objective(BARS, "sma_cross", fee_bps=9), ledger, "s")


def test_returns_that_were_damaged_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with Ledger(path) as ledger:
        ledger.record(*(Trial("s", {"i": i}, 1.0, net=np.full(90, i / 7 + 1)) for i in range(3)))
    path.write_bytes(path.read_bytes().replace(np.float64(1 / 7 + 1).tobytes(), bytes(8), 3))
    with (
        pytest.raises(ValueError, match="net returns of attempt 2 are damaged.*recover"),
        Ledger(path, mode="r") as ledger,
    ):
        ledger.returns("s")


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.touch()
    with pytest.raises(ValueError, match=r"is empty \(0 bytes\)"):
        Ledger(path, mode="r")
    with pytest.warns(MarketsimWarning, match="begins as a new ledger"), Ledger(path) as ledger:
        assert ledger.studies() == []


def test_a_walk_forward_search_keeps_returns_for_evidence(ledger: Ledger) -> None:
    objective = replay_objective(BARS, "sma_cross", keep_net=True)
    search_walk_forward(
        objective, {"fast": Int(2, 9), "slow": Int(10, 30)}, WalkForwardSplit(150, 75), trials=5,
        sampler="random", ledger=ledger, study="w", **QUIET,
    )  # fmt: skip
    judged = evidence(ledger, "w")
    frame = ledger.trials("w")
    assert judged.trials == len(frame[["param_fast", "param_slow"]].drop_duplicates())
    nets = [objective.result(one.params).returns for one in ledger.kept("w")]
    ratios = [net.mean() / net.std(ddof=1) for net in nets]
    assert judged.params == ledger.kept("w")[int(np.argmax(ratios))].params


def test_what_a_strategy_raises_is_recorded_of_its_set(ledger: Ledger) -> None:
    def boom(x: int) -> float:
        if x in (3, 5):
            raise RuntimeError("boom")
        return float(x)

    space = {"x": [1, 2, 3, 4, 5, 6]}
    with pytest.raises(RuntimeError, match="raised RuntimeError with x=3: boom; 1 other set"):
        grid(one_by_one(boom), space, ledger=ledger, study="b", **QUIET)
    frame = ledger.trials("b")
    assert frame.param_x[frame.status == "failed"].tolist() == [3, 5]
    assert frame.score[frame.status == "complete"].tolist() == [1.0, 2.0, 4.0, 6.0]
    assert set(frame.error[frame.status == "failed"]) == {"RuntimeError: boom"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid(one_by_one(lambda x: None), {"x": [1, 2]}, **QUIET), "must return numbers"),
        (
            lambda: grid(one_by_one(lambda x: x), {"x": [1, float("nan")]}, **QUIET),
            "value that is NaN or infinite",
        ),
        (lambda: grid("sma_cross", BARS, SPACE, fees=5, **QUIET), "unknown options fees: expected"),
    ],
)
def test_bad_grids(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_parameter_that_matters_elsewhere_is_kept() -> None:
    def objective(a: int, b: int) -> float:
        return -float((a - 5) ** 2) if abs(a - 5) < 3 else -20.0 - b

    options = {"trials": 60, "seed": 1, **QUIET}
    assert optuna(objective, {"a": Int(0, 30), "b": Int(0, 9)}, **options).best_params["a"] == 5


def test_sets_that_the_conditions_exclude_are_no_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    BARS.frame.to_csv("X.csv")
    Path("boom.py").write_text("def signals(bars, n):\n    raise RuntimeError('boom')\n")
    Path("n.json").write_text('{"n": [1, 2]}')

    def space(where: str) -> None:
        ranges = {"fast": {"int": [5, 60]}, "slow": {"int": [10, 60]}}
        Path("space.json").write_text(json.dumps({**ranges, "where": where}))

    def command(*arguments: str, code: int = 0) -> str:
        assert main(["search", "X.csv", *arguments]) == code
        out, err = capsys.readouterr()
        return err if code else out

    run = ("--strategy", "sma_cross", "--space", "space.json", "--trials", "20")
    space("fast < slow")
    for number, sampler in enumerate(("random", "tpe")):
        ledger = ("--ledger", f"{number}.sqlite")
        found = json.loads(command(*run, "--sampler", sampler, *ledger, "--json"))
        with Ledger(ledger[1]) as book:
            frame = book.trials(found["study"])
        assert (frame.param_fast < frame.param_slow).all() and set(frame.status) == {"complete"}
        assert found["evaluated"] + found["reused"] == 20
        behind = len(frame[["param_fast", "param_slow"]].drop_duplicates())
        assert found["trials_behind"] == behind
    space("fast > 100")
    assert "meets the conditions, the last not 'fast > 100" in command(*run, code=2)
    for sampler in ("grid", "tpe"):
        mine = ("--strategy", "boom.py:signals", "--space", "n.json", "--sampler", sampler)
        assert "raised RuntimeError with n=" in command(*mine, code=2)


def test_bars_with_another_calendar_or_zone_are_other_bars(ledger: Ledger) -> None:
    def evening(bars: ms.Bars, n: int) -> tuple[np.ndarray, np.ndarray]:
        hours = bars.frame.index.hour
        return hours >= 12 + n, hours < 12 + n

    hourly = BARS.frame.set_axis(pd.date_range("2020-01-01", periods=300, freq="h", tz="UTC"))
    frames = [hourly, hourly.tz_convert("America/New_York")]
    bars = [ms.read_bars(frame, symbol="A", calendar=c) for frame in frames for c in (None, "24/7")]
    for again in (0, 2):
        for one in bars:
            options: dict[str, Any] = {"metric": "sharpe", **QUIET}
            found = grid(evening, one, {"n": [1, 2]}, ledger=ledger, study="s", **options)
            fresh = grid(evening, one, {"n": [1, 2]}, **options)
            assert found.reused == again
            np.testing.assert_array_equal(found.scores, fresh.scores)
            captured = grid(
                one_by_one(lambda n, bars=one: replay_objective(bars, evening).one(n=n)["sharpe"]),
                {"n": [1, 2]}, ledger=ledger, study="captured", **QUIET,
            )  # fmt: skip
            assert captured.reused == again


def test_runs_prepared_in_another_way_are_other_runs(ledger: Ledger) -> None:
    options: dict[str, Any] = {"simulations": 20, "store": False, **QUIET}
    runs = [
        ms.prepare(BARS, "ewma", **options | more)
        for more in ({}, {"offset_window": 20}, {"purge": 5}, {"embargo": 3}, {"window": 5})
    ]
    data = {walk_forward_objective(run, Threshold).filed["data"] for run in runs}
    assert len(data) == len(runs)
    again = ms.prepare(BARS, "ewma", **options)
    assert walk_forward_objective(again, Threshold).filed["data"] in data


READERS = {
    "Path.open": (
        "from pathlib import Path",
        "    with Path('x').open() as file: return s['x'] * len(file.read())",
    ),
    "gzip": ("import gzip", "    return s['x'] * len(gzip.open('x').read())"),
    "sqlite3": ("import sqlite3", "    return s['x'] * sqlite3.connect('x').total_changes"),
    "fwf": ("import pandas as pd", "    return s['x'] * len(pd.read_fwf('x'))"),
    "now": ("import datetime as dt", "    return s['x'] * dt.datetime.now().second"),
    "draws": ("import numpy as np", "    return s['x'] * np.random.normal()"),
}


@pytest.mark.parametrize("name", READERS)
def test_code_that_reads_or_draws_is_never_answered(name: str) -> None:
    from marketsim.models.code import whole_digest

    space: dict[str, object] = {"__name__": "own"}
    first, body = READERS[name]
    exec(f"{first}\ndef f(s):\n{body}", space)
    assert whole_digest(space["f"]) is None


def test_a_column_open_and_a_seeded_generator_are_known() -> None:
    from marketsim.models.code import whole_digest

    def by_column(s):
        return s["x"] * BARS.open[0]

    def drawn(s):
        return s["x"] * np.random.default_rng(3).normal()

    assert whole_digest(by_column) is not None and whole_digest(drawn) is not None


def test_returns_that_a_record_lacks_are_computed(tmp_path: Path) -> None:
    def objective(keep: bool):
        return replay_objective(BARS, "sma_cross", fee_bps=10, keep_net=keep)

    with Ledger(tmp_path / "l.sqlite") as ledger:
        grid(objective(False), SPACE, ledger=ledger, study="s", **QUIET)
        again = grid(objective(True), SPACE, ledger=ledger, study="s", **QUIET)
        assert again.reused == 0 and len(ledger.returns("s")) > 0
        assert grid(objective(True), SPACE, ledger=ledger, study="s", **QUIET).reused == len(again)


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ms.ArgumentError, match="no file of a grid's net returns"):
        grid("sma_cross", BARS, SPACE, returns=path, **QUIET)
    assert path.read_text() == "a,b\n1,2\n"
