"""Times of the day in a column of their own, beside one of dates."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.end_of_day import add_day, is_end_of_day
from marketsim.bars.zones import NAT, BoolArray, IntArray, nanoseconds

_TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p")


def read_times(column: pd.Series) -> IntArray | None:
    """Nanoseconds since midnight of a column of times of the day, NAT where a cell is none.

    None if no cell is one. 24:00 is a whole day. Digits are HHMM or HHMMSS, with or without
    leading zeros.
    """
    kinds = pd.api.types
    missing = column.isna().to_numpy(np.bool_)
    if kinds.is_float_dtype(column.dtype) or kinds.is_integer_dtype(column.dtype):
        texts = column.fillna(-1).astype("int64").astype(str).where(~missing, "")
    else:
        texts = column.astype(object).where(~missing, "").astype(str).str.strip()
    parts = texts[~missing]
    if (
        parts.str.fullmatch(r"0?\.\d+|[01](?:\.0+)?").all()
        and parts.str.contains(".", regex=False).any()
    ):
        return _of_fractions(texts, missing)
    late = is_end_of_day(texts)
    if late.any():
        texts = texts.mask(late, texts.str.replace("24", "00", n=1, regex=False))
    digits = texts.str.fullmatch(r"\d{1,6}").to_numpy(np.bool_)
    if digits.any():
        longest = int(texts[digits].str.len().max())
        padded = texts.where(digits, "").str.zfill(4 if longest <= 4 else 6)
        parsed = _parse(padded, "%H%M" if longest <= 4 else "%H%M%S")
    else:
        parsed = pd.Series(pd.NaT, texts.index, dtype="M8[ns]")
        for text_format in _TIME_FORMATS:
            found = _parse(texts, text_format)
            parsed = parsed.where(parsed.notna(), found)
    if parsed.isna().all():
        return None
    times = nanoseconds(pd.DatetimeIndex(parsed))
    return add_day(np.where(times == NAT, NAT, times % DAY), late)


def _parse(texts: pd.Series, text_format: str) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed: pd.Series = pd.to_datetime(texts, format=text_format, errors="coerce")
    return parsed


def _of_fractions(texts: pd.Series, missing: BoolArray) -> IntArray:
    """Parts of a day, as spreadsheets keep times: 0.5 is noon; to the second."""
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    seconds = np.round(np.where(missing, 0.0, numbers) * 86_400.0).astype(np.int64)
    return np.where(missing, NAT, seconds * 1_000_000_000)
