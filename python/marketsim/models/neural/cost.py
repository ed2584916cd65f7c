"""Cost of forecasts, computed from sizes and batches before the network is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from marketsim.models.neural.batching import Batch, bucket

TILE = 16  # see `marketsim.models.neural.blocks`, which needs torch
# Roughly how often NumPy goes through the values of a series before they reach the network.
_PREPARATIONS = 24


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of a network with layers along time and across variates.

    Attributes:
        width: values that stand for a patch.
        hidden: width of the MLPs.
        keys, values: width of the queries (and keys), and of the values, of all heads together.
        across: for each layer, whether it looks across variates.
        inputs: numbers that the network is given of each patch.
        embed: weights that each patch is multiplied by before the layers, in float32.
        head: weights that a forecast of so many steps is multiplied by after them, in float32.
        weights: how many weights there are in all.
        layer_weights: how many of them have the precision of the layers.
        matrices: how many matrices an MLP has: three with a gate, two without.
    """

    width: int
    hidden: int
    keys: int
    values: int
    across: tuple[bool, ...]
    inputs: int
    embed: int
    head: Callable[[int], int]
    weights: int
    layer_weights: int
    matrices: int = 3


@dataclass(frozen=True)
class Cost:
    """Operations and memory of forecasts; supports addition.

    Attributes:
        forecasts: how many forecasts, of one variate each.
        passes: how many series the network reads for them.
        batches: how many batches these make.
        patches: how many patches it reads, those that only fill up a batch included.
        operations: floating-point operations of matrix products in the precision of the layers.
        operations_float32: those that are in float32 in any case.
        prepared: bytes that NumPy reads and writes before the network's turn.
        largest: patches of the largest batch.
        shapes: the shapes of the batches, each of which torch.compile would translate.
    """

    forecasts: int = 0
    passes: int = 0
    batches: int = 0
    patches: int = 0
    operations: float = 0.0
    operations_float32: float = 0.0
    prepared: float = 0.0
    largest: int = 0
    shapes: frozenset[tuple[int, ...]] = frozenset()

    def __add__(self, other: Cost) -> Cost:
        """Cost of one run after the other."""
        together = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name not in ("largest", "shapes")
        }
        return Cost(
            **together,
            largest=max(self.largest, other.largest),
            shapes=self.shapes | other.shapes,
        )


def batch_cost(
    sizes: NetworkSizes, batch: Batch, patch: int, *, steps: int, bucketed: bool
) -> Cost:
    """Compute the cost of one batch that forecasts up to one patch."""
    variates = batch.rows[0].variates
    forecasts = sum(len(row.ends) for row in batch.rows)
    wanted = _tiles((bucket(forecasts) if bucketed else forecasts) * variates)
    patches = batch.count * variates * batch.width
    tokens = _tiles(patches)
    e, f = sizes.width, sizes.hidden
    along = [i for i, across in enumerate(sizes.across) if not across]
    last = along[-1] if along else -1
    products = 0.0
    for i, across in enumerate(sizes.across):
        # From the last layer along time on only the places of forecasts are computed; there, the
        # others are still keys and values.
        before = tokens if i <= last else wanted
        after = tokens if i < last else wanted
        alone = across and variates == 1
        mixed = sizes.values if alone else 2 * sizes.keys + sizes.values
        products += before * e * mixed + after * e * (sizes.values + sizes.matrices * f)
        if not alone:
            # Half of what lies ahead is not looked at.
            seen = variates if across else _tiles(batch.width) / 2
            products += before * seen * (sizes.keys + sizes.values)
    return Cost(
        forecasts=forecasts * variates,
        passes=len(batch.rows),
        batches=1,
        patches=patches,
        operations=2.0 * products,
        operations_float32=2.0 * (tokens * sizes.embed + wanted * sizes.head(steps)),
        prepared=8.0 * _PREPARATIONS * patches * patch,
        largest=patches,
        shapes=frozenset({(batch.count, variates, batch.width, wanted)}),
    )


def _tiles(count: int) -> int:
    return -(-count // TILE) * TILE
