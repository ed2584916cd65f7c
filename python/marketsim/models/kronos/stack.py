"""Causal transformer layers that read a series once and extend it along many branches.

A branch is one sample path. All branches of a row share what has been read: its keys and values are
kept once, and the queries of all branches meet them in one matrix product. What a branch adds is
kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from marketsim.models.kronos.config import StackConfig
from marketsim.models.neural.blocks import (
    TILE,
    Rotation,
    attend,
    pad_tile,
    rotated_tiles,
    turn,
    unit_size,
)
from marketsim.models.neural.elementwise import cos, silu, sin
from marketsim.models.neural.products import Linear

NORM_EPS = 1e-5
_ROTARY_BASE = 10_000.0
# Tokens that go through the layers at once on a CPU, so that what lies between stays in its caches.
_CPU_TOKENS = 1024
# Products of queries and keys that are there at once.
_PRODUCTS = 1 << 22

# Keys and values, float32 [row, head, position, dimension]; of branches [row, branch, head, ...].
Cached: TypeAlias = tuple[Tensor, Tensor]
# Rows, branches of each, tokens of each.
Shape: TypeAlias = tuple[int, int, int]


def room(length: int) -> int:
    """The positions that a row of that length takes: whole tiles.

    It depends on the row alone, so that rows that share a batch are computed as each by itself.
    """
    return -(-max(length, 1) // TILE) * TILE


@dataclass
class Past:
    """Keys and values of the tokens read and of those that branches added.

    Attributes:
        lengths: int64 [row], how many positions of each row are real.
        unseen: float32 [row, 1, 1, position], 0, and -inf beyond a row's length.
        shared: of each layer, keys and values of what was read.
        own: of each layer, keys and values of what branches added; empty before they do.
    """

    lengths: Tensor
    unseen: Tensor
    shared: list[Cached] = field(default_factory=list)
    own: list[Cached] = field(default_factory=list)

    @classmethod
    def of(cls, lengths: Tensor, width: int) -> Past:
        """An empty past for rows of these lengths in `width` positions."""
        beyond = torch.arange(width, device=lengths.device) >= lengths[:, None]
        unseen = torch.zeros(beyond.shape, device=lengths.device).masked_fill_(beyond, -torch.inf)
        return cls(lengths, unseen[:, None, None])

    @property
    def added(self) -> int:
        """How many tokens each branch has added."""
        return self.own[0][0].shape[3] if self.own else 0

    def add(self, layer: int, key: Tensor, value: Tensor) -> Cached:
        """All keys and values of the branches, with those of new tokens [row, branch, token, ...].

        Layers come in order.
        """
        key, value = key.transpose(2, 3), value.transpose(2, 3)
        if layer == len(self.own):
            self.own.append((key, value))
        else:
            before = self.own[layer]
            pair = (torch.cat((before[0], key), dim=3), torch.cat((before[1], value), dim=3))
            self.own[layer] = pair
        return self.own[layer]


class Layer(nn.Module):
    """Attention, then a gated MLP, both pre-normalised; the norms' factors are in the weights."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.qkv = Linear(d, 3 * d)
        self.out = Linear(d, d)
        self.gate_value = Linear(d, 2 * config.hidden, bias=False)
        self.down = Linear(config.hidden, d, bias=False)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens [token, width] to queries, keys and values [token, head, dimension]."""
        mixed = self.qkv(unit_size(hidden, NORM_EPS).to(self.qkv.weight.dtype))
        q, k, v = mixed.view(len(hidden), 3, self.heads, -1).unbind(1)
        return q, k, v

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Write the layer's result over its input, given the attention output; [token, width]."""
        hidden += self.out(attended.to(self.out.weight.dtype))
        normal = unit_size(hidden, NORM_EPS).to(self.down.weight.dtype)
        gate, value = self.gate_value(normal).chunk(2, dim=-1)
        hidden += self.down(silu(gate).mul_(value))
        return hidden


