"""Prices beside those that are read: settlements, and the columns of a second table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from marketsim.bars.defect import Defect
from marketsim.bars.layouts import GENERIC, fold
from marketsim.bars.layouts.names import SETTLES

_PRICES = ("open", "high", "low", "close")


def settlements(names: Sequence[Hashable], roles: Sequence[str]) -> list[str]:
    """Which of a last price and a settlement price is the close."""
    chosen = next((str(n) for n, role in zip(names, roles, strict=True) if role == "close"), None)
    settles = [str(name) for name in names if fold(name) in SETTLES]
    if chosen is None or not settles:
        return []
    if chosen in settles:
        return [f"close is {chosen!r}, the settlement price"]
    return [f'close is {chosen!r}; columns={{"close": "{settles[0]}"}} takes the settlement price']


def second_bars(
    names: Sequence[Hashable], roles: Sequence[str], mapped: Mapping[str, str]
) -> list[Defect]:
    """Open.1, High.1, Low.1 and Close.1 are the prices of a second table, as pandas calls them."""
    sets: dict[str, list[str]] = {}
    for name, role in zip(names, roles, strict=True):
        base, _, number = str(name).rpartition(".")
        again = number.isdigit() and GENERIC.get(fold(base)) in _PRICES
        if again and not role and fold(name) not in mapped:
            sets.setdefault(number, []).append(str(name))
    others = [name for found in sets.values() if len(found) >= len(_PRICES) for name in found]
    if not others:
        return []
    left_out = ", ".join(f'"{name}": "ignored"' for name in others)
    return [
        Defect(
            "repeated_column",
            len(others),
            f"one column must hold each price: {', '.join(map(repr, others))} hold prices again, "
            "of another symbol or table",
            f"columns={{{left_out}}} reads the first; rename them to read the others",
        )
    ]  # fmt: skip
