"""Elementwise functions with the same bits for any number of threads and any number of values.

torch splits the values of a tensor evenly over its threads. What is left at the end of a part, less
than two vectors, is computed by scalar code, whose last bits differ from those of vectors. Here
every part that torch is given splits into whole vectors, so no value goes through scalar code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Two vectors of the widest instruction set in the narrowest type: 2 x 32 values of bfloat16.
_UNIT = 64
# torch gives a thread at least as many values (at::internal::GRAIN_SIZE).
_GRAIN = 32_768

# Writes the function of its first argument into `out`, which may be the same memory.
Function = Callable[..., Tensor]


def silu(values: Tensor) -> Tensor:
    """X * sigmoid(x) of each value, in new memory; contiguous."""
    return _by_vectors(torch.ops.aten.silu, values)


def softplus(values: Tensor) -> Tensor:
    """log(1 + exp(x)) of each value, in new memory; contiguous."""
    return _by_vectors(torch.ops.aten.softplus, values)


def cos(values: Tensor) -> Tensor:
    """The cosine of each value, in new memory; contiguous."""
    return _by_vectors(torch.ops.aten.cos, values)


def sin(values: Tensor) -> Tensor:
    """The sine of each value, in new memory; contiguous."""
    return _by_vectors(torch.ops.aten.sin, values)


def _by_vectors(function: Function, values: Tensor) -> Tensor:
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return function(values)
    found = torch.empty(values.shape, dtype=values.dtype)
    source, out = values.reshape(-1), found.view(-1)
    start, count = 0, source.numel()
    while count - start >= _UNIT:
        stop = start + _even_part(count - start)
        function.out(source[start:stop], out=out[start:stop])  # type: ignore[attr-defined]
        start = stop
    if start < count:
        rest = source.new_zeros(_UNIT)
        rest[: count - start] = source[start:]
        out[start:] = function(rest)[: count - start]
    return found


def _even_part(count: int) -> int:
    """The most of `count` values, at least a unit, that threads share out in whole units."""
    most = torch.get_num_threads()
    for threads in range(min(most, -(-count // _GRAIN)), 1, -1):
        unit = _UNIT * threads
        part = (count if threads == most else min(count, threads * _GRAIN)) // unit * unit
        if -(-part // _GRAIN) >= threads:  # so torch takes as many
            return part
    return min(count, _GRAIN) // _UNIT * _UNIT
