"""Building blocks of the networks.

Results of one row must not depend on what else is in the batch, on how long the rows beside it are,
or on where a series ends. So the numbers of rows of a matrix product and of positions of an
attention are rounded up to multiples of TILE: below it, matrix libraries switch to other kernels,
which add in another order. Beyond BLOCK positions an attention's order of addition follows from
their number, so a CPU attends block by block there, each of a size that only its place decides.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from marketsim.models.neural import products

TILE = 16
BLOCK = 128
_FILLED = 1 << 22  # values of an array that is filled up


class Rotation(NamedTuple):
    """Factors of a rotary position code with xPos decay, for queries and for keys.

    The pairs that are turned are (j, j + half): weights are permuted on loading so that they are.

    Attributes:
        query_cos, query_sin, key_cos, key_sin: [position, 1, head dimension], float32.
    """

    query_cos: Tensor
    query_sin: Tensor
    key_cos: Tensor
    key_sin: Tensor

    def at(self, start: int, stop: int) -> Rotation:
        """Return the factors of some positions."""
        return Rotation(*(table[start:stop] for table in self))


def rotated_tiles(
    query: Tensor, key: Tensor, value: Tensor, rotation: Rotation
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rotated queries and keys, and the values, [row, position, head, dimension].

    Positions are filled up with zeros to whole tiles, or blocks. What is read and written goes
    through memory once: these arrays are larger than the caches.
    """
    rows, positions, heads, size = query.shape
    tiles = positions + -positions % (TILE if positions <= BLOCK else BLOCK)
    room = query.new_empty(3, rows, tiles, heads, size)
    if tiles > positions:
        room[:, :, positions:].zero_()
    q, k, v = room[:, :, :positions].unbind(0)
    turn(q, query, rotation.query_cos, rotation.query_sin)
    turn(k, key, rotation.key_cos, rotation.key_sin)
    v.copy_(value)
    turned_q, turned_k, values = room.unbind(0)
    return turned_q, turned_k, values


def turn(out: Tensor, values: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate pairs (j, j + half) of the last axis into `out`; factors [..., rotated dimensions].

    Dimensions beyond those of the factors stay as they are. Products are in float32.
    """
    size = cos.shape[-1]
    half = size // 2
    first, second = values[..., :half].float(), values[..., half:size].float()
    turned = (first * cos[..., :half]).addcmul_(second, sin[..., :half], value=-1.0)
    out[..., half:size] = (second * cos[..., half:]).addcmul_(first, sin[..., half:])
    out[..., :half] = turned  # last, since `out` may be where the values are
    if size < values.shape[-1]:
        out[..., size:] = values[..., size:]


def unit_size(hidden: Tensor, eps: float) -> Tensor:
    """Divide the last axis by its root mean square; eps is added to the mean square."""
    norm = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
    return hidden * torch.rsqrt(norm.square_().div_(hidden.shape[-1]).add_(eps))


def outputs_from(linear: nn.Linear, values: Tensor, first: int) -> Tensor:
    """Compute the outputs of a linear map with a bias from index `first` on.

    The others are not computed, unless its weight is kept in a form that cannot be cut.
    """
    if type(linear.weight) is not nn.Parameter:
        every: Tensor = linear(values)
        return every[..., first:]
    return products.linear(values, linear.weight[first:], linear.bias[first:])


def pair_order(dimensions: int) -> Tensor:
    """Return the order of dimensions that moves neighbours (2j, 2j + 1) to (j, j + half)."""
    return torch.arange(dimensions).reshape(-1, 2).T.reshape(-1)


def pad_tile(values: Tensor, axis: int) -> Tensor:
    """Pad the end of an axis with zeros to a multiple of TILE."""
    missing = -values.shape[axis] % TILE
    if missing == 0:
        return values
    shape = list(values.shape)
    shape[axis] = missing
    return torch.cat((values, values.new_zeros(shape)), dim=axis)


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, scale: float, mask: Tensor | None = None
) -> Tensor:
    """Compute causal attention of whole tiles [row, position, head, dimension].

    Args:
        query, key, value: see `rotated_tiles`. What fills up a tile comes last, so nobody before it
            sees it.
        scale: factor of the products of queries and keys.
        mask: bool [row, position, position] of what may be seen besides being causal; every
            position sees itself.
    """
    q, k, v = (part.transpose(1, 2) for part in (query, key, value))
    size = q.shape[2]
    seen = None if mask is None else _causal(mask, size)[:, None]
    step = BLOCK if q.device.type == "cpu" else size
    parts = []
    for start in range(0, size, step):
        stop = min(start + step, size)
        allowed = None if seen is None else seen[:, :, start:stop, :stop]
        if allowed is None and start > 0:
            allowed = torch.ones(stop - start, stop, dtype=torch.bool).tril(start)
        parts.append(
            functional.scaled_dot_product_attention(
                q[:, :, start:stop],
                k[:, :, :stop],
                v[:, :, :stop],
                attn_mask=allowed,
                is_causal=allowed is None,
                scale=scale,
            )
        )
    result = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return result.transpose(1, 2)


def _causal(mask: Tensor, size: int) -> Tensor:
    """Return the causal mask of `size` positions: the given mask of the first ones, and self."""
    seen = torch.ones(size, size, dtype=torch.bool, device=mask.device).tril()
    seen = seen.repeat(len(mask), 1, 1)
    positions = mask.shape[-1]
    seen[:, :positions, :positions] &= mask
    seen |= torch.eye(size, dtype=torch.bool, device=mask.device)
    return seen


def attend_across(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """Compute attention to every entry [row, entry, head, dimension]; queries may be fewer."""
    # A few rows at a time, since filling up few entries to whole tiles takes memory.
    entries = max(query.shape[1], key.shape[1]) + TILE
    rows = max(1, _FILLED // (entries * value.shape[2] * (value.shape[3] + TILE)))
    parts = [
        _attend_tiles(*part, scale)
        for part in zip(query.split(rows), key.split(rows), value.split(rows), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _attend_tiles(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """As `attend_across`. Products of less than a tile depend on where in memory they start."""
    q, k, v = (pad_tile(pad_tile(part, 1), -1).transpose(1, 2) for part in (query, key, value))
    filled = k.shape[2] > key.shape[1]
    known = torch.arange(k.shape[2], device=k.device) < key.shape[1]
    seen = known.expand(q.shape[2], -1) if filled else None
    result = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    return result.transpose(1, 2)[:, : query.shape[1], :, : value.shape[3]]
