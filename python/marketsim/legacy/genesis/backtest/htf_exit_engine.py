"""`core.backtest.htf_exit_engine`: the exits of one position at one bar.

`csrc/kernels/legacy/genesis/run.cpp` is the same for a whole series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketsim.errors import GenesisBarError
from marketsim.legacy.genesis.backtest.exit_strategies import (
    SwingUpdateDecider,
    SwingUpdateParams,
    SwingUpdateStrategy,
)
from marketsim.legacy.genesis.backtest.position_tracker import Position

_PARTIALS = {
    "LONG": (("TP1_0382", 0.382), ("TP2_05", 0.5), ("TP3_0618", 0.618), ("TP4_0786", 0.786)),
    "SHORT": (("TP1_0618", 0.618), ("TP2_05", 0.5), ("TP3_0382", 0.382), ("TP4_0786", 0.786)),
}


@dataclass
class ExitAction:
    """PARTIAL (size), TRAIL_UPDATE (stop_price), FULL_EXIT or DEBUG."""

    action: str
    size: float = 0.0
    stop_price: float = 0.0
    reason: str = ""


def crossed_target(
    high: float,
    low: float,
    target: float,
    atr: float,
    pct_pad: float = 0.0005,
    atr_pad: float = 0.05,
) -> bool:
    """Whether a bar reached a level, with a margin."""
    pad = max(atr_pad * max(atr, 1e-9), pct_pad * target)
    return (low - pad) <= target <= (high + pad)


class HTFFibonacciExitEngine:
    """Partial exits at a position's frozen levels, and its trailing stop.

    Each partial exit happens once a position. swing_update_strategy never updates a position's
    levels: it looks for keys that no context has.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.partial_1_pct = config.get("partial_1_pct", 0.40)
        self.partial_2_pct = config.get("partial_2_pct", 0.30)
        self.partial_3_pct = config.get("partial_3_pct", 0.20)
        self.partial_4_pct = config.get("partial_4_pct", 0.10)
        self.fib_threshold_atr = config.get("fib_threshold_atr", 0.3)
        self.trail_atr_multiplier = config.get("trail_atr_multiplier", 1.3)
        self.enable_partials = config.get("enable_partials", True)
        self.enable_trailing = config.get("enable_trailing", True)
        self.enable_structure_breaks = config.get("enable_structure_breaks", True)
        strategy = str(config.get("swing_update_strategy", "fixed")).lower()
        self.swing_strategy = SwingUpdateStrategy(strategy)
        self.swing_params = SwingUpdateParams(
            strategy=self.swing_strategy, **(config.get("swing_update_params") or {})
        )
        self.swing_decider = SwingUpdateDecider()
        self.triggered_exits: dict[str, set[str]] = {}
        self.swing_update_log: list[dict[str, Any]] = []

    def check_exits(
        self,
        position: Position,
        current_bar: Mapping[str, Any],
        htf_fib_context: Mapping[str, Any],
        indicators: Mapping[str, float],
    ) -> list[ExitAction]:
        """What to do with a position at a bar, in order.

        Raises:
            GenesisBarError: the average range is 0 and the levels are out of reach.
        """
        price, atr = current_bar["close"], indicators.get("atr", 100.0)
        levels = frozen_levels(position)
        average = indicators.get("ema50", price)
        if levels is None:
            stop = self._plain_stop(position.side, average, atr)
            return [ExitAction("TRAIL_UPDATE", stop_price=stop, reason="FALLBACK_TRAIL")]
        nearest = min(abs(price - level) for level in levels.values())
        if nearest > 8 * max(atr, 1e-9):
            if atr == 0:
                raise GenesisBarError(
                    "the distance to the nearest level is divided by an average range of 0: got "
                    "indicators['atr'] = 0, expected a number above 0"
                )
            return [ExitAction("DEBUG", reason=f"levels_out_of_reach_{nearest / atr:.1f}_ATR")]
        actions = self._partials(position, current_bar, atr, levels) if self.enable_partials else []
        if self.enable_trailing:
            stop = self._stop(position.side, price, average, atr, levels)
            actions.append(ExitAction("TRAIL_UPDATE", stop_price=stop, reason="TRAIL_STOP"))
        if self.enable_structure_breaks:
            actions += structure_break(
                position.side, price, levels, indicators.get("ema_slope50_z", 0.0)
            )
        return actions

    def _partials(
        self,
        position: Position,
        bar: Mapping[str, Any],
        atr: float,
        levels: Mapping[float, float],
    ) -> list[ExitAction]:
        done = self.triggered_exits.setdefault(position.position_id, set())
        ranges, share = self._adaptive_thresholds(bar["close"], levels, atr)
        shares = (self.partial_1_pct, self.partial_2_pct, self.partial_3_pct, self.partial_4_pct)
        out = []
        for (name, ratio), part in zip(_PARTIALS[position.side], shares, strict=True):
            level = levels.get(ratio)
            if not level or name in done:
                continue
            if name == "TP1_0382":
                near = crossed_target(bar["high"], bar["low"], level, atr)
            else:
                near = self._near_with_adaptive(bar["close"], level, atr, share, ranges)
            if near:
                done.add(name)
                out.append(ExitAction("PARTIAL", size=position.current_size * part, reason=name))
        return out

    def _plain_stop(self, side: str, average: float, atr: float) -> float:
        wide = float(self.trail_atr_multiplier) * atr
        return average - wide if side == "LONG" else average + wide

    def _stop(
        self, side: str, price: float, average: float, atr: float, levels: Mapping[float, float]
    ) -> float:
        stop, half = self._plain_stop(side, average, atr), levels.get(0.5)
        beyond = levels.get(0.618 if side == "LONG" else 0.382)
        if not half or not beyond:
            return stop
        if side == "LONG":
            return max(stop, half) if price > beyond else stop
        return min(stop, half) if price < beyond else stop

    def _adaptive_thresholds(
        self, price: float, htf_levels: Mapping[float, float], atr: float
    ) -> tuple[float, float]:
        ranges, share = 0.20, 0.0015
        distances = [abs(price - level) / atr for level in htf_levels.values()] if atr > 0 else []
        if distances and min(distances) > 4.0:
            return min(0.35, ranges + 0.10), min(0.0030, share + 0.0008)
        return ranges, share

    def _near_with_adaptive(
        self, price: float, target: float, atr: float, pct_thr: float, atr_thr: float
    ) -> bool:
        if atr <= 0:
            return False
        distance = abs(price - target)
        return (distance / atr) <= atr_thr or (distance / max(price, 1.0)) <= pct_thr

    def cleanup_position(self, position_id: str) -> None:
        """Forget which partial exits a position had."""
        self.triggered_exits.pop(position_id, None)


def frozen_levels(position: Position) -> dict[float, float] | None:
    """A position's own levels; None where they do not lie within its swing."""
    context = position.exit_ctx or {}
    levels, bounds = context.get("fib"), context.get("swing_bounds")
    if not levels or not bounds or bounds[1] <= bounds[0]:
        return None
    inside = min(levels.values()) >= bounds[0] - 1e-9 and max(levels.values()) <= bounds[1] + 1e-9
    return dict(levels) if inside else None


def structure_break(
    side: str, price: float, levels: Mapping[float, float], slope: float
) -> list[ExitAction]:
    """A full exit where the price is beyond a level and an average turns; no feature has it."""
    level = levels.get(0.618 if side == "LONG" else 0.382)
    if level and side == "LONG" and price < level and slope < -0.5:
        return [ExitAction("FULL_EXIT", reason="STRUCTURE_BREAK_DOWN")]
    if level and side == "SHORT" and price > level and slope > 0.5:
        return [ExitAction("FULL_EXIT", reason="STRUCTURE_BREAK_UP")]
    return []
