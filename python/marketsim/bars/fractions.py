"""Prices of bonds and grains with 32nds and eighths, as 118'16, 118-165 and 456'2."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

_CELL = re.compile(
    r"(?P<whole>\d{1,4})['\u2019-](?:(?P<eighths>[0-7])|(?P<parts>[0-2]\d|3[01])"
    r"(?P<part>[01235678]|\+|\.\d+)?)"
)
_PARTS = {
    None: 0.0, "0": 0.0, "1": 0.125, "2": 0.25, "3": 0.375, "5": 0.5, "+": 0.5, "6": 0.625,
    "7": 0.75, "8": 0.875,
}  # fmt: skip


def read_fractions(columns: Mapping[str, pd.Series]) -> tuple[dict[str, FloatArray], str]:
    """Columns of prices with a whole number and 32nds or eighths, and words for a note.

    The third digit of 118'165 is a part of a 32nd: 16.5 of them.

    Args:
        columns: name to text [row].

    Returns:
        Name to numbers [row], NaN where a cell is missing; nothing where some cell is written in
        another way.

    """
    found: dict[str, FloatArray] = {}
    eighths: set[bool] = set()
    example = ""
    for name, column in columns.items():
        numbers = np.full(len(column), np.nan)
        for row, cell in enumerate(column.to_numpy(dtype=object, na_value=np.nan)):
            if not isinstance(cell, str):
                if pd.isna(cell):
                    continue
                return {}, ""
            match = _CELL.fullmatch(cell.strip())
            if match is None:
                return {}, ""
            eighths.add(match["eighths"] is not None)
            example = example or cell.strip()
            numbers[row] = _value(match)
        found[name] = numbers
    if len(eighths) != 1:  # none, or both
        return {}, ""
    first = next(iter(found.values()))
    kind = "eighths" if eighths == {True} else "32nds"
    return found, f"prices are in {kind}: {example!r} is {first[np.isfinite(first)][0]:g}"


def _value(match: re.Match[str]) -> float:
    whole = float(match["whole"])
    if match["eighths"] is not None:
        return whole + float(match["eighths"]) / 8.0
    part = match["part"]
    more = float(part) if part is not None and part.startswith(".") else _PARTS[part]
    return whole + (float(match["parts"]) + more) / 32.0
