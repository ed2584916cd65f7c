"""What is known of bars, as facts and as lines of text: the content of `marketsim inspect`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from marketsim.bars.bars import Bars
from marketsim.bars.clock import DAY, Clock
from marketsim.bars.exchange import compare_calendar
from marketsim.bars.splits import is_overnight, suspected_splits
from marketsim.errors import BarsError

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60


def inspect_bars(bars: Bars) -> dict[str, Any]:
    """Facts of bars, as values that JSON knows.

    Example:
        >>> from marketsim.bars import demo_bars
        >>> facts = inspect_bars(demo_bars())
        >>> facts["rows"], facts["market"]["asset_class"], facts["gaps"]
        (5031, 'equity', [])

    """
    facts: dict[str, Any] = {
        "symbol": bars.symbol,
        "ok": True,
        "rows": len(bars),
        "span": bars.span(),
        "timezone": bars.timezone,
        "understood": list(bars.notes),
        "repairs": list(bars.repairs),
        "defects": [],
        "fingerprint": bars.fingerprint,
    }
    if len(bars) < 2:
        return facts
    clock = Clock.of(bars)
    flat = (bars.high == bars.low) & (bars.open == bars.close)
    weekend = (bars.local_times.view(np.int64) // DAY + 3) % 7 >= 5
    facts |= {
        "market": bars.market.to_dict(),
        "sessions": len(np.unique(bars.local_times.view(np.int64) // DAY)),
        "gaps": [str(gap) for gap in bars.gaps],
        "splits": _suspects(bars, clock),
        "flat_bars": int(flat.sum()),
        "flat_weekend_bars": int((flat & weekend).sum()),
        "without_volume": int((bars.volume == 0).sum()),
        "close": {
            "first": float(bars.close[0]),
            "last": float(bars.close[-1]),
            "lowest": float(bars.low.min()),
            "highest": float(bars.high.max()),
        },
    }
    if bars.calendar is not None and clock.step <= 1.05 * DAY:
        fit = compare_calendar(bars, bars.calendar)
        facts["calendar"] = {
            "name": bars.calendar,
            "missing_sessions": list(fit.missing),
            "short_sessions": list(fit.short),
            "bars_outside_hours": fit.outside,
        }
    return facts


def defect_facts(symbol: str, error: BarsError) -> dict[str, Any]:
    """Facts of a source that cannot be used as it is."""
    defects = [
        {
            "kind": getattr(defect, "kind", ""),
            "count": getattr(defect, "count", 0),
            "message": getattr(defect, "message", ""),
            "fix": getattr(defect, "fix", ""),
        }
        for defect in error.defects
    ]
    return {
        "symbol": symbol,
        "ok": False,
        "understood": list(error.understood),
        "defects": defects,
        "error": str(error),
    }


def _suspects(bars: Bars, clock: Clock) -> list[str]:
    """Steps that look like a split and were kept by choice."""
    found = suspected_splits(bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [
        f"{factor:g}:1 on {str(bars.local_times[row])[:10]}"
        for row, factor in found.items()
        if is_overnight(clock.utc, row)
    ]


def inspection_lines(bars: Bars, facts: dict[str, Any]) -> list[str]:
    """The facts as text, with a chart of the close."""
    lines = [f"{bars.symbol}  {bars.span()}", ""]
    rows = [("understood", "; ".join(facts["understood"]) or "plain columns")]
    if facts["repairs"]:
        rows.append(("repaired", "; ".join(facts["repairs"])))
    if "market" in facts:
        rows.append(("market", bars.market.sentence()))
        rows.append(("sessions", f"{facts['sessions']:,} dates with bars, clock {bars.timezone}"))
        rows.append(("holes", _few(facts["gaps"])))
        rows.append(
            ("splits", f"suspected: {_few(facts['splits'])}" if facts["splits"] else "none")
        )
        flat = f"{facts['flat_bars']:,} flat, {facts['without_volume']:,} without volume"
        if facts["flat_weekend_bars"]:
            flat += f", {facts['flat_weekend_bars']:,} flat ones on weekends"
        rows.append(("bars", flat))
    if "calendar" in facts:
        fit = facts["calendar"]
        rows.append(
            (
                "calendar",
                f"{fit['name']}: {len(fit['missing_sessions']):,} sessions missing, "
                f"{len(fit['short_sessions']):,} short, {fit['bars_outside_hours']:,} bars "
                "outside hours",
            )
        )
    rows.append(("defects", "none"))
    lines += [f"  {name:<11} {text}" for name, text in rows]
    return [*lines, "", *_chart(bars)]


def _few(items: list[str]) -> str:
    if not items:
        return "none"
    more = f" and {len(items) - 5:,} more" if len(items) > 5 else ""
    return f"{'; '.join(items[:5])}{more}"


def _chart(bars: Bars) -> list[str]:
    """The close as one line of blocks, on a scale of logarithms."""
    edges = np.linspace(0, len(bars), min(_WIDTH, len(bars)) + 1).astype(int)
    values = np.log([bars.close[a:b].mean() for a, b in itertools.pairwise(edges)])
    low, high = float(values.min()), float(values.max())
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    text = "".join(_BLOCKS[round((value - low) * scale)] for value in values.tolist())
    return [f"  {text}", f"  close {bars.close[0]:g} to {bars.close[-1]:g}"]
