"""Damaged, swapped, cut and hostile files: no wrong answer, no signal, right counts."""

from __future__ import annotations

import pytest
from fault_tools import child, full


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("small", full(14_000, 60_000)),
        ("large", 900),
        ("swaps", 20),
        ("cuts", 500),
        ("hostile", 80),
    ],
)
def test_damage_is_a_miss_and_nothing_else(kind: str, least: int) -> None:
    found = child("corruption", kind, 1, full(300, 3000))
    assert found["tried"] >= least
