"""Which forecasts a run needs: each pair of target and day once, however often it is used."""

from __future__ import annotations

from dataclasses import dataclass

from marketsim.bars import TARGETS


@dataclass(frozen=True)
class ForecastPlan:
    """The days first .. stop - 1, for all four targets.

    Days are row numbers of the bars; the forecast for day t uses the rows before t.

    Attributes:
        first: the first day to forecast, at least 2 (one return must lie before it).
        stop: one past the last day.
        simulations, window: the run that it is for, to say what it saves.
    """

    first: int
    stop: int
    simulations: int
    window: int

    @property
    def days(self) -> int:
        """How many days are forecast."""
        return self.stop - self.first

    @property
    def forecasts(self) -> int:
        """How many forecasts are made: pairs of target and day."""
        return self.days * len(TARGETS)

    @property
    def without_sharing(self) -> int:
        """How many forecasts the simulations would make one by one, for their windows alone."""
        return self.simulations * self.window * len(TARGETS)
