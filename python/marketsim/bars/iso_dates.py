"""ISO dates and times in a column of text."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from marketsim.bars.zones import NAT, BoolArray, IntArray, nanoseconds

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?(?P<z>Z|[+-]\d{2}(?::?\d{2})?)?"
)


def read_iso(texts: pd.Series, where: BoolArray, wall: IntArray, instant: IntArray) -> bool:
    """Read ISO dates of any precision and offset into `wall` and `instant` [row].

    Returns:
        Whether all rows of `where` are such.

    """
    rows = np.flatnonzero(where)
    if len(rows) == 0:
        return True
    part = texts.iloc[rows]
    if len(rows) == len(texts) and not _ISO.fullmatch(part.iloc[0]):
        return False
    matches = part.str.fullmatch(_ISO).to_numpy(np.bool_)
    if len(rows) == len(texts) and not matches.all():
        return False
    if not matches.any():
        return False
    aware = part.str.slice(10).str.contains(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$").to_numpy(np.bool_)
    plain = matches & ~aware
    if plain.any():
        wall[rows[plain]] = _iso(part[plain], utc=False)
    zoned = matches & aware
    if zoned.any():
        instant[rows[zoned]] = _iso(part[zoned], utc=True)
        bare = part[zoned].str.replace(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$", "", regex=True)
        wall[rows[zoned]] = _iso(bare, utc=False)
    found = (wall[rows] != NAT) | (instant[rows] != NAT)
    return bool(found.all())


def _iso(texts: pd.Series, utc: bool) -> IntArray:
    parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=utc)
    return nanoseconds(pd.DatetimeIndex(parsed))
