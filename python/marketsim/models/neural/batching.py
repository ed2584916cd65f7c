"""Rows of network input, and their batches.

A causal network that reads a series in patches gives, at the end of each patch, the forecast that
it would give after reading only that far. Patches are counted back from the end of a context, so
contexts whose lengths differ by whole patches share one row. Batches hold rows of similar length,
as many as memory allows, and are halved where they do not fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.contexts import check_values

Result = TypeVar("Result")
Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
_MOST = float(np.finfo(np.float32).max) / 4

# A row that is shorter than its batch is filled up. Batches end where that would cost more than
# this share, once they are large enough to keep a processor busy.
_WASTE = 0.15
_ENOUGH_TOKENS = 512
# What errors say that have no type of their own.
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True)
class Row:
    """One series of input, and the slots of its forecasts.

    Attributes:
        values: float32 [variate, time]; what is not known is the last value known, or 0.
        observed: bool [variate, time].
        ends: int64 [forecast], lengths of the contexts, ascending, congruent modulo the patch; the
            last one is `time`.
        slots: int64 [forecast], index of each forecast among the requested ones.
    """

    values: npt.NDArray[np.float32]
    observed: Flags
    ends: Indices
    slots: Indices

    @classmethod
    def of(cls, values: Array, observed: Flags, ends: Indices, slots: Indices) -> Row:
        """Make a row of values; NaN counts as not observed."""
        return cls(*known_values(values, observed), ends, slots)

    @property
    def variates(self) -> int:
        """Number of variates."""
        return len(self.values)

    def patches(self, patch: int) -> int:
        """Return the number of patches of `patch` steps."""
        return -(-int(self.values.shape[-1]) // patch)


@dataclass(frozen=True)
class RowGroup:
    """Rows of series with equal numbers of variates, which can share batches.

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

    def places(self, slots: Indices) -> tuple[Indices, Indices]:
        """Return the series of each forecast and its index within the series."""
        which = np.searchsorted(self.slots, slots, side="right") - 1
        return np.asarray(self.series)[which], slots - np.asarray(self.slots)[which]


