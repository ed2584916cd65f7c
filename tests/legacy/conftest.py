from __future__ import annotations

from pathlib import Path

import pytest

from marketsim.legacy.stock.settings import VARIABLES


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the variables, parameter files or caches of whoever runs it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    monkeypatch.setenv("MARKETSIM_DISK_CACHE", str(tmp_path / "functions"))
