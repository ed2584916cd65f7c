"""Encode forecasts on a device as records, equal to those of `Schema.encode` bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marketsim.forecasts.schema import WEIGHT_NOISE, mixture_fields
from marketsim.models.mixture import WEIGHT_TOLERANCE

if TYPE_CHECKING:
    import torch


def mixture_records_on_device(parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode Student-t mixtures as records, and mark which are valid.

    Repeats the steps of `Schema.encode` elementwise in float64, so the bits are equal. Mixtures
    that `StudentTMixture` refuses, or that are not finite as float32, are only marked, which avoids
    waiting for the device.

    Args:
        parameters: float64 [..., 4 * component]: df, location, scale and weight of each component.

    Returns:
        (records float32 [..., 4 * component], sound bool [...]).
    """
    import torch

    df, location, scale, weights = mixture_fields(parameters)
    total = sums_on_device(weights)
    sound = (df > 1.0).all(-1) & (scale > 0.0).all(-1) & (weights >= 0.0).all(-1)
    sound &= torch.isfinite(parameters).all(-1) & ((total - 1.0).abs() <= WEIGHT_TOLERANCE)
    total = torch.where((total - 1.0).abs() <= WEIGHT_NOISE, 1.0, total)
    limits = np.finfo(np.float32)
    narrow = df.clamp(max=float(limits.max)).float()
    for least in (1.0, 2.0):  # see `Schema.encode`
        lost = (df > least) & (narrow <= least)
        narrow = torch.where(lost, float(np.nextafter(np.float32(least), limits.max)), narrow)
    parts = [
        narrow,
        location.float(),
        scale.clamp(float(limits.tiny), float(limits.max)).float(),
        (weights / total[..., None]).float(),
    ]
    records = torch.cat(parts, dim=-1)
    return records, sound & torch.isfinite(records).all(-1)


def sums_on_device(values: torch.Tensor) -> torch.Tensor:
    """Sum the last axis sequentially, in the order in which the host adds weights and draws."""
    total = values[..., 0] + 0.0
    for i in range(1, values.shape[-1]):
        total = total + values[..., i]
    return total
