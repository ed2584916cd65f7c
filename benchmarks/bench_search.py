"""Our share of a search: sets, batches and the ledger, apart from what an objective costs.

Targets: a summary of 10,000 trials at most 10 ms.
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
