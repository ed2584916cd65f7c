from __future__ import annotations

from collections.abc import Iterator

import pytest

from marketsim import _cuda_emulation


@pytest.fixture(params=[0, 1, 2, 3], ids=["forward", "backward", "mixed", "random"])
def order(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a test with each order of a team's threads."""
    _cuda_emulation.set_rank_order(request.param)
    yield request.param
    _cuda_emulation.set_rank_order(0)
