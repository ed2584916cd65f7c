"""Dates and times whose parts stand in columns of their own: year, month, day, hour, minute."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from marketsim.bars.layouts import fold

_PARTS = {
    "year": "year jahr année año ano anno yyyy 年 年份",
    "month": "month monat mois mes mês mese mm 月 月份",
    "day": "day tag jour día dia giorno dd 日",
    "hour": "hour hr hours stunde heure hora ora hh 时 小时",
    "minute": "minute minutes min minuto minuten 分 分钟",
    "second": "second seconds sec sekunde seconde segundo 秒",
}
_NAMES = {name: part for part, names in _PARTS.items() for name in names.split()}


def is_calendar_name(name: str) -> bool:
    """Whether a folded name is a part of dates or times."""
    return name in _NAMES or name in ("week", "weekday", "dayofweek", "quarter", "dayofyear")


def has_date(names: Sequence[Hashable]) -> bool:
    """Whether there are columns of years, months and days."""
    return {"year", "month", "day"} <= {_NAMES.get(fold(name)) for name in names}


def has_hour(names: Sequence[Hashable]) -> bool:
    """Whether there is a column of hours."""
    return any(_NAMES.get(fold(name)) == "hour" for name in names)


def join_date(
    parts: Sequence[pd.Series], names: Sequence[Hashable]
) -> tuple[pd.Series, str] | None:
    """Dates of columns of years, months and days, as text; and what to note."""
    found = _find(parts, names)
    if not {"year", "month", "day"} <= found.keys():
        return None
    texts = [_text(found[part][1], 4 if part == "year" else 2) for part in ("year", "month", "day")]
    joined = texts[0] + "-" + texts[1] + "-" + texts[2]
    return joined, f"dates from {_listed([found[part][0] for part in ('year', 'month', 'day')])}"


def join_time(
    parts: Sequence[pd.Series], names: Sequence[Hashable], roles: Sequence[str]
) -> tuple[pd.Series, str] | None:
    """Times of the day of columns of hours, minutes and seconds, as text; and what to note."""
    free = [i for i, role in enumerate(roles) if not role]
    found = _find([parts[i] for i in free], [names[i] for i in free])
    if "hour" not in found:
        return None
    hours = pd.to_numeric(found["hour"][1], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if not ((hours >= 0) & (hours <= 24) & (hours % 1 == 0)).all():
        return None
    kinds = [kind for kind in ("hour", "minute", "second") if kind in found]
    texts = [_text(found[kind][1], 2) for kind in kinds]
    joined = texts[0] + ":" + (texts[1] if len(texts) > 1 else "00")
    if len(texts) > 2:
        joined = joined + ":" + texts[2]
    return joined, f"times from {_listed([found[kind][0] for kind in kinds])}"


def _find(
    parts: Sequence[pd.Series], names: Sequence[Hashable]
) -> dict[str, tuple[str, pd.Series]]:
    found: dict[str, tuple[str, pd.Series]] = {}
    for name, column in zip(names, parts, strict=True):
        kind = _NAMES.get(fold(name))
        if kind is not None:
            found.setdefault(kind, (repr(str(name)), column))
    return found


def _text(column: pd.Series, width: int) -> pd.Series:
    texts = column.astype(object).astype(str).str.strip().str.replace(r"\.0+$", "", regex=True)
    return texts.str.zfill(width)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
