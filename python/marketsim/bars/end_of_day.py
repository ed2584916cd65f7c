"""24:00, the end of a day, which is 00:00 of the next."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.zones import NAT, BoolArray, IntArray, ObjectArray

READ_AS = "24:00 as 00:00 of the next day"

_CLOCK = re.compile(r"(?<![\d:.,])24(?=:00(?::00(?:[.,]0+)?)?(?![\d:]))")
_PACKED = re.compile(r"(?<=^\d{8}[T _,;])24(?=00(?:00(?:000)?)?(?:$|[ Z+-]))")
_ALONE = re.compile(r"24:?00(?::?00(?:[.,]0+)?)?")


def start_of_day(cells: ObjectArray) -> tuple[ObjectArray, BoolArray]:
    """Cells with 00:00 for 24:00, and which of them had it.

    Args:
        cells: [row] of str.

    """
    late = np.zeros(len(cells), np.bool_)
    likely = ["24:00" in cell or "2400" in cell for cell in cells]
    if not any(likely):
        return cells, late
    written = [
        _PACKED.sub("00", _CLOCK.sub("00", cell)) if maybe else cell
        for cell, maybe in zip(cells, likely, strict=True)
    ]
    late[:] = [new != old for new, old in zip(written, cells, strict=True)]
    return (np.array(written, dtype=object), late) if late.any() else (cells, late)


def is_end_of_day(texts: pd.Series) -> BoolArray:
    """Which times of the day, without a date, are 24:00 [row]."""
    return texts.str.fullmatch(_ALONE).to_numpy(np.bool_)


def add_day(times: IntArray, late: BoolArray) -> IntArray:
    """Times, a day later where `late` [row]."""
    return np.where(late & (times != NAT), times + DAY, times)
