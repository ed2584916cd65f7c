"""`core.optimizer.constraints`: what a trial must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketsim.arguments import as_number
from marketsim.legacy.genesis.optimizer.file_checks import check_constraints


@dataclass(slots=True)
class ConstraintResult:
    """Whether all hold, and which do not."""

    ok: bool
    reasons: list[str]


# Constraint, metric, its value where it is missing, and whether it is an upper limit.
_LIMITS = (
    ("min_trades", "num_trades", False),
    ("min_profit_factor", "profit_factor", False),
    ("max_max_dd", "max_drawdown", True),
)


def enforce_constraints(
    score_obj: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    constraints_cfg: Mapping[str, Any] | None = None,
) -> ConstraintResult:
    """Compare a score's metrics, and a configuration's zones, with limits.

    Raises:
        UnreadSettingError: strict, and nothing reads one of the constraints.
    """
    limits = constraints_cfg if constraints_cfg is not None else config.get("constraints") or {}
    check_constraints(limits)
    metrics = score_obj.get("metrics") or {}
    reasons: list[str] = []
    if limits.get("include_scoring_failures"):
        reasons += [f"hard_fail:{failure}" for failure in score_obj.get("hard_failures") or []]
    for name, metric, upper in _LIMITS:
        limit = limits.get(name)
        if limit is None:
            continue
        limit = (
            limit if isinstance(limit, (int, float)) else as_number(f"constraints.{name}", limit)
        )
        value = float(metrics.get(metric, 0))
        sign = ">" if upper else "<"
        broken = value > float(limit) if upper else value < float(limit)
        if broken or value != value:
            reasons.append(f"{name}:{value}{sign}{limit}")
    reasons += zone_reasons(limits.get("zone_consistency") or {}, config)
    return ConstraintResult(not reasons, reasons)


def zone_reasons(rule: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Zones whose entry confidence is too far from the base's."""
    if not rule.get("enforce"):
        return []
    allowed = float(rule.get("allowed_diff", 0.1))
    thresholds = config.get("thresholds") or {}
    base = _plain(thresholds.get("entry_conf_overall", 0.0)) or 0.0
    zones = (thresholds.get("signal_adaptation") or {}).get("zones") or {}
    out = []
    for name, zone in zones.items():
        entry = _plain(zone.get("entry_conf_overall")) if isinstance(zone, Mapping) else None
        if entry is not None and abs(entry - base) > allowed:
            out.append(f"zone:{name}:entry_diff>{allowed}")
    return out


def _plain(value: Any) -> float | None:
    """A number, or the `value` of a leaf; None where there is none."""
    if isinstance(value, Mapping):
        value = value.get("value")
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
