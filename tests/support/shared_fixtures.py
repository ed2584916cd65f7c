"""Fixtures that tests and benchmarks share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import BACKENDS, Backend, on_backend

from marketsim import _core


@pytest.fixture(params=_core.supported_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test on each instruction set of this processor."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Runs a test on each instruction set, on the GPU, and on the emulation of its kernels."""
    with on_backend(request.param) as found:
        yield found


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores the default number of threads."""
    yield
    _core.set_thread_limit(0)


@pytest.fixture(autouse=True, scope="session")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test and no benchmark reads or writes the store of whoever runs it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKETSIM_STORE", str(folder))
        yield folder
