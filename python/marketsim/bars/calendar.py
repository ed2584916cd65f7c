"""What the timestamps tell of a market: whether it trades on all days, and how often a year."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from marketsim.bars.bars import Bars
from marketsim.errors import NotEnoughBarsError

_LEAST_SHARE = 0.05  # of the bars, on each day of the week; a seventh if all trade alike
_HOUR, _DAY = 3_600.0, 86_400.0  # seconds
_DAY_NANOSECONDS = 86_400_000_000_000
_JULIAN_YEAR = 365.25 * _DAY


def asset_class(bars: Bars) -> Literal["crypto", "equity"]:
    """Tell a market that trades on all days ("crypto") from one that does not ("equity").

    The rule: "crypto" if each day of the week has at least 5 % of the bars, in the bars' time
    zone. A market of five days stays one in every zone, even where daily bars stamped at midnight
    UTC fall on the evening before, and one that opens on Sunday evening still has no Saturday.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0},
        ...     index=pd.date_range("2020-01-01", periods=14),
        ... )
        >>> asset_class(read_bars(frame))
        'crypto'

    """
    # Local wall-clock time, as if it were UTC; 1970 began on a Thursday.
    local = pd.DatetimeIndex(bars.frame.index).tz_localize(None).to_numpy().view(np.int64)
    days = (local // _DAY_NANOSECONDS + 3) % 7
    rarest = int(np.bincount(days, minlength=7).min())
    return "crypto" if rarest > 0 and rarest >= _LEAST_SHARE * len(bars) else "equity"


def periods_per_year(bars: Bars) -> float:
    """Return how many bars a year has, to annualise with.

    The rule: daily bars (the median step is a day, give or take an hour for clock changes) have
    252 a year, or 365 if they trade on all days (see `asset_class`). Any other spacing is
    measured: (T - 1) / (last - first timestamp) in Julian years of 365.25 days. What is
    annualised says so and takes another number from a caller who knows better.

    Raises:
        NotEnoughBarsError: there are fewer than two bars, so there is no step.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0},
        ...     index=pd.date_range("2020-01-01", periods=14, freq="B"),
        ... )
        >>> periods_per_year(read_bars(frame))
        252.0

    """
    # float64 seconds: nanoseconds in int64 would overflow over more than 292 years.
    times = bars.timestamps.view(np.int64) / 1e9
    if len(times) < 2:
        raise NotEnoughBarsError(
            f"periods_per_year got {len(times)} bar: expected at least 2, to measure their step"
        )
    if abs(np.median(np.diff(times)) - _DAY) <= _HOUR:
        return 365.0 if asset_class(bars) == "crypto" else 252.0
    return float((len(times) - 1) * _JULIAN_YEAR / (times[-1] - times[0]))
