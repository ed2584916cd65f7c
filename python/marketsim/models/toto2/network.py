"""Network of Toto 2.0, for inference.

The original's unit scaling multiplies each product and each sum by a constant. Here these constants
are part of the weights, and so is the factor that its residual sums shrink by from layer to layer:
the stream of tokens stays unscaled, branches are just added to it, and what the norms add to a mean
square is scaled instead.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

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
from marketsim.models.neural.elementwise import cos, silu, sin
from marketsim.models.neural.products import Linear, add_product, linear
from marketsim.models.neural.residual import ResidualMlp, cpu_parts
from marketsim.models.neural.stages import network_stage
from marketsim.models.toto2.config import LEVELS, Toto2Config

_ROTARY_BASE = 10_000.0
_XPOS_BASE = 256.0
_XPOS_SHIFT = 0.4

Cached: TypeAlias = tuple[Tensor, Tensor]
Shape: TypeAlias = tuple[int, int, int]


class Toto2Layer(nn.Module):
    """One layer: attention along time or across variates, then a gated MLP, both pre-normalised.

    Attributes:
        attention_eps, mlp_eps: what is added to the mean squares.
    """

    def __init__(self, config: Toto2Config) -> None:
        super().__init__()
        self.heads, self.key_size = config.heads, config.key_size
        keys, values = config.heads * config.key_size, config.heads * config.value_size
        self.sizes = (keys, keys, values)
        self.attention_eps = self.mlp_eps = config.norm_eps
        self.qkv = Linear(config.width, sum(self.sizes))
        self.out = Linear(values, config.width)
        self.gate_value = Linear(config.width, 2 * config.hidden, bias=False)
        self.down = Linear(config.hidden, config.width, bias=False)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens [token, width] to queries, keys and values [token, head, dimension]."""
        mixed = self.qkv(unit_size(hidden, self.attention_eps).to(self.qkv.weight.dtype))
        parts = torch.split(mixed, list(self.sizes), dim=1)
        q, k, v = (part.view(len(hidden), self.heads, -1) for part in parts)
        return q, k, v

    def values(self, hidden: Tensor) -> Tensor:
        """Project tokens to values only: attention of each position to itself."""
        normal = unit_size(hidden, self.attention_eps).to(self.qkv.weight.dtype)
        return outputs_from(self.qkv, normal, 2 * self.sizes[0])

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Add the layer's two branches to its input, given the attention output; [token, width]."""
        _add_product(hidden, attended, self.out)
        hidden += self.out.bias
        for part in cpu_parts(hidden):
            both = self.gate_value(unit_size(part, self.mlp_eps).to(self.gate_value.weight.dtype))
            gate, value = both.chunk(2, dim=-1)
            _add_product(part, silu(value).mul_(gate), self.down)
        return hidden


