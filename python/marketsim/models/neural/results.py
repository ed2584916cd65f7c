"""Forecasts of a batch while they are copied from its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.neural.batching import Indices

if TYPE_CHECKING:
    import torch

# What fetches the parameters [forecast, variate, horizon, width] of a batch from its device.
Pending: TypeAlias = Callable[[], npt.NDArray[np.float64]]


@runtime_checkable
class StayingPending(Protocol):
    """A `Pending` whose parameters can also stay on the device."""

    def __call__(self) -> npt.NDArray[np.float64]:
        """The parameters on the host."""
        ...

    def on_device(self) -> torch.Tensor:
        """Return the numbers as float64 on the device; does not wait."""
        ...


class DeviceBatch(NamedTuple):
    """Forecasts of a batch on the device.

    Attributes:
        series: int64 [forecast], index of the requested series of each.
        days: int64 [forecast], index of each forecast within its series.
        parameters: float64 tensor [forecast, variate, 1, width].
    """

    series: Indices
    days: Indices
    parameters: torch.Tensor


def staying(pending: Pending, name: str) -> torch.Tensor:
    """Return the parameters of a batch on its device; raise if they cannot stay there.

    Raises:
        ArgumentError: they are made on the host.
    """
    if not isinstance(pending, StayingPending):
        raise ArgumentError(f"the forecasts of {name} are made on the host, from what a GPU gives")
    return pending.on_device()
