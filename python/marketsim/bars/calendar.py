"""The two most used facts of a market: asset class, and bars a year."""

from __future__ import annotations

from marketsim.bars.bars import Bars
from marketsim.bars.market import AssetClass


def asset_class(bars: Bars) -> AssetClass:
    """Return "equity", "crypto" or "forex": `Bars.market` says by what evidence.

    A market is "crypto" if most weekends in the data have trades on both days, "forex" if it is
    open day and night and closed on weekends, else "equity". Bars longer than a day, and data of
    less than two weekends, show no week: the class is then assumed, by the symbol where it names
    a pair, and `Bars.market.assumed` is True.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0},
        ...     index=pd.date_range("2020-01-01", periods=21),
        ... )
        >>> asset_class(read_bars(frame))
        'crypto'

    """
    return bars.market.asset_class if len(bars) > 1 else "equity"


def periods_per_year(bars: Bars) -> float:
    """Return how many bars a year has, to annualise with.

    Daily bars: the sessions of a year, 252 on exchanges, 365 where all days are traded, 260 in
    foreign exchange, and 52 more for each further day of the week. Bars within a day: the median
    of bars over full sessions, times sessions. Months, quarters and years: 12, 4 and 1. Any other
    spacing: a year of 365.25 days over the median step. `Bars.market.periods_why` says which.

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
    return bars.market.periods_per_year
