"""Figures per item, and how often the fastest of a group is faster than its rivals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared_fixtures import isa, own_store

from marketsim import _core

__all__ = ["isa", "own_store"]  # pytest finds fixtures by their names here


@pytest.fixture
def one_core() -> Iterator[None]:
    """Kernels on a single thread."""
    _core.set_thread_limit(1)
    yield
    _core.set_thread_limit(0)


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., Any]:
    """Runs a function under the benchmark and notes how many items one call is about."""

    def run(function: Callable[[], Any], *, items: float, unit: str) -> Any:
        benchmark.extra_info.update(items=items, unit=unit)
        return benchmark(function)

    return run


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    groups, notes = defaultdict(list), defaultdict(list)
    for bench in getattr(session, "benchmarks", []):
        if "items" in bench.extra_info:
            # What another process took it says itself.
            taken = bench.extra_info.get("seconds", bench.stats.median)
            seconds = taken / bench.extra_info["items"]
            groups[bench.group].append((seconds, bench.name, bench.extra_info["unit"]))
            notes[bench.group].append(bench.extra_info.get("how"))
    for group, found in groups.items():
        terminalreporter.write_line(f"\n{group}")
        fastest = min(found)[0]
        for seconds, name, unit in sorted(found):
            text = _time(seconds)
            terminalreporter.write_line(
                f"  {name:<44} {text:>12} {unit:<22} {seconds / fastest:>12,.1f}x"
            )
        for note in filter(None, notes[group]):
            terminalreporter.write_line(f"  the original: {note}")


def _time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
