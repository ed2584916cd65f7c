"""`core.strategy.confidence`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def compute_confidence(
    probas: Mapping[str, float] | None,
    *,
    atr_pct: float | None = None,
    spread_bp: float | None = None,
    volume_score: float | None = None,
    data_quality: float | None = None,
    config: Mapping[str, Any] | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Probabilities times `data_quality` (1), within 0..1; every other argument is ignored."""
    given = probas or {}
    quality = 1.0 if data_quality is None else float(data_quality)
    sides = {side: _within(float(given.get(side, 0.0)) * quality) for side in ("buy", "sell")}
    return sides, {"versions": {"confidence": "v1"}, "reasons": []}


def _within(x: float) -> float:
    return 0.0 if x != x or x < 0.0 else min(x, 1.0)
