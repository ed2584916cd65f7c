"""Network of Toto 1.0, for inference."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from marketsim.models.neural.blocks import (
    TILE,
    Rotation,
    attend,
    attend_across,
    outputs_from,
    pad_tile,
    pair_order,
    rotated_tiles,
    turn,
    unit_size,
)
from marketsim.models.neural.elementwise import cos, silu, sin, softplus
from marketsim.models.neural.products import Linear, linear
from marketsim.models.neural.stages import network_stage
from marketsim.models.toto1.config import Toto1Config

_NORM_EPS = 1e-8
_ROTARY_BASE = 10_000.0
_XPOS_BASE = 512.0
_XPOS_SHIFT = 0.4
# Values that are unembedded at a time: as many outputs as there are steps are far more than tokens.
_UNEMBEDDED = 1 << 24

Cached: TypeAlias = tuple[Tensor, Tensor]


class Toto1Layer(nn.Module):
    """One layer: attention along time or across variates, then a gated MLP, both pre-normalised.

    The factors of the norms are part of the weights that follow them.
    """

    def __init__(self, config: Toto1Config) -> None:
        super().__init__()
        e, f = config.width, config.hidden
        self.heads, self.head_size = config.heads, config.head_size
        self.qkv = Linear(e, 3 * e)
        self.out = Linear(e, e)
        self.gate_value = Linear(e, 2 * f)
        self.down = Linear(f, e)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens [token, width] to queries, keys and values [token, head, dimension]."""
        mixed = self.qkv(self._normal(hidden))
        q, k, v = mixed.view(len(hidden), 3, self.heads, self.head_size).unbind(1)
        return q, k, v

    def values(self, hidden: Tensor) -> Tensor:
        """Project tokens to values only: attention of each position to itself."""
        return outputs_from(self.qkv, self._normal(hidden), 2 * self.heads * self.head_size)

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Write the layer's result over its input, given the attention output; [token, width]."""
        hidden += self.out(attended)
        gate, value = self.gate_value(self._normal(hidden)).chunk(2, dim=-1)
        hidden += self.down(silu(gate).mul_(value))
        return hidden

    def _normal(self, hidden: Tensor) -> Tensor:
        return unit_size(hidden, _NORM_EPS).to(self.qkv.weight.dtype)


