"""Power failures after every recorded call: what was acknowledged as synced survives."""

from __future__ import annotations

import pytest
from fault_tools import child, full


@pytest.mark.parametrize("scenario", ["growth", "torn_tails", "set_aside"])
def test_what_was_synced_survives(scenario: str) -> None:
    found = child("power_loss", scenario, full(6, 200), 1, shimmed=True, timeout=1200)
    assert found["wrong"] == []
    assert found["tried"] > 50


@pytest.mark.parametrize(
    "scenario",
    ["unsynced", "unsynced_first", "sync_fails", "folder_sync_fails", "compaction_sync_fails"],
)
def test_what_another_left_unsynced_is_synced_by_the_next(scenario: str) -> None:
    found = child("power_loss", scenario, full(6, 200), 1, shimmed=True, timeout=1200)
    assert found["wrong"] == []
