"""The old debug dictionaries of a run, made for the bars that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
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
    PARTIAL,
    PASS,
    SIDES,
    TARGET,
    UNAVAILABLE,
    UNAVAILABLE_PASS,
)
from marketsim.legacy.genesis.backtest.settings import zone_tables
from marketsim.legacy.genesis.indicators.htf_fibonacci import higher_context
from marketsim.legacy.genesis.names import WITH_LEVELS, ZONES
from marketsim.legacy.genesis.strategy.features_asof import lower_context_at, percentiles_at
from marketsim.legacy.genesis.strategy.levels import (
    HIGHER_KEYS,
    LOWER_KEYS,
    level_debug,
    level_price,
    levels_of,
    summarize_finding,
)

Table = dict[str, Any]
_OVERRIDDEN = BY_THRESHOLD | BY_RANGE
_COLUMNS = (
    *("gate", "zone", "overridden", "candidate", "higher", "lower", "override_threshold"),
    *("higher_bar", "lower_bar", "summary_bar", "last_action", "steps", "cooldown"),
)


def _timestamps(stamps: npt.NDArray[np.int64]) -> list[pd.Timestamp]:
    found: list[pd.Timestamp] = pd.DatetimeIndex(stamps).tolist()
    return found


class Findings:
    """Reasons, contexts and gate findings of a run's bars."""

    def __init__(
        self, prepared: Prepared, ran: Ran, config: Mapping[str, Any], timeframe: str
    ) -> None:
        self._prepared, self._outcome = prepared, ran.outcome
        self._trades, self._exit_bars = ran.trades, np.ascontiguousarray(ran.trades["exit_bar"])
        # Lists: one number of a NumPy row costs ten times as much.
        self._rows = {name: ran.rows[name].tolist() for name in _COLUMNS}
        stamps = prepared.candles.time
        self.times: list[pd.Timestamp] = [] if stamps is None else _timestamps(stamps)
        self._config, self._timeframe = config, timeframe
        self._entry = zone_tables(config.get("thresholds") or {})[0]
        self._higher = (config.get("htf_fib") or {}).get("entry") or {}
        self._lower = (config.get("ltf_fib") or {}).get("entry") or {}
        self._made: dict[tuple[str, int], Table] = {}
        self._texts: dict[pd.Timestamp, str] = {}

    def time(self, bar: int) -> pd.Timestamp:
        """Timestamp of a bar."""
        return self.times[bar]

    def text(self, stamp: pd.Timestamp) -> str:
        """A bar's timestamp as text; each is made once."""
        found = self._texts.get(stamp)
        if found is None:
            found = self._texts[stamp] = stamp.isoformat()
        return found

    def close(self, bar: int) -> float:
        """Price of a bar."""
        return float(self._prepared.candles.close[bar])

    def partials(self, bar: int) -> npt.NDArray[Any]:
        """The partial exits of a bar; trades are in the order of their exits."""
        first, last = np.searchsorted(self._exit_bars, (bar, bar + 1))
        rows = self._trades[first:last]
        return rows[rows["reason"] >= PARTIAL]

    def _numbers(self, bar: int) -> Table:
        """What a gate compares beside levels."""
        atr = float(self._prepared.arrays["atr"][bar])
        return {"current_atr": atr if atr == atr else None, "last_close": self.close(bar)}

    def _once(self, kind: str, bar: int, make: Callable[[int], Table]) -> Table:
        found = self._made.get((kind, bar))
        if found is None:
            found = self._made[kind, bar] = make(bar)
        return found

    def reasons(self, bar: int) -> list[str]:
        """Why a decision came out as it did."""
        gate, zone = self._rows["gate"][bar], self._rows["zone"][bar]
        if gate < 0:
            return []
        out = [] if gate < BEFORE_ZONE else [f"ZONE:{ZONES[zone]}@{self._entry[zone]:.3f}"]
        if self._rows["overridden"][bar]:
            out.append("HTF_OVERRIDE_LTF_CONF")
        name = GATES[gate]
        if name is not None:
            out.append(name.replace("{side}", SIDES[self._rows["candidate"][bar]]))
        return out

    def state(self, bar: int) -> Table:
        """What the decision at a bar saw, the counters left out."""
        numbers = self._numbers(bar)
        known = numbers["current_atr"] is not None
        return {
            "current_atr": numbers["current_atr"],
            "atr_percentiles": percentiles_at(self._prepared.columns, bar) if known else None,
            "htf_fib": self.higher(bar) if known else None,
            "ltf_fib": self.lower(bar) if known else None,
            "last_close": numbers["last_close"],
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
        at = self._rows["higher_bar"][bar]
        return None if at < 0 else self._once("higher", at, self._higher_at)

    def _higher_at(self, at: int) -> Table:
        code, state = self._rows["higher"][at], self._numbers(at)
        context = {} if state["current_atr"] is None else self.higher(at)
        kind = code & ~_OVERRIDDEN
        if kind == DISABLED:
            return {"reason": "DISABLED_BY_CONFIG", "config": {"use_htf_block": False}}
        if kind in (UNAVAILABLE, UNAVAILABLE_PASS):
            return _missing(kind, context, self._higher)
        debug = level_debug(self._higher, state, context, HIGHER_KEYS)
        side = SIDES[self._rows["candidate"][at]]
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
                "threshold": self._rows["override_threshold"][bar],
                "baseline": float(base),
            }
        ranged = self._lower.get("override_confidence") or {}
        low, high = float(ranged.get("min", 0.0)), float(ranged.get("max", 1.0))
        return {"source": "ltf_entry_range", "confidence": own, "min": low, "max": high}

    def lower_finding(self, bar: int) -> Table | None:
        """What the timeframe's own gate found last."""
        at = self._rows["lower_bar"][bar]
        return None if at < 0 else self._once("lower", at, self._lower_at)

    def _lower_at(self, at: int) -> Table:
        kind, state = self._rows["lower"][at], self._numbers(at)
        context = {} if state["current_atr"] is None else self.lower(at)
        if kind == UNAVAILABLE:
            return _missing(kind, context, self._lower)
        debug = level_debug(self._lower, state, context, LOWER_KEYS)
        if kind != BEYOND:
            return {**debug, "reason": "PASS"}
        is_long = self._rows["candidate"][at] > 0
        limit = self._lower.get("long_max_level" if is_long else "short_min_level")
        reason = "LONG_ABOVE_LEVEL" if is_long else "SHORT_BELOW_LEVEL"
        price = level_price(levels_of(context), None if limit is None else float(limit))
        return {**debug, "reason": reason, "level_price": price}

    def summary(self, bar: int) -> Table | None:
        """The short form of both, of the last decision that passed them."""
        at = self._rows["summary_bar"][bar]
        return None if at < 0 else self._once("summary", at, self._summary_at)

    def _summary_at(self, at: int) -> Table:
        return {
            "candidate": SIDES[self._rows["candidate"][at]],
            "htf": summarize_finding(self.higher_finding(at)),
            "ltf": summarize_finding(self.lower_finding(at)),
        }

    def final_state(self, bar: int) -> Table:
        """The state that the last bar left."""
        out = self.state(bar)
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
        if self._rows["last_action"][bar]:
            out["last_action"] = SIDES[self._rows["last_action"][bar]]
            out["decision_steps"] = self._rows["steps"][bar]
            out["cooldown_remaining"] = self._rows["cooldown"][bar]
        return out


def _missing(kind: int, context: Table, settings: Mapping[str, Any]) -> Table:
    reason = "UNAVAILABLE" if kind == UNAVAILABLE else "UNAVAILABLE_PASS"
    policy = str(settings.get("missing_policy", "block")).lower()
    return {"reason": reason, "raw": context, "policy": policy}
