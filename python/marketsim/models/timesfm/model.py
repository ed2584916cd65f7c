"""TimesFM 2.5 as a model of marketsim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.neural.batching import Batch, Indices, positions
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.cost import Cost, NetworkSizes
from marketsim.models.neural.device import Execution
from marketsim.models.neural.model import Array, Flags, NeuralModel, Values
from marketsim.models.neural.results import Pending
from marketsim.models.timesfm.config import LEVELS, TimesFmConfig, network_sizes
from marketsim.models.timesfm.scaler import (
    Panel,
    in_order,
    mirrored,
    network_patches,
    patch_units,
    read_panel,
)
from marketsim.models.traits import ModelTraits

if TYPE_CHECKING:
    from marketsim.models.neural.blocks import Rotation
    from marketsim.models.timesfm.network import TimesFmNetwork

_MEDIAN = LEVELS.index(0.5)


class TimesFmModel(NeuralModel):
    """TimesFM 2.5: forecasts are nine quantiles, at 0.1, 0.2 .. 0.9, of each series by itself.

    One pass forecasts 128 steps (in the published checkpoint); beyond them the medians are read as
    if they had been observed. Quantiles that cross are put in order outwards from the median, as by
    the original's `fix_quantile_crossing`. Its `normalize_inputs` and `infer_is_positive` have no
    counterpart: the network scales its input itself, and a move may be below 0 after any past.

    Args:
        checkpoint: its files.
        execution: device, precision and compilation.
        context_length: how many last values a forecast sees; None for all. It was trained on at
            most 16,384.
        flip_invariance: whether the negated series is forecast, too, and the two are averaged, as
            the original does by default (`force_flip_invariance`). Off, a forecast takes half the
            time.
        continuous_quantiles: whether the distances of the quantiles from the median come from the
            second head, which covers 1,024 steps (`use_continuous_quantile_head`).

    Raises:
        ArgumentError: an option out of its range.
        CheckpointError: weights whose shapes are not known.
    """

    version = 1
    levels = LEVELS
    preprocessing = "from the first observed value on, linear between observed ones; float32"

    def __init__(
        self,
        checkpoint: Checkpoint,
        execution: Execution,
        *,
        context_length: int | None = 4096,
        flip_invariance: bool = True,
        continuous_quantiles: bool = False,
    ) -> None:
        super().__init__(
            checkpoint, execution, context_length=context_length, variates="independent"
        )
        for name, value in (
            ("flip_invariance", flip_invariance),
            ("continuous_quantiles", continuous_quantiles),
        ):
            if value not in (True, False):
                raise ArgumentError(f"{name} must be True or False: got {value!r}")
        self.flip_invariance = bool(flip_invariance)
        self.continuous_quantiles = bool(continuous_quantiles)
        self.config = TimesFmConfig.of(checkpoint.shapes(), checkpoint.name)

    @property
    def patch(self) -> int:
        """Number of steps per patch."""
        return self.config.patch

    @property
    def reach(self) -> int:
        """Number of steps that one pass forecasts."""
        return self.config.reach

    @property
    def _width(self) -> int:
        return len(LEVELS)

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of the network."""
        return network_sizes(self.config, spread=self.continuous_quantiles)

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        most = self.config.spread_reach if self.continuous_quantiles else None
        return replace(super().traits, horizons=most)

    def _options(self) -> dict[str, Any]:
        return {
            "flip_invariance": self.flip_invariance,
            "continuous_quantiles": self.continuous_quantiles,
        }

    def _load(self) -> TimesFmNetwork:
        from marketsim.models.timesfm.weights import load_network

        network = load_network(self.checkpoint, self.config)
        network.layers.to(self.execution.torch_dtype)
        return network

    def sample_network(self, layers: int) -> TimesFmNetwork:
        """Build a network with random weights and so many layers."""
        from marketsim.models.timesfm.network import TimesFmNetwork

        network = TimesFmNetwork(replace(self.config, layers=layers))
        network.layers.to(self.execution.torch_dtype)
        return network

    def bytes_per_token(self) -> int:
        """Upper bound of the memory per patch in a forward pass, in bytes."""
        # Residual stream, its norm, queries, keys and values as they come, of unit size and turned,
        # and the MLP's or the embedding's inner values.
        config = self.config
        inner = max(config.hidden, config.embed_hidden)
        return 4 * (13 * config.width + 3 * inner) * self._passes

    @property
    def _passes(self) -> int:
        return 2 if self.flip_invariance else 1

    def cost(self, series: Sequence[npt.ArrayLike], starts: Sequence[int]) -> Cost:
        """Compute the cost of `predict_each_of` for one step; see `NeuralModel.cost`."""
        found = super().cost(series, starts)
        return replace(
            found,
            operations=found.operations * self._passes,
            operations_float32=found.operations_float32 * self._passes,
        )

    def _shareable(self, values: Values, observed: Flags, ends: Indices) -> Flags:
        # A value missing at a context's end is the last one known; further on it is interpolated.
        return np.asarray(observed[:, ends - 1].all(axis=0))

    def _launch(self, batch: Batch, steps: int) -> Pending:
        rows, numbers = positions(batch, self.patch)
        variates = batch.rows[0].variates
        panel = read_panel(batch, self.patch)
        series = (rows[:, None] * variates + np.arange(variates)).reshape(-1)
        numbers = np.repeat(numbers, variates) - panel.skipped[series]
        units = patch_units(panel.values, panel.known, self.patch)
        patches = network_patches(panel.values, panel.known, units, self.patch)
        if self.flip_invariance:
            patches = np.concatenate([patches, mirrored(patches)])
        width = patches.shape[2]
        one = series * width + numbers
        both = [one + i * len(panel.values) * width for i in range(self._passes)]
        places = np.concatenate(both)
        spread = steps if self.continuous_quantiles else 0
        made = self._call(
            self.to_device(patches),
            self._places(places),
            self.rotation(np.arange(width)),
            steps,
            *([spread] if spread else []),
        )
        made = made[: len(places)].clone()  # a recorded graph writes its next result there
        location, scale = (part[series, numbers][:, None, None] for part in units)

        def fetch() -> Array:
            outputs = made.cpu().numpy().astype(np.float64)[:, 0]
            signed = _signed(outputs, self._passes) * scale
            quantiles = self._joined(signed[:, :steps], signed[:, steps:]) + location
            return in_order(quantiles).reshape(len(rows), variates, steps, len(LEVELS))

        return fetch

    def _joined(self, quantiles: Array, spread: Array) -> Array:
        """Take distances from the median from the second head's quantiles, if they are asked."""
        if not self.continuous_quantiles:
            return quantiles
        middle = slice(_MEDIAN, _MEDIAN + 1)
        return spread - spread[..., middle] + quantiles[..., middle]

    def _launch_long(self, batch: Batch, horizon: int) -> Pending:
        most = self.traits.horizons
        if most is not None and horizon > most:
            raise ArgumentError(
                f"{self.name} forecasts at most {most} steps ahead with continuous_quantiles=True "
                f"(trait horizons): got {horizon}"
            )
        panel = read_panel(batch, self.patch)
        ends = np.array([row.patches(self.patch) for row in batch.rows])
        ends = np.repeat(ends, batch.rows[0].variates)
        count = len(ends)  # of the series there are; a batch may have empty rows
        panel = panel.rows(slice(count))
        width = panel.values.shape[-1] // self.patch + -(-horizon // self.patch)
        at_once = max(1, self.batches.max_tokens // (width * self._passes))
        parts = []
        for start in range(0, count, at_once):
            mine = slice(start, start + at_once)
            part = panel.rows(mine)
            parts.append(self._decoded(part, ends[mine] - part.skipped, horizon))
        made = np.concatenate(parts)
        shape = (len(batch.rows), batch.rows[0].variates, horizon, len(LEVELS))
        return lambda: made.reshape(shape)

    def _decoded(self, panel: Panel, ends: Indices, horizon: int) -> Array:
        """Compute quantiles [series, horizon, level] after `ends` patches of each series.

        The medians of each block of `reach` steps take their places before the next block.
        """
        blocks = -(-horizon // self.reach)
        per_block = self.reach // self.patch
        room = ((0, 0), (0, (blocks - 1) * self.reach))
        values, known = np.pad(panel.values, room), np.pad(panel.known, room)
        if self.flip_invariance:
            values, known = np.concatenate([values, -values]), np.concatenate([known, known])
            ends = np.concatenate([ends, ends])
        found: list[Array] = []
        spread = np.empty((len(values), 0, len(LEVELS)))
        width = values.shape[-1] // self.patch
        series = np.arange(len(values))
        for block in range(blocks):
            units = patch_units(values, known, self.patch)
            last = ends + block * per_block - 1
            wanted = horizon if self.continuous_quantiles and block == 0 else 0
            outputs = self.network(
                self.to_device(network_patches(values, known, units, self.patch)),
                self.to_device(series * width + last),
                self.rotation(np.arange(width)),
                self.reach,
                wanted,
            )
            location, scale = (part[series, last][:, None, None] for part in units)
            made = outputs.cpu().numpy().astype(np.float64)[:, 0] * scale + location
            found.append(made[:, : self.reach])
            if wanted:
                spread = made[:, self.reach :]
            if block + 1 < blocks:
                medians = made[:, : self.reach, _MEDIAN].astype(np.float32)
                at = (last + 1)[:, None] * self.patch + np.arange(self.reach)
                values[series[:, None], at] = medians
                known[series[:, None], at] = True
        quantiles = np.concatenate(found, axis=1)[:, :horizon]
        both = (_signed(part, self._passes) for part in (quantiles, spread))
        return in_order(self._joined(*both))

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""
        import torch

        from marketsim.models.neural.blocks import Rotation
        from marketsim.models.timesfm.network import rotation

        tables = rotation(self.config, torch.from_numpy(numbers))
        return Rotation(*(self.to_device(table.numpy()) for table in tables))

    def _distribution(self, parameters: Array) -> Distribution:
        return QuantileDistribution(LEVELS, parameters)


def _signed(outputs: Array, passes: int) -> Array:
    """Average forecasts with the negated ones, in the second half, of the negated series."""
    if passes == 1:
        return outputs
    plain, negated = np.split(outputs, 2)
    return (plain - negated[..., ::-1]) / 2
