"""Estimate time and memory of forecasts: their cost at this machine's measured speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from marketsim.models.neural.batching import Batch, Indices, Row
from marketsim.models.neural.cost import Cost, NetworkSizes, batch_cost
from marketsim.models.neural.device import Execution

if TYPE_CHECKING:
    from marketsim.models.neural.blocks import Rotation

# Bytes moved through fresh memory for each weight that is loaded: read, multiplied in float64,
# rounded, permuted.
_LOADED = 48
_SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}
# What is measured: a network of this many layers, and on a CPU at most this many operations.
_LAYERS = 2
_OPERATIONS = 24e9
_MIB = 1 << 20


@dataclass(frozen=True)
class Expectation:
    """Estimated time and memory of forecasts.

    Attributes:
        seconds: until the forecasts are made, once the weights are loaded.
        load_seconds: until the libraries and the weights are loaded.
        memory: bytes at the peak, on the model's device, beside what the libraries take.
        weights: bytes of the weights.
        rate: floating-point operations a second of the network's layers, as measured.
    """

    seconds: float
    load_seconds: float
    memory: int
    weights: int
    rate: float


class CostedModel(Protocol):
    """A model whose trait `costed` is True: it computes the cost of forecasts in advance."""

    @property
    def execution(self) -> Execution:
        """Device, precision and compilation."""
        ...

    def cost(self, series: Sequence[npt.ArrayLike], starts: Sequence[int]) -> Cost:
        """Compute the cost of `BatchedModel.predict_batches` for one step; runs no model."""
        ...

    def expect(self, cost: Cost) -> Expectation:
        """Estimate time and memory of forecasts of a cost, at the current speed of this machine."""
        ...


class TimedNetwork(Protocol):
    """Members of a model that estimates use: its sizes, and a smaller network of the same kind."""

    @property
    def execution(self) -> Execution:
        """Device, precision and compilation."""
        ...

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of the network."""
        ...

    @property
    def patch(self) -> int:
        """Number of steps per patch."""
        ...

    def bytes_per_token(self) -> int:
        """Upper bound of the memory per patch in a forward pass, in bytes."""
        ...

    def sample_network(self, layers: int) -> Any:
        """Build a network with random weights and `layers` layers along time, CPU, float32."""
        ...

    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""
        ...


@dataclass(frozen=True)
class _Speed:
    """Measured speeds of this machine, per second.

    Attributes:
        layers: operations of layers like the network's, with all that lies between them.
        products: operations of matrix products in float32.
        prepared: bytes that NumPy goes through.
        fresh: bytes copied into memory that was not used before.
    """

    layers: float
    products: float
    prepared: float
    fresh: float


def expect(model: TimedNetwork, cost: Cost) -> Expectation:
    """Estimate time and memory of forecasts of a cost from a second of measuring.

    What is measured is a network of a few layers of the model's size, on random weights. What
    torch.compile takes is not foreseen, nor what other programs take of the machine meanwhile.
    """
    start = time.perf_counter()
    import torch

    libraries = time.perf_counter() - start
    with torch.inference_mode():
        speed = _measured(model, cost)
    sizes, execution = model.sizes, model.execution
    size = 1 if execution.quantize else _SIZES[execution.dtype]
    weights = sizes.layer_weights * size + (sizes.weights - sizes.layer_weights) * 4
    memory = weights + cost.largest * model.bytes_per_token()
    if execution.device == "cpu":
        # While loading, weights are there as they are in the file and as the network has them.
        memory = max(memory, 2 * 4 * sizes.weights)
    return Expectation(
        seconds=(
            cost.operations / speed.layers
            + cost.operations_float32 / speed.products
            + cost.prepared / speed.prepared
        ),
        load_seconds=libraries + _LOADED * sizes.weights / speed.fresh,
        memory=memory,
        weights=weights,
        rate=speed.layers,
    )


def _measured(model: TimedNetwork, cost: Cost) -> _Speed:
    import torch

    settle, sizes = model.execution.settle, model.sizes
    e, f = sizes.width, sizes.hidden
    count, variates, width, _ = max(cost.shapes, key=lambda s: s[0] * s[1] * s[2])
    rows = max(1, count * variates)
    if model.execution.device == "cpu":
        rows = max(1, min(rows, int(_OPERATIONS / (8 * e * (e + f) * width))))
    probe = replace(sizes, across=(False,) * _LAYERS)
    done = batch_cost(probe, _batch(rows, width, model.patch), model.patch, steps=1, bucketed=False)
    values = torch.rand(rows * width, e, device=model.execution.torch_device)
    weight = torch.rand(2 * f, e, device=model.execution.torch_device)
    product = torch.nn.functional.linear
    products = 4.0 * values.numel() * f * _per_second(lambda: product(values, weight), 0.1, settle)
    seconds = 1.0 / _per_second(_network(model, rows, width), 0.2, settle)
    # Without the two ends, which are a smaller part of the whole than of so few layers.
    seconds -= min(done.operations_float32 / products, 0.5 * seconds)
    host, room = np.ones(_MIB), np.ones(16 * _MIB, dtype=np.uint8)
    return _Speed(
        layers=done.operations / seconds,
        products=products,
        prepared=2.0 * host.nbytes * _per_second(lambda: np.cumsum(host), 0.05, settle),
        fresh=2.0 * room.nbytes * _per_second(room.copy, 0.05, settle),
    )


def _batch(rows: int, width: int, patch: int) -> Batch:
    """Make rows of whole patches, each with one forecast at its end."""
    ends = np.array([width * patch], dtype=np.int64)
    empty = np.empty((1, width * patch), dtype=np.float32)
    row = Row(empty, np.empty(empty.shape, dtype=np.bool_), ends, np.zeros(1, dtype=np.int64))
    return Batch((row,) * rows, width, rows)


def _network(model: TimedNetwork, rows: int, width: int) -> Callable[[], Any]:
    """Return a forward pass of a random network over `rows` rows."""
    import torch

    device = model.execution.torch_device
    network = model.execution.prepare(model.sample_network(_LAYERS))
    patches = torch.rand(rows, 1, width, model.sizes.inputs, device=device)
    places = torch.arange(1, rows + 1, device=device) * width - 1
    rotation = model.rotation(np.arange(width))
    return lambda: network(patches, places, rotation, 1)


def _per_second(work: Callable[[], Any], seconds: float, settle: Callable[[], None]) -> float:
    """Measure repetitions of the work per second, after one warm-up run."""
    work()
    settle()
    start = time.perf_counter()
    done, passed = 0, 0.0
    while passed < seconds:
        work()
        settle()
        done += 1
        passed = time.perf_counter() - start
    return done / passed
