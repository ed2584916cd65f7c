"""Settings that nothing reads: by path, with the right name where there is one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from marketsim.errors import GenesisWarning, UnreadSettingError
from marketsim.legacy.genesis.config.runtime import SCHEMA, validate
from marketsim.legacy.genesis.quirks import GenesisQuirks

MISSING = object()
_READ_BY_E = "read by variant E, or with exit_settings='exit'"
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
# Paths that a run reads and the runtime configuration drops.
_RUN_READS = (
    *(f"htf_fib.entry.{name}" for name in (
        "enabled", "missing_policy", "tolerance_atr", "long_min_level", "short_max_level",
        "long_target_levels", "short_target_levels",
    )),
    *(f"ltf_fib.entry.{name}" for name in (
        "enabled", "missing_policy", "tolerance_atr", "long_max_level", "short_min_level",
        "override_confidence.enabled", "override_confidence.min", "override_confidence.max",
    )),
    *(f"exit.{name}" for name in (
        "break_even_trigger", "break_even_offset", "partial_break_even",
        "partial_break_even_offset",
    )),
    "thresholds.min_edge", "risk.event_block", "risk.risk_cap_breached",
)  # fmt: skip
# Sections that say something about a configuration, or where variant D looks for exits.
_DESCRIBES = ("meta", "quality", "cfg", "version", "symbol", "timeframe")
_LEVELS = (
    *(f"partial_{k}_pct" for k in range(1, 5)),
    "fib_threshold_atr", "trail_atr_multiplier", "enable_partials", "enable_trailing",
    "enable_structure_breaks", "swing_update_strategy", "swing_update_params",
)  # fmt: skip
_SECTIONS = (*SCHEMA, "htf_fib", "ltf_fib", "htf_exit_config", "warmup_bars")
_FREE = ("thresholds.regime_proba", "thresholds.signal_adaptation", "risk.risk_map")
_CHAMPION = "give it in a champion file"


def check_settings(
    given: Mapping[str, Any],
    base: Mapping[str, Any],
    quirks: GenesisQuirks,
    where: str,
    *,
    of_run: bool = False,
) -> list[str]:
    """Refuse (strict) or report settings of a trial or a file that have no effect.

    A setting that has the value it would have anyway is no mistake.

    Raises:
        UnreadSettingError: there are some, and `quirks.strict`.
    """
    found = [f"{path}: {why}" for path, why in unread(given, base, quirks, of_run=of_run)]
    if not found:
        return []
    text = f"{where}: nothing reads {'; '.join(found)}"
    if quirks.strict:
        raise UnreadSettingError(
            f"{text}. Remove what has no effect, or pass strict=False (--no-strict) to go on"
        )
    warnings.warn(text, GenesisWarning, stacklevel=4 if of_run else 3)
    return found


def check_run(given: Mapping[str, Any], champion: Mapping[str, Any], quirks: GenesisQuirks) -> None:
    """The same of settings that a run is handed, which reads more than a file of settings may hold.

    What the champion has is its own matter. Sections that do not exist are reported, never refused:
    old callers hand over whole files.

    Raises:
        UnreadSettingError: there are some, and `quirks.strict`.
    """
    sections = {top: value for top, value in given.items() if top in _SECTIONS}
    rest = {top: value for top, value in given.items() if top not in _SECTIONS}
    check_settings(rest, champion, replace(quirks, strict=False), "configs", of_run=True)
    check_settings(sections, champion, quirks, "configs", of_run=True)


def check_levels(given: Mapping[str, Any], quirks: GenesisQuirks) -> None:
    """The same of `htf_exit_config`.

    Raises:
        UnreadSettingError: nothing reads one, and `quirks.strict`.
    """
    names = [name for name in given if name not in _LEVELS]
    if not names:
        return
    text = f"htf_exit_config: nothing reads {', '.join(map(repr, names))}: {', '.join(_LEVELS)}"
    if quirks.strict:
        raise UnreadSettingError(f"{text} are read. Remove what has no effect, or use strict=False")
    warnings.warn(f"{text} are read", GenesisWarning, stacklevel=3)


def unread(
    given: Mapping[str, Any],
    base: Mapping[str, Any],
    quirks: GenesisQuirks,
    *,
    of_run: bool = False,
) -> Iterator[tuple[str, str]]:
    """Paths that nothing reads, and why."""
    defaults = validate({})
    for path, value in leaves(given):
        why = _why_of_run(path, quirks) if of_run else _why(path, quirks)
        anyway = (look_up(base, path), look_up(defaults, path))
        if why is not None and not any(value == known for known in anyway):
            yield path, why


def _why_of_run(path: str, quirks: GenesisQuirks) -> str | None:
    if path.split(".")[0] in _DESCRIBES:
        return None
    if path in _RUN_READS:
        return None if quirks.reads_exit or not path.startswith("exit.") else _READ_BY_E
    why = _why(path, quirks)
    if why is None:
        return None
    return why.replace(f"; {_CHAMPION}", "").replace(_DROPPED, "there is no such setting")


def _why(path: str, quirks: GenesisQuirks) -> str | None:
    if path in _UNREAD:
        return _UNREAD[path]
    if path.startswith("exit.") and not quirks.reads_exit:
        known = path in _BY_VARIANT or path == "exit.enabled"
        return _READ_BY_E if known else _DROPPED
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
            return MISSING
        table = table[name]
    return table
