"""Toto 1.0 as a model of marketsim."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.contexts import check_horizon
from marketsim.models.distribution import Distribution
from marketsim.models.mixture import StudentTMixture
from marketsim.models.neural.batching import Batch, Indices, padded, positions
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.cost import NetworkSizes
from marketsim.models.neural.device import Execution
from marketsim.models.neural.model import (
    Array,
    Flags,
    NeuralModel,
    Values,
)
from marketsim.models.neural.results import Pending
from marketsim.models.protocol import Contexts
from marketsim.models.statistical.base import LEVELS
from marketsim.models.toto1.config import Toto1Config, network_sizes
from marketsim.models.toto1.scaler import (
    clamp_is_idle,
    in_units,
    in_units_on_device,
    patch_scales,
    scaled_patches,
)
from marketsim.models.traits import ModelTraits

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.blocks import Rotation
    from marketsim.models.toto1.network import Toto1Network

DECODING = ("exact", "cached")


class Toto1Model(NeuralModel):
    """Datadog Toto 1.0: forecasts are mixtures of Student-t distributions, in closed form.

    Horizons of more than one patch (64 steps in the official checkpoint) are decoded patch by
    patch, each from the means of those before, as the original's mean mode does; a step's
    distribution is then that given these means. `sample_paths` draws whole paths instead.

    Args:
        checkpoint: its files.
        execution: device, precision and compilation.
        context_length: how many last values a forecast sees; None for all. It was trained on 4,096.
        variates: "independent", or "joint" to forecast a symbol's targets from the past of all.
        decoding: beyond one patch "exact" gives what decoding without a cache gives; "cached" what
            the original's cache gives, whose old keys keep their place in the position code (it
            differs by 1e-4 to 5e-3 of the forecast's standard deviation).
    """

    version = 2
    levels = LEVELS
    stays_on_device = True

    def __init__(
        self,
        checkpoint: Checkpoint,
        execution: Execution,
        *,
        context_length: int | None = 4096,
        variates: str = "independent",
        decoding: str = "exact",
    ) -> None:
        if decoding not in DECODING:
            raise UnknownNameError("decoding", str(decoding), DECODING)
        super().__init__(checkpoint, execution, context_length=context_length, variates=variates)
        self.config = Toto1Config.of(checkpoint.config, checkpoint.name)
        self.decoding = decoding

    @property
    def patch(self) -> int:
        """Number of steps per patch."""
        return self.config.patch

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return replace(super().traits, path_steps=self.patch)

    @property
    def components(self) -> int:
        """Number of Student-t components of a forecast."""
        return self.config.components

    @property
    def _width(self) -> int:
        return 4 * self.config.components

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of the network."""
        return network_sizes(self.config)

    def _options(self) -> dict[str, Any]:
        return {"decoding": self.decoding}

    def _load(self) -> Toto1Network:
        from marketsim.models.toto1.weights import load_network

        network = load_network(self.checkpoint, self.config)
        # The first and the last products are few: they stay as exact as float32 is.
        network.layers.to(self.execution.torch_dtype)
        return network

    def sample_network(self, layers: int) -> Toto1Network:
        """Build a network with random weights and `layers` layers along time."""
        from marketsim.models.toto1.network import Toto1Network

        network = Toto1Network(replace(self.config, across=(False,) * layers))
        network.layers.to(self.execution.torch_dtype)
        return network

    def bytes_per_token(self) -> int:
        """Upper bound of the memory per patch in a forward pass, in bytes."""
        # Residual stream, projections, both halves of the MLP and their product, and copies.
        return 4 * (10 * self.config.width + 4 * self.config.hidden)

    def _shareable(self, values: Values, observed: Flags, ends: Indices) -> Flags:
        if self.config.clamp_exponent is None:
            return np.ones(len(ends), dtype=np.bool_)
        return clamp_is_idle(values, observed, self.config.clamp_exponent)[ends - 1]

    def _launch(self, batch: Batch, steps: int) -> Pending:
        values, observed = padded(batch, self.patch)
        location, scale = patch_scales(values, observed, self.patch, self.config.clamp_exponent)
        rows, numbers = positions(batch, self.patch)
        patches = self.to_device(scaled_patches(values, location, scale, self.patch))
        places = self._places(rows * batch.width + numbers)
        made = self._call(patches, places, self.rotation(np.arange(batch.width)), steps)
        if self.execution.compile:
            made = made.clone()  # a recorded graph writes the next batch where it wrote this one
        shift, stretch = location[rows, :, numbers], scale[rows, :, numbers]
        return _Mixtures(self, made[: len(rows)], shift, stretch)

    def _launch_long(self, batch: Batch, horizon: int) -> Pending:
        from marketsim.models.toto1.decoding import decode_means

        made = decode_means(self, batch, horizon)
        return lambda: made

    def sample_paths(
        self,
        contexts: Contexts,
        *,
        horizon: int,
        n: int,
        seed: int,
        mask: npt.ArrayLike | None = None,
    ) -> Array:
        """Draw `n` paths of `horizon` steps after each context, each patch given those before.

        Up to one patch that is what the forecast's own `sample` gives, in law. A context is read
        once, however many paths start from it. A path follows from the seed, its own number and the
        number of its context, whatever is drawn beside it.

        Args:
            contexts, mask: as for `predict`.
            horizon: how many steps.
            n: how many paths, at least 1.
            seed: at least 0.

        Returns:
            Shapes [n, batch, horizon] or [n, batch, variate, horizon].

        Raises:
            ArgumentError: as `predict`, or `n` or `seed` out of range.
        """
        import torch

        from marketsim.models.toto1.paths import batch_paths

        steps = check_horizon(horizon)
        for name, number, least in (("n", n, 1), ("seed", seed, 0)):
            if not is_whole(number) or number < least:
                raise ArgumentError(
                    f"{name} must be a whole number of at least {least}: {number!r}"
                )
        rows, shape = self._context_rows(contexts, mask)
        paths = np.empty((n, shape[0], *(shape[1:] or (1,)), steps))
        with torch.inference_mode():
            for batch, made in self.batches.run(
                rows,
                self.patch,
                lambda batch: batch_paths(self, batch, steps, n, seed),
                equal=True,
            ):
                slots = np.concatenate([row.slots for row in batch.rows])
                paths[:, slots] = made.swapaxes(0, 1)
        return paths if len(shape) > 1 else paths[:, :, 0]

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""
        import torch

        from marketsim.models.neural.blocks import Rotation
        from marketsim.models.toto1.network import rotation

        tables = rotation(self.config, torch.from_numpy(numbers), centre)
        return Rotation(*(self.to_device(table.numpy()) for table in tables))

    def _distribution(self, parameters: Array) -> Distribution:
        df, location, scale, weight = np.split(parameters, 4, axis=-1)
        return StudentTMixture(df, location, scale, weight)


@dataclass(frozen=True)
class _Mixtures:
    """Mixtures of a batch on their device, in units of their patches.

    Attributes:
        model: whose they are.
        made: float32 [forecast, variate, step, 4 * component].
        location, scale: [forecast, variate], of the patches that they were made from.
    """

    model: Toto1Model
    made: torch.Tensor
    location: Values
    scale: Values

    def __call__(self) -> Array:
        return in_units(self.made.cpu().numpy(), self.location, self.scale)

    def on_device(self) -> torch.Tensor:
        to_device = self.model.to_device
        return in_units_on_device(self.made, to_device(self.location), to_device(self.scale))
