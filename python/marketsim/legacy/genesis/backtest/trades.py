"""The trades of a compiled run in the old form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.legacy.genesis.backtest.compiled import Ran
from marketsim.legacy.genesis.backtest.findings import Findings
from marketsim.legacy.genesis.backtest.position_tracker import Trade
from marketsim.legacy.genesis.backtest.records import EXITS, PARTIAL, SIDES, reason_name

Debug = dict[str, Any]
_OPPOSITE = EXITS.index("OPPOSITE_SIGNAL")


def trades_of(
    ran: Ran,
    findings: Findings,
    symbol: str,
    exit_config: Mapping[str, Any],
    exit_ranges: npt.NDArray[np.float64],
    *,
    reasons: str,
) -> list[Trade]:
    """Every trade, with what the gates found at entry and exit."""
    out: list[Trade] = []
    log: list[Debug] = []
    entry: tuple[int, int] | None = None
    debug: Debug = {}
    found: list[str] = []
    for row in _rows(ran):
        opened = (row["entry_bar"], row["side"])
        if opened != entry:
            entry, log = opened, []
            debug = entry_debug(findings, opened[0])
            found = entry_reasons(findings, ran, opened[0], reasons)
        log += exit_debug(row, ran, findings, exit_config, exit_ranges)
        out.append(_trade(row, findings, symbol, found, debug, log))
    return out


def _rows(ran: Ran) -> Iterator[Debug]:
    names = ran.trades.dtype.names or ()
    for values in ran.trades.tolist():
        yield dict(zip(names, values, strict=True))


def entry_reasons(findings: Findings, ran: Ran, bar: int, how: str) -> list[str]:
    """Reasons of the bar before the entry that was processed, or of its own."""
    if how == "entry":
        return findings.reasons(bar)
    before = bar - 1
    while before >= 0 and not ran.rows["processed"][before]:
        before -= 1
    return findings.reasons(before) if before >= 0 else []


def entry_debug(findings: Findings, bar: int) -> Debug:
    """What the gates found at an entry."""
    return {
        "timestamp": findings.text(findings.time(bar)),
        "summary": findings.summary(bar),
        "htf": findings.higher_finding(bar),
        "ltf": findings.lower_finding(bar),
        "reasons": findings.reasons(bar),
    }


def exit_debug(
    row: Debug,
    ran: Ran,
    findings: Findings,
    exit_config: Mapping[str, Any],
    exit_ranges: npt.NDArray[np.float64],
) -> list[Debug]:
    """What an exit adds to its position's log."""
    bar, reason, side = row["exit_bar"], row["reason"], row["side"]
    time, price = findings.text(findings.time(bar)), findings.close(bar)
    name = reason_name(reason, side)
    out: list[Debug] = []
    if reason >= PARTIAL:
        same = findings.partials(bar)
        if same["reason"][0] == reason:  # the first of the bar names them all
            out.append(_actions(same, findings, bar, exit_config, float(exit_ranges[bar])))
        out.append(
            {
                "timestamp": time,
                "reason": name,
                "action": "PARTIAL",
                "close_size": row["size"],
                "remaining_size": row["remaining_size"],
            }
        )
        return out
    if reason != _OPPOSITE:
        source = "TRAIL_STOP" if name == "TRAIL_STOP" else "TRADITIONAL_EXIT"
        summary = findings.summary(bar)
        out.append(
            {
                "timestamp": time,
                "price": price,
                "reason": name,
                "source": source,
                "fib_gate_summary": summary,
            }
        )
    percent = row["pnl_pct"]
    out.append({"timestamp": time, "reason": name, "pnl_pct": percent, "remaining_size": 0.0})
    return out


def _actions(
    rows: npt.NDArray[Any],
    findings: Findings,
    bar: int,
    exit_config: Mapping[str, Any],
    exit_range: float,
) -> Debug:
    side = int(rows["side"][0])
    keys = ("fib_threshold_atr", "trail_atr_multiplier")
    return {
        "timestamp": findings.text(findings.time(bar)),
        "price": findings.close(bar),
        "actions": [
            {
                "action": "PARTIAL",
                "size": float(row["asked"]),
                "stop_price": 0.0,
                "reason": reason_name(int(row["reason"]), side),
            }
            for row in rows
        ],
        "position_side": SIDES[side],
        "current_atr": exit_range,
        "fib_gate_summary": findings.summary(bar),
        "htf_entry_debug": findings.higher_finding(bar),
        "ltf_entry_debug": findings.lower_finding(bar),
        "htf_exit_config": {key: exit_config.get(key) for key in keys},
    }


def _trade(
    row: Debug,
    findings: Findings,
    symbol: str,
    reasons: list[str],
    debug: Debug,
    log: list[Debug],
) -> Trade:
    side, opened = row["side"], findings.time(row["entry_bar"])
    return Trade(
        symbol=symbol,
        side=f"CLOSE_{SIDES[side]}",
        size=row["size"],
        entry_price=row["entry_price"],
        entry_time=opened,
        exit_price=row["exit_price"],
        exit_time=findings.time(row["exit_bar"]),
        pnl=row["pnl"],
        pnl_pct=row["pnl_pct"],
        commission=row["commission"],
        exit_reason=reason_name(row["reason"], side),
        is_partial=bool(row["is_partial"]),
        remaining_size=row["remaining_size"],
        position_id=f"{symbol}_{findings.text(opened)}",
        entry_reasons=list(reasons),
        entry_fib_debug=dict(debug),
        exit_fib_debug=list(log),
    )


def as_dict(trade: Trade, text: Callable[[Any], str]) -> Debug:
    """A trade as the old results list it; `text` writes its times."""
    out = dict(vars(trade))
    out["entry_time"] = text(trade.entry_time)
    out["exit_time"] = text(trade.exit_time)
    return out
