"""Quarters and weeks as text, such as Q1 2024 and 2024-W05-1: the day on which each begins."""

from __future__ import annotations

import datetime as dt
import re

import pandas as pd

_QUARTER = re.compile(
    r"^(?:(?P<a>\d{4})[-_/ ]?Q(?P<b>[1-4])|Q(?P<c>[1-4])[-_/ ]?(?P<d>\d{4}))$", re.IGNORECASE
)
_SPAN = re.compile(r"^\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d$")  # weeks of pandas as text
_WEEK = re.compile(r"^(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<day>[1-7]))?$", re.IGNORECASE)


def first_days(texts: pd.Series) -> tuple[pd.Series, str]:
    """Cells with the first day of each quarter or week, where all of them are such.

    Args:
        texts: [row] of str.

    Returns:
        The cells, the same object where they are something else; and words for a note.

    """
    first = texts.iloc[0] if len(texts) else ""
    if _QUARTER.match(first) and texts.str.match(_QUARTER).all():
        return texts.map(_quarter), "the first day of each quarter"
    if _WEEK.match(first) and texts.str.match(_WEEK).all():
        return texts.map(_week), "days of ISO weeks"
    if _SPAN.match(first) and texts.str.match(_SPAN).all():
        return texts.str.slice(0, 10), "the first day of each span"
    return texts, ""


def _quarter(cell: str) -> str:
    match = _QUARTER.match(cell)
    assert match is not None, "all cells were matched"
    year, quarter = match["a"] or match["d"], match["b"] or match["c"]
    return f"{year}-{3 * int(quarter) - 2:02}-01"


def _week(cell: str) -> str:
    match = _WEEK.match(cell)
    assert match is not None, "all cells were matched"
    try:
        day = dt.date.fromisocalendar(
            int(match["year"]), int(match["week"]), int(match["day"] or 1)
        )
    except ValueError:  # there is no week 53 in most years
        return cell
    return day.isoformat()
