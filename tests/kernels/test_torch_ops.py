"""The operators of torch: what the functions give, and what torch.compile must know of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from problems import random_days

import marketsim as ms
from marketsim.build_info import cuda_state
from marketsim.errors import ArgumentError

torch = pytest.importorskip("torch")

from marketsim.kernels.torch_ops import register_ops  # noqa: E402

SIX = ("close", "high", "low", "high_pred", "low_pred", "position")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture(autouse=True, scope="module")
def ops():
    register_ops()
    register_ops()  # once more changes nothing


@pytest.fixture
def on(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda":
        state = cuda_state()
        if not state["usable"]:
            pytest.skip(f"no GPU: {state['reason']}")
    return request.param


def tensors(days, on: str):
    moved = {name: torch.from_numpy(value).to(on) for name, value in days.items()}
    return [moved[name] for name in SIX], moved["open"]


@pytest.mark.parametrize("on", DEVICES, indirect=True)
@pytest.mark.parametrize("shape", [(20,), (3, 20)])
def test_they_give_what_the_functions_give(on: str, shape) -> None:
    days = random_days(np.random.default_rng(0), shape)
    six, at_open = tensors(days, on)
    highs = torch.linspace(-0.01, 0.01, 5)
    rule = {"fill": "open_aware", "fee": 0.0005}
    found = torch.ops.marketsim.profit(*six, highs.to(on), torch.zeros(5).to(on), at_open, **rule)
    expected = ms.profit(**days, high_offset=highs.numpy(), **rule)
    np.testing.assert_array_equal(found.cpu().numpy(), expected)
    costs = [0.0, 0.0002, 0.001]
    found = torch.ops.marketsim.best_offsets(
        *six, at_open, high_max=0.01, always_on=True, costs=costs
    )
    bounds = ((-0.03, 0.01), (-0.03, 0.03))
    expected = ms.best_offsets(**days, bounds=bounds, always_on=True, costs=(0.0, 0.0002, 0.001))
    for got, value in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got.cpu().numpy(), value)


@pytest.mark.parametrize("on", DEVICES, indirect=True)
@pytest.mark.parametrize("shape", [(20,), (3, 20)])
def test_torch_knows_their_shapes(on: str, shape) -> None:
    six, at_open = tensors(random_days(np.random.default_rng(0), shape), on)
    offsets = torch.zeros(4).to(on)
    checks = ("test_schema", "test_faketensor")
    for one in (offsets, torch.zeros(()).to(on)):
        torch.library.opcheck(
            torch.ops.marketsim.profit.default, (*six, one, one, at_open), test_utils=checks
        )
    torch.library.opcheck(
        torch.ops.marketsim.best_offsets.default, (*six, at_open), test_utils=checks
    )


@pytest.mark.parametrize("on", DEVICES, indirect=True)
def test_they_stay_in_a_compiled_graph(on: str) -> None:
    six, at_open = tensors(random_days(np.random.default_rng(1), (4, 15)), on)

    def best_day(*days):
        high, low, _ = torch.ops.marketsim.best_offsets(*days, at_open)
        return torch.ops.marketsim.profit(*days, high[:, None], low[:, None], at_open).amax(-1)

    compiled = torch.compile(best_day, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(*six), best_day(*six))


def test_shapes_that_do_not_fit_are_an_error_while_compiling() -> None:
    six, at_open = tensors(random_days(np.random.default_rng(1), 15), "cpu")
    with (
        torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True),
        pytest.raises(ArgumentError, match="lengths differ: high_offset has 2, low_offset has 3"),
    ):
        torch.ops.marketsim.profit(*six, torch.zeros(2), torch.zeros(3), at_open)


def test_they_are_not_there_before_they_are_asked_for() -> None:
    code = (
        "import torch, marketsim as ms; ms.profit(*[[0]] * 6, open=[0]); "
        "print(hasattr(torch.ops.marketsim, 'profit'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
