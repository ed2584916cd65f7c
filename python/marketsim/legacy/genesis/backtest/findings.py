"""The old debug dictionaries of a run, made for the bars that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from marketsim.legacy.genesis.backtest.compiled import Prepared, Ran
from marketsim.legacy.genesis.backtest.records import (
    BEFORE_ZONE,
    BEYOND,
    BY_RANGE,
    BY_THRESHOLD,
    DISABLED,
    GATES,
    OFF_TARGET,
    PASS,
    SIDES,
    TARGET,
    UNAVAILABLE,
    UNAVAILABLE_PASS,
)
from marketsim.legacy.genesis.backtest.settings import zone_tables
from marketsim.legacy.genesis.indicators.htf_fibonacci import higher_context
from marketsim.legacy.genesis.names import WITH_LEVELS, ZONES
from marketsim.legacy.genesis.strategy.decision import (
    HIGHER_KEYS,
    LOWER_KEYS,
    level_debug,
    level_price,
    levels_of,
    summarize_finding,
)
from marketsim.legacy.genesis.strategy.features_asof import lower_context_at, percentiles_at

Table = dict[str, Any]
_OVERRIDDEN = BY_THRESHOLD | BY_RANGE


class Findings:
    """Reasons, contexts and gate findings of a run's bars."""

    def __init__(
        self, prepared: Prepared, ran: Ran, config: Mapping[str, Any], timeframe: str
    ) -> None:
        self._prepared, self._rows, self._outcome = prepared, ran.rows, ran.outcome
        self._config, self._timeframe = config, timeframe
        self._entry = zone_tables(config.get("thresholds") or {})[0]
        self._higher = (config.get("htf_fib") or {}).get("entry") or {}
        self._lower = (config.get("ltf_fib") or {}).get("entry") or {}

    def time(self, bar: int) -> pd.Timestamp:
        """Timestamp of a bar."""
        stamps = self._prepared.candles.time
        assert stamps is not None
        return pd.Timestamp(int(stamps[bar]))

    def reasons(self, bar: int) -> list[str]:
        """Why a decision came out as it did."""
        row = self._rows[bar]
        gate, zone = int(row["gate"]), int(row["zone"])
        if gate < 0:
            return []
        out = [] if gate < BEFORE_ZONE else [f"ZONE:{ZONES[zone]}@{self._entry[zone]:.3f}"]
        if row["overridden"]:
            out.append("HTF_OVERRIDE_LTF_CONF")
        name = GATES[gate]
        if name is not None:
            out.append(name.format(side=SIDES[int(row["candidate"])]))
        return out

    def state(self, bar: int) -> Table:
        """What the decision at a bar saw, the counters left out."""
        atr = float(self._prepared.arrays["atr"][bar])
        known = atr == atr
        return {
            "current_atr": atr if known else None,
            "atr_percentiles": percentiles_at(self._prepared.columns, bar) if known else None,
            "htf_fib": self.higher(bar) if known else None,
            "ltf_fib": self.lower(bar) if known else None,
            "last_close": float(self._prepared.candles.close[bar]),
        }

    def higher(self, bar: int) -> Table:
        """The daily levels at a bar."""
        if self._timeframe not in WITH_LEVELS:
            return {}
        daily = self._prepared.daily
        if daily is None:
            return {"available": False, "reason": "HTF_DATA_NOT_FOUND"}
        stamps = self._prepared.candles.time
        now = None if stamps is None else int(stamps[bar])
        return higher_context(daily, int(self._prepared.daily_row[bar]), now, "1D")

    def lower(self, bar: int) -> Table:
        """The timeframe's own levels at a bar."""
        if self._timeframe not in WITH_LEVELS:
            return {}
        return lower_context_at(self._prepared.columns, bar, self._timeframe, self.time(bar))

    def higher_finding(self, bar: int) -> Table | None:
        """What the daily gate found last, at this bar or before it."""
        at = int(self._rows["higher_bar"][bar])
        if at < 0:
            return None
        code, state = int(self._rows["higher"][at]), self.state(at)
        context = state["htf_fib"] or {}
        kind = code & ~_OVERRIDDEN
        if kind == DISABLED:
            return {"reason": "DISABLED_BY_CONFIG", "config": {"use_htf_block": False}}
        if kind in (UNAVAILABLE, UNAVAILABLE_PASS):
            return _missing(kind, context, self._higher)
        debug = level_debug(self._higher, state, context, HIGHER_KEYS)
        side = SIDES[int(self._rows["candidate"][at])]
        debug["targets"] = self._targets(side, debug, levels_of(context))
        if kind in (TARGET, PASS):
            return {**debug, "reason": "TARGET_MATCH" if kind == TARGET else "PASS"}
        if kind == BEYOND:
            debug |= self._beyond(side, levels_of(context))
        reason = f"{side}_OFF_TARGET" if kind == OFF_TARGET else debug.pop("beyond")
        if code & _OVERRIDDEN:
            debug["override"] = self._override(at, side, code)
            reason = f"{reason}_OVERRIDE"
        return {**debug, "reason": reason}

    def _targets(self, side: str, debug: Table, levels: dict[float, float]) -> list[Table]:
        out: list[Table] = []
        for target in self._higher.get(f"{side.lower()}_target_levels") or ():
            level = level_price(levels, float(target))
            if level is None:
                continue
            distance = abs(debug["price"] - level)
            out.append({"level": float(target), "level_price": level, "distance": distance})
            if distance <= debug["tolerance"]:
                break
        return out

    def _beyond(self, side: str, levels: dict[float, float]) -> Table:
        is_long = side == "LONG"
        limit = self._higher.get("long_min_level" if is_long else "short_max_level")
        reason = "LONG_BELOW_LEVEL" if is_long else "SHORT_ABOVE_LEVEL"
        price = level_price(levels, None if limit is None else float(limit))
        return {"beyond": reason, "level_price": price}

    def _override(self, bar: int, side: str, code: int) -> Table:
        probas = self._prepared.probas
        own = float(min(max(probas[0 if side == "LONG" else 1, bar], 0.0), 1.0))
        if code & BY_THRESHOLD:
            base = (self._config.get("multi_timeframe") or {}).get("ltf_override_threshold", 0.85)
            return {
                "source": "multi_timeframe_threshold",
                "confidence": own,
                "threshold": float(self._rows["override_threshold"][bar]),
                "baseline": float(base),
            }
        ranged = self._lower.get("override_confidence") or {}
        low, high = float(ranged.get("min", 0.0)), float(ranged.get("max", 1.0))
        return {"source": "ltf_entry_range", "confidence": own, "min": low, "max": high}

    def lower_finding(self, bar: int) -> Table | None:
        """What the timeframe's own gate found last."""
        at = int(self._rows["lower_bar"][bar])
        if at < 0:
            return None
        kind, state = int(self._rows["lower"][at]), self.state(at)
        context = state["ltf_fib"] or {}
        if kind == UNAVAILABLE:
            return _missing(kind, context, self._lower)
        debug = level_debug(self._lower, state, context, LOWER_KEYS)
        if kind != BEYOND:
            return {**debug, "reason": "PASS"}
        is_long = int(self._rows["candidate"][at]) > 0
        limit = self._lower.get("long_max_level" if is_long else "short_min_level")
        reason = "LONG_ABOVE_LEVEL" if is_long else "SHORT_BELOW_LEVEL"
        price = level_price(levels_of(context), None if limit is None else float(limit))
        return {**debug, "reason": reason, "level_price": price}

    def summary(self, bar: int) -> Table | None:
        """The short form of both, of the last decision that passed them."""
        at = int(self._rows["summary_bar"][bar])
        if at < 0:
            return None
        return {
            "candidate": SIDES[int(self._rows["candidate"][at])],
            "htf": summarize_finding(self.higher_finding(at)),
            "ltf": summarize_finding(self.lower_finding(at)),
        }

    def final_state(self, bar: int) -> Table:
        """The state that the last bar left."""
        row, out = self._rows[bar], self.state(bar)
        history = {
            "buy_history": self._outcome.buy_history,
            "sell_history": self._outcome.sell_history,
        }
        out["ltf_override_state"] = {key: value for key, value in history.items() if value}
        found = {
            "htf_fib_entry_debug": self.higher_finding(bar),
            "ltf_fib_entry_debug": self.lower_finding(bar),
            "fib_gate_summary": self.summary(bar),
        }
        out |= {key: value for key, value in found.items() if value is not None}
        if row["last_action"]:
            out["last_action"] = SIDES[int(row["last_action"])]
            out["decision_steps"] = int(row["steps"])
            out["cooldown_remaining"] = int(row["cooldown"])
        return out


def _missing(kind: int, context: Table, settings: Mapping[str, Any]) -> Table:
    reason = "UNAVAILABLE" if kind == UNAVAILABLE else "UNAVAILABLE_PASS"
    policy = str(settings.get("missing_policy", "block")).lower()
    return {"reason": reason, "raw": context, "policy": policy}
