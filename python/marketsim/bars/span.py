"""Spans of bars in words: ``390 bars of 1 minute, 2024-03-08 09:30 to 15:59 America/New_York``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketsim.bars.clock import DAY, Clock, Rows, spacing_of


def describe_span(bars: Rows, start: int, stop: int) -> str:
    """Say which bars rows `start` to `stop` are; the time zone of bars within a day is named."""
    count = stop - start
    noun = "bar" if count == 1 else "bars"
    if len(bars) == 0 or count <= 0:
        return f"0 {noun}"
    if len(bars) == 1:
        return f"1 bar, {show_time(bars.local_times[start])}"
    what = f"{count:,} {noun} of {spacing_of(Clock.of(bars))}"
    return f"{what}, {describe_period(bars, start, stop)}"


def describe_period(bars: Rows, start: int, stop: int) -> str:
    """When rows `start` to `stop` are: dates, or local times and their zone."""
    first, last = bars.local_times[start], bars.local_times[stop - 1]
    whole = bool((bars.local_times.view(np.int64) % DAY == 0).all())
    if whole or (len(bars) > 1 and Clock.of(bars).step >= 0.95 * DAY):
        return f"{str(first)[:10]} to {str(last)[:10]}"
    same_day = str(first)[:10] == str(last)[:10]
    until = show_time(last)[11:] if same_day else show_time(last)
    return f"{show_time(first)} to {until} {bars.timezone}"


def show_time(moment: np.datetime64) -> str:
    """A local time as short as it can be written: seconds and fractions only where not zero."""
    text = pd.Timestamp(moment).isoformat(" ")
    return text.removesuffix(":00") if len(text) == 19 else text
