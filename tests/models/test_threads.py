"""The same bits for any number of threads and rows: functions, products, and whole models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_toto1, write_toto2
from upstream_worker import TOTO1_BASE, TOTO2_22M

torch = pytest.importorskip("torch")

from marketsim import load_model  # noqa: E402
from marketsim.models.neural import elementwise  # noqa: E402
from marketsim.models.neural.products import Linear, add_product, linear  # noqa: E402

FEW = {"num_layers": 3, "spacewise_every_n_layers": 3}  # only the widths matter
THREADS = (1, 2, 3, 5, 6, 7, 12)
FUNCTIONS = {
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "cos": torch.cos,
    "sin": torch.sin,
}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def over_threads(make: Callable[[], object]) -> list[object]:
    made = []
    for count in THREADS:
        torch.set_num_threads(count)
        made.append(make())
    return made


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 21), (48, 3072), (1000, 1152), (320, 4096)])
def test_functions_of_each_value(name: str, dtype: object, shape: tuple[int, int]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    function = getattr(elementwise, name)
    first, *others = over_threads(lambda: function(values))
    assert all(torch.equal(first, other) for other in others)
    for rows in (slice(0, 1), slice(1, 3), slice(0, None, 2)):  # whatever stands beside them
        assert torch.equal(first[rows], function(values[rows]))
    half = values[:, : max(1, shape[1] // 2)]
    assert torch.equal(first[:, : half.shape[1]], function(half))
    torch.testing.assert_close(first, FUNCTIONS[name](values))


@pytest.mark.parametrize(("into", "out"), [(64, 96), (256, 64), (384, 256), (1536, 384)])
def test_products(into: int, out: int) -> None:
    draw = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(out, into, generator=draw), torch.randn(out, generator=draw)
    values, to = torch.randn(3, 64, into, generator=draw), torch.randn(64, out, generator=draw)
    first, *others = over_threads(lambda: linear(values, weight, bias))
    assert all(torch.equal(first, other) for other in others)
    assert torch.equal(first[1, :16], linear(values[1, :16], weight, bias))
    expected = torch.nn.functional.linear(values.double(), weight.double(), bias.double())
    torch.testing.assert_close(first.double(), expected, rtol=1e-4, atol=1e-4)
    first, *others = over_threads(lambda: add_product(to.clone(), values[0], weight))
    assert all(torch.equal(first, other) for other in others)
    torch.testing.assert_close(first, to + values[0] @ weight.T, rtol=1e-4, atol=1e-4)
    layer = Linear(into, out)
    assert torch.equal(layer(values), linear(values, layer.weight, layer.bias))


@pytest.mark.parametrize("kind", ["toto1", "toto2"])
def test_models_as_wide_as_the_official_ones(tmp_path: Path, kind: str) -> None:
    """Widths at which libraries share a sum out among threads."""
    folder = (
        write_toto1(tmp_path, 1, spread=3**-0.5, **TOTO1_BASE | FEW)
        if kind == "toto1"
        else write_toto2(tmp_path, 1, **TOTO2_22M)
    )
    series = np.random.default_rng(3).normal(0.0, 0.02, (4, 150))
    made = []
    for count in (1, 2, 3, 6):
        torch.set_num_threads(count)
        model = load_model(folder)
        made += [
            model.predict_each(series, 140).mean[7],
            model.predict(series[None, :, :147]).mean[0],
        ]
    for found in made[1:]:
        np.testing.assert_array_equal(found, made[0])
