"""Totals of pairs of offsets by the profit kernel, as `best_offsets` defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

import marketsim as ms

f32 = np.float32


def total(
    days: dict[str, Any],
    high: np.ndarray,
    low: np.ndarray,
    *,
    always_on: bool = False,
    long_only: bool = False,
    **rule: Any,
) -> np.ndarray:
    """Totals of candidate pairs as `best_offsets` defines them: float64, in the order of days."""
    position = days["position"]
    sides = [np.where(position < 0, f32(0), position) if long_only else position]
    if always_on:
        usable = (
            np.isfinite(np.stack([v for v in days.values() if v is not None]))
            .all(axis=0)
            .astype(f32)
        )
        sides = [usable] if long_only else [usable, -usable]
    result = np.zeros(len(high))
    for side in sides:
        of_days = ms.profit(**(days | {"position": side}), high_offset=high, low_offset=low, **rule)
        in_order = np.cumsum(of_days.astype(np.float64), axis=1)  # adds one after the other
        result += in_order[:, -1] if in_order.shape[1] else 0.0
    return result
