"""Times of the day in a column of their own, beside one of dates."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY
from marketsim.bars.end_of_day import add_day, is_end_of_day
from marketsim.bars.zones import NAT, BoolArray, IntArray, nanoseconds

_TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p")
_WITH_SECONDS = 6  # digits of HHMMSS
_HOURS_MINUTES = r"\d{1,2}|(?:[01]?\d|2[0-3])[0-5]\d|2400"


def read_times(column: pd.Series) -> IntArray | None:
    """Nanoseconds since midnight of a column of times of the day, NAT where a cell is none.

    None if no cell is one. 24:00 is a whole day. Digits are HHMM, or HHMMSS if one of them has
    more than four or is no HHMM, such as 2500, or HHMMSSmmm if one has more than six; with or
    without leading zeros. Text of four digits each, as 0930, is HHMM, and 2500 among it is no time.
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
    digits = texts.str.fullmatch(r"\d{1,9}").to_numpy(np.bool_)
    if digits.any() and int(texts[digits].str.len().max()) > _WITH_SECONDS:
        return _of_milliseconds(texts, digits)
    seconds = bool((digits & ~texts.str.fullmatch(_HOURS_MINUTES).to_numpy(np.bool_)).any())
    if seconds and digits.any():
        cells = texts[digits].tolist()
        hours = all(len(cell) == 4 for cell in cells) and any(cell[0] == "0" for cell in cells)
        seconds = not hours
    if seconds:  # 2400 is 00:24:00 then
        texts = texts.where(~digits, texts.str.zfill(6))
    late = is_end_of_day(texts)
    if late.any():
        texts = texts.mask(late, texts.str.replace("24", "00", n=1, regex=False))
    if digits.any():
        padded = texts.where(digits, "").str.zfill(6 if seconds else 4)
        parsed = _parse(padded, "%H%M%S" if seconds else "%H%M")
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


def _of_milliseconds(texts: pd.Series, digits: BoolArray) -> IntArray | None:
    """Digits such as 93000000, which is 09:30; NAT where a cell is no HHMMSSmmm."""
    parsed = _parse(texts.where(digits, "").str.zfill(9), "%H%M%S%f")
    times = nanoseconds(pd.DatetimeIndex(parsed))
    return None if parsed.isna().all() else np.where(times == NAT, NAT, times % DAY)


def _of_fractions(texts: pd.Series, missing: BoolArray) -> IntArray:
    """Parts of a day, as spreadsheets keep times: 0.5 is noon; to the second."""
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    seconds = np.round(np.where(missing, 0.0, numbers) * 86_400.0).astype(np.int64)
    return np.where(missing, NAT, seconds * 1_000_000_000)
