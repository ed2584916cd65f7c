"""Which days each simulation of a walk-forward run is made of."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import check_whole
from marketsim.bars import Bars
from marketsim.errors import ArgumentError, NotEnoughBarsError
from marketsim.forecasts.plan import LEAST_CONTEXT

SIMULATIONS = 70
"""How many simulations are run where nobody says; the table's head says how to run all."""


class Stretch(NamedTuple):
    """Rows first .. stop - 1, which follow one another; their offsets are fitted from first_fit."""

    first_fit: int
    first: int
    stop: int


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
            overlaps here are the validation windows. window - 1 makes them disjoint; more leaves
            days between them that belong to no simulation and are not evaluated.
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
    def fit_days(self) -> int:
        """Days from the start of the fit window to the day decided; 0 where nothing is fitted."""
        return self.offset_window + self.purge if self.offset_window else 0

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The evaluated rows, ascending: windows without a gap between them are one stretch."""
        fit = self.fit_days
        starts, stops = self.starts, self.as_of + 1
        after_gap = np.flatnonzero(starts[1:] > stops[:-1]) + 1
        firsts = starts[np.concatenate(([0], after_gap))]
        ends = stops[np.concatenate((after_gap - 1, [len(stops) - 1]))]
        return tuple(
            Stretch(first - fit, first, stop)
            for first, stop in zip(firsts.tolist(), ends.tolist(), strict=True)
        )

    @cached_property
    def days(self) -> npt.NDArray[np.int64]:
        """Rows that are evaluated, each once, ascending: those of the validation windows."""
        return np.concatenate([np.arange(s.first, s.stop) for s in self.stretches])

    def possible_days(self, bars: int) -> int:
        """The most days of that many bars that can be evaluated: those after the context."""
        return bars - 1 - LEAST_CONTEXT - self.fit_days

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
        return self.first_day - self.fit_days


def plan_windows(
    bars: int,
    *,
    simulations: int | str | None = None,
    window: int,
    offset_window: int = 0,
    purge: int = 0,
    embargo: int = 0,
    start: int | None = None,
    stop: int | None = None,
) -> Windows:
    """Windows of the newest as-of dates of `bars` rows, the last row included.

    Plans fewer simulations, with a warning, where the bars do not suffice.

    Args:
        bars: how many rows there are.
        simulations: how many; "all" for as many as the rows give; None: 70, or all from `start` on.
        window, offset_window, purge, embargo: see `Windows`.
        start, stop: only the rows start .. stop - 1 are evaluated; forecasts and fits read rows
            before them.

    Raises:
        ArgumentError: a number out of range.
        NotEnoughBarsError: not one simulation fits; says how many bars it needs.

    Example:
        >>> plan_windows(200, simulations=3, window=7).as_of
        array([197, 198, 199])
    """
    for name, value, least in (
        ("window", window, 1),
        ("offset_window", offset_window, 0),
        ("purge", purge, 0),
        ("embargo", embargo, 0),
    ):
        check_whole(name, value, least)
    wanted = _wanted(simulations, start)
    fit = f" + {offset_window} offset window + {purge} purge" if offset_window else ""
    before = 1 + LEAST_CONTEXT + (offset_window + purge if offset_window else 0)
    first, end = max(before, start or 0), bars if stop is None else stop
    if end < first + window:
        limited = start is not None or stop is not None
        where = f" up to the end of rows {start or 0} to {end - 1}" if limited else ""
        raise NotEnoughBarsError(
            f"too few bars for one simulation: got {end}{where}, need {first + window} "
            f"(1 + {LEAST_CONTEXT} returns before the first forecast{fit} + {window} window); "
            "give more bars or smaller windows"
        )
    if start is not None and start < before:
        warnings.warn(
            f"start is row {start}, and the first that can be evaluated is row {before} "
            f"(1 + {LEAST_CONTEXT} returns before the first forecast{fit}): evaluated from there",
            stacklevel=3,
        )
    step = embargo + 1
    possible = (end - first - window) // step + 1
    if wanted is not None and possible < wanted:
        warnings.warn(
            f"{end - (start or 0)} bars give {possible} simulations of the {wanted} requested",
            stacklevel=3,
        )
    count = possible if wanted is None else min(possible, wanted)
    as_of = end - 1 - step * np.arange(count - 1, -1, -1, dtype=np.int64)
    return Windows(as_of, window, offset_window, purge, embargo)


def _wanted(simulations: object, start: int | None) -> int | None:
    """How many simulations; None for all."""
    if simulations is None:
        return SIMULATIONS if start is None else None
    if isinstance(simulations, str) and simulations == "all":
        return None
    return check_whole("simulations", simulations, 1)


def rows_between(bars: Bars, start: Any, end: Any) -> dict[str, int | None]:
    """The rows that two dates, both included, stand for.

    Raises:
        ArgumentError: no dates, or no bar between them.
    """
    index = pd.DatetimeIndex(bars.frame.index)
    try:
        first, stop = index.slice_locs(start, end)
    except (TypeError, ValueError, KeyError) as error:
        raise ArgumentError(
            f"start and end must be dates such as '2020-01-31': got {start!r} and {end!r} ({error})"
        ) from None
    if first >= stop:
        raise ArgumentError(
            f"no bar lies between start={start!r} and end={end!r}: the bars are from "
            f"{index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}"
        )
    return {
        "start": None if start is None else int(first),
        "stop": None if end is None else int(stop),
    }
