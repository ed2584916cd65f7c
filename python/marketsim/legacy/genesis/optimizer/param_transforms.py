"""`core.optimizer.param_transforms`: what a search varies, as settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# The steps that `risk.risk_map_deltas` changes: part of the format of search files.
BASE_RISK_MAP = ((0.45, 0.015), (0.55, 0.025), (0.65, 0.035))


def transform_parameters(
    parameters: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters as settings, and what was derived: `risk.risk_map` from its deltas."""
    out: dict[str, Any] = copy.deepcopy(dict(parameters))
    risk = out.get("risk")
    if not isinstance(risk, dict):
        return out, {}
    deltas = risk.pop("risk_map_deltas", None)
    if isinstance(deltas, dict):
        risk["risk_map"] = _changed(deltas)
        return out, {"risk": {"risk_map": risk["risk_map"]}}
    if "risk_map" not in risk:
        risk["risk_map"] = [list(step) for step in BASE_RISK_MAP]
    return out, {}


def _changed(deltas: Mapping[str, Any]) -> list[list[float]]:
    """Steps with confidence in .05..0.95, ascending, sizes from 0 that do not fall."""
    steps = []
    for k, (confidence, size) in enumerate(BASE_RISK_MAP):
        moved = confidence + float(deltas.get(f"conf_{k}") or 0.0)
        grown = size + float(deltas.get(f"size_{k}") or 0.0)
        steps.append((max(0.05, min(0.95, moved)), max(0.0, grown)))
    steps.sort(key=lambda step: step[0])
    out, least = [], 0.0
    for confidence, size in steps:
        least = max(size, least)
        out.append([round(confidence, 6), round(least, 6)])
    return out
