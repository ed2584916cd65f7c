"""Net returns by calendar day, as other packages take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from marketsim.walkforward.outcome import StrategyDays


def daily_returns(outcomes: Mapping[str, StrategyDays], dates: pd.DatetimeIndex) -> pd.DataFrame:
    """A column a strategy, a row a calendar day by the clock of the dates, without a time zone.

    Args:
        outcomes: by name.
        dates: of their bars, ascending.
    """
    days = dates.tz_localize(None).normalize().rename("date")
    net = np.stack([outcome.net for outcome in outcomes.values()], axis=1)
    if not days.is_unique:
        first = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        net = np.multiply.reduceat(1.0 + net, first, axis=0) - 1.0
        days = days[first]
    return pd.DataFrame(net, index=days, columns=list(outcomes))
