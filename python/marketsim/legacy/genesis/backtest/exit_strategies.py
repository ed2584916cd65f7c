"""`core.backtest.exit_strategies`: whether a new swing replaces a position's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from marketsim.legacy.genesis.indicators.exit_fibonacci import calculate_swing_improvement


class SwingUpdateStrategy(Enum):
    """Never, at each valid swing, or at a better one."""

    FIXED = "fixed"
    DYNAMIC = "dynamic"
    HYBRID = "hybrid"


@dataclass
class SwingUpdateParams:
    """What counts as better, and how old a swing may be."""

    strategy: SwingUpdateStrategy = SwingUpdateStrategy.FIXED
    min_improvement_pct: float = 0.02
    max_age_bars: int = 30
    allow_worse_swing: bool = False
    min_swing_size_atr: float = 3.0
    max_distance_atr: float = 8.0
    log_updates: bool = True


class SwingUpdateDecider:
    """Decides by strategy; gives the reason."""

    def should_update_swing(
        self,
        current_swing: Mapping[str, Any],
        new_swing: Mapping[str, Any],
        position_side: str,
        params: SwingUpdateParams,
    ) -> tuple[bool, str]:
        """Whether the new swing is taken."""
        if params.strategy is SwingUpdateStrategy.FIXED:
            return False, "STRATEGY_FIXED"
        if not new_swing.get("is_valid", False):
            return False, "SWING_NOT_VALID"
        if params.strategy is SwingUpdateStrategy.DYNAMIC:
            return True, "NEW_VALID_SWING"
        age = new_swing.get("bars_since_swing", 0)
        if age > params.max_age_bars:
            return False, f"SWING_TOO_OLD_{age}_BARS"
        swings = (current_swing, new_swing)
        old, new = ([swing.get(key, 0) for key in ("swing_high", "swing_low")] for swing in swings)
        better = calculate_swing_improvement(old[0], old[1], new[0], new[1], position_side)
        if better >= params.min_improvement_pct:
            return True, f"SWING_IMPROVED_{better:.2%}"
        if better < 0 and params.allow_worse_swing:
            return True, f"SWING_WORSE_ALLOWED_{better:.2%}"
        if better < 0:
            return False, f"SWING_WORSE_{better:.2%}"
        return False, f"NO_SIGNIFICANT_IMPROVEMENT_{better:.2%}"
