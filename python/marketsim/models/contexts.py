"""Check contexts given as arrays or lists, with masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_numbers, is_whole
from marketsim.errors import ArgumentError
from marketsim.models.protocol import Contexts

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def read_contexts(
    contexts: Contexts, mask: npt.ArrayLike | None
) -> tuple[list[Array], list[Flags] | None, tuple[int, ...]]:
    """Return contexts as 1-D rows, their masks if any, and the shape of the batch.

    Raises:
        ArgumentError: another shape than `Contexts` allows, or a mask of another shape.
    """
    masks: list[Flags] | None = None
    if isinstance(contexts, (list, tuple)) and _differ_in_length(contexts):
        rows = [
            as_numbers(f"context {i}", context, np.float64) for i, context in enumerate(contexts)
        ]
        if any(row.ndim != 1 for row in rows):
            shapes = ", ".join(str(row.shape) for row in rows[:5])
            raise ArgumentError(
                f"a list of contexts of different lengths must hold 1-D arrays: got {shapes}"
            )
        shape: tuple[int, ...] = (len(rows),)
        if mask is not None:
            masks = [_flags(m) for m in mask] if isinstance(mask, (list, tuple)) else [_flags(mask)]
    else:
        array = as_numbers("contexts", contexts, np.float64)
        if array.ndim not in (2, 3):
            raise ArgumentError(
                "contexts must be [batch, time], [batch, variate, time] or a list of 1-D arrays: "
                f"got shape {array.shape}"
            )
        shape = array.shape[:-1]
        rows = rows_of(array)
        if mask is not None:
            observed = _flags(mask)
            if observed.shape != array.shape:
                raise ArgumentError(
                    f"mask must have the shape of the contexts {array.shape}: got {observed.shape}"
                )
            masks = rows_of(observed)
    if masks is not None and [m.shape for m in masks] != [row.shape for row in rows]:
        raise ArgumentError(
            "mask must have the lengths of the contexts "
            f"{[row.size for row in rows[:5]]}: got {[m.shape for m in masks[:5]]}"
        )
    return rows, masks, shape


def read_series(series: npt.ArrayLike, start: int) -> Array:
    """Check a series [time] or [variate, time] and the first end of a context.

    Raises:
        ArgumentError: another shape, no variate, or a start outside 1 .. time.
    """
    array = as_numbers("series", series, np.float64)
    if array.ndim not in (1, 2):
        raise ArgumentError(f"series must be [time] or [variate, time]: got shape {array.shape}")
    size = array.shape[-1]
    if not is_whole(start) or not 1 <= start <= size:
        raise ArgumentError(
            f"start must be a whole number in 1 .. {size}, the length: got {start!r}"
        )
    if array.ndim == 2 and not len(array):
        raise ArgumentError(f"series must hold at least one variate: got shape {array.shape}")
    return array


def check_horizon(horizon: int) -> int:
    """Check that a horizon has at least one step; raise ArgumentError."""
    if not is_whole(horizon) or horizon < 1:
        raise ArgumentError(f"horizon must be a whole number of at least 1: got {horizon!r}")
    return int(horizon)


def check_values(row: Array, index: int) -> Array:
    """Check that a 1-D context has an observed value and no infinite one; raise ArgumentError."""
    if np.isinf(row).any():
        at = int(np.flatnonzero(np.isinf(row))[0])
        raise ArgumentError(f"context {index} holds an infinite value at {at}")
    if np.isnan(row).all():
        raise ArgumentError(f"context {index} holds no observed value (length {row.size})")
    return np.ascontiguousarray(row)


def rows_of(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the rows along the last axis, which may be empty."""
    return list(array.reshape(math.prod(array.shape[:-1]), array.shape[-1]))


def check_context_length(value: int | None) -> int | None:
    """Return `value` if it is a context length or None; raise ArgumentError otherwise."""
    if value is not None and (not is_whole(value) or value < 1):
        raise ArgumentError(
            f"context_length must be a whole number of at least 1, or None: got {value!r}"
        )
    return value


def _differ_in_length(contexts: Sequence[Any]) -> bool:
    try:
        return len({np.size(context) for context in contexts}) > 1
    except (TypeError, ValueError):  # one of them is no array: the next step says which
        return True


def _flags(mask: object) -> Flags:
    try:
        return np.asarray(mask, dtype=np.bool_)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"mask must be True or False for each value of the contexts: got {mask!r} ({error})"
        ) from None
