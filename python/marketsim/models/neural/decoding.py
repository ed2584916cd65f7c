"""Members of a model that decoding of several patches uses, for every network over patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from marketsim.models.neural.batching import BatchRunner, Indices

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.blocks import Rotation


class DecodedModel(Protocol):
    """Members of a model that decoding uses."""

    @property
    def config(self) -> Any:
        """Configuration of the network."""
        ...

    @property
    def network(self) -> Any:
        """The network."""
        ...

    @property
    def batches(self) -> BatchRunner:
        """Batch runner of the model."""
        ...

    @property
    def patch(self) -> int:
        """Number of steps per patch."""
        ...

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""
        ...

    def to_device(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """Copy an array to the model's device."""
        ...
