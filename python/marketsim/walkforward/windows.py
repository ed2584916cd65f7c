"""Which days each simulation of a walk-forward run is made of."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, NotEnoughBarsError

# Returns that a first forecast must at least be made from.
LEAST_CONTEXT = 10


@dataclass(frozen=True)
class Windows:
    """Row numbers of the bars that the simulations use.

    Simulation i knows the rows up to as_of[i]; its validation window is the last `window` of them,
    each forecast from the rows before it. The offsets of day t are fitted on the `offset_window`
    days that end `purge` days before t.

    Attributes:
        as_of: [simulation], ascending.
        window: days a validation window.
        offset_window: days that offsets are fitted on; 0 where nothing is fitted.
        purge: days left out between the days fitted on and the day decided: for outcomes that
            would not be known in time.
        embargo: days between one as-of date and the next that are skipped. In a walk-forward run
            no training lies after a test, which is what an embargo guards against elsewhere; what
            overlaps here are the validation windows. window - 1 makes them disjoint.
    """

    as_of: npt.NDArray[np.int64]
    window: int
    offset_window: int
    purge: int
    embargo: int

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """First row of each validation window [simulation]."""
        return self.as_of - self.window + 1

    @property
    def first_day(self) -> int:
        """First row that is evaluated."""
        return int(self.as_of[0]) - self.window + 1

    @property
    def stop_day(self) -> int:
        """One past the last row that is evaluated."""
        return int(self.as_of[-1]) + 1

    @property
    def first_fit_day(self) -> int:
        """First row that offsets are fitted on; first_day where nothing is fitted."""
        return self.first_day - (self.offset_window + self.purge if self.offset_window else 0)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def plan_windows(
    bars: int,
    *,
    simulations: int,
    window: int,
    offset_window: int = 0,
    purge: int = 0,
    embargo: int = 0,
) -> Windows:
    """Windows of the last `simulations` as-of dates of `bars` rows, the last row included.

    Fewer simulations than asked for are planned, with a warning, where the bars do not suffice.

    Raises:
        ArgumentError: a number out of range.
        NotEnoughBarsError: not one simulation fits; says how many bars it needs.

    Example:
        >>> plan_windows(200, simulations=3, window=7).as_of
        array([197, 198, 199])
    """
    for name, value, least in (
        ("simulations", simulations, 1),
        ("window", window, 1),
        ("offset_window", offset_window, 0),
        ("purge", purge, 0),
        ("embargo", embargo, 0),
    ):
        if not _is_whole(value) or value < least:
            raise ArgumentError(f"{name} must be a whole number of at least {least}: got {value!r}")
    fit = f" + {offset_window} offset window + {purge} purge" if offset_window else ""
    before = 1 + LEAST_CONTEXT + (offset_window + purge if offset_window else 0)
    least_bars = before + window
    if bars < least_bars:
        raise NotEnoughBarsError(
            f"too few bars for one simulation: got {bars}, need {least_bars} "
            f"(1 + {LEAST_CONTEXT} returns before the first forecast{fit} + {window} window); "
            "give more bars or smaller windows"
        )
    step = embargo + 1
    possible = (bars - least_bars) // step + 1
    if possible < simulations:
        warnings.warn(
            f"{bars} bars give {possible} simulations of the {simulations} asked for",
            stacklevel=3,
        )
    count = min(possible, simulations)
    as_of = bars - 1 - step * np.arange(count - 1, -1, -1, dtype=np.int64)
    return Windows(as_of, window, offset_window, purge, embargo)
