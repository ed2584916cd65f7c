"""The rows that a compiled run leaves, as NumPy dtypes: csrc/kernels/legacy/genesis/records.hpp."""

from __future__ import annotations

import numpy as np

_f, _i, _b = np.float64, np.int32, np.int8
BAR = np.dtype(
    [
        *((name, _f) for name in ("equity", "capital", "unrealized", "held", "trail", "size")),
        ("override_threshold", _f),
        *((name, _i) for name in ("steps", "cooldown", "higher_bar", "lower_bar", "summary_bar")),
        ("history", _i),
        *((name, _b) for name in ("action", "gate", "zone", "overridden", "higher", "lower")),
        *((name, _b) for name in ("candidate", "last_action", "exit", "side", "processed")),
        ("unused", _b, (5,)),
    ]
)
TRADE = np.dtype(
    [
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        *((name, _i) for name in ("side", "reason", "is_partial", "unused")),
        *((name, _f) for name in ("size", "entry_price", "exit_price", "pnl", "pnl_pct")),
        *((name, _f) for name in ("commission", "remaining_size", "asked")),
    ]
)

SIDES = {1: "LONG", -1: "SHORT", 0: "NONE"}
# By the gate that ended a decision; {side} is the candidate's.
GATES = (
    "EV_NEG",
    "R_EVENT_BLOCK",
    "RISK_CAP",
    None,
    "P_TIE_BREAK",
    "HTF_FIB_UNAVAILABLE",
    "HTF_FIB_{side}_BLOCK",
    "LTF_FIB_UNAVAILABLE",
    "LTF_FIB_{side}_BLOCK",
    "CONF_TOO_LOW",
    "EDGE_TOO_SMALL",
    "HYST_WAIT",
    "COOLDOWN_ACTIVE",
    "ENTRY_{side}",
)
BEFORE_ZONE = 3  # gates below this number end a decision before it has a zone
EXITS = ("TRAIL_STOP", "EMERGENCY_SL", "EMERGENCY_TP", "CONF_DROP", "OPPOSITE_SIGNAL")
PARTIAL = 5  # reasons from here on are partial exits
PARTIALS = {
    1: ("TP1_0382", "TP2_05", "TP3_0618", "TP4_0786"),
    -1: ("TP1_0618", "TP2_05", "TP3_0382", "TP4_0786"),
}
# Findings of the Fibonacci gates, see Finding in records.hpp.
UNAVAILABLE, UNAVAILABLE_PASS, TARGET, BEYOND, OFF_TARGET, PASS, DISABLED = range(1, 8)
BY_THRESHOLD, BY_RANGE = 8, 16


def reason_name(reason: int, side: int) -> str:
    """Why a trade ended."""
    return EXITS[reason] if reason < PARTIAL else PARTIALS[side][reason - PARTIAL]
