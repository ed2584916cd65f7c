from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from marketsim.legacy.stock.settings import VARIABLES


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the variables, parameter files or caches of whoever runs it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    monkeypatch.setenv("MARKETSIM_DISK_CACHE", str(tmp_path / "functions"))


@pytest.fixture(autouse=True, scope="session")
def sums_of_numpy() -> Iterator[None]:
    """Bottleneck, where it is installed, adds more than seven numbers in another order."""
    with pd.option_context("compute.use_bottleneck", False):
        yield
