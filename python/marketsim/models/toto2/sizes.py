"""The sizes of a Toto 2.0 network, from which follows what forecasts cost."""

from __future__ import annotations

from math import prod

from marketsim.models.neural.cost import NetworkSizes
from marketsim.models.toto2.config import LEVELS, Toto2Config


def network_sizes(config: Toto2Config) -> NetworkSizes:
    """The sizes in a configuration."""
    d = config.width
    shapes = config.tensors()
    layers = [prod(shape) for name, shape in shapes.items() if ".layers." in name]
    return NetworkSizes(
        width=d,
        hidden=config.hidden,
        keys=config.heads * config.key_size,
        values=config.heads * config.value_size,
        across=config.across,
        inputs=2 * config.patch,
        embed=_residual_mlp(2 * config.patch, d, d),
        head=lambda steps: _residual_mlp(d, d, steps * len(LEVELS)),
        weights=sum(map(prod, shapes.values())),
        layer_weights=sum(layers),
    )


def _residual_mlp(into: int, width: int, out: int) -> int:
    """Weights of an MLP four times as wide as the tokens, and of the linear map beside it."""
    return 4 * width * (into + out) + into * out
