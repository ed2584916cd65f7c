"""Files joined of bars of different lengths, such as weeks and then days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketsim.bars.zones import IntArray

_MANY = 20  # steps that show the length of bars
_SOME = 10  # short ones among as many steps that are no chance
_CHUNK = 1 << 16  # rows that stay in the processor's cache
_EVEN = 0.85  # of the usual step: months have 28 to 31 days, weeks may begin on Tuesday


@dataclass(frozen=True)
class Change:
    """Where the length of bars changes.

    Attributes:
        row: the first of the later bars, in the order of time.
        before: usual step of the bars before it, nanoseconds.
        after: of those from it on.

    """

    row: int
    before: int
    after: int


def find_change(times: IntArray) -> Change | None:
    """Where bars of one length are followed by bars of half of it or less, or are preceded by them.

    The first (or last) 20 steps of the longer bars must be even, with holes: those of a quiet
    market, whose bars within it are missing, are not.

    Args:
        times: ascending ns [row].

    """
    if len(times) <= _MANY + _SOME:
        return None
    first, last = np.diff(times[: _MANY + 1]), np.diff(times[-_MANY - 1 :])
    limits = [_usual(part) // 2 if _is_even(part) else 0 for part in (first, last)]
    short, sizes = _short_steps(times, max(limits))
    if len(short) < _SOME:
        return None
    row = _many_from(short[sizes <= limits[0]])
    if row is None:
        later = len(times) - 2
        turned = _many_from(later - short[sizes <= limits[1]][::-1])
        if turned is None:
            return None
        row = later - turned + 1
        row += int(times[row + 1] - times[row] > _usual(last) / _EVEN)  # the first after a hole
    steps = np.diff(times[: row + 1]), np.diff(times[row:])
    return Change(row, *(_usual(part) for part in steps))


def _is_even(steps: IntArray) -> bool:
    """Whether no bar is much closer to the next than most are."""
    return bool(steps.min() >= _EVEN * _usual(steps))


def _short_steps(times: IntArray, limit: int) -> tuple[IntArray, IntArray]:
    """Steps above 0 of at most a limit: their rows, and how long they are, [step]."""
    rows, sizes = [], []
    for start in range(0, len(times) - 1 if limit else 0, _CHUNK):
        steps = np.diff(times[start : start + _CHUNK + 1])
        found = np.flatnonzero((steps > 0) & (steps <= limit))
        rows.append(found + start)
        sizes.append(steps[found])
    none = np.empty(0, np.int64)
    return np.concatenate([none, *rows]), np.concatenate([none, *sizes])


def _many_from(short: IntArray) -> int | None:
    """The first of many short steps that lie close together; None where there is none."""
    near = short[_SOME - 1 :] - short[: max(len(short) - _SOME + 1, 0)] < _MANY
    return int(short[int(np.argmax(near))]) if near.any() else None


def _usual(steps: IntArray) -> int:
    """The lower median."""
    middle = (len(steps) - 1) // 2
    return int(np.partition(steps, middle)[middle])
