"""Windows of a walk-forward run: the rows of its simulations, fits and evaluated bars."""

from __future__ import annotations

import datetime
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
"""Default number of simulations; the summary's heading says how to run all."""


class Stretch(NamedTuple):
    """Consecutive rows first .. stop - 1; their offsets are fitted on rows from first_fit on."""

    first_fit: int
    first: int
    stop: int


@dataclass(frozen=True)
class Windows:
    """Rows of the bars that the simulations use.

    Simulation i knows the rows up to as_of[i]; its validation window is the last `window` of them,
    each forecast from the rows before it. The offsets of bar t are fitted on the `offset_window`
    bars that end `purge` bars before t.

    Attributes:
        as_of: last known row of each simulation [simulation], ascending.
        window: length of a validation window, in bars.
        offset_window: length of the fit window of offsets, in bars; 0 where nothing is fitted.
        purge: bars left out between the fit window and the bar decided, for outcomes that would
            not be known in time.
        embargo: bars skipped between one as-of date and the next. No training lies after a test in
            a walk-forward run; an embargo here keeps validation windows from overlapping.
            window - 1 makes them disjoint; more leaves bars between them that belong to no
            simulation and are not evaluated.
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
        """Number of bars from the start of the fit window to the bar decided; 0 without a fit."""
        return self.offset_window + self.purge if self.offset_window else 0

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """Consecutive evaluated rows, ascending: windows without a gap share one stretch."""
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
        """Evaluated rows: those of all validation windows, each once, ascending."""
        return np.concatenate([np.arange(s.first, s.stop) for s in self.stretches])

    def possible_days(self, bars: int) -> int:
        """Return how many of `bars` rows can be evaluated at most: those after the context."""
        return bars - 1 - LEAST_CONTEXT - self.fit_days

    @property
    def first_day(self) -> int:
        """First evaluated row."""
        return int(self.as_of[0]) - self.window + 1

    @property
    def stop_day(self) -> int:
        """One past the last evaluated row."""
        return int(self.as_of[-1]) + 1

    @property
    def first_fit_day(self) -> int:
        """First row that offsets are fitted on; `first_day` where nothing is fitted."""
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
    """Plan the windows of the newest simulations; the last one ends at the last row.

    Plans fewer simulations, with a warning, if there are too few bars.

    Args:
        bars: number of rows.
        simulations: number of simulations; "all" for as many as the rows allow; None: 70, or all
            from `start` on.
        window, offset_window, purge, embargo: see `Windows`.
        start, stop: evaluate only the rows start .. stop - 1; forecasts and fits still read rows
            before them.

    Raises:
        ArgumentError: a number out of range.
        NotEnoughBarsError: too few bars for one simulation; says how many it needs.

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
    requested = _requested(simulations, start)
    fit = f" + {offset_window} offset window + {purge} purge" if offset_window else ""
    before = 1 + LEAST_CONTEXT + (offset_window + purge if offset_window else 0)
    first, end = max(before, start or 0), bars if stop is None else stop
    if end < first + window:
        if start is not None and start >= before:
            raise NotEnoughBarsError(
                f"too few bars for one simulation: start and end leave {end - first}, need "
                f"window={window}; choose an earlier start or a smaller window"
            )
        limited = start is not None or stop is not None
        where = f" up to the end of rows {start or 0} to {end - 1}" if limited else ""
        raise NotEnoughBarsError(
            f"too few bars for one simulation: got {end}{where}, need {first + window} "
            f"(1 + {LEAST_CONTEXT} returns before the first forecast{fit} + {window} window); "
            "give more bars or smaller windows"
        )
    if start is not None and start < before:
        warnings.warn(
            f"start is row {start}, before the first row that can be evaluated, {before} "
            f"(1 + {LEAST_CONTEXT} returns before the first forecast{fit}): evaluating from there",
            stacklevel=3,
        )
    step = embargo + 1
    possible = (end - first - window) // step + 1
    if requested is not None and possible < requested:
        warnings.warn(
            f"{end - (start or 0)} bars give {possible} simulations of the {requested} requested",
            stacklevel=3,
        )
    count = possible if requested is None else min(possible, requested)
    as_of = end - 1 - step * np.arange(count - 1, -1, -1, dtype=np.int64)
    return Windows(as_of, window, offset_window, purge, embargo)


def _requested(simulations: object, start: int | None) -> int | None:
    """Return the requested number of simulations; None for all."""
    if simulations is None:
        return SIMULATIONS if start is None else None
    if isinstance(simulations, str):
        if simulations == "all":
            return None
        raise ArgumentError(
            f'simulations must be a whole number of at least 1, or "all": got {simulations!r}'
        )
    return check_whole("simulations", simulations, 1)


def rows_between(bars: Bars, start: Any, end: Any) -> dict[str, int | None]:
    """Return the rows between two dates, both included.

    Raises:
        ArgumentError: a value that is not a date, or no bar between the dates.
    """
    index = pd.DatetimeIndex(bars.frame.index)
    try:
        first, stop = index.slice_locs(_stated(start, index), _stated(end, index))
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


def _stated(given: Any, index: pd.DatetimeIndex) -> Any:
    """Return a date as text, which stands for the whole day, and a time in the index's zone."""
    if isinstance(given, np.datetime64):
        unit = np.datetime_data(given)[0]
        return str(given) if unit in ("Y", "M", "D") else _stated(pd.Timestamp(given), index)
    if isinstance(given, datetime.datetime):
        time = pd.Timestamp(given)
        return time.tz_localize(index.tz) if time.tz is None else time
    return given.isoformat() if isinstance(given, datetime.date) else given
