from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from marketsim.errors import NoEffectError
from marketsim.search import (
    Choice,
    Float,
    Int,
    Ledger,
    WalkForwardSplit,
    optuna,
    search_walk_forward,
)

pytest.importorskip("optuna").logging.set_verbosity(40)


def test_a_parameter_without_effect_is_refused_by_name(tmp_path: Path) -> None:
    calls = []

    def objective(x: float, typo: int, kind: str) -> dict[str, float]:
        calls.append((x, typo, kind))
        return {"score": -abs(x - 0.3), "trades": 1.0 if kind == "a" else math.inf}

    space = {"x": Float(0, 1), "typo": Int(1, 9), "kind": ["a", "b"]}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        with pytest.raises(NoEffectError, match="'typo' changed neither score nor") as caught:
            optuna(objective, space, trials=15, ledger=ledger, progress=False)
        assert len(caught.value.result) == 15  # what was found is not lost
        assert ledger.summary("optuna").attempts == len(calls)  # what was tried to know it counts
    assert len(calls) <= 15 + 2 + 9 + 15 + 2 * 150
    assert len(optuna(objective, space, trials=5, without_effect="keep", progress=False)) == 5


def test_an_effect_elsewhere_is_an_effect() -> None:
    """`window` matters for one kind alone; the best sets have both kinds."""

    def objective(kind: str, window: int) -> float:
        return float(window) / 100.0 if kind == "a" else 0.05

    space = {"kind": ["a", "b"], "window": Int(1, 9)}
    optuna(objective, space, trials=20, sampler="random", progress=False)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_effect_in_a_tenth_of_the_space_is_an_effect(sampler: str) -> None:
    """And far from the best sets, where a sampler that learns does not go."""

    def objective(x: float, y: int) -> float:
        return x if x > 0.1 else -1.0 - y

    space = {"x": Float(0, 1), "y": Int(1, 9)}
    for seed in range(5):
        optuna(objective, space, trials=20, sampler=sampler, seed=seed, progress=False)


def test_what_never_matters_is_refused_whatever_the_search() -> None:
    space = {"x": Float(0.01, 1, log=True), "n": Int(1, 99, log=True), "k": [1, None, "a"]}
    for unused in space:
        used = [name for name in space if name != unused]

        def objective(used: list[str] = used, **params) -> float:
            return sum(hash(repr(params[name])) % 97 for name in used)

        with pytest.raises(NoEffectError, match=f"^{unused!r} changed"):
            optuna(objective, space, trials=12, sampler="random", progress=False)


def test_conditions_leave_sets_out() -> None:
    from marketsim.search.effect import without_effect

    seen = []

    def probe(params: dict) -> tuple[float, ...]:
        seen.append(params)
        return (params["a"],)

    names = without_effect(
        {"a": Int(1, 9), "b": Int(1, 9)}, [{"a": 1, "b": 5}], probe, lambda p: p["a"] >= 5
    )
    assert names == ["b"]
    assert all(params["a"] < 5 for params in seen[2:])  # the first two change `a` itself


def test_an_error_or_nan_is_an_effect() -> None:
    def objective(x: float, y: int) -> float:
        if y == 3:
            raise ValueError("no fills")
        return x

    optuna(objective, {"x": Float(0, 1), "y": Choice([1, 3])}, trials=20, sampler="random",
           catch=(ValueError,), progress=False)  # fmt: skip


def test_a_walk_forward_search_judges_all_windows() -> None:
    """`late` matters after the first training alone, `typo` never."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, (5, 300))

    def objective(i: int, late: int, typo: int = 0) -> np.ndarray:
        return np.r_[noise[i, :100], noise[i, 100:] * late]

    splitter = WalkForwardSplit(100, 50)
    space = {"i": list(range(5)), "late": [1, 2]}
    options = {"trials": 6, "sampler": "random", "progress": False}
    search_walk_forward(objective, space, splitter, **options)
    with pytest.raises(NoEffectError, match="'typo' changed neither score") as caught:
        search_walk_forward(objective, {**space, "typo": [1, 2]}, splitter, **options)
    assert len(caught.value.result.windows) == 4


def test_a_parameter_that_the_objective_does_not_take() -> None:
    with pytest.raises(ValueError, match="takes no parameter 'slw': expected fast, slow"):
        optuna(lambda fast, slow, report: 0.0, {"fast": [1], "slw": [2]}, trials=1)
