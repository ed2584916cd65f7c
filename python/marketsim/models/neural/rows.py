"""Rows: the series that a network reads, and the positions in them whose forecasts are asked.

A causal network that reads a series in patches gives, at the end of each patch, the forecast that
it would give after reading only so far. Patches are counted back from the end of a context, so
contexts whose lengths differ by whole patches share one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.contexts import check_values

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
_MOST = float(np.finfo(np.float32).max) / 4


@dataclass(frozen=True)
class Row:
    """One series to read, and where its forecasts go.

    Attributes:
        values: float32 [variate, time]; what is not known is the last value known, or 0.
        observed: bool [variate, time].
        ends: int64 [forecast], lengths of the contexts, ascending, congruent modulo the patch; the
            last one is `time`.
        slots: int64 [forecast], place of each forecast among those asked for.
    """

    values: npt.NDArray[np.float32]
    observed: Flags
    ends: Whole
    slots: Whole

    @classmethod
    def of(cls, values: Array, observed: Flags, ends: Whole, slots: Whole) -> Row:
        """A row of values that may be NaN, which counts as not observed."""
        return cls(*known_values(values, observed), ends, slots)

    @property
    def variates(self) -> int:
        """How many variates it has."""
        return len(self.values)

    def patches(self, patch: int) -> int:
        """How many patches of that many steps it takes."""
        return -(-int(self.values.shape[-1]) // patch)


@dataclass(frozen=True)
class RowGroup:
    """Rows of series that have as many variates, and so may share batches.

    Attributes:
        variates: how many.
        series: which series.
        rows: the rows of all of them.
        slots: the place of the first forecast of each series, then one past the last of all.
    """

    variates: int
    series: list[int]
    rows: list[Row]
    slots: list[int]

    def places(self, slots: Whole) -> tuple[Whole, Whole]:
        """Which series forecasts are of, and the how manieth of its forecasts each is."""
        which = np.searchsorted(self.slots, slots, side="right") - 1
        return np.asarray(self.series)[which], slots - np.asarray(self.slots)[which]


def known_values(values: Array, observed: Flags) -> tuple[npt.NDArray[np.float32], Flags]:
    """Values as float32 with NaN replaced by the last value before it (0 at the start), and flags.

    Raises:
        ArgumentError: infinite values, a variate without an observed one, or one that float32
            cannot hold.
    """
    seen = observed & ~np.isnan(values)
    for i, variate in enumerate(np.where(seen, values, np.nan)):
        check_values(variate, i)
    given = ~np.isnan(values)
    if not given.all():
        at = np.where(given, np.arange(values.shape[-1]), -1)
        last = np.maximum.accumulate(at, axis=-1)
        filled = np.take_along_axis(values, np.maximum(last, 0), axis=-1)
        values = np.where(last >= 0, filled, 0.0)
    if not (np.abs(values) <= _MOST).all():
        raise ArgumentError(
            f"values must be finite, and float32 must hold their differences: at most {_MOST:.2g}"
        )
    return values.astype(np.float32), seen


def window_row(
    values: Array, observed: Flags, end: int, slot: int, context_length: int | None
) -> Row:
    """The row of one context by itself: the last `context_length` values before `end`."""
    start = 0 if context_length is None else max(0, end - context_length)
    part = slice(start, end)
    ends = np.array([end - start], dtype=np.int64)
    return Row.of(values[:, part], observed[:, part], ends, np.array([slot], dtype=np.int64))


def aligned_rows(
    values: Array, observed: Flags, ends: Whole, slots: Whole, patch: int
) -> list[Row]:
    """Rows for many contexts that start where the series starts: one for each alignment."""
    rows = []
    for offset in np.unique(ends % patch):
        mine = ends % patch == offset
        longest = int(ends[mine][-1])
        part = slice(0, longest)
        rows.append(Row.of(values[:, part], observed[:, part], ends[mine], slots[mine]))
    return rows


def as_variates(rows: Sequence[npt.NDArray[Any]], variates: int) -> list[npt.NDArray[Any]]:
    """1-D rows in groups of that many, as [variate, time]."""
    return [np.stack(rows[at : at + variates]) for at in range(0, len(rows), variates)]


def variates_of(series: Array) -> int:
    """How many variates a series [time] or [variate, time] has."""
    return len(series) if series.ndim > 1 else 1
