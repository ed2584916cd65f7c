"""System calls that fail, one by one."""

from __future__ import annotations

from fault_tools import child


def test_no_failing_call_costs_what_was_acknowledged() -> None:
    found = child("syscalls", shimmed=True)
    assert found["wrong"] == []
    assert found["tried"] > 300
    for kind in ("open", "pwrite", "pread", "stat", "fdatasync", "fsync", "flock"):
        assert found["calls"][kind] > 0, f"the scenario makes no call of {kind}"
    assert found["calls"]["rename"] > 0
    assert found["calls"]["renameat2"] > 0