def known_values(values: Array, observed: Flags) -> tuple[npt.NDArray[np.float32], Flags]:
    """Return float32 values with NaN replaced by the last value (0 at the start), and flags.

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
    """Make the row of one context: the last `context_length` values before `end`."""
    start = 0 if context_length is None else max(0, end - context_length)
    part = slice(start, end)
    ends = np.array([end - start], dtype=np.int64)
    return Row.of(values[:, part], observed[:, part], ends, np.array([slot], dtype=np.int64))


def aligned_rows(
    values: Array, observed: Flags, ends: Indices, slots: Indices, patch: int
) -> list[Row]:
    """Make rows for contexts that start with the series: one for each alignment of patches."""
    rows = []
    for offset in np.unique(ends % patch):
        mine = ends % patch == offset
        longest = int(ends[mine][-1])
        part = slice(0, longest)
        rows.append(Row.of(values[:, part], observed[:, part], ends[mine], slots[mine]))
    return rows


def as_variates(rows: Sequence[npt.NDArray[Any]], variates: int) -> list[npt.NDArray[Any]]:
    """Group 1-D rows as [variate, time], `variates` per group."""
    return [np.stack(rows[at : at + variates]) for at in range(0, len(rows), variates)]


def variates_of(series: Array) -> int:
    """Return the number of variates of a series [time] or [variate, time]."""
    return len(series) if series.ndim > 1 else 1


@dataclass(frozen=True)
class Batch:
    """Rows that go through the network together.

    Attributes:
        rows: the rows, all of the same number of variates.
        width: how many patches each takes, the shorter ones filled up at their ends.
        count: how many rows the network is given, those that are missing empty.
    """

    rows: tuple[Row, ...]
    width: int
    count: int


class BatchRunner:
    """Runs rows in batches of at most `max_tokens` patches and adapts to the free memory.

    Args:
        max_tokens: see below.
        bucketed: whether batches are rounded up to few shapes.
        advice: what to use where memory does not suffice for a single row.

    Attributes:
        max_tokens: the most patches that one batch holds.
        halvings: how often memory did not suffice and batches were made smaller.
    """

    def __init__(
        self,
        max_tokens: int,
        *,
        bucketed: bool = False,
        advice: str = "a smaller context_length or another device",
    ) -> None:
        self.max_tokens = max(1, max_tokens)
        self.halvings = 0
        self._bucketed = bucketed
        self._advice = advice

    def plan(self, rows: Sequence[Row], patch: int, *, equal: bool = False) -> Iterator[Batch]:
        """Plan batches of rows, sorted by variates and length; of one length each if `equal`.

        The longest come first, so that memory that does not suffice shows at once.
        """
        ordered = sorted(rows, key=lambda row: (row.variates, row.patches(patch)), reverse=True)
        group: list[Row] = []
        for row in ordered:
            if group and not self._fits(group, row, patch, equal):
                yield self._batch(group, patch, equal)
                group = []
            group.append(row)
        if group:
            yield self._batch(group, patch, equal)

    def run(
        self,
        rows: Sequence[Row],
        patch: int,
        work: Callable[[Batch], Result],
        *,
        equal: bool = False,
    ) -> Iterator[tuple[Batch, Result]]:
        """Yield each batch with the result of `work`.

        Raises:
            ArgumentError: memory does not suffice for a single row.
        """
        for batch in self.plan(rows, patch, equal=equal):
            try:
                result = work(batch)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                message = (str(error) or type(error).__name__).splitlines()[0]
            else:
                yield batch, result
                continue
            # Outside the handler, so that the error no longer holds what the batch had allocated.
            self._shrink(batch, message)
            yield from self.run(batch.rows, patch, work, equal=equal)

    def _shrink(self, batch: Batch, message: str) -> None:
        if len(batch.rows) == 1:
            raise ArgumentError(
                f"memory does not suffice for one context of {batch.width} patches and "
                f"{batch.rows[0].variates} variates: use {self._advice} ({message})"
            )
        used = len(batch.rows) * batch.rows[0].variates * batch.width
        self.max_tokens = max(1, min(self.max_tokens, used) // 2)
        self.halvings += 1
        warnings.warn(
            f"memory did not suffice for a batch of {len(batch.rows)} rows: going on with at most "
            f"{self.max_tokens:,} patches a batch ({message})",
            RuntimeWarning,
            stacklevel=4,
        )

    def _fits(self, group: list[Row], row: Row, patch: int, equal: bool) -> bool:
        width = self._width(group[0].patches(patch))
        if row.variates != group[0].variates:
            return False
        tokens = len(group) * width * row.variates
        if tokens + width * row.variates > self.max_tokens:
            return False
        if equal:
            return row.patches(patch) == group[0].patches(patch)
        wasted = width - row.patches(patch)
        return wasted <= _WASTE * width or tokens < _ENOUGH_TOKENS

    def _batch(self, group: list[Row], patch: int, equal: bool) -> Batch:
        width = group[0].patches(patch) if equal else self._width(group[0].patches(patch))
        count = len(group)
        if self._bucketed and not equal:
            most = max(1, self.max_tokens // (width * group[0].variates))
            count = max(count, min(bucket(count), most))
        return Batch(tuple(group), width, count)

    def _width(self, patches: int) -> int:
        return bucket(patches) if self._bucketed else patches


def padded(batch: Batch, patch: int) -> tuple[npt.NDArray[np.float32], Flags]:
    """Return values and flags [row, variate, time] of a batch, padded with zeros.

    Each row is filled up at its start to whole patches, as the models were trained, and then at its
    end to the batch's width, in padding that is never read.
    """
    shape = (batch.count, batch.rows[0].variates, batch.width * patch)
    values = np.zeros(shape, dtype=np.float32)
    observed = np.zeros(shape, dtype=np.bool_)
    for i, row in enumerate(batch.rows):
        stop = row.patches(patch) * patch
        part = slice(stop - row.values.shape[-1], stop)
        values[i, :, part] = row.values
        observed[i, :, part] = row.observed
    return values, observed


def positions(batch: Batch, patch: int) -> tuple[Indices, Indices]:
    """Return (row, patch number) of each forecast of a batch, in the order of its rows."""
    rows = np.concatenate([np.full(len(row.ends), i) for i, row in enumerate(batch.rows)])
    ends = np.concatenate([row.ends for row in batch.rows])
    return rows, -(-ends // patch) - 1


def bucket(size: int) -> int:
    """Round up to 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: few shapes, padded by at most half."""
    power = 1
    while power < size:
        if power % 2 == 0 and power // 2 * 3 >= size:
            return power // 2 * 3
        power *= 2
    return power


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(text in str(error) for text in _OUT_OF_MEMORY)
