"""Put forecasts of one bar in order: low <= open, close <= high.

Forecasts of independent targets may cross. The high of a bar is at least its open and close, so
each quantile of the high is at least as high as theirs, and likewise for the low: a quantile that
crosses is moved to the one that it crosses. Forecasts of whole bars are in order and do not change.
Works on arrays and tensors by comparisons only, so a GPU gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from marketsim.bars import TARGETS
from marketsim.forecasts.schema import Schema

_OPEN, _HIGH, _LOW, _CLOSE = (TARGETS.index(name) for name in ("open", "high", "low", "close"))


def ordered_records(schema: Schema, records: Any) -> tuple[Any, Any]:
    """Put records in order, and mark the bars that changed.

    Quantiles and means are compared level by level; draws that cross are sorted per target and then
    compared. Records of mixtures do not change: `ordered_points` orders their points and quantiles.
    Records of own returns do not change either.

    Args:
        schema: fields of a record.
        records: float32 [..., target, field], an array or a tensor.

    Returns:
        (records [..., target, field], changed bool [...]).
    """
    if schema.targets != "close" or schema.components:
        return records, _none(records)
    if schema.samples:
        crossed = _crossed(records).any(-1)
        if _is_array(records) and not crossed.any():  # on a device this check would wait for it
            return records, crossed
        by_rank = np.sort(records, -1) if _is_array(records) else records.sort(-1).values
        moved = _moved(by_rank)
        return _chosen(crossed[..., None, None], moved, records), crossed
    moved = _moved(records)
    if _is_array(records):
        moved[..., 1] = records[..., 1]
    else:
        moved[..., 1].copy_(records[..., 1])
    return moved, (moved != records).any(-1).any(-1)


def ordered_points(points: Any) -> Any:
    """Put points [bar, target] or quantiles [bar, target, level] against the close in order."""
    return _moved(points[..., None])[..., 0] if points.ndim == 2 else _moved(points)


def ordering_note(model: str, crossed: int, bars: int) -> str:
    """Say on how many bars a model's forecasts crossed and were put in order."""
    return (
        f"{model} forecasts the four prices independently, and on {crossed:,} of {bars:,} bars "
        "they crossed: put in order, low <= open, close <= high"
    )


def _is_array(values: Any) -> bool:
    return isinstance(values, np.ndarray)


def _none(records: Any) -> Any:
    shape = records.shape[:-2]
    return np.zeros(shape, np.bool_) if _is_array(records) else records.new_zeros(shape).bool()


def _crossed(values: Any) -> Any:
    """Whether the high or the low is between open and close, [..., field]."""
    opened, high, low, close = (values[..., i, :] for i in (_OPEN, _HIGH, _LOW, _CLOSE))
    return (high < opened) | (high < close) | (low > opened) | (low > close)


def _moved(values: Any) -> Any:
    """Return a copy in order; NaN, a target that was not requested, moves no other."""
    most, least = (np.fmax, np.fmin) if _is_array(values) else _of_torch()
    opened, close = values[..., _OPEN, :], values[..., _CLOSE, :]
    found = values.copy() if _is_array(values) else values.clone()
    found[..., _HIGH, :] = most(most(values[..., _HIGH, :], opened), close)
    found[..., _LOW, :] = least(least(values[..., _LOW, :], opened), close)
    return found


def _of_torch() -> tuple[Any, Any]:
    import torch

    return torch.fmax, torch.fmin


def _chosen(mask: Any, yes: Any, no: Any) -> Any:
    return np.where(mask, yes, no) if _is_array(no) else yes.where(mask, no)
