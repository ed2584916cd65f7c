from __future__ import annotations

import pytest
from upstream_worker import Ask, missing, run_upstream


@pytest.fixture(scope="session")
def upstream() -> Ask:
    """Asks the original code; a test that does is skipped, with the reason, where it is not."""
    if reason := missing():
        pytest.skip(reason)
    return run_upstream
