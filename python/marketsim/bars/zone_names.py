"""Zones that a timestamp's text names: US/Eastern, or abbreviations such as EST."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from marketsim.bars.layouts import GENERIC, fold
from marketsim.bars.layouts.layout import ZONE_IN_NAME
from marketsim.bars.zones import ObjectArray, named_zone

_ZONE_NAME = re.compile(
    r"(?P<clock>.*\d(?: ?[ap]m)?) \(?(?P<zone>[A-Z][A-Za-z]+/[A-Za-z_/]+)\)?", re.IGNORECASE
)
# Abbreviations that mean one offset everywhere; CST, IST and BST do not.
_OFFSETS = {
    "EST": "-0500", "EDT": "-0400", "CDT": "-0500", "MST": "-0700", "MDT": "-0600",
    "PST": "-0800", "PDT": "-0700", "WET": "+0000", "CET": "+0100", "CEST": "+0200",
    "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "JST": "+0900", "KST": "+0900",
    "HKT": "+0800", "AEST": "+1000", "AEDT": "+1100",
}  # fmt: skip
_ABBREVIATED = re.compile(rf"(?P<clock>.*\d(?: ?[APap][Mm])?) ?(?P<zone>{'|'.join(_OFFSETS)})")


PLACES = {
    "ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver",
    "PT": "America/Los_Angeles", "EST": "Etc/GMT+5", "EDT": "Etc/GMT+4", "PST": "Etc/GMT+8",
    "PDT": "Etc/GMT+7", "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "HKT": "Asia/Hong_Kong",
    "MSK": "Europe/Moscow",
}  # fmt: skip
"""IANA names of what a column's name, or ET and the like in all cells, say."""
_US = re.compile(r".*\d(?: ?[APap][Mm])? (?P<zone>[ECMP]T)")

_COLUMNS = ("timezone", "tz", "tzname", "timezonename", "exchangetimezone", "exchangetimezonename")
STATED = "time zone beside the table"
"""Name of the column that holds the zone which a line above a table or JSON beside it names."""

_BANNER = re.compile(
    r"\W*(?:exchange |data |chart )?time ?zone\W*[:=,;\t]\W*(?P<zone>[A-Za-z][\w/+-]*)\W*",
    re.IGNORECASE,
)


def zone_of_lines(lines: Iterable[str]) -> str:
    """The zone that one of the lines above a table names, as it is written; "" if none does."""
    found = (_BANNER.fullmatch(line) for line in lines if len(line) < 200)
    return next((match["zone"] for match in found if match), "")


def zone_of_content(content: Mapping[str, object]) -> str:
    """The zone that JSON names beside its candles, as it is written; "" if it names none.

    Alpha Vantage and Twelve Data name it in an object of their own.
    """
    parts = [content, *(v for k, v in content.items() if fold(k) in ("metadata", "meta"))]
    for part in parts:
        for key, value in part.items() if isinstance(part, Mapping) else ():
            if fold(key) in _COLUMNS and isinstance(value, str) and value:
                return value
    return ""


def zone_of_column(frame: pd.DataFrame) -> tuple[str, str]:
    """The IANA name that a column such as "timezone" holds in all rows, and what to note.

    Or the one that a column's own name ends with, as "Time (America/New_York)".
    """
    for name in frame.columns:
        match = ZONE_IN_NAME.search(str(name))
        if match and GENERIC.get(fold(name)) == "timestamp":
            zone = _zone_of_name(match["zone"])
            if _is_zone(zone):
                return zone, f"the clock is {zone}, as the column {str(name)!r} says"
    for i, name in enumerate(frame.columns):
        if fold(name) not in _COLUMNS and name != STATED:
            continue
        place = f"the {STATED}" if name == STATED else f"the column {str(name)!r}"
        values: list[str] = [str(value).strip() for value in pd.unique(frame.iloc[:, i].dropna())]
        if len(values) == 1 and _is_zone(values[0]):
            return values[0], f"the clock is {values[0]}, as {place} says"
        if values:
            return "", (
                f"{place} says {', '.join(map(repr, values[:3]))}, which is not "
                "one IANA name; timezone= states the clock"
            )
    return "", ""


def _zone_of_name(zone: str) -> str:
    """The IANA name of ET, or of UTC+2, whose sign is turned round there."""
    offset = re.fullmatch(r"(?:UTC|GMT) ?([+-])(\d{1,2})(?::00)?", zone)
    if offset:
        return f"Etc/GMT{'-' if offset[1] == '+' else '+'}{int(offset[2])}"
    return PLACES.get(zone, zone)


def _is_zone(name: str) -> bool:
    return name == "UTC" or bool(named_zone(name))


ABBREVIATED = "abbreviated"
"""What `zone_of` says of abbreviations, which may differ from cell to cell."""


def zone_of(texts: pd.Series) -> str:
    """The one zone that ends every cell, or ABBREVIATED; "" if there is none."""
    first = texts.iloc[0]
    named = _ZONE_NAME.fullmatch(first)
    if named:
        return named["zone"] if texts.str.contains(named["zone"], regex=False).all() else ""
    american = _US.fullmatch(first)
    if american:
        return american["zone"] if texts.str.endswith(f" {american['zone']}").all() else ""
    return ABBREVIATED if _ABBREVIATED.fullmatch(first) else ""


def with_offsets(texts: pd.Series) -> ObjectArray:
    """Cells with an offset such as -0500 for an abbreviation such as EST."""
    found = texts.str.replace(
        _ABBREVIATED, lambda match: f"{match['clock']} {_OFFSETS[match['zone']]}", regex=True
    )
    return found.to_numpy(dtype=object)


def without_zone(texts: pd.Series, zone: str) -> ObjectArray:
    """Cells without the name of a zone at their end."""
    found = texts.str.replace(rf" \(?{re.escape(zone)}\)?$", "", regex=True)
    return found.to_numpy(dtype=object)
