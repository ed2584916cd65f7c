"""Matrix products with the same bits for any number of threads.

A matrix library may share out a product's sums among threads, which then add in another order. It
does so for sums of about 400 terms on, so longer ones are made of parts that are added in order.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

# Terms of a sum that no number of threads shares out (tried: 2 to 96 threads, 16 to 1,024 rows).
_DEPTH = 256


class Linear(nn.Linear):
    """A linear layer whose results do not depend on the number of threads."""

    def forward(self, values: Tensor) -> Tensor:
        """The layer's outputs [..., out] of values [..., in]."""
        return linear(values, self.weight, self.bias)


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Values [..., in] times weight [out, in], plus bias [out]; [..., out]."""
    if not _in_parts(values, weight):
        return functional.linear(values, weight, bias)
    flat = values.reshape(-1, values.shape[-1])
    made = functional.linear(flat[:, :_DEPTH], weight[:, :_DEPTH], bias)
    _add_from(_DEPTH, made, flat, weight)
    return made.view(*values.shape[:-1], -1)


def add_product(to: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Add values [row, in] times weight [out, in] to `to` [row, out], in place."""
    if not _in_parts(values, weight):
        return to.addmm_(values, weight.t())
    return _add_from(0, to, values, weight)


def _add_from(first: int, to: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    size = weight.shape[1]
    for start, stop in pairwise([*range(first, size, _DEPTH), size]):
        to.addmm_(values[:, start:stop], weight[:, start:stop].t())
    return to


def _in_parts(values: Tensor, weight: Tensor) -> bool:
    return (
        weight.shape[-1] > _DEPTH
        and weight.dtype == torch.float32
        and values.device.type == "cpu"
        and type(weight) in (nn.Parameter, Tensor)  # quantised ones cannot be cut
        and not torch.compiler.is_compiling()
    )
