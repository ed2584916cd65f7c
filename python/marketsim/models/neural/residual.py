"""A hidden layer beside a linear map: what stands at both ends of networks over patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from marketsim.models.neural.elementwise import silu
from marketsim.models.neural.products import Linear, add_product, linear

# Tokens that go through an MLP at once on a CPU, so that what lies between stays in its caches.
_CPU_TOKENS = 1024


class ResidualMlp(nn.Module):
    """A hidden layer beside a linear map; its weights and its arithmetic are float32."""

    def __init__(self, into: int, hidden: int, out: int) -> None:
        super().__init__()
        self.up = Linear(into, hidden)
        self.down = Linear(hidden, out)
        self.skip = Linear(into, out, bias=False)

    def forward(self, values: Tensor, first: int | None = None) -> Tensor:
        """The first outputs, or all, [token, out] of values [token, into], in float32."""
        down, skip = self.down.weight[:first], self.skip.weight[:first]
        parts = [
            add_product(linear(silu(self.up(part)), down, self.down.bias[:first]), part, skip)
            for part in cpu_parts(values)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def cpu_parts(tokens: Tensor) -> tuple[Tensor, ...]:
    """Split tokens, on a CPU, into parts that fit its caches."""
    if tokens.device.type != "cpu" or len(tokens) <= _CPU_TOKENS:
        return (tokens,)
    return torch.split(tokens, _CPU_TOKENS)
