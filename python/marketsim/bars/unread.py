"""Columns that are not read and matter: a clock beside dates, a volume of an unknown name."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.columns import Selection
from marketsim.bars.date_parts import is_calendar_name
from marketsim.bars.layouts import fold
from marketsim.bars.layouts.names import FIGURES
from marketsim.bars.zones import IntArray

_WHOLE = re.compile(r"\d[\d., \u00a0]*[KMB]?", re.IGNORECASE)


def maybe_volume(frame: pd.DataFrame, selection: Selection) -> str:
    """The name of a column of whole numbers under a name that is not known; or ""."""
    if "volume" in selection.columns or not len(frame):
        return ""
    for i in selection.extra:
        name = fold(frame.columns[i])
        cells = frame.iloc[:9, i].dropna().tolist()
        if not name or name in FIGURES or is_calendar_name(name) or not cells:
            continue
        if all(_may_be_whole(cell) for cell in cells) and any(str(c) != "0" for c in cells):
            return str(frame.columns[i])
    return ""


def _may_be_whole(cell: object) -> bool:
    if isinstance(cell, str):
        text = cell.strip()
        return bool(_WHOLE.fullmatch(text)) and (text[-1] in "KMBkmb" or not _FRACTION.search(text))
    number = isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)
    return number and float(cell) >= 0 and float(cell).is_integer()  # type: ignore[arg-type]


_FRACTION = re.compile(r"[.,](?!\d{3}(?!\d)|0+$)")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AP]M)?", re.IGNORECASE)


def unread_clock(
    frame: pd.DataFrame, selection: Selection, clock: IntArray
) -> tuple[str, list[str]]:
    """A column that holds times of the day where the timestamps are dates, or "", and a note."""
    if selection.times is not None or not len(frame) or (clock[:9] % DAY).any():
        return "", []
    for i in selection.extra:
        cell = frame.iat[0, i]
        if _TIME_OF_DAY.fullmatch(str(cell).strip()):
            name = str(frame.columns[i])
            return name, [
                f'the column {name!r} holds times of the day and is not read; columns={{"time": '
                f'"{name}"}} adds them to the dates'
            ]
    return "", []
