"""Ctrl-C while an append waits for a lock."""

from __future__ import annotations

from pathlib import Path

from fault_tools import child


def test_interrupt_ends_a_wait_for_the_lock(tmp_path: Path) -> None:
    found = child("interrupt", tmp_path, "alone", timeout=60)
    assert found["interrupted"]
    assert found["seconds"] < 3


def test_interrupt_beside_a_fork_is_no_deadlock(tmp_path: Path) -> None:
    """At the latest when the other process lets go of the lock, both go on."""
    child("interrupt", tmp_path, "forking", timeout=10)
