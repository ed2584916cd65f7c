"""Downsampling of curves that keeps shape and extremes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Beyond this the arithmetic of scales could overflow; no price is near it.
_LARGEST = 1e100


def drawable(values: npt.ArrayLike) -> Floats:
    """Convert values to float64, with NaN for infinities and values beyond 1e100.

    Example:
        >>> drawable([1.0, float("inf"), 2.0])
        array([ 1., nan,  2.])

    """
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) <= _LARGEST, array, np.nan)


def extremes(values: Floats, buckets: int) -> npt.NDArray[np.int64]:
    """Return the indices of the minimum and maximum of each bucket, ascending.

    The first and the last value stay too. A bucket of NaN keeps one index, so the gap stays
    visible. A curve of at most two points per bucket is kept whole.

    Args:
        values: [bar], NaN for missing values.
        buckets: number of buckets of equal length.

    Example:
        >>> extremes(np.array([0.0, 5.0, 1.0, -3.0, 2.0, 2.0]), buckets=2).tolist()
        [0, 1, 3, 5]

    """
    days = len(values)
    if days <= 2 * buckets:
        return np.arange(days)
    edges = np.linspace(0, days, buckets + 1).astype(np.int64)
    bucket = np.searchsorted(edges, np.arange(days), side="right") - 1
    # Within a bucket ascending by value, NaN last: the first entry is the minimum.
    order = np.lexsort((values, bucket))
    finite = np.add.reduceat(np.isfinite(values).astype(np.int64), edges[:-1])
    least = order[edges[:-1]]
    greatest = order[edges[:-1] + np.maximum(finite - 1, 0)]
    present = np.flatnonzero(np.isfinite(values))
    ends = present[[0, -1]] if len(present) else present
    return np.unique(np.concatenate((least, greatest, ends)))


def thinned(days: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most `most` of `days` indices, evenly spaced, with the first and the last.

    Example:
        >>> thinned(10, 4).tolist()
        [0, 3, 6, 9]

    """
    if days <= most:
        return np.arange(days)
    return np.unique(np.rint(np.linspace(0, days - 1, most)).astype(np.int64))
