"""What the two Fibonacci gates compare: prices of levels, tolerances, and their short form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

Table = Mapping[str, Any]
_text = lru_cache(maxsize=64)(str)  # of a level: writing a float takes longer than finding it

HIGHER_KEYS = ("long_min_level", "short_max_level", "long_target_levels", "short_target_levels")
LOWER_KEYS = ("long_max_level", "short_min_level")


def level_debug(
    settings: Table, state: Table, context: Table, keys: Sequence[str]
) -> dict[str, Any]:
    """What a Fibonacci gate compares: price, average range, tolerance, levels."""
    atr = float(state.get("current_atr") or 0.0)
    wide = float(settings.get("tolerance_atr", 0.5)) * atr if atr > 0 else 0.0
    levels = levels_of(context)
    out: dict[str, Any] = {
        "price": state.get("last_close"),
        "atr": atr,
        "tolerance": wide,
        "levels": dict(zip(map(_text, levels), levels.values(), strict=True)),
        "config": {key: settings.get(key) for key in keys},
    }
    if "long_target_levels" in keys:
        out["targets"] = []
    return out


def levels_of(context: Table) -> dict[float, float]:
    """Levels by ratio; entries that are no numbers are left out."""
    given = context.get("levels")
    if not isinstance(given, Mapping):
        return {}
    try:
        return {float(key): float(value) for key, value in given.items()}
    except (TypeError, ValueError):
        numbers = ((number_or_none(key), number_or_none(value)) for key, value in given.items())
        return {key: value for key, value in numbers if key is not None and value is not None}


def level_price(levels: Mapping[float, float], ratio: float | None) -> float | None:
    """The price of a level, by its ratio to 1e-6; None where there is none."""
    if ratio is None or not levels:
        return None
    nearest = min(levels, key=lambda known: abs(known - ratio))
    return levels[nearest] if nearest == ratio or abs(nearest - ratio) <= 1e-6 else None


def number_or_none(value: Any) -> float | None:
    """A number given as one or as text; None for anything else."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def summarize_finding(found: Any) -> dict[str, Any]:
    """The short form of what a Fibonacci gate found."""
    if not isinstance(found, Mapping):
        return {"status": "missing"}
    out = {key: found.get(key) for key in ("reason", "tolerance", "level_price", "config")}
    override = found.get("override")
    if isinstance(override, Mapping):
        keys = ("source", "confidence", "threshold")
        out["override"] = {key: override.get(key) for key in keys}
    if isinstance(found.get("targets"), list):
        out["targets"] = found["targets"]
    return out