class Toto1Network(nn.Module):
    """Network from scaled patches to parameters of the next patches' mixtures.

    The residual stream is float32; matrix products have the precision of their weights.
    """

    def __init__(self, config: Toto1Config) -> None:
        super().__init__()
        self.config = config
        self.embed = Linear(config.patch, config.width)
        self.layers = nn.ModuleList(Toto1Layer(config) for _ in config.across)
        self.unembed = Linear(config.width, config.width * config.patch)
        # Filled up with zeros to whole tiles: products of few columns depend on the row's place.
        self.head = Linear(config.width, 4 * config.components + -4 * config.components % TILE)
        along = [i for i, across in enumerate(config.across) if not across]
        self.last_along = along[-1] if along else -1

    def forward(
        self,
        patches: Tensor,
        places: Tensor,
        rotation: Rotation,
        steps: int,
        cache: list[Cached] | None = None,
    ) -> Tensor:
        """Compute mixtures of the first `steps` steps after some patches.

        Args:
            patches: float32 [row, variate, patch number, patch].
            places: int64 [forecast], row * patches + patch number.
            rotation: of all patch numbers.
            steps: 1 .. patch.
            cache: filled with the turned keys and the values of each layer along time.

        Returns:
            float32 [forecast, variate, step, 4 * component]: df, location, scale, weight.
        """
        rows, variates, width, _ = patches.shape
        hidden = self.start(patches)
        # Of the last layers only what is requested is computed: from the last one along time on,
        # a token needs nothing more of the others than their keys and values there.
        wanted = _tokens(places, variates, width)
        for i in range(self.last_along + 1):
            layer = self.layers[i]
            assert isinstance(layer, Toto1Layer)
            attended = self._attended(i, hidden, (rows, variates, width), rotation, cache)
            if i == self.last_along:
                hidden, attended = hidden[wanted], attended[wanted]
            hidden = layer.finish(hidden, attended)
        if self.last_along < 0:
            hidden = hidden[wanted]
        return self.finish(hidden, len(places), variates, steps)

    def step(self, patches: Tensor, rotation: Rotation, steps: int, cache: list[Cached]) -> Tensor:
        """Compute mixtures after one more patch [row, variate, 1, patch]; extends the cache.

        Args:
            patches: float32.
            rotation: of the new patch's number.
            steps: 1 .. patch.
            cache: keys and values [row * variate, patch number, head, dimension], as of `forward`.

        Returns:
            float32 [row, variate, step, 4 * component].
        """
        rows, variates = patches.shape[:2]
        real = rows * variates
        hidden = self.start(patches)
        along = 0
        for i in range(self.last_along + 1):
            layer = self.layers[i]
            assert isinstance(layer, Toto1Layer)
            if self.config.across[i]:
                attended = self.across(layer, hidden, rows, variates)
            else:
                q, k, v = (part[:real, None] for part in layer.project(hidden))
                turn(q, q, rotation.query_cos, rotation.query_sin)
                turn(k, k, rotation.key_cos, rotation.key_sin)
                keys, values = cache[along]
                cache[along] = torch.cat((keys, k), dim=1), torch.cat((values, v), dim=1)
                seen = attend_across(q, *cache[along], scale=layer.head_size**-0.5)
                attended = pad_tile(seen.reshape(real, -1), 0)
                along += 1
            hidden = layer.finish(hidden, attended)
        return self.finish(hidden, rows, variates, steps)

    def start(self, patches: Tensor) -> Tensor:
        """Embed patches [..., patch] as tokens [token, width], padded to whole tiles."""
        flat = pad_tile(patches.flatten(0, -2), 0)
        hidden: Tensor = self.embed(flat.to(self.embed.weight.dtype))
        return hidden.float()

    def finish(self, hidden: Tensor, count: int, variates: int, steps: int) -> Tensor:
        """Run the layers after the last one along time, and the head."""
        for i in range(self.last_along + 1, len(self.layers)):
            layer = self.layers[i]
            assert isinstance(layer, Toto1Layer)
            hidden = layer.finish(hidden, self.across(layer, hidden, count, variates))
        with network_stage("head", hidden):
            tiles = max(1, _UNEMBEDDED // (self.config.width * steps * TILE))
            parts = [self._head(part, steps) for part in hidden.split(tiles * TILE)]
            made = parts[0] if len(parts) == 1 else torch.cat(parts)
        return made[: count * variates].view(count, variates, steps, -1)

    def across(self, layer: Toto1Layer, hidden: Tensor, count: int, variates: int) -> Tensor:
        """Attend across the variates of tokens in the order [..., variate]."""
        if variates == 1:
            return layer.values(hidden)
        real = count * variates
        q, k, v = (part[:real].unflatten(0, (count, variates)) for part in layer.project(hidden))
        seen = attend_across(q, k, v, scale=layer.head_size**-0.5)
        return pad_tile(seen.reshape(real, -1), 0)

    def _head(self, hidden: Tensor, steps: int) -> Tensor:
        """Compute mixtures [token, step, 4 * component] of tokens [token, width]."""
        size = self.config.width * steps
        outputs = linear(
            hidden.to(self.unembed.weight.dtype),
            self.unembed.weight[:size],
            self.unembed.bias[:size],
        )
        raw = self.head(outputs.float().reshape(-1, self.config.width))
        return _mixtures(raw[:, : 4 * self.config.components]).view(len(hidden), steps, -1)

    def _attended(
        self,
        index: int,
        hidden: Tensor,
        shape: tuple[int, int, int],
        rotation: Rotation,
        cache: list[Cached] | None,
    ) -> Tensor:
        """Compute the attention output of layer `index`, [token, width], ordered by `shape`."""
        layer = self.layers[index]
        assert isinstance(layer, Toto1Layer)
        rows, variates, width = shape
        real = rows * variates * width
        if self.config.across[index]:
            if variates == 1:
                return layer.values(hidden)
            parts = (p[:real].unflatten(0, shape).transpose(1, 2) for p in layer.project(hidden))
            q, k, v = (part.flatten(0, 1) for part in parts)
            seen = attend_across(q, k, v, scale=layer.head_size**-0.5)
            seen = seen.unflatten(0, (rows, width)).transpose(1, 2)
        else:
            q, k, v = (
                part[:real].unflatten(0, (rows * variates, width)) for part in layer.project(hidden)
            )
            q, k, v = rotated_tiles(q, k, v, rotation)
            if cache is not None:
                cache.append((k[:, :width], v[:, :width]))
            seen = attend(q, k, v, scale=layer.head_size**-0.5)[:, :width]
        return pad_tile(seen.reshape(real, -1), 0)


def rotation(config: Toto1Config, positions: Tensor, centre: float = 0.0) -> Rotation:
    """Compute rotary factors with xPos decay for patch numbers.

    The decay of a query and that of a key multiply to one of their distance, wherever its centre
    is. The original moves it with the length of the series; here it stays, so that the factors of a
    position, to the last bit, do not depend on what follows.

    Its decay is laid out by halves while its turns are laid out by neighbouring pairs.
    """
    half = config.head_size // 2
    j = torch.arange(half, dtype=torch.float64)
    at = positions.to(torch.float64)[:, None]
    angles = (at * _ROTARY_BASE ** (-j / half)).repeat(1, 2)
    base = (2 * j + _XPOS_SHIFT * config.head_size) / ((1 + _XPOS_SHIFT) * config.head_size)
    decay = (base ** ((at - centre) / _XPOS_BASE)).repeat(1, 2)[:, pair_order(config.head_size)]
    cosine, sine = cos(angles), sin(angles)
    tables = (
        cosine * decay,
        sine * decay,
        cosine / decay,
        sine / decay,
    )
    return Rotation(*(table.float()[:, None] for table in tables))


def _tokens(places: Tensor, variates: int, width: int) -> Tensor:
    """Return the tokens of some places, variates adjacent, padded to whole tiles."""
    row, number = places // width, places % width
    variate = torch.arange(variates, device=places.device)
    tokens = ((row[:, None] * variates + variate) * width + number[:, None]).reshape(-1)
    return pad_tile(tokens, 0)


def _mixtures(raw: Tensor) -> Tensor:
    """Convert the head's four parts to degrees of freedom, locations, scales and weights."""
    least = torch.finfo(torch.float32).eps
    df, location, scale, logits = raw.chunk(4, dim=-1)
    return torch.cat(
        (
            2.0 + softplus(df).clamp_min(least),
            location,
            softplus(scale).clamp_min(least),
            logits.softmax(dim=-1),
        ),
        dim=-1,
    )
