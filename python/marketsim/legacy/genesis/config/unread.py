"""Settings that nothing reads: by path, with the right name where there is one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from marketsim.errors import GenesisWarning, UnreadSettingError
from marketsim.legacy.genesis.config.runtime import SCHEMA, validate
from marketsim.legacy.genesis.quirks import GenesisQuirks

_MISSING = object()
_DROPPED = "it is dropped before the backtest"
# Paths that the runtime configuration keeps and nothing reads.
_UNREAD = {
    "exit.max_hold_bars": "no exit looks at the time held",
    "exit.regime_aware_exits": "no exit looks at the regime",
    "exit.trailing_stop_enabled": "the trailing stop is htf_exit_config.enable_trailing",
    "exit.trailing_stop_pct": "the trailing stop is htf_exit_config.trail_atr_multiplier",
}
_BY_VARIANT = ("exit.stop_loss_pct", "exit.take_profit_pct", "exit.exit_conf_threshold")
_RIGHT_NAMES = {
    "htf_fib.entry.long_max_level": "htf_fib.entry.long_min_level",
    "htf_fib.entry.short_min_level": "htf_fib.entry.short_max_level",
    "ltf_fib.entry.long_min_level": "ltf_fib.entry.long_max_level",
    "ltf_fib.entry.short_max_level": "ltf_fib.entry.short_min_level",
    "thresholds.entry_conf": "thresholds.entry_conf_overall",
    "gates.hysteresis": "gates.hysteresis_steps",
    "gates.cooldown": "gates.cooldown_bars",
}
_FREE = ("thresholds.regime_proba", "thresholds.signal_adaptation", "risk.risk_map")
_CHAMPION = "give it in a champion file"


def check_settings(
    given: Mapping[str, Any], base: Mapping[str, Any], quirks: GenesisQuirks, where: str
) -> list[str]:
    """Refuse (strict) or report settings of a trial or a file that have no effect.

    A setting that has the value it would have anyway is no mistake.

    Raises:
        UnreadSettingError: there are some, and `quirks.strict`.
    """
    found = [f"{path}: {why}" for path, why in unread(given, base, quirks)]
    if not found:
        return []
    text = f"{where}: nothing reads {'; '.join(found)}"
    if quirks.strict:
        raise UnreadSettingError(
            f"{text}. Remove what has no effect, or pass strict=False (--no-strict) to go on"
        )
    warnings.warn(text, GenesisWarning, stacklevel=3)
    return found


def unread(
    given: Mapping[str, Any], base: Mapping[str, Any], quirks: GenesisQuirks
) -> Iterator[tuple[str, str]]:
    """Paths that nothing reads, and why."""
    defaults = validate({})
    for path, value in leaves(given):
        why = _why(path, quirks)
        anyway = (look_up(base, path), look_up(defaults, path))
        if why is not None and not any(value == known for known in anyway):
            yield path, why


def _why(path: str, quirks: GenesisQuirks) -> str | None:
    if path in _UNREAD:
        return _UNREAD[path]
    if path.startswith("exit.") and not quirks.reads_exit:
        known = path in _BY_VARIANT or path == "exit.enabled"
        return "read by variant E, or with exit_settings='exit'" if known else _DROPPED
    right = _RIGHT_NAMES.get(path)
    if right is not None:
        place = f"; {_CHAMPION}" if right.split(".")[0] not in SCHEMA else ""
        return f"the name is {right}{place}"
    if any(path == free or path.startswith(f"{free}.") for free in _FREE):
        return None
    if _known(path):
        return None
    top = path.split(".")[0]
    if top in ("htf_fib", "ltf_fib") or path == "thresholds.min_edge":
        return f"{_DROPPED}; {_CHAMPION}"
    if top == "htf_exit_config":
        return f"{_DROPPED}; pass BacktestEngine(htf_exit_config=...)"
    if top == "warmup_bars":
        return f"{_DROPPED}; the name is --warmup, or meta.warmup_bars of a search"
    return _DROPPED


def _known(path: str) -> bool:
    rule: Any = SCHEMA
    for name in path.split("."):
        if isinstance(rule, tuple):  # a table of free names
            return True
        if not isinstance(rule, dict) or name not in rule:
            return False
        rule = rule[name]
    return True


def leaves(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables with its dotted path."""
    for name, value in table.items():
        where = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, where)
        else:
            yield where, value


def look_up(table: Any, path: str) -> Any:
    """The value at a dotted path; something that equals nothing where there is none."""
    for name in path.split("."):
        if not isinstance(table, Mapping) or name not in table:
            return _MISSING
        table = table[name]
    return table
