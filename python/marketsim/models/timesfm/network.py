"""Network of TimesFM 2.5, for inference.

Norms stand before and after each branch. Queries and keys are divided by their size; the factors of
their norms and of the dimensions stand with the rotation of the queries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from marketsim.models.neural.blocks import (
    Rotation,
    attend,
    pad_tile,
    rotated_tiles,
    unit_size,
)
from marketsim.models.neural.elementwise import cos, silu, sin
from marketsim.models.neural.products import Linear
from marketsim.models.neural.residual import ResidualMlp, cpu_parts
from marketsim.models.neural.stages import network_stage
from marketsim.models.timesfm.config import LEVELS, NORM_EPS, TimesFmConfig

_ROTARY_BASE = 10_000.0


class TimesFmLayer(nn.Module):
    """One layer: attention along time, then an MLP, each normalised before and after."""

    def __init__(self, config: TimesFmConfig) -> None:
        super().__init__()
        self.heads = config.heads
        d = config.width
        self.qkv = Linear(d, 3 * d, bias=False)
        self.out = Linear(d, d, bias=False)
        self.up = Linear(d, config.hidden, bias=False)
        self.down = Linear(config.hidden, d, bias=False)
        self.by_dimension = nn.Parameter(torch.ones(config.key_size))
        self.after_attention = nn.Parameter(torch.ones(d))
        self.after_mlp = nn.Parameter(torch.ones(d))

    def attended(self, hidden: Tensor, rows: int, width: int, rotation: Rotation) -> Tensor:
        """Attend along time; tokens [token, width], padded to whole tiles."""
        dtype = self.qkv.weight.dtype
        mixed = self.qkv(unit_size(hidden, NORM_EPS).to(dtype))[: rows * width]
        q, k, v = mixed.view(rows, width, 3, self.heads, -1).unbind(2)
        q, k = (unit_size(part.float(), NORM_EPS).to(dtype) for part in (q, k))
        factor = self.by_dimension.float()
        turned = Rotation(
            rotation.query_cos * factor,
            rotation.query_sin * factor,
            rotation.key_cos,
            rotation.key_sin,
        )
        found = attend(*rotated_tiles(q, k, v, turned), scale=1.0)[:, :width]
        return pad_tile(found.flatten(-2).flatten(0, 1), 0)

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Add the layer's two branches to its input, in place, given the attention's output."""
        hidden += unit_size(self.out(attended).float(), NORM_EPS).mul_(self.after_attention.float())
        dtype = self.up.weight.dtype
        for part in cpu_parts(hidden):
            inner = silu(self.up(unit_size(part, NORM_EPS).to(dtype)))
            part += unit_size(self.down(inner).float(), NORM_EPS).mul_(self.after_mlp.float())
        return hidden


class TimesFmNetwork(nn.Module):
    """Network from patches to quantiles of the steps after them, in units of the patch.

    The residual stream, its ends and their weights are float32; other matrix products have the
    precision of their weights.
    """

    def __init__(self, config: TimesFmConfig) -> None:
        super().__init__()
        self.config = config
        d, levels = config.width, len(LEVELS)
        self.embed = ResidualMlp(2 * config.patch, config.embed_hidden, d)
        self.layers = nn.ModuleList(TimesFmLayer(config) for _ in range(config.layers))
        self.head = ResidualMlp(d, config.point_hidden, config.reach * levels)
        self.spread_head = ResidualMlp(d, config.spread_hidden, config.spread_reach * levels)

    def forward(
        self, patches: Tensor, places: Tensor, rotation: Rotation, steps: int, spread: int = 0
    ) -> Tensor:
        """Compute quantiles of the first steps after some patches.

        Args:
            patches: float32 [row, 1, patch number, 2 * patch]: scaled values, then 1 where a value
                only fills up the first patch.
            places: int64 [forecast], row * patches + patch number.
            rotation: of all patch numbers.
            steps: 1 .. `reach`.
            spread: how many steps of the second head follow them, at most `spread_reach`.

        Returns:
            float32 [forecast, 1, steps + spread, level].
        """
        rows, _, width, _ = patches.shape
        hidden = self.embed(pad_tile(patches.flatten(0, -2), 0))
        wanted = pad_tile(places, 0)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, TimesFmLayer)
            attended = layer.attended(hidden, rows, width, rotation)
            if i == len(self.layers) - 1:
                # Of the last layer only what is requested is computed beyond keys and values.
                hidden, attended = hidden[wanted], attended[wanted]
            hidden = layer.finish(hidden, attended)
        with network_stage("head", hidden):
            parts = [self.head(hidden, steps * len(LEVELS))]
            if spread:
                parts.append(self.spread_head(hidden, spread * len(LEVELS)))
        made = torch.cat(parts, dim=1)[: len(places)]
        return made.view(len(places), 1, steps + spread, len(LEVELS))


def rotation(config: TimesFmConfig, positions: Tensor) -> Rotation:
    """Compute rotary factors of patch numbers; the pairs are (j, j + half) as in the weights."""
    half = config.key_size // 2
    j = torch.arange(half, dtype=torch.float64)
    angles = (positions.to(torch.float64)[:, None] * _ROTARY_BASE ** (-j / half)).repeat(1, 2)
    cosine, sine = (table.float()[:, None] for table in (cos(angles), sin(angles)))
    return Rotation(cosine, sine, cosine, sine)
