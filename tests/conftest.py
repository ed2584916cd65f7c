from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings
from shared_fixtures import backend, isa, own_store, threads

__all__ = ["backend", "isa", "own_store", "threads"]  # pytest finds fixtures by their names here

# A shell that starts the suite in the background makes it, and every child, ignore Ctrl-C: tests
# that send the signal would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("quick", deadline=None, suppress_health_check=_SLOW, max_examples=20)
settings.load_profile("default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a GPU all tests that need one are a single skip, which says how many they are."""
    need = [item for item in items if item.get_closest_marker("cuda")]
    if not need:
        return
    from marketsim.build_info import cuda_state

    state = cuda_state()
    if state["usable"]:
        return
    reason = f"no GPU: {state['reason']} ({len(need)} tests need one)"
    need[0].add_marker(pytest.mark.skip(reason=reason))
    left_out = set(need[1:])
    config.hook.pytest_deselected(items=need[1:])
    items[:] = [item for item in items if item not in left_out]
