"""Zones that a timestamp's text names: US/Eastern, or abbreviations such as EST."""

from __future__ import annotations

import re

import pandas as pd

from marketsim.bars.zones import ObjectArray

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


ABBREVIATED = "abbreviated"
"""What `zone_of` says of abbreviations, which may differ from cell to cell."""


def zone_of(texts: pd.Series) -> str:
    """The one zone that ends every cell, or ABBREVIATED; "" if there is none."""
    first = texts.iloc[0]
    named = _ZONE_NAME.fullmatch(first)
    if named:
        return named["zone"] if texts.str.contains(named["zone"], regex=False).all() else ""
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
