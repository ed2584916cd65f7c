from __future__ import annotations

from pathlib import Path

import pytest

from marketsim.errors import NoEffectError
from marketsim.search import Choice, Float, Int, Ledger, optuna

pytest.importorskip("optuna").logging.set_verbosity(40)


def test_a_parameter_without_effect_is_refused_by_name(tmp_path: Path) -> None:
    calls = []

    def objective(x: float, typo: int, kind: str) -> dict[str, float]:
        calls.append((x, typo, kind))
        return {"score": -abs(x - 0.3), "trades": 1.0 if kind == "a" else 2.0}

    space = {"x": Float(0, 1), "typo": Int(1, 9), "kind": ["a", "b"]}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        with pytest.raises(NoEffectError, match="'typo' changed neither score nor") as caught:
            optuna(objective, space, trials=15, ledger=ledger, progress=False)
        assert len(caught.value.result) == 15  # what was found is not lost
        assert ledger.summary("optuna").attempts == len(calls)  # what was tried to know it counts
    assert len(calls) <= 15 + 2 + 9 + 4 * 3  # at the best three sets, then at four others
    assert len(optuna(objective, space, trials=5, without_effect="keep", progress=False)) == 5


def test_an_effect_elsewhere_is_an_effect() -> None:
    """`window` matters for one kind alone; the best sets have both kinds."""

    def objective(kind: str, window: int) -> float:
        return float(window) / 100.0 if kind == "a" else 0.05

    space = {"kind": ["a", "b"], "window": Int(1, 9)}
    optuna(objective, space, trials=20, sampler="random", progress=False)


def test_an_error_or_nan_is_an_effect() -> None:
    def objective(x: float, y: int) -> float:
        if y == 3:
            raise ValueError("no fills")
        return x

    optuna(objective, {"x": Float(0, 1), "y": Choice([1, 3])}, trials=20, sampler="random",
           catch=(ValueError,), progress=False)  # fmt: skip


def test_a_parameter_that_the_objective_does_not_take() -> None:
    with pytest.raises(ValueError, match="takes no parameter 'slw': expected fast, slow"):
        optuna(lambda fast, slow, report: 0.0, {"fast": [1], "slw": [2]}, trials=1)
