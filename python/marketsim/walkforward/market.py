"""The days of a run as returns against the close before: what came, and what was forecast."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.forecasts import ForecastCube, target_index
from marketsim.strategies import DecisionView
from marketsim.timing import stage
from marketsim.walkforward.forecasting import Forecasts

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MarketDays:
    """What came on consecutive days [day], each against the close of the day before.

    Attributes:
        first: row of the first day in the bars.
        previous_close: the close of the day before, in price.
        open, high, low, close: returns.
    """

    first: int
    previous_close: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @classmethod
    def of(cls, bars: Bars, start: int, stop: int) -> MarketDays:
        """The days of rows start .. stop - 1; start is at least 1."""
        return cls.at(bars, np.arange(start, stop))

    @classmethod
    def at(cls, bars: Bars, rows: npt.NDArray[np.int64]) -> MarketDays:
        """The days of these rows, each at least 1; `slice` is for rows that follow one another."""
        previous = bars.close[rows - 1]
        columns = (bars.open, bars.high, bars.low, bars.close)
        return cls(int(rows[0]), previous, *(column[rows] / previous - 1.0 for column in columns))

    def slice(self, start: int) -> MarketDays:
        """The days from row `start` of the bars on."""
        i = start - self.first
        parts = (self.previous_close, self.open, self.high, self.low, self.close)
        return MarketDays(start, *(part[i:] for part in parts))


def decision_view(
    bars: Bars, cube: ForecastCube, aggregate: str, *, long_only: bool
) -> DecisionView:
    """What is known before each day of the cube.

    A forecast of the high's one-bar return m becomes a move against the close before exactly:
    (1 + m) * high[t-1] / close[t-1] - 1; likewise open and low.
    """
    rows = slice(cube.first - 1, cube.first - 1 + len(cube))  # the day before each day
    returns = cube.point(aggregate)
    close = bars.close[rows]
    moves = {
        name: (1.0 + returns[:, target_index(name)]) * (getattr(bars, name)[rows] / close) - 1.0
        for name in ("open", "high", "low")
    }
    with stage("head"):
        bands = cube.distribution.quantile((0.4, 0.6))[:, target_index("close")]
    before = bars.close[cube.first - 2 : cube.first - 2 + len(cube)]
    view = DecisionView(
        dates=bars.timestamps[cube.first : cube.first + len(cube)],
        open=moves["open"],
        high=moves["high"],
        low=moves["low"],
        close=returns[:, target_index("close")],
        band=np.maximum(bands[:, 1] - bands[:, 0], 0.0),
        last_return=close / before - 1.0,
        returns=returns,
        distribution=cube.distribution,
        long_only=long_only,
    )
    # Several strategies are shown the same view: none may change what another sees.
    for array in (view.open, view.high, view.low, view.band, view.last_return, returns, view.close):
        array.setflags(write=False)
    return view


@dataclass
class RunDays:
    """What the strategies of a run see of its days and meet on them, each stretch made once."""

    bars: Bars
    forecasts: Forecasts
    aggregate: str
    long_only: bool
    _views: dict[tuple[int, int], DecisionView] = field(default_factory=dict)
    _market: dict[tuple[int, int], MarketDays] = field(default_factory=dict)

    def view(self, start: int, stop: int) -> DecisionView:
        """What is known before each of the days of rows start .. stop - 1."""
        found = self._views.get((start, stop))
        if found is None:
            with stage("slices"):
                cube = self.forecasts.between(start, stop)
                found = decision_view(self.bars, cube, self.aggregate, long_only=self.long_only)
            self._views[start, stop] = found
        return found

    def market(self, start: int, stop: int) -> MarketDays:
        """What came on the days of rows start .. stop - 1."""
        found = self._market.get((start, stop))
        if found is None:
            with stage("slices"):
                found = self._market[start, stop] = MarketDays.of(self.bars, start, stop)
        return found
