"""A line of units or types below or above a header, such as USD, float64 or (UTC)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from marketsim.bars.layouts import GENERIC, fold
from marketsim.bars.layouts.names import volume_unit
from marketsim.bars.zone_names import PLACES

_TYPES = (
    r"u?int(?:eger|\d{1,2})?|bigint|float(?:\d{2})?|double(?: precision)?|real|str(?:ing)?|text"
    r"|object|category|bool(?:ean)?|varchar(?:\(\d+\))?|numeric(?:\(.*\))?|decimal(?:\(.*\))?"
    r"|date|time|datetime(?:64)?(?:\[.+\])?|timestamp(?:\[.+\])?|datetime64\[.+\]"
)
_SCALES = r"thousands?|millions?|mln|mio|000s?|'000s?|k"
_UNITS = (
    "USD|EUR|GBP|GBX|GBp|JPY|CHF|CAD|AUD|NZD|CNY|CNH|HKD|INR|KRW|BRL|RUB|SEK|NOK|DKK|PLN|CZK|HUF|TRY"
    "|ZAR|MXN|SGD|TWD|THB|IDR|ILS|USDT|USDC|BTC|ETH|US\\$|\\$|€|£|¥|₹|₩"
    "|prices?|number|count|shares?|units?|lots?|contracts?|pcs|points?|pts|pips|ticks|currency|local"
    "|stk\\.?|stück|股|手|元|株|円|주|원|%|-"
)
_FORMATS = r"[ymd]{1,4}([-/.])[ymd]{1,3}\1[ymd]{1,4}(?:[ t]hh:mm(?::ss)?)?|unix|epoch|ms|s"
_TYPE = re.compile(_TYPES, re.IGNORECASE)
_UNIT = re.compile(f"{_TYPES}|{_SCALES}|{_UNITS}", re.IGNORECASE)
_CLOCK = re.compile(f"{_TYPES}|{_FORMATS}", re.IGNORECASE)


def is_unit_row(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether cells beside a header are units or types of its columns, and no symbols.

    One word in all columns is a symbol, as USD and ETH are, unless it is a type.

    Example:
        >>> names = ["Date", "Open", "High", "Low", "Close", "Volume"]
        >>> is_unit_row(["", "USD", "USD", "USD", "USD", "shares"], names)
        True
        >>> is_unit_row(["Ticker", "USD", "USD", "USD", "USD", "USD"], names)
        False

    """
    if len(cells) != len(names) or sum(bool(cell) for cell in cells) < 3:
        return False
    plain = [_bare(cell) for cell in cells]
    time, *values = plain
    if time and not (_CLOCK.fullmatch(time) or time in PLACES or time in ("UTC", "GMT")):
        return False
    if not all(_UNIT.fullmatch(value) for value in values if value):
        return False
    found = {value for value in values if value}
    alone = len(found) == 1 and all(values) and not _bracketed(cells[1])
    return bool(found) and (not alone or bool(_TYPE.fullmatch(values[0])))


def _bare(cell: str) -> str:
    return re.sub(r"^[(\[]\s*|\s*[)\]]$", "", cell.strip()) if _bracketed(cell) else cell.strip()


def _bracketed(cell: str) -> bool:
    return cell.strip()[:1] in ("(", "[")


def with_units(names: Sequence[str], cells: Sequence[str]) -> tuple[list[str], str]:
    """Names with what their units change, as Volume (000), and the zone of the times or ""."""
    found = []
    for name, cell in zip(names, cells, strict=True):
        unit = f"{name} ({_bare(cell)})"
        scaled = GENERIC.get(fold(name)) == "volume" and volume_unit(unit) != 1
        found.append(unit if scaled else name)
    time = _bare(cells[0])
    return found, PLACES.get(time, time if time in ("UTC",) else "")
