"""The rules that kernels are tested under: each policy at several costs, and the old formulas."""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim.kernels import rules

# Rates of an entry, an exit at a limit and one at the close: none, alike, a limit cheaper to leave
# at than the close, dearer, and a rebate.
COSTS = (
    (0.0, 0.0, 0.0),
    (0.0005, 0.0005, 0.0005),
    (0.0, 0.0002, 0.001),
    (0.001, 0.002, 0.0005),
    (-0.0002, -0.0003, 0.0007),
)
CONTRACT: list[dict[str, Any]] = [
    {"fill": fill, "costs": costs} for fill in rules.FILLS for costs in COSTS
]
LEGACY: list[dict[str, Any]] = [
    {"fill": fill, "fee_rule": fee_rule, "fee": fee}
    for fill in rules.LEGACY_FILLS
    for fee_rule, fee in (("per_entry", 0.0), ("per_entry", 0.0005), ("touched_both", 0.003))
]
RULES = CONTRACT + LEGACY


def fitting(days: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    """Days as a rule takes them: without open for the old formulas, else levels that are prices."""
    if rule.get("fill") in rules.LEGACY_FILLS:
        return days | {"open": None}
    least = np.float32(-0.875)
    return days | {n: np.maximum(days[n], least) for n in ("high_pred", "low_pred")}
