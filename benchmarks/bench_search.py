"""Our share of a search: sets, batches and the ledger, apart from what an objective costs.

Targets: a summary of 10,000 trials at most 10 ms; our share of an Optuna trial under 10 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marketsim.search import Ledger, grid

SPACE = {"fast": range(2, 102), "slow": range(102, 202)}


def hill(sets: dict[str, np.ndarray]) -> np.ndarray:
    return -((sets["fast"] - 20.0) ** 2) - (sets["slow"] - 150.0) ** 2


def bench_grid(measure, benchmark) -> None:
    benchmark.group = "grid of 10,000 sets"
    found = measure(lambda: grid(hill, SPACE, progress=False), items=10_000, unit="set")
    assert found.best_params == {"fast": 20, "slow": 150}


@pytest.fixture
def full(tmp_path: Path):
    with Ledger(tmp_path / "trials.sqlite") as ledger:
        grid(hill, SPACE, ledger=ledger, progress=False)
        yield ledger


def bench_grid_from_a_full_ledger(measure, benchmark, full: Ledger) -> None:
    benchmark.group = "grid of 10,000 sets"
    found = measure(
        lambda: grid(hill, SPACE, ledger=full, progress=False), items=10_000, unit="set reused"
    )
    assert found.reused == 10_000


def bench_summary(measure, benchmark, full: Ledger) -> None:
    benchmark.group = "ledger of 10,000 trials"
    found = measure(lambda: full.summary("grid"), items=1, unit="summary")
    assert found.trials == 10_000 and found.best.params == {"fast": 20, "slow": 150}


def bowl(x: float, y: float) -> float:
    return -((x - 1.0) ** 2) - y * y


def bench_optuna(measure, benchmark, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    from marketsim.search import Float, optuna

    benchmark.group = "200 TPE trials"
    space = {"x": Float(-4, 4), "y": Float(-4, 4)}
    with Ledger(tmp_path / "optuna.sqlite") as ledger:
        studies = iter(range(10_000))  # each round is a new search

        def run() -> float:
            return optuna(
                bowl, space, trials=200, ledger=ledger, study=f"s{next(studies)}", progress=False
            ).best_score

        assert measure(run, items=200, unit="trial, recorded") > -1.0


def bench_plain_optuna(measure, benchmark) -> None:
    package = pytest.importorskip("optuna")
    package.logging.set_verbosity(package.logging.ERROR)
    benchmark.group = "200 TPE trials"

    def run() -> float:
        study = package.create_study(
            sampler=package.samplers.TPESampler(seed=0), direction="maximize"
        )
        study.optimize(
            lambda t: bowl(t.suggest_float("x", -4, 4), t.suggest_float("y", -4, 4)), n_trials=200
        )
        return float(study.best_value)

    assert measure(run, items=200, unit="trial") > -1.0
