"""A configuration as the compiled engine's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.names import HIGHER_RATIOS, LOWER_RATIOS, PERIODS, REGIMES, ZONES
from marketsim.legacy.genesis.quirks import GenesisQuirks
from marketsim.legacy.genesis.strategy.decision import risk_steps

Table = Mapping[str, Any]
NAN = float("nan")
EXIT_DEFAULTS: dict[str, Any] = {
    "partial_1_pct": 0.50,
    "partial_2_pct": 0.30,
    "fib_threshold_atr": 0.3,
    "trail_atr_multiplier": 1.6,
    "enable_partials": True,
    "enable_trailing": True,
    "enable_structure_breaks": True,
}


def settings_of(
    config: Table, exit_config: Table, quirks: GenesisQuirks, *, policy: Table | None = None
) -> _core.GenesisSettings:
    """What a merged configuration means.

    Raises:
        ArgumentError: a number is none; the message names its path.
    """
    out = _core.GenesisSettings()
    _decision(out, config)
    _higher(out, config)
    _lower(out, config)
    _override(out, config)
    _exits(out, config, exit_config, quirks)
    return out


def _section(table: Table, *path: str) -> Table:
    for name in path:
        below = table.get(name)
        below = {} if below is None else below
        if not isinstance(below, Mapping):
            raise ArgumentError(f"{'.'.join(path)}: expected a table, got {below!r}")
        table = below
    return table


def number(table: Table, name: str, default: float, where: str = "") -> float:
    """A number of a table; the default where it is missing or None."""
    value = table.get(name)
    if value is None:
        return default
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{where}{name}: expected a number, got {value!r}") from error


def _decision(out: _core.GenesisSettings, config: Table) -> None:
    thresholds, gates, risk = (_section(config, x) for x in ("thresholds", "gates", "risk"))
    out.reward = number(_section(config, "ev"), "R_default", 1.0, "ev.") or 1.0
    out.event_block = bool(risk.get("event_block"))
    out.risk_cap = bool(risk.get("risk_cap_breached"))
    adaptation = _section(thresholds, "signal_adaptation")
    out.adapts = bool(adaptation)
    period = int(number(adaptation, "atr_period", 14))
    out.percentile = PERIODS.index(period) if period in PERIODS else -1
    out.zone_entry, out.zone_threshold = zone_tables(thresholds)
    out.min_edge = number(thresholds, "min_edge", 0.0, "thresholds.")
    out.hysteresis = int(number(gates, "hysteresis_steps", 2, "gates.")) or 2
    out.cooldown = int(number(gates, "cooldown_bars", 0, "gates."))
    steps = risk_steps(risk.get("risk_map") or ())
    out.risk_confidence = [confidence for confidence, _ in steps]
    out.risk_size = [size for _, size in steps]


def zone_tables(thresholds: Table) -> tuple[list[float], list[float]]:
    """Entry confidence by zone, and the least probability by zone and regime."""
    base = number(thresholds, "entry_conf_overall", 0.7, "thresholds.")
    zones = _section(thresholds, "signal_adaptation", "zones")
    entries: list[float] = []
    table: list[float] = []
    for zone in ZONES:
        own = _section(zones, zone) if zone != "base" else {}
        where = f"thresholds.signal_adaptation.zones.{zone}."
        entry = number(own, "entry_conf_overall", base, where)
        by_regime = _section(own, "regime_proba") or _section(thresholds, "regime_proba")
        entries.append(entry)
        table += [number(by_regime, regime, entry, "regime_proba.") for regime in REGIMES]
    return entries, table


def _higher(out: _core.GenesisSettings, config: Table) -> None:
    entry = _section(config, "htf_fib", "entry")
    use = bool(_section(config, "multi_timeframe").get("use_htf_block", True))
    out.higher_disabled = not use
    out.higher_gate = use and bool(entry.get("enabled"))
    out.higher_pass = str(entry.get("missing_policy", "block")).lower() == "pass"
    out.higher_tolerance = number(entry, "tolerance_atr", 0.5, "htf_fib.entry.")
    out.long_min = level_index(entry.get("long_min_level"), HIGHER_RATIOS)
    out.short_max = level_index(entry.get("short_max_level"), HIGHER_RATIOS)
    out.long_targets = targets_of(entry.get("long_target_levels"))
    out.short_targets = targets_of(entry.get("short_target_levels"))


def targets_of(levels: Sequence[Any] | None) -> list[int]:
    """Indices of target levels; those that do not exist are left out."""
    given = levels if isinstance(levels, (list, tuple)) else ()
    return [k for k in (level_index(level, HIGHER_RATIOS) for level in given) if k >= 0]


def level_index(level: Any, ratios: Sequence[float]) -> int:
    """Index of a level by its ratio to 1e-6; -1: there is none."""
    try:
        ratio = float(level)
    except (TypeError, ValueError):
        return -1
    nearest = min(range(len(ratios)), key=lambda k: abs(ratios[k] - ratio))
    return nearest if abs(ratios[nearest] - ratio) <= 1e-6 else -1


def _lower(out: _core.GenesisSettings, config: Table) -> None:
    entry = _section(config, "ltf_fib", "entry")
    out.lower_gate = bool(entry.get("enabled"))
    out.lower_pass = str(entry.get("missing_policy", "block")).lower() == "pass"
    out.lower_tolerance = number(entry, "tolerance_atr", 0.5, "ltf_fib.entry.")
    out.long_max = level_index(entry.get("long_max_level"), LOWER_RATIOS)
    out.short_min = level_index(entry.get("short_min_level"), LOWER_RATIOS)


def _override(out: _core.GenesisSettings, config: Table) -> None:
    levels = _section(config, "multi_timeframe")
    adaptive = _section(levels, "ltf_override_adaptive")
    where = "multi_timeframe.ltf_override_adaptive."
    base = number(levels, "ltf_override_threshold", 0.85, "multi_timeframe.")
    window = max(1, int(number(adaptive, "window", 120, where)))
    out.may_override = bool(levels.get("allow_ltf_override"))
    out.adaptive = bool(adaptive.get("enabled"))
    out.override_threshold = base
    out.override_fallback = number(adaptive, "fallback_threshold", base, where)
    out.override_share = max(0.0, min(1.0, number(adaptive, "percentile", 0.85, where)))
    out.override_floor = number(adaptive, "min_floor", NAN, where)
    out.override_ceiling = number(adaptive, "max_ceiling", NAN, where)
    factors = _section(adaptive, "regime_multipliers")
    out.override_multiplier = [number(factors, regime, 1.0, where) for regime in REGIMES]
    out.history_rows = window
    out.history_least = max(1, int(number(adaptive, "min_history", min(window, 30), where)))
    ranged = _section(config, "ltf_fib", "entry", "override_confidence")
    out.range_override = bool(ranged.get("enabled"))
    out.range_min = number(ranged, "min", 0.0, "override_confidence.")
    out.range_max = number(ranged, "max", 1.0, "override_confidence.")


def exit_section(config: Table, quirks: GenesisQuirks) -> Table:
    """The exit settings that have an effect: D looks where no configuration has them."""
    return _section(config, "exit") if quirks.reads_exit else _section(config, "cfg", "exit")


def _exits(
    out: _core.GenesisSettings, config: Table, exit_config: Table, quirks: GenesisQuirks
) -> None:
    own = exit_section(config, quirks)
    out.exits = bool(own.get("enabled", True))
    out.stop_loss = number(own, "stop_loss_pct", 0.02, "exit.")
    out.take_profit = number(own, "take_profit_pct", 0.05, "exit.")
    out.exit_confidence = number(own, "exit_conf_threshold", 0.45, "exit.")
    out.even_trigger = number(own, "break_even_trigger", NAN, "exit.")
    out.even_offset = number(own, "break_even_offset", 0.0, "exit.")
    out.partial_even = bool(own.get("partial_break_even", False))
    offset = number(own, "partial_break_even_offset", out.even_offset, "exit.")
    out.partial_even_offset = offset
    defaults = (0.40, 0.30, 0.20, 0.10)
    out.partial = [
        number(exit_config, f"partial_{k}_pct", share, "htf_exit_config.")
        for k, share in enumerate(defaults, start=1)
    ]
    out.trail = number(exit_config, "trail_atr_multiplier", 1.3, "htf_exit_config.")
    out.partials = bool(exit_config.get("enable_partials", True))
    out.trailing = bool(exit_config.get("enable_trailing", True))
