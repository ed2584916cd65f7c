"""`core.indicators.exit_fibonacci`: levels at which a position is reduced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from marketsim.errors import ArgumentError

EXIT_RATIOS = (0.786, 0.618, 0.5, 0.382)


@dataclass
class SwingContext:
    """A swing that exits refer to."""

    swing_high: float
    swing_low: float
    swing_timestamp: datetime | None = None
    bars_since_swing: int = 0
    is_valid: bool = True
    validation_reason: str = "OK"


def calculate_exit_fibonacci_levels(
    side: str,
    swing_high: float,
    swing_low: float,
    levels: Sequence[float] | None = None,
) -> dict[float, float]:
    """Prices by level: down from the high for a LONG, up from the low for a SHORT.

    Raises:
        ArgumentError: the high is not above the low, or the side is neither.
    """
    if swing_high <= swing_low:
        raise ArgumentError(f"Invalid swing: high ({swing_high}) must be > low ({swing_low})")
    if side not in ("LONG", "SHORT"):
        raise ArgumentError(f"Invalid side: {side}. Must be 'LONG' or 'SHORT'")
    wide = swing_high - swing_low
    ratios = EXIT_RATIOS if levels is None else levels
    if side == "LONG":
        return {ratio: swing_high - (ratio * wide) for ratio in ratios}
    return {ratio: swing_low + (ratio * wide) for ratio in ratios}


def validate_swing_for_exit(
    swing_high: float,
    swing_low: float,
    current_price: float,
    current_atr: float,
    min_swing_size_atr: float = 3.0,
    max_distance_atr: float = 8.0,
) -> tuple[bool, str]:
    """Whether a swing is large and near enough, and the reason."""
    if swing_high <= 0 or swing_low <= 0:
        return False, "NEGATIVE_PRICES"
    if swing_high <= swing_low:
        return False, "INVALID_SWING_ORDER"
    if current_atr <= 0:
        return False, "INVALID_ATR"
    size = (swing_high - swing_low) / current_atr
    if size < min_swing_size_atr:
        return False, f"SWING_TOO_SMALL_{size:.1f}_ATR"
    nearest = min(abs(current_price - swing_high), abs(current_price - swing_low))
    distance = nearest / current_atr
    if distance > max_distance_atr:
        return False, f"SWING_TOO_FAR_{distance:.1f}_ATR"
    return True, "OK"


def calculate_swing_improvement(
    old_swing_high: float,
    old_swing_low: float,
    new_swing_high: float,
    new_swing_low: float,
    side: str,
) -> float:
    """How much further the high (LONG) or low (SHORT) reaches, as a share of the old one."""
    if side == "LONG":
        return (new_swing_high - old_swing_high) / old_swing_high if old_swing_high > 0 else 0.0
    return (old_swing_low - new_swing_low) / old_swing_low if old_swing_low > 0 else 0.0


def format_exit_levels_for_display(
    exit_levels: Mapping[float, float], side: str, current_price: float
) -> str:
    """The levels, one a line, with the distance from the price."""
    lines = [f"Exit Levels ({side}):"]
    for level, price in sorted(exit_levels.items(), reverse=side == "LONG"):
        distance = ((price - current_price) / current_price) * 100
        marker = "←" if abs(distance) < 1.0 else " "
        lines.append(f"  {level:.3f}: ${price:,.0f} ({distance:+.1f}%) {marker}")
    return "\n".join(lines)


def get_next_exit_level(
    exit_levels: Mapping[float, float],
    current_price: float,
    side: str,
    triggered_levels: set[float] | None = None,
) -> tuple[float | None, float | None]:
    """The nearest level below (LONG) or above (SHORT) the price that is not used yet."""
    used = triggered_levels or set()
    left = [(level, price) for level, price in exit_levels.items() if level not in used]
    if side == "LONG":
        below = [pair for pair in left if pair[1] < current_price]
        return max(below, key=lambda pair: pair[1]) if below else (None, None)
    above = [pair for pair in left if pair[1] > current_price]
    return min(above, key=lambda pair: pair[1]) if above else (None, None)
