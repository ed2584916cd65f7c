"""Repairs that a caller may ask for by name; each says in words what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from marketsim.bars.columns import PRICES
from marketsim.bars.defect import counted
from marketsim.bars.table import Table
from marketsim.bars.validate import invalid_prices, invalid_volume, is_unknown
from marketsim.bars.validate_times import out_of_order, repeats
from marketsim.bars.zones import NAT
from marketsim.errors import UnknownNameError

_Step = Callable[[Table], tuple[Table, list[str]]]


def check_repairs(repair: str | Iterable[str]) -> frozenset[str]:
    """Return the names of the requested repairs.

    Raises:
        UnknownNameError: a name is not in REPAIRS.

    """
    try:
        names = [repair] if isinstance(repair, str) else list(repair)
    except TypeError:
        names = [repair]  # type: ignore[list-item]  # reported as unknown below
    for name in names:
        if name not in REPAIRS:
            raise UnknownNameError("repair", name, REPAIRS)
    return frozenset(names)


def apply_repairs(table: Table, names: frozenset[str]) -> tuple[Table, tuple[str, ...]]:
    """Apply the named repairs in the order of REPAIRS.

    Returns:
        The table, and what was done; nothing is said of a repair that found nothing to do.

    """
    done: list[str] = []
    for name, step in _STEPS.items():
        if name in names:
            table, said = step(table)
            done += said
    return table, tuple(done)


def _sort(table: Table) -> tuple[Table, list[str]]:
    early = int(out_of_order(table).sum())
    if not early:
        return table, []
    # Rows without a timestamp go last; they have no place in time.
    key = np.where(table.times == NAT, np.iinfo(np.int64).max, table.times)
    verb = "was" if early == 1 else "were"
    said = f"sorted by timestamp ({counted(early)} {verb} earlier than the row before)"
    return table.take(np.argsort(key, kind="stable")), [said]


def _drop_duplicates(table: Table) -> tuple[Table, list[str]]:
    again = repeats(table, keep="last")
    count = int(again.sum())
    if not count:
        return table, []
    said = f"dropped {count:,} of {counted(len(table))} with a repeated timestamp"
    return table.take(~again), [said]


def _drop_running(table: Table) -> tuple[Table, list[str]]:
    if not table.running:
        return table, []
    newest = int(np.argmax(table.times))  # NAT is the smallest
    kept = np.ones(len(table), np.bool_)
    kept[newest] = False
    said = f"left out the last row, {table.show_time(newest)}: its {table.running} was not over"
    return replace(table.take(kept), running=""), [said]


def _widen_range(table: Table) -> tuple[Table, list[str]]:
    if not all(name in table.values for name in PRICES):
        return table, []
    low, high = table.values["low"], table.values["high"]
    prices = np.stack([table.values[name] for name in PRICES])
    wide_low, wide_high = prices.min(axis=0), prices.max(axis=0)
    # NaN compares false, and a row with an invalid price is left as it is.
    chosen = ((wide_low < low) | (wide_high > high)) & ~invalid_prices(table)
    count = int(chosen.sum())
    if not count:
        return table, []
    widened = table.with_values(
        low=np.where(chosen, wide_low, low), high=np.where(chosen, wide_high, high)
    )
    return widened, [f"widened high and low of {counted(count)}"]


def _zero_volume(table: Table) -> tuple[Table, list[str]]:
    volume = table.values.get("volume")
    if volume is None:
        said = ["set the volume to 0, as the column was missing"]
        return table.with_values(volume=np.zeros(len(table))), said
    missing = np.isnan(volume) & ~table.text["volume"] | is_unknown(volume)
    count = int(missing.sum())
    if not count:
        return table, []
    filled = table.with_values(volume=np.where(missing, 0.0, volume))
    return filled, [f"set the missing volume of {counted(count)} to 0"]


def _drop_invalid(table: Table) -> tuple[Table, list[str]]:
    reasons = {
        "without a usable timestamp": table.faults != 0,
        "with invalid prices": invalid_prices(table),
        "with an invalid volume": invalid_volume(table),
    }
    dropped = np.zeros(len(table), np.bool_)
    said = []
    for reason, mask in reasons.items():
        count = int((mask & ~dropped).sum())  # a row counts under its first reason only
        dropped |= mask
        if count:
            said.append(f"dropped {count:,} of {counted(len(table))} {reason}")
    return (table.take(~dropped), said) if said else (table, said)


_STEPS: dict[str, _Step] = {
    "sort": _sort,
    "drop_running": _drop_running,
    "drop_duplicates": _drop_duplicates,
    "widen_range": _widen_range,
    "zero_volume": _zero_volume,
    "drop_invalid": _drop_invalid,
}

REPAIRS = tuple(_STEPS)
"""The names that `repair=` knows, in the order in which they are applied."""
