"""`core.strategy.decision`: the gates between probabilities and an entry, one bar at a time.

`csrc/kernels/legacy/genesis/gates.hpp` is the same chain for a whole series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.strategy.levels import (
    HIGHER_KEYS,
    LOWER_KEYS,
    level_debug,
    level_price,
    levels_of,
    number_or_none,
    summarize_finding,
)

Table = Mapping[str, Any]


class _Blocked(Exception):
    """A gate ends the decision."""


def decide(
    policy: Table,
    *,
    probas: Mapping[str, float] | None,
    confidence: Mapping[str, float] | None,
    regime: str | None,
    state: Table | None,
    risk_ctx: Table | None,
    cfg: Table | None,
) -> tuple[str, dict[str, Any]]:
    """LONG, SHORT or NONE, and meta: reasons, size, and the state for the next bar.

    An early end leaves the state's counters as they were.
    """
    chain = _Chain(policy, probas, confidence, regime, state, risk_ctx, cfg)
    meta: dict[str, Any] = {"versions": {"decision": "v1"}, "reasons": chain.reasons}
    try:
        chain.run()
    except _Blocked:
        return "NONE", {**meta, "state_out": chain.out}
    return chain.side, {**meta, "size": chain.size, "state_out": chain.out}


class _Chain:
    """One decision: the gates are its methods, in order."""

    def __init__(
        self,
        policy: Table,
        probas: Mapping[str, float] | None,
        confidence: Mapping[str, float] | None,
        regime: str | None,
        state: Table | None,
        risk_ctx: Table | None,
        cfg: Table | None,
    ) -> None:
        self.policy, self.probas, self.confidence = policy, probas, confidence
        self.regime = str(regime or "balanced")
        self.cfg, self.state, self.risk = cfg or {}, state or {}, risk_ctx or {}
        self.levels = self.cfg.get("multi_timeframe") or {}
        self.lower = (self.cfg.get("ltf_fib") or {}).get("entry") or {}
        self.higher = (self.cfg.get("htf_fib") or {}).get("entry") or {}
        self.reasons: list[str] = []
        self.side, self.size = "NONE", 0.0
        self.out: dict[str, Any] = dict(self.state)
        kept = self.state.get("ltf_override_state")
        self.kept: dict[str, Any] = {
            key: list(value) if isinstance(value, list) else value
            for key, value in (kept.items() if isinstance(kept, dict) else ())
        }
        self.out["ltf_override_state"] = self.kept

    def run(self) -> None:
        """Every gate in order."""
        self._expected_value()
        for name, reason in (("event_block", "R_EVENT_BLOCK"), ("risk_cap_breached", "RISK_CAP")):
            if self.risk.get(name):
                self._block(reason)
        self._zone()
        self._choose()
        self.threshold, self.overridable = self._override()
        self._higher_gate()
        self._lower_gate()
        self.out["fib_gate_summary"] = {
            "candidate": self.side,
            "htf": summarize_finding(self.out.get("htf_fib_entry_debug")),
            "ltf": summarize_finding(self.out.get("ltf_fib_entry_debug")),
        }
        own = self._confidence_gate()
        self._hysteresis()
        self._enter(own)

    def _block(self, reason: str | None) -> None:
        if reason is not None:
            self.reasons.append(reason)
        raise _Blocked

    def _expected_value(self) -> None:
        if not self.probas:
            self._block("FAIL_SAFE_NULL")
        given = self.probas or {}
        self.p_buy, self.p_sell = float(given.get("buy", 0.0)), float(given.get("sell", 0.0))
        reward = float((self.cfg.get("ev") or {}).get("R_default") or 1.0)
        if max(self.p_buy * reward - self.p_sell, self.p_sell * reward - self.p_buy) <= 0.0:
            self._block("EV_NEG")

    def _zone(self) -> None:
        """The threshold of the zone of the average range, and its table by regime."""
        thresholds = self.cfg.get("thresholds") or {}
        adaptation = thresholds.get("signal_adaptation") or {}
        entry, zone = float(thresholds.get("entry_conf_overall", 0.7)), None
        table: Table = {}
        percentiles = self.state.get("atr_percentiles") if adaptation else None
        atr = self.state.get("current_atr") if adaptation else None
        self.zone_debug: dict[str, Any] = {"atr": atr}
        if adaptation and percentiles:
            rows = int(adaptation.get("atr_period", 14))
            own = percentiles.get(str(rows)) or percentiles.get(rows) or {}
            if atr is not None:
                now = float(atr)
                low, high = (float(own.get(key, now)) for key in ("p40", "p80"))
                zone = "low" if now <= low else "mid" if now <= high else "high"
            settings = (adaptation.get("zones") or {}).get(zone or "") or {}
            if settings.get("entry_conf_overall") is not None:
                entry = float(settings["entry_conf_overall"])
            table = settings.get("regime_proba") or {}
            self.zone_debug |= {"p40": own.get("p40"), "p80": own.get("p80"), "period": rows}
        self.zone_debug |= {"zone": zone or "base", "thr": entry}
        self.entry = entry
        self.reasons.append(f"ZONE:{zone or 'base'}@{entry:.3f}")
        table = table or thresholds.get("regime_proba") or {}
        self.least = float(table.get(self.regime, entry))

    def _choose(self) -> None:
        trend = self.regime == "trend"
        buy = self.p_buy >= self.least and not (trend and self.policy.get("trend_short_only"))
        sell = self.p_sell >= self.least and not (trend and self.policy.get("trend_long_only"))
        if not buy and not sell:
            self._block(None)
        if buy != sell:
            self.side = "LONG" if buy else "SHORT"
        elif abs(self.p_buy - self.p_sell) >= 1e-12:
            self.side = "LONG" if self.p_buy > self.p_sell else "SHORT"
        elif self.state.get("last_action") in ("LONG", "SHORT"):
            self.side = str(self.state["last_action"])
        elif self.regime in ("bull", "trend", "bear"):
            self.side = "SHORT" if self.regime == "bear" else "LONG"
        else:
            self._block("P_TIE_BREAK")

    def _own(self) -> float:
        """Confidence of the candidate's side."""
        return float((self.confidence or {}).get("buy" if self.side == "LONG" else "sell", 0.0))

    def _override(self) -> tuple[float, bool]:
        """The confidence above which a block is overridden; False: none is."""
        adaptive = self.levels.get("ltf_override_adaptive") or {}
        base = float(self.levels.get("ltf_override_threshold", 0.85))
        known = bool(self.confidence)
        debug: dict[str, Any] = {
            "candidate": self.side,
            "confidence": self._own() if known else None,
            "history_key": None,
            "history_len": 0,
            "history_window": int(adaptive.get("window", 120)),
            "baseline_threshold": base,
            "effective_threshold": base,
            "adaptive_enabled": bool(adaptive.get("enabled")),
            "regime": self.regime,
            "details": None,
        }
        self.out["ltf_override_debug"] = debug
        if not self.lower.get("enabled") or not known:
            return base, False
        window = max(1, int(adaptive.get("window", 120)))
        key = "buy_history" if self.side == "LONG" else "sell_history"
        history = [*(self.kept.get(key) or []), self._own()][-window:]
        self.kept[key] = history
        threshold, details = self._adapted(adaptive, base, window, history)
        debug |= {
            "history_key": key,
            "history_len": len(history),
            "history_window": window,
            "effective_threshold": threshold,
            "details": details,
        }
        return threshold, True

    def _adapted(
        self, adaptive: Table, base: float, window: int, history: list[float]
    ) -> tuple[float, dict[str, Any] | None]:
        if not (self.levels.get("allow_ltf_override") and adaptive.get("enabled")):
            return min(max(base, 0.0), 1.0), None
        least = max(1, int(adaptive.get("min_history", min(window, 30))))
        share = max(0.0, min(1.0, float(adaptive.get("percentile", 0.85))))
        raw = percentile(history, share) if len(history) >= least else None
        fallback = adaptive.get("fallback_threshold")
        without = float(fallback if fallback is not None else base)
        factor = float((adaptive.get("regime_multipliers") or {}).get(self.regime, 1.0))
        threshold = (raw if raw is not None else without) * factor
        floor, ceiling = adaptive.get("min_floor"), adaptive.get("max_ceiling")
        threshold = threshold if floor is None else max(threshold, float(floor))
        threshold = threshold if ceiling is None else min(threshold, float(ceiling))
        threshold = min(max(threshold, 0.0), 1.0)
        return threshold, {
            "window": window,
            "history_len": len(history),
            "min_history": least,
            "percentile": share,
            "raw_threshold": raw,
            "fallback": without,
            "multiplier": factor,
            "min_floor": floor,
            "max_ceiling": ceiling,
            "effective_threshold": threshold,
        }

    def _higher_gate(self) -> None:
        use = bool(self.levels.get("use_htf_block", True))
        if not use:
            disabled = {"reason": "DISABLED_BY_CONFIG", "config": {"use_htf_block": use}}
            self.out.setdefault("htf_fib_entry_debug", disabled)
        if not use or not self.higher.get("enabled"):
            return
        context = self.state.get("htf_fib") or {}
        if not self._context("htf", self.higher, context):
            return
        debug = level_debug(self.higher, self.state, context, HIGHER_KEYS)
        finding, more = self._compare_higher(debug)
        debug |= more
        if finding == "TARGET_MATCH":
            self.out["htf_fib_entry_debug"] = {**debug, "reason": finding}
        elif finding is not None:
            self._higher_block({**debug, "reason": finding})
        self.out.setdefault("htf_fib_entry_debug", {**debug, "reason": "PASS"})

    def _context(self, which: str, settings: Table, context: Table) -> bool:
        """Whether there are levels to compare with; blocks where there must be."""
        name = f"{which}_fib_entry_debug"
        available = bool(context.get("available"))
        if not available:
            policy = str(settings.get("missing_policy", "block")).lower()
            reason = "UNAVAILABLE_PASS" if policy == "pass" else "UNAVAILABLE"
            self.out[name] = {"reason": reason, "raw": context, "policy": policy}
            if policy != "pass":
                self._block(f"{which.upper()}_FIB_UNAVAILABLE")
        if self.state.get("last_close") is None:
            self.out[name] = {"reason": "NO_PRICE", "raw": context}
            self._block(f"{which.upper()}_FIB_NO_PRICE")
        return available

    def _compare_higher(self, debug: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        is_long = self.side == "LONG"
        price, wide = debug["price"], debug["tolerance"]
        levels = levels_of(self.state.get("htf_fib") or {})
        targets = []
        for target in (
            self.higher.get("long_target_levels" if is_long else "short_target_levels") or ()
        ):
            level = level_price(levels, number_or_none(target))
            if level is None:
                continue
            distance = abs(price - level)
            targets.append({"level": float(target), "level_price": level, "distance": distance})
            if distance <= wide:
                return "TARGET_MATCH", {"targets": targets}
        limit = self.higher.get("long_min_level" if is_long else "short_max_level")
        level = level_price(levels, number_or_none(limit))
        if level is not None and (price < level - wide if is_long else price > level + wide):
            reason = "LONG_BELOW_LEVEL" if is_long else "SHORT_ABOVE_LEVEL"
            return reason, {"targets": targets, "level_price": level}
        return (f"{self.side}_OFF_TARGET" if targets else None), {"targets": targets}

    def _higher_block(self, debug: dict[str, Any]) -> None:
        override = self._overriding()
        if override is None:
            self.out["htf_fib_entry_debug"] = debug
            self._block(f"HTF_FIB_{self.side}_BLOCK")
        reason = f"{debug['reason']}_OVERRIDE"
        self.out["htf_fib_entry_debug"] = {**debug, "override": override, "reason": reason}
        self.reasons.append("HTF_OVERRIDE_LTF_CONF")

    def _overriding(self) -> dict[str, Any] | None:
        own = self._own()
        if not self.overridable:
            return None
        if self.levels.get("allow_ltf_override") and own >= self.threshold:
            debug = self.out["ltf_override_debug"]
            return {
                "source": "multi_timeframe_threshold",
                "confidence": own,
                "threshold": self.threshold,
                "baseline": debug["baseline_threshold"],
                "adaptive": debug["details"],
            }
        ranged = self.lower.get("override_confidence") or {}
        low, high = float(ranged.get("min", 0.0)), float(ranged.get("max", 1.0))
        if ranged.get("enabled") and low <= own <= high:
            return {"source": "ltf_entry_range", "confidence": own, "min": low, "max": high}
        return None

    def _lower_gate(self) -> None:
        if not self.lower.get("enabled"):
            return
        context = self.state.get("ltf_fib") or {}
        available = self._context("ltf", self.lower, context)
        debug = level_debug(self.lower, self.state, context, LOWER_KEYS)
        is_long = self.side == "LONG"
        if available:
            limit = self.lower.get("long_max_level" if is_long else "short_min_level")
            level = level_price(levels_of(context), number_or_none(limit))
            price, wide = debug["price"], debug["tolerance"]
            if level is not None and (price > level + wide if is_long else price < level - wide):
                reason = "LONG_ABOVE_LEVEL" if is_long else "SHORT_BELOW_LEVEL"
                found = {**debug, "reason": reason, "level_price": level}
                self.out["ltf_fib_entry_debug"] = found
                self._block(f"LTF_FIB_{self.side}_BLOCK")
        self.out["ltf_fib_entry_debug"] = {**debug, "reason": "PASS"}

    def _confidence_gate(self) -> float:
        if not self.confidence:
            self._block("FAIL_SAFE_NULL")
        own = self._own()
        if own < self.entry:
            self._block("CONF_TOO_LOW")
        least = float((self.cfg.get("thresholds") or {}).get("min_edge") or 0.0)
        edge = self.p_buy - self.p_sell if self.side == "LONG" else self.p_sell - self.p_buy
        if least > 0 and edge < least:
            self._block("EDGE_TOO_SMALL")
        return own

    def _hysteresis(self) -> None:
        needed = int((self.cfg.get("gates") or {}).get("hysteresis_steps") or 2)
        last, steps = self.state.get("last_action"), int(self.state.get("decision_steps", 0))
        steps = steps + 1 if last in ("LONG", "SHORT") and self.side != last else 0
        self.out["decision_steps"] = steps
        if 0 < steps < needed:
            self._block("HYST_WAIT")
        left = int(self.state.get("cooldown_remaining", 0))
        if left > 0:
            self.out["cooldown_remaining"] = left - 1
            self._block("COOLDOWN_ACTIVE")

    def _enter(self, own: float) -> None:
        for least, size in risk_steps((self.cfg.get("risk") or {}).get("risk_map", [])):
            if own >= least:
                self.size = size
        self.out["last_action"] = self.side
        cooldown = int((self.cfg.get("gates") or {}).get("cooldown_bars") or 0)
        if cooldown > 0:
            self.out["cooldown_remaining"] = cooldown
        self.out["zone_debug"] = self.zone_debug
        self.reasons.append(f"ENTRY_{self.side}")


def risk_steps(risk_map: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Confidence and size, ascending by confidence.

    Raises:
        ArgumentError: an entry is no pair of numbers.
    """
    try:
        steps = [(float(step[0]), float(step[1])) for step in risk_map or ()]
    except (TypeError, ValueError, IndexError) as error:
        raise ArgumentError(
            f"risk.risk_map: expected pairs [confidence, size]: got {risk_map}"
        ) from error
    return sorted(steps, key=lambda step: step[0])


def percentile(values: Sequence[float], share: float) -> float:
    """Linear between ranks; the ends outside 0..1.

    Raises:
        ArgumentError: there are no values.
    """
    if not values:
        raise ArgumentError("values in percentile computation must not be empty")
    ranked = sorted(values)
    if share <= 0:
        return ranked[0]
    if share >= 1:
        return ranked[-1]
    place = (len(ranked) - 1) * share
    below, above = math.floor(place), math.ceil(place)
    if below == above:
        return float(ranked[int(place)])
    return ranked[below] * (above - place) + ranked[above] * (place - below)


_compute_percentile = percentile  # the old name
