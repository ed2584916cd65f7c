"""Net returns by calendar day, in the layout that performance packages read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd


def daily_returns(
    returns: Mapping[str, npt.NDArray[np.float64]], dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """Compound net returns by calendar day: one column a strategy, index without a time zone.

    Args:
        returns: net returns [bar] by strategy name.
        dates: timestamps of the bars, ascending; their time zone defines the days.
    """
    days = dates.tz_localize(None).normalize().rename("date")
    net = np.stack(list(returns.values()), axis=1)
    if not days.is_unique:
        first = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        net = np.multiply.reduceat(1.0 + net, first, axis=0) - 1.0
        days = days[first]
    return pd.DataFrame(net, index=days, columns=list(returns))