class Toto2Network(nn.Module):
    """Network from patches to asinh of scaled quantiles of the next patches.

    The residual stream, its two ends and their weights are float32; other matrix products have the
    precision of their weights.

    Attributes:
        output_eps: what is added to the mean square before the head.
    """

    def __init__(self, config: Toto2Config) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self.embed = ResidualMlp(2 * config.patch, 4 * d, d)
        self.layers = nn.ModuleList(Toto2Layer(config) for _ in config.across)
        self.head = ResidualMlp(d, 4 * d, config.patch * len(LEVELS))
        self.output_eps = config.norm_eps
        along = [i for i, across in enumerate(config.across) if not across]
        self.last_along = along[-1] if along else -1

    def forward(
        self,
        patches: Tensor,
        places: Tensor,
        rotation: Rotation,
        steps: int,
        groups: Tensor | None = None,
        seen: Tensor | None = None,
        cache: list[Cached] | None = None,
    ) -> Tensor:
        """Compute quantiles of the first `steps` steps after some patches.

        Args:
            patches: float32 [row, variate, patch number, 2 * patch].
            places: int64 [forecast], row * patches + patch number.
            rotation: of all patch numbers.
            steps: 1 .. patch.
            groups: int64 [row, variate, patch number]; variates see each other where it is equal.
                All of them if None.
            seen: bool [row * variate, patch number, patch number] of what may be seen of the past;
                all if None. With a cache that holds keys, [..., cached + patch number], complete
                with what is the future.
            cache: turned keys and values [row * variate, patch number, head, dimension] of each
                layer along time. An empty one is filled; one that holds patches is what came before
                these, and grows by them.

        Returns:
            float32 [forecast, variate, step, level].
        """
        rows, variates, width, _ = patches.shape
        shape = (rows, variates, width)
        hidden = self.embed(pad_tile(patches.flatten(0, -2), 0))
        # Of the last layers only what is requested is computed: from the last one along time on,
        # a token needs nothing more of the others than their keys and values there.
        wanted = _tokens(places, variates, width)
        before = list(cache or ())
        after: list[Cached] = []
        for i in range(self.last_along + 1):
            layer = self.layers[i]
            assert isinstance(layer, Toto2Layer)
            if self.config.across[i]:
                attended = self._across(layer, hidden, shape, groups)
            else:
                q, k, v = self._turned(layer, hidden, shape, rotation)
                attended, kept = _along((q, k, v), width, seen, before.pop(0) if before else None)
                after.append(kept)
            if i == self.last_along:
                hidden, attended = hidden[wanted], attended[wanted]
            hidden = layer.finish(hidden, attended)
        if cache is not None:
            cache[:] = after
        if self.last_along < 0:
            hidden = hidden[wanted]
        if groups is not None:
            groups = groups.transpose(1, 2).flatten(0, 1)[places][:, :, None]
        return self._finish(hidden, (len(places), variates, 1), steps, groups)

    def _finish(self, hidden: Tensor, shape: Shape, steps: int, groups: Tensor | None) -> Tensor:
        """Run the layers after the last one along time, and the head; see `forward`."""
        for i in range(self.last_along + 1, len(self.layers)):
            layer = self.layers[i]
            assert isinstance(layer, Toto2Layer)
            hidden = layer.finish(hidden, self._across(layer, hidden, shape, groups))
        forecasts, variates, _ = shape
        with network_stage("head", hidden):
            normal = unit_size(hidden, self.output_eps)
            outputs: Tensor = self.head(normal, steps * len(LEVELS))[: forecasts * variates]
        return outputs.view(forecasts, variates, steps, len(LEVELS))

    def _across(
        self, layer: Toto2Layer, hidden: Tensor, shape: Shape, groups: Tensor | None
    ) -> Tensor:
        """Attend across the variates of tokens in the order (row, variate, patch number)."""
        rows, variates, width = shape
        if variates == 1:
            return layer.values(hidden)
        real = rows * variates * width
        q, k, v = (
            part[:real].view(*shape, layer.heads, -1).transpose(1, 2).flatten(0, 1)
            for part in layer.project(hidden)
        )
        if groups is None:
            together = attend_across(q, k, v, scale=1.0)
        else:
            of = groups.transpose(1, 2).flatten(0, 1)
            together = _attend_seen(q, k, v, of[:, :, None] == of[:, None])
        by_row = together.reshape(rows, width, variates, layer.heads, -1)
        return _flat(by_row.transpose(1, 2))

    def _turned(
        self, layer: Toto2Layer, hidden: Tensor, shape: Shape, rotation: Rotation
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys, values of whole tiles by `rotated_tiles`; a row per variate."""
        rows, variates, width = shape
        real = rows * variates * width
        q, k, v = (
            part[:real].view(rows * variates, width, layer.heads, -1)
            for part in layer.project(hidden)
        )
        if self.config.key_size == self.config.value_size:
            return rotated_tiles(q, k, v, rotation)
        turned_q, turned_k, values = (pad_tile(part, 1) for part in (q, k, v))
        turn(turned_q[:, :width], q, rotation.query_cos, rotation.query_sin)
        turn(turned_k[:, :width], k, rotation.key_cos, rotation.key_sin)
        return turned_q, turned_k, values


def rotation(config: Toto2Config, positions: Tensor, centre: float = 0.0) -> Rotation:
    """Compute rotary factors with xPos decay for patch numbers.

    The decay of a query and that of a key multiply to one of their distance, wherever its centre
    is. The original moves it with the length of the series; here it stays, so that the factors of a
    position, to the last bit, do not depend on what follows.
    """
    half = config.turned // 2
    j = torch.arange(half, dtype=torch.float64)
    at = positions.to(torch.float64)[:, None]
    angles = (at * _ROTARY_BASE ** (-j / half)).repeat(1, 2)
    base = (2 * j + _XPOS_SHIFT * config.turned) / ((1 + _XPOS_SHIFT) * config.turned)
    decay = (base ** ((at - centre) / _XPOS_BASE)).repeat(1, 2)
    cosine, sine = cos(angles), sin(angles)
    tables = (
        cosine * decay,
        sine * decay,
        cosine / decay,
        sine / decay,
    )
    return Rotation(*(table.float()[:, None] for table in tables))


def key_order(config: Toto2Config) -> Tensor:
    """Return the order of a head's dimensions in which `rotate` expects its pairs."""
    rest = torch.arange(config.turned, config.key_size)
    return torch.cat((pair_order(config.turned), rest))


def _along(
    parts: tuple[Tensor, Tensor, Tensor], width: int, seen: Tensor | None, before: Cached | None
) -> tuple[Tensor, Cached]:
    """Attend along time over `width` patches in whole tiles; return tokens and the cache entry."""
    query, key, value = parts
    if before is None:
        attended = attend(query, key, value, scale=1.0, mask=seen)
        return _flat(attended[:, :width]), (key[:, :width], value[:, :width])
    assert seen is not None
    keys = torch.cat((before[0], key[:, :width]), dim=1)
    values = torch.cat((before[1], value[:, :width]), dim=1)
    # Whole tiles here, too: with few queries, how products are added depends on where they lie.
    seen = functional.pad(seen, (0, 0, 0, query.shape[1] - width), value=True)
    seen = functional.pad(seen, (0, -keys.shape[1] % TILE), value=False)
    attended = _attend_seen(query, pad_tile(keys, 1), pad_tile(values, 1), seen)
    return _flat(attended[:, :width]), (keys, values)


def _attend_seen(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """Attend [row, position, head, dimension] under a mask `seen` [row, position, key]."""
    q, k, v = (part.transpose(1, 2) for part in (query, key, value))
    result = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None], scale=1.0)
    return result.transpose(1, 2)


def _flat(attended: Tensor) -> Tensor:
    """Flatten [..., head, dimension] to tokens [token, width], padded to whole tiles."""
    return pad_tile(attended.flatten(-2).flatten(0, -2), 0)


def _tokens(places: Tensor, variates: int, width: int) -> Tensor:
    """Return the tokens of some places, variates adjacent, padded to whole tiles."""
    row, number = places // width, places % width
    variate = torch.arange(variates, device=places.device)
    tokens = ((row[:, None] * variates + variate) * width + number[:, None]).reshape(-1)
    return pad_tile(tokens, 0)


def _add_product(hidden: Tensor, values: Tensor, layer: nn.Linear) -> None:
    """Add a linear map of values, without its bias, to tokens in place."""
    if layer.weight.dtype == hidden.dtype and type(layer.weight) is nn.Parameter:
        add_product(hidden, values, layer.weight)
    else:
        hidden += linear(values, layer.weight)
