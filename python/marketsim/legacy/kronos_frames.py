"""What the old Kronos wrapper made of a frame before it forecast it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, UnknownNameError

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class KronosInput:
    """A series as Kronos reads it.

    Attributes:
        frame: float32, columns open, high, low, close, volume, amount; no gaps.
        timestamps: of its rows, UTC without a time zone.
        future: of the bars to come.
    """

    frame: pd.DataFrame
    timestamps: pd.DatetimeIndex
    future: pd.DatetimeIndex


def kronos_input(
    data: pd.DataFrame, timestamp_col: str, pred_len: int, lookback: int | None
) -> KronosInput:
    """The series that a frame stands for.

    Rows without a readable timestamp are left out; of rows with one timestamp the last counts.
    Prices that are missing are the close, gaps in them the value before, else the one after.
    Without a volume it is 0; without an amount it is volume times close.

    Raises:
        ArgumentError: fewer than two rows are left, or a number is out of its range.
        UnknownNameError: no column of timestamps, or no close.
    """
    if not is_whole(pred_len) or pred_len < 1:
        raise ArgumentError(f"pred_len must be a whole number of at least 1: got {pred_len!r}")
    if lookback is not None and (not is_whole(lookback) or lookback < 0):
        raise ArgumentError(f"lookback must be a whole number of at least 0: got {lookback!r}")
    if timestamp_col not in data.columns:
        raise UnknownNameError("column", timestamp_col, map(str, data.columns))
    times = pd.to_datetime(data[timestamp_col], utc=True, errors="coerce")
    keep = times.notna() & ~times.duplicated(keep="last")
    rows, stamps = data.loc[keep.to_numpy()], pd.DatetimeIndex(times[keep]).tz_convert(None)
    if lookback:
        rows, stamps = rows.iloc[-lookback:], stamps[-lookback:]
    if len(rows) < 2:
        raise ArgumentError(f"Kronos needs at least 2 rows with timestamps: got {len(rows)}")
    return KronosInput(_features(rows), stamps, _future(stamps, pred_len))


def _features(rows: pd.DataFrame) -> pd.DataFrame:
    """Float32, the six columns."""
    labels = [_label(label).lower() for label in rows.columns]
    first = {label: i for i, label in reversed(list(enumerate(labels)))}
    if "close" not in first:
        raise UnknownNameError("column", "close", labels)

    def column(name: str) -> pd.Series:
        return pd.to_numeric(rows.iloc[:, first[name]], errors="coerce").astype(np.float64)

    made = {name: column(name if name in first else "close") for name in PRICES}
    frame = pd.DataFrame(made, index=rows.index).ffill().bfill()
    frame["volume"] = column("volume").fillna(0.0) if "volume" in first else 0.0
    amount = frame["volume"] * frame["close"]
    frame["amount"] = column("amount").fillna(amount) if "amount" in first else amount
    whole = frame.astype(np.float32).replace([np.inf, -np.inf], np.nan)
    return whole.ffill().bfill().reset_index(drop=True)


def _label(label: object) -> str:
    """A column's name; of a name in several parts the first that says something."""
    if isinstance(label, tuple):
        return next((str(part).strip() for part in label if part and str(part).strip()), "")
    return str(label)


def _future(stamps: pd.DatetimeIndex, pred_len: int) -> pd.DatetimeIndex:
    """The timestamps to come, so far apart as those known are in the median."""
    step = stamps.to_series().diff().median()
    if not step > pd.Timedelta(0):  # also where it is not known
        step = pd.Timedelta(days=1)
    return pd.date_range(stamps[-1] + step, periods=pred_len, freq=step)
