from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketsim.legacy.genesis import GenesisQuirks, use_quirks, use_root


@pytest.fixture(autouse=True)
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test has an empty project folder, the default quirks, and no GENESIS_ variables."""
    for name in [name for name in os.environ if name.startswith(("GENESIS_", "OPTUNA_"))]:
        monkeypatch.delenv(name)
    use_root(tmp_path)
    use_quirks(GenesisQuirks())
    yield tmp_path
    use_root(None)
    use_quirks(GenesisQuirks())
