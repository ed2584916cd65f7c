"""Swings of one window, written for reading: what the compiled kernel must give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Rows = list[int]


def average_range(
    high: Sequence[float], low: Sequence[float], close: Sequence[float]
) -> list[float]:
    """Exponential average, k = 1 / 14, of true ranges; the first is high - low."""
    values: list[float] = []
    rate = 1 / 14
    for t in range(len(high)):
        before = close[t - 1] if t else close[0]
        wide = max(high[t] - low[t], abs(high[t] - before), abs(low[t] - before))
        if not t:
            wide = high[0] - low[0]
        values.append(wide if not t else (1 - rate) * values[-1] + rate * wide)
    return values


def thin(rows: Rows, spacing: int, reach: int, most: int) -> Rows:
    kept: Rows = []
    for row in rows:
        if row >= rows[-1] - reach and (not kept or row - kept[-1] > spacing):
            kept.append(row)
    return kept[-most:]


def swings(
    high: Sequence[float],
    low: Sequence[float],
    close: Sequence[float],
    *,
    depth: int = 6,
    most: int = 8,
    reach: int = 250,
    spacing: int = 10,
    threshold: float = 1.1,
    least: float = 0.45,
    step: float = 0.2,
) -> tuple[Rows, Rows]:
    """Rows of swing highs and of swing lows, oldest first."""
    n, ranges = len(high), average_range(high, low, close)
    tops, bottoms = [], []
    for i in range(depth, n - depth):
        around = [j for j in range(i - depth, i + depth + 1) if j != i]
        if all(high[j] < high[i] for j in around):
            tops.append(i)
        if all(low[j] > low[i] for j in around):
            bottoms.append(i)
    at = threshold
    while True:
        found = [
            thin([i for i in rows if high[i] - low[i] >= at * ranges[i]], spacing, reach, most)
            for rows in (tops, bottoms)
        ]
        if all(found) or step <= 0 or at <= least:
            break
        at = max(at - step, least)
    return found[0] or [int(np.argmax(high))], found[1] or [int(np.argmin(low))]
