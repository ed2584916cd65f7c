"""Toto 2.0 as a model of marketsim."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_number, is_whole
from marketsim.errors import ArgumentError
from marketsim.models.contexts import check_horizon
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.neural.batching import Batch, Indices, positions
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.cost import NetworkSizes
from marketsim.models.neural.device import Execution
from marketsim.models.neural.model import Array, Flags, NeuralModel, Values
from marketsim.models.neural.results import Pending
from marketsim.models.toto2.config import LEVELS, Toto2Config, network_sizes
from marketsim.models.toto2.masking import Panel, shareable, sight, split_panels
from marketsim.models.toto2.scaler import (
    Units,
    confined,
    in_units,
    network_patches,
    patch_units,
    too_large,
)

if TYPE_CHECKING:
    from torch import Tensor

    from marketsim.models.neural.blocks import Rotation
    from marketsim.models.toto2.network import Toto2Network


class Toto2Model(NeuralModel):
    """Datadog Toto 2.0: forecasts are nine quantiles, at 0.1, 0.2 .. 0.9.

    The last patch (32 steps in the official checkpoints) of a context counts as observed, as in the
    original: missing values there are the last known ones, or 0 before the first.

    Args:
        checkpoint: its files.
        execution: device, precision and compilation.
        context_length: how many last values a forecast sees; None for all. It was trained on 4,096.
        variates: "independent", or "joint" to forecast a symbol's targets from the past of all.
        has_missing_values: whether patches without an observed value are hidden from the others of
            their variate.
        decode_block: horizons of more than one patch are forecast at once if None; in blocks of so
            many steps, a multiple of the patch, each from the medians of those before, otherwise.
        fallback_observations: patches with fewer observed values than this up to their end are
            scaled by the first so many values of the series; 0 for never. GluonTS uses 8.
        cap: forecasts are confined to the range of the context's values, widened by that many
            scales on both sides; 0 for no limit. GluonTS uses 1e4.

    Raises:
        ArgumentError: an option out of its range.
        CheckpointError: a configuration that is not known.
    """

    version = 2
    levels = LEVELS

    def __init__(
        self,
        checkpoint: Checkpoint,
        execution: Execution,
        *,
        context_length: int | None = 4096,
        variates: str = "independent",
        has_missing_values: bool = True,
        decode_block: int | None = None,
        fallback_observations: int = 0,
        cap: float = 0.0,
    ) -> None:
        super().__init__(checkpoint, execution, context_length=context_length, variates=variates)
        self.config = Toto2Config.of(checkpoint.config, checkpoint.name)
        if has_missing_values not in (True, False):
            raise ArgumentError(
                f"has_missing_values must be True or False: got {has_missing_values!r}"
            )
        if decode_block is not None and (
            not is_whole(decode_block) or decode_block < 1 or decode_block % self.patch != 0
        ):
            raise ArgumentError(
                f"decode_block must be None or a multiple of the patch, {self.patch}: "
                f"got {decode_block!r}"
            )
        if not is_whole(fallback_observations) or fallback_observations < 0:
            raise ArgumentError(
                "fallback_observations must be a whole number of at least 0: "
                f"got {fallback_observations!r}"
            )
        if isinstance(cap, bool) or not 0.0 <= as_number("cap", cap) < math.inf:
            raise ArgumentError(f"cap must be a finite number of at least 0: got {cap!r}")
        self.has_missing_values = bool(has_missing_values)
        self.decode_block = None if decode_block is None else int(decode_block)
        self.fallback_observations = int(fallback_observations)
        self.cap = float(cap)

    @property
    def patch(self) -> int:
        """Number of steps per patch."""
        return self.config.patch

    @property
    def _width(self) -> int:
        return len(LEVELS)

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of the network."""
        return network_sizes(self.config)

    def _options(self) -> dict[str, Any]:
        return {
            "has_missing_values": self.has_missing_values,
            "decode_block": self.decode_block,
            "fallback_observations": self.fallback_observations,
            "cap": self.cap,
        }

    def _load(self) -> Toto2Network:
        from marketsim.models.toto2.weights import load_network

        network = load_network(self.checkpoint, self.config)
        network.layers.to(self.execution.torch_dtype)
        return network

    def sample_network(self, layers: int) -> Toto2Network:
        """Build a network with random weights and `layers` layers along time."""
        from marketsim.models.toto2.network import Toto2Network

        network = Toto2Network(replace(self.config, across=(False,) * layers))
        network.layers.to(self.execution.torch_dtype)
        return network

    def bytes_per_token(self) -> int:
        """Upper bound of the memory per patch in a forward pass, in bytes."""
        # Residual stream, its norm, projections as they come and turned, and the embedding's or the
        # MLP's inner values, with copies.
        heads = self.config.heads * (2 * self.config.key_size + self.config.value_size)
        return 4 * (4 * self.config.width + 3 * heads + 3 * self.config.hidden)

    def _may_hide(self, variates: int) -> bool:
        return self.has_missing_values or variates > 1

    def _shareable(self, values: Values, observed: Flags, ends: Indices) -> Flags:
        return shareable(
            observed,
            ends,
            self.patch,
            fallback=self.fallback_observations,
            may_hide=self._may_hide(len(observed)),
        )

    def _launch(self, batch: Batch, steps: int) -> Pending:
        rows, numbers = positions(batch, self.patch)
        parts = []
        for index, panel in split_panels(
            batch, self.patch, may_hide=self._may_hide(batch.rows[0].variates)
        ):
            mine = np.flatnonzero(np.isin(rows, index))
            place = np.searchsorted(index, rows[mine])
            count = batch.count if len(index) == len(batch.rows) else len(index)
            parts.append((mine, self._start(panel, place, numbers[mine], steps, count)))

        def fetch() -> Array:
            made = np.empty((len(rows), batch.rows[0].variates, steps, len(LEVELS)))
            for mine, part in parts:
                made[mine] = part()
            return made

        return fetch

    def _start(
        self, panel: Panel, rows: Indices, numbers: Indices, steps: int, count: int
    ) -> Pending:
        """Start the forecasts after some patches of a panel, filled up to `count` rows."""
        width = panel.values.shape[-1] // self.patch
        units = self.units(panel)
        patches = network_patches(panel.values, panel.observed, units, self.patch)
        given = self.to_device(_filled(patches, count))
        places = self._places(rows * width + numbers)
        rotation = self.rotation(np.arange(width))
        masks = self.masks(panel)
        measured = units.at((rows, slice(None), numbers))

        def run(steps: int) -> Tensor:
            made: Tensor = self._call(given, places, rotation, steps, *masks)
            return made[: len(rows)].clone()  # a recorded graph writes its next result there

        made = run(steps)

        def fetch() -> Array:
            quantiles = in_units(made.cpu().numpy(), measured)
            beyond = np.flatnonzero(too_large(quantiles))
            if steps < self.patch and len(beyond):
                # What they are confined to needs the whole patch.
                of = measured.at(beyond)
                whole = confined(in_units(run(self.patch).cpu().numpy()[beyond], of), of)
                quantiles[beyond] = whole[..., :steps, :]
            return confined(quantiles, measured)

        return fetch

    def units(self, panel: Panel) -> Units:
        """Compute the units of a panel's patches, [row, variate, patch number]."""
        return patch_units(
            panel.values, panel.observed, self.patch, self.fallback_observations, self.cap
        )

    def masks(self, panel: Panel) -> tuple[Tensor | None, Tensor | None]:
        """Return the network's `groups` and `seen` for a panel read from its start."""
        if panel.groups is None:
            return None, None
        variates = panel.values.shape[1]
        groups = self.to_device(panel.groups) if variates > 1 else None
        return groups, self.to_device(sight(panel.groups)) if self.has_missing_values else None

    def _launch_long(self, batch: Batch, horizon: int) -> Pending:
        from marketsim.models.toto2.decoding import decode

        variates = batch.rows[0].variates
        made = np.empty((len(batch.rows), variates, horizon, len(LEVELS)))
        # Blocks are decoded with a mask, whatever is expected of missing values.
        may_hide = self._may_hide(variates) or self.decode_block is not None
        for index, panel in split_panels(batch, self.patch, may_hide=may_hide):
            made[index] = decode(self, panel, batch.width, horizon)
        return lambda: made

    def forecast_grouped(
        self,
        target: npt.ArrayLike,
        horizon: int,
        *,
        mask: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        known: npt.ArrayLike | None = None,
        known_mask: npt.ArrayLike | None = None,
        known_groups: npt.ArrayLike | None = None,
    ) -> QuantileDistribution:
        """Forecast variates in groups, given others whose future is known.

        Args:
            target: [batch, variate, time], whole patches, finite.
            horizon: how many steps.
            mask: bool, as `target`; all observed if None. The last patch counts as observed.
            groups: whole numbers of at least 0, [batch, variate]; variates of one group see each
                other. One group if None.
            known: [batch, known variate, time + horizon], values that are known beforehand, such as
                those of a calendar; seen by the variates of their group.
            known_mask: bool, as `known`; all observed if None.
            known_groups: [batch, known variate], as `groups`; group 0 if None.

        Returns:
            Quantiles [batch, variate, horizon].

        Raises:
            ArgumentError: shapes that do not fit, a time that is no whole patches, or values that
                are not finite.
        """
        import torch

        from marketsim.models.toto2.decoding import decode, grouped_panel

        steps = check_horizon(horizon)
        panel, width = grouped_panel(
            self.patch, steps, (target, mask, groups), (known, known_mask, known_groups)
        )
        with torch.inference_mode():
            return QuantileDistribution(LEVELS, decode(self, panel, width, steps))

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""
        import torch

        from marketsim.models.neural.blocks import Rotation
        from marketsim.models.toto2.network import rotation

        tables = rotation(self.config, torch.from_numpy(numbers), centre)
        return Rotation(*(self.to_device(table.numpy()) for table in tables))

    def _distribution(self, parameters: Array) -> Distribution:
        return QuantileDistribution(LEVELS, parameters)


def _filled(rows: Values, count: int) -> Values:
    """Pad rows [row, ...] with empty ones."""
    if count == len(rows):
        return rows
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), np.float32)])