class Stack(nn.Module):
    """Layers; the residual stream is float32, products have the precision of their weights."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def read(self, hidden: Tensor, past: Past | None = None, *, whole: bool = True) -> Tensor:
        """Run the layers on rows [row, position, width]; the input is overwritten.

        Args:
            hidden: float32 [row, position, width]; the positions are whole tiles, see `room`.
            past: takes the keys and values of each layer.
            whole: whether the result is wanted, and not the keys and values alone.
        """
        rows, width, _ = hidden.shape
        step = max(1, _CPU_TOKENS // width) if hidden.device.type == "cpu" else rows
        kept = [self._read(part, past is not None, whole) for part in hidden.split(step)]
        if past is not None:
            for pairs in zip(*kept, strict=True):
                keys, values = zip(*pairs, strict=True)
                past.shared.append((torch.cat(keys), torch.cat(values)))
        return hidden

    def _read(self, hidden: Tensor, keep: bool, whole: bool) -> list[Cached]:
        """`read` of some rows, in place; the keys and values of each layer, if kept."""
        rows, width, _ = hidden.shape
        cos, sin = turns(self.config.head_size, torch.arange(width, device=hidden.device))
        rotation = Rotation(cos, sin, cos, sin)
        tokens = hidden.flatten(0, 1)
        kept: list[Cached] = []
        for layer in self.layers:
            assert isinstance(layer, Layer)
            q, k, v = (part.unflatten(0, (rows, width)) for part in layer.project(tokens))
            q, k, v = rotated_tiles(q, k, v, rotation)
            if keep:
                kept.append((by_head(k[:, :width]), by_head(v[:, :width])))
            if not whole and layer is self.layers[-1]:
                break
            attended = attend(q, k, v, scale=self.config.head_size**-0.5)[:, :width]
            layer.finish(tokens, attended.reshape(tokens.shape))
        return kept

    def extend(self, hidden: Tensor, past: Past) -> Tensor:
        """Run the layers on tokens that branches add to their past.

        Args:
            hidden: float32 [row, branch, token, width].
            past: what was read and added so far; takes the new keys and values.

        Returns:
            float32, as `hidden`.
        """
        shape = hidden.shape[:3]
        tokens = shape.numel()
        steps = torch.arange(shape[2], device=hidden.device) + past.added
        positions = past.lengths[:, None] + steps
        factors = turns(self.config.head_size, positions.unsqueeze(1))
        flat = pad_tile(hidden.flatten(0, 2), 0).clone()
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            q, k, v = (part[:tokens].unflatten(0, shape).float() for part in layer.project(flat))
            for part in (q, k):
                turn(part, part.clone(), *factors)
            own = past.add(i, k, v)
            attended = attend_branches(q, past.shared[i], past.unseen, own)
            layer.finish(flat, pad_tile(attended.flatten(0, 2).flatten(1), 0))
        return flat[:tokens].view(hidden.shape)


def turns(head_size: int, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., position, 1, dimension] of a rotary position code.

    Angles are products in float32, as in the original: far out, that is what it learned.
    """
    steps = torch.arange(0, head_size, 2, device=positions.device).float() / head_size
    angles = positions.float()[..., None] * (1.0 / _ROTARY_BASE**steps)
    angles = angles.double().repeat(*(1,) * positions.ndim, 2).unsqueeze(-2)
    return cos(angles).float(), sin(angles).float()


def attend_branches(
    query: Tensor, shared: Cached, unseen: Tensor, own: Cached | None = None
) -> Tensor:
    """Attention of branches to what they share and to what they added, up to each token.

    Args:
        query: float32 [row, branch, token, head, dimension], of the last tokens of `own`, if any.
        shared, unseen: see `Past`.
        own: keys and values of the branches, those of the query's tokens included.

    Returns:
        float32, as `query`.
    """
    rows, branches, tokens, heads, size = query.shape
    keys = shared[0].shape[2] + (0 if own is None else own[0].shape[3] + TILE)
    each = tokens * heads * keys
    some = max(1, min(branches, _PRODUCTS // each))
    few = max(1, _PRODUCTS // (each * some))
    parts = []
    for row in range(0, rows, few):
        mine = slice(row, row + few)
        for branch in range(0, branches, some):
            at = (mine, slice(branch, branch + some))
            near = None if own is None else (own[0][at], own[1][at])
            far = (shared[0][mine], shared[1][mine])
            parts.append(_attend(query[at] * size**-0.5, far, unseen[mine], near))
    if len(parts) == 1:
        return parts[0]
    across = -(-branches // some)
    joined = [torch.cat(parts[i : i + across], dim=1) for i in range(0, len(parts), across)]
    return torch.cat(joined)


def _attend(query: Tensor, shared: Cached, unseen: Tensor, own: Cached | None) -> Tensor:
    """As `attend_branches`, of few enough; numbers of rows of products are whole tiles."""
    tokens = query.shape[2]
    apart = query.permute(0, 3, 1, 2, 4)
    flat = apart.flatten(2, 3)
    rows, width = flat.shape[2], shared[0].shape[2]
    far = pad_tile(flat, 2) @ shared[0].transpose(2, 3) + unseen
    if own is None:
        alone: Tensor = far.softmax(dim=-1) @ shared[1]
        return alone[:, :, :rows].view(apart.shape).permute(0, 2, 3, 1, 4)
    by_branch = pad_tile(query.transpose(2, 3), 3)
    near = by_branch @ pad_tile(own[0], 3).transpose(3, 4)
    near = near[..., :tokens, :] + _ahead(tokens, own[0].shape[3], near)
    both = torch.cat((far[:, :, :rows], near.transpose(1, 2).flatten(2, 3)), dim=-1)
    weights = both.softmax(dim=-1)
    result: Tensor = (pad_tile(weights[..., :width], 2) @ shared[1])[:, :, :rows]
    close = weights[..., width:].view(*apart.shape[:4], -1).transpose(1, 2)
    added: Tensor = pad_tile(close, 3) @ pad_tile(own[1], 3)
    together = result.view(apart.shape).transpose(1, 2) + added[..., :tokens, :]
    return together.transpose(2, 3)


def _ahead(tokens: int, total: int, like: Tensor) -> Tensor:
    """[token, position]: -inf where a position lies ahead of a token, or beyond the last one."""
    position = torch.arange(like.shape[-1], device=like.device)
    token = torch.arange(total - tokens, total, device=like.device)
    ahead = position > token[:, None]
    return torch.zeros(ahead.shape, device=like.device).masked_fill_(ahead, -torch.inf)


def by_head(values: Tensor) -> Tensor:
    """Values [row, position, head, dimension] as `Cached` has them."""
    return values.transpose(1, 2).float().contiguous()
