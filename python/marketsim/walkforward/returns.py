"""Net returns by calendar day, as other packages take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd


def daily_returns(
    returns: Mapping[str, npt.NDArray[np.float64]], dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """A column a strategy, a row a calendar day by the clock of the dates, without a time zone.

    Args:
        returns: [bar] by name.
        dates: of the bars, ascending.
    """
    days = dates.tz_localize(None).normalize().rename("date")
    net = np.stack(list(returns.values()), axis=1)
    if not days.is_unique:
        first = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        net = np.multiply.reduceat(1.0 + net, first, axis=0) - 1.0
        days = days[first]
    return pd.DataFrame(net, index=days, columns=list(returns))
