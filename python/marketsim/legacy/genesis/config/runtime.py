"""`core.config`: the runtime configuration, its defaults and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.root import project_root
from marketsim.legacy.genesis.strategy.model_registry import read_json


@dataclass(frozen=True)
class Leaf:
    """A setting: its kind, default and limits."""

    kind: type
    default: Any
    least: float | None = None
    most: float | None = None
    optional: bool = False


def _share(default: float) -> Leaf:
    return Leaf(float, default, 0.0, 1.0)


NUMBERS = "numbers"  # a table of numbers by name
STEPS = "steps"  # pairs [confidence, size]
_NONE = Leaf(float, None, optional=True)
SCHEMA: dict[str, Any] = {
    "thresholds": {
        "entry_conf_overall": _share(0.7),
        "regime_proba": (NUMBERS, {"balanced": 0.58}),
        "signal_adaptation": None,
    },
    "gates": {"hysteresis_steps": Leaf(int, 2, 0), "cooldown_bars": Leaf(int, 0, 0)},
    "risk": {"risk_map": (STEPS, [[0.6, 0.005], [0.7, 0.008], [0.8, 0.01], [0.9, 0.012]])},
    "ev": {"R_default": Leaf(float, 1.8)},
    "exit": {
        "enabled": Leaf(bool, True),
        "max_hold_bars": Leaf(int, 20, 1),
        "stop_loss_pct": _share(0.02),
        "take_profit_pct": _share(0.05),
        "exit_conf_threshold": _share(0.45),
        "regime_aware_exits": Leaf(bool, True),
        "trailing_stop_enabled": Leaf(bool, False),
        "trailing_stop_pct": _share(0.015),
    },
    "multi_timeframe": {
        "use_htf_block": Leaf(bool, True),
        "allow_ltf_override": Leaf(bool, False),
        "ltf_override_threshold": _share(0.85),
        "ltf_override_adaptive": {
            "enabled": Leaf(bool, False),
            "window": Leaf(int, 120, 5, 2000),
            "percentile": _share(0.85),
            "min_history": Leaf(int, 30, 1, 2000),
            "min_floor": _NONE,
            "max_ceiling": _NONE,
            "fallback_threshold": _NONE,
            "regime_multipliers": (NUMBERS, {}),
        },
    },
}


def validate(given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole configuration: defaults where nothing is given; keys that it does not know go.

    Raises:
        ArgumentError: a value is of the wrong kind or outside its limits; names the path.
    """
    out = _table(given, SCHEMA, "")
    adaptation = (given.get("thresholds") or {}).get("signal_adaptation")
    out["thresholds"]["signal_adaptation"] = None if adaptation is None else _zones(adaptation)
    return out


def refuse_nan(value: Any, where: str, path: str = "") -> None:
    """Refuse a table in which a number is NaN: no comparison with it ever holds.

    Raises:
        ArgumentError: one is; names the path.
    """
    if isinstance(value, Mapping):
        for name, one in value.items():
            refuse_nan(one, where, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for one in value:
            refuse_nan(one, where, path)
    elif isinstance(value, float) and value != value:
        raise ArgumentError(f"{where}: {path}: expected a number, got NaN")


def _table(given: Any, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{path or 'cfg'}: expected a table, got {given!r}")
    out: dict[str, Any] = {}
    for name, rule in schema.items():
        where = f"{path}.{name}" if path else name
        if isinstance(rule, Leaf):
            out[name] = _leaf(given.get(name, rule.default), rule, where)
        elif isinstance(rule, dict):
            out[name] = _table(given.get(name, {}), rule, where)
        elif rule is not None:
            kind, default = rule
            value = given.get(name, default)
            out[name] = _numbers(value, where) if kind == NUMBERS else _steps(value, where)
    return out


def _leaf(value: Any, rule: Leaf, where: str) -> Any:
    if value is None and rule.optional:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{where}: expected a number, got {value!r}") from error
    if rule.kind is bool:
        if number not in (0.0, 1.0):
            raise ArgumentError(f"{where}: expected true or false, got {value!r}")
        return bool(number)
    if rule.kind is int and number != int(number):
        raise ArgumentError(f"{where}: expected a whole number, got {value!r}")
    low, high = rule.least, rule.most
    if (low is not None and not number >= low) or (high is not None and not number <= high):
        limits = f"{low:g} to {high:g}" if high is not None else f"at least {low:g}"
        raise ArgumentError(f"{where}: expected {limits}, got {value!r}")
    return rule.kind(number)


def _numbers(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{where}: expected a table of numbers, got {value!r}")
    rule = Leaf(float, None)
    return {str(key): _leaf(number, rule, f"{where}.{key}") for key, number in value.items()}


def _steps(value: Any, where: str) -> list[list[float]]:
    try:
        return [[float(step[0]), float(step[1])] for step in value or ()]
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ArgumentError(f"{where}: expected pairs [confidence, size], got {value!r}") from error


def _zones(given: Any) -> dict[str, Any]:
    where = "thresholds.signal_adaptation"
    if not isinstance(given, Mapping) or not isinstance(given.get("zones"), Mapping):
        raise ArgumentError(f"{where}.zones: expected a table of zones, got {given!r}")
    zones = {}
    for name, zone in given["zones"].items():
        path = f"{where}.zones.{name}"
        if not isinstance(zone, Mapping) or "entry_conf_overall" not in zone:
            raise ArgumentError(f"{path}.entry_conf_overall is missing: got {zone!r}")
        zones[str(name)] = {
            "entry_conf_overall": _leaf(
                zone["entry_conf_overall"], Leaf(float, None), f"{path}.entry_conf_overall"
            ),
            "regime_proba": _numbers(zone.get("regime_proba"), f"{path}.regime_proba"),
            "pct": _leaf(zone.get("pct"), _NONE, f"{path}.pct"),
        }
    period = _leaf(given.get("atr_period", 14), Leaf(int, 14, 1, 200), f"{where}.atr_period")
    return {"atr_period": period, "zones": zones}


def runtime_config() -> dict[str, Any]:
    """The configuration of config/runtime.json, else of its seed, else the defaults.

    Raises:
        ArgumentError, FileFormatError: a file cannot be used.
    """
    folder = project_root() / "config"
    for name in ("runtime.json", "runtime.seed.json"):
        path = folder / name
        if path.is_file():
            return validate(read_json(path).get("cfg") or {})
    return validate({})


def settings_file(path: Path) -> dict[str, Any]:
    """The object `cfg` of a file of settings.

    Raises:
        ArgumentError: there is none.
    """
    cfg = read_json(path).get("cfg")
    if not isinstance(cfg, dict):
        raise ArgumentError(f"{path}: config-file must contain a 'cfg' dictionary, got {cfg!r}")
    return cfg
