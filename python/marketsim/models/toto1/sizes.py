"""The sizes of a Toto 1.0 network, from which follows what forecasts cost."""

from __future__ import annotations

from math import prod

from marketsim.models.neural.cost import NetworkSizes
from marketsim.models.toto1.config import Toto1Config


def network_sizes(config: Toto1Config) -> NetworkSizes:
    """The sizes in a configuration."""
    e = config.width
    shapes = config.tensors(fused=True)
    layers = [prod(shape) for name, shape in shapes.items() if ".layers." in name]
    return NetworkSizes(
        width=e,
        hidden=config.hidden,
        keys=e,
        values=e,
        across=config.across,
        inputs=config.patch,
        embed=config.patch * e,
        head=lambda steps: steps * (e * e + 4 * config.components * e),
        weights=sum(map(prod, shapes.values())),
        layer_weights=sum(layers),
    )
