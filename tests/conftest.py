from __future__ import annotations

import signal
from pathlib import Path

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


# Left out by `make test-quick`, with the reason: half of the suite's CPU time. A folder or a file.
SLOW = {
    "cluster": "starts clusters",
    "faults": "compiles programs, kills them, runs them under sanitizers",
    "legacy": "compares with the old project's code and recorded runs",
    "processes": "starts processes",
    "peers": "imports large packages to compare with",
    "upstream": "runs the original code of models",
    "bars/test_bars_properties.py": "writes and reads many drawn files",
    "cli/test_cli.py": "starts processes",
    "cli/test_cli_jobs.py": "starts processes",
    "forecasts/store/test_stores_processes.py": "starts processes",
    "forecasts/store/test_stores_stateful.py": "long random histories",
    "forecasts/test_workers.py": "starts processes",
    "indicators/test_reference.py": "compiles with Numba",
    "models/test_cost.py": "compiles networks",
    "models/test_kronos.py": "many paths of networks",
    "models/test_kronos_golden.py": "recorded runs of a network",
    "models/test_kronos_inputs.py": "many paths of networks",
    "models/test_precision.py": "loads and quantises networks many times",
    "models/test_toto1.py": "many runs of networks",
    "models/test_toto1_exact.py": "many runs of networks",
    "models/test_toto1_paths.py": "many runs of networks",
    "models/test_toto1_runs.py": "compiles networks",
    "models/test_toto2.py": "many runs of networks",
    "models/test_toto1_golden.py": "recorded runs of a network",
    "models/test_toto2_golden.py": "recorded runs of a network",
}
_TESTS = Path(__file__).parent


def _is_slow(path: Path) -> bool:
    if not path.is_relative_to(_TESTS):
        return False  # a benchmark in the same run
    part = path.relative_to(_TESTS)
    return part.parts[0] in SLOW or part.as_posix() in SLOW


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: a compressed file carries the time, and workers must agree."""
    return argname if isinstance(val, bytes) else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import slow files where they are left out."""
    left_out = config.getoption("markexpr") == "not slow" and collection_path.is_file()
    return True if left_out and _is_slow(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark slow tests; without a GPU, tests that need one are a single skip with their number."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)
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
