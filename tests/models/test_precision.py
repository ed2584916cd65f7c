"""Other precisions than float32: bfloat16, and weights of 8 bits, of both networks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from checkpoints import write_toto1, write_toto2
from torch import nn

import marketsim as ms
from marketsim.errors import ArgumentError, MissingDependencyError
from marketsim.models.neural import device
from marketsim.models.neural.blocks import outputs_from
from marketsim.models.neural.model import NeuralModel

FAMILIES = ("toto1", "toto2")
needs_torchao = pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    one = write_toto1(
        tmp_path_factory.mktemp("toto1"), 1, embed_dim=96, num_heads=4, mlp_hidden_dim=160
    )
    two = write_toto2(
        tmp_path_factory.mktemp("toto2"), 2, d_model=96, num_heads=4, num_groups=4, d_ff=160
    )
    return {"toto1": one, "toto2": two}


def load(folder: Path, **options: Any) -> NeuralModel:
    model = ms.load_model(folder, **options)
    assert isinstance(model, NeuralModel)
    return model


def walk(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, shape).cumsum(axis=-1)


def bits(distribution: Any) -> list[np.ndarray]:
    return [distribution.mean, distribution.quantile([0.1, 0.5, 0.9])]


def assert_same_bits(one: Any, other: Any) -> None:
    for a, b in zip(bits(one), bits(other), strict=True):
        np.testing.assert_array_equal(a, b)


def errors(found: Any, exact: Any) -> np.ndarray:
    """Of the quantiles at 0.1, 0.5 and 0.9, in typical standard deviations of the forecasts."""
    levels = [0.1, 0.5, 0.9]
    difference = np.abs(found.quantile(levels) - exact.quantile(levels))
    return np.asarray(difference / np.median(exact.std))


def largest_error(found: Any, exact: Any) -> float:
    return float(errors(found, exact).max())


OPTIONS: list[Any] = [
    pytest.param({"dtype": "bfloat16"}, id="bfloat16"),
    pytest.param({"quantize": "int8"}, id="int8", marks=needs_torchao),
    pytest.param(
        {"dtype": "bfloat16", "quantize": "int8"}, id="bfloat16-int8", marks=needs_torchao
    ),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_forecasts_are_near_those_of_float32(
    folders: dict[str, Path], family: str, options: dict[str, Any]
) -> None:
    exact, rough = load(folders[family]), load(folders[family], **options)
    assert rough.fingerprint != exact.fingerprint
    square = walk(12, 4, 45)
    for contexts in (square[:, 0], square):  # alone, and four variates together
        for horizon in (1, 3, 7):  # the last beyond one patch
            found, expected = (m.predict(contexts, horizon=horizon) for m in (rough, exact))
            error = errors(found, expected)
            assert 0.0 < np.median(error) < 0.05
            assert np.quantile(error, 0.99) < 0.5


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_results_do_not_depend_on_the_batch(
    folders: dict[str, Path], family: str, options: dict[str, Any]
) -> None:
    model = load(folders[family], **options)
    contexts = [walk(n, seed=n) for n in (1, 4, 17, 41, 90)]
    together = model.predict(contexts, horizon=6)
    for i, context in enumerate(contexts):
        alone = model.predict([context], horizon=6)
        for all_of_them, one in zip(bits(together), bits(alone), strict=True):
            np.testing.assert_array_equal(all_of_them[i], one[0])
    for series in (walk(70), walk(3, 50)):
        start = series.shape[-1] - 9
        each = model.predict_each(series, start, horizon=2)
        for i in (0, 1, 4, 9):
            alone = model.predict(series[None, ..., : start + i], horizon=2)
            for all_of_them, one in zip(bits(each), bits(alone), strict=True):
                np.testing.assert_array_equal(all_of_them[i], one[0])


@needs_torchao
@pytest.mark.parametrize("family", FAMILIES)
def test_int8_is_the_network_of_rounded_weights(folders: dict[str, Path], family: str) -> None:
    quantised, rounded = load(folders[family], quantize="int8"), load(folders[family])
    pairs = zip(linears(quantised.network.layers), linears(rounded.network.layers), strict=True)
    with torch.no_grad():
        for ours, linear in pairs:
            kept: Any = ours.weight
            found = kept.dequantize()
            step = linear.weight.abs().amax(dim=1, keepdim=True) / 127.0
            assert ((found - linear.weight).abs() <= 0.51 * step).all()
            linear.weight.copy_(found)
    contexts = walk(8, 3, 60)
    for given in (contexts[:, 0], contexts):
        found, expected = (m.predict(given, horizon=3) for m in (quantised, rounded))
        assert largest_error(found, expected) < 2e-4


@needs_torchao
@pytest.mark.parametrize("family", FAMILIES)
def test_int8_keeps_the_layers_in_a_quarter_of_the_memory(
    folders: dict[str, Path], family: str
) -> None:
    exact, quantised = (load(folders[family], **o).network for o in ({}, {"quantize": "int8"}))
    # A byte a weight, and a scale for each output.
    before = sum(linear.weight.nbytes for linear in linears(exact.layers))
    after = sum(kept_bytes(linear.weight) for linear in linears(quantised.layers))
    assert 0.25 < after / before < 0.27
    for name, module in quantised.named_modules():
        if isinstance(module, nn.Linear) and not name.startswith("layers."):
            assert type(module.weight) is nn.Parameter
            assert module.weight.dtype == torch.float32


def linears(layers: nn.Module) -> Iterable[nn.Linear]:
    return [module for module in layers.modules() if isinstance(module, nn.Linear)]


def kept_bytes(weight: Any) -> int:
    names, _ = weight.__tensor_flatten__()
    return sum(getattr(weight, name).nbytes for name in names)


class Uncut(nn.Parameter):
    """A weight that cannot be cut, as those of 8 bits may be."""

    def __getitem__(self, key: object) -> torch.Tensor:
        raise RuntimeError("a quantised weight was cut")


@pytest.fixture
def quantiser(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Stands in for torchao; what it was told to quantise."""
    told: list[nn.Module] = []

    def quantize_(module: nn.Module, config: object) -> None:
        told.append(module)
        for linear in linears(module):
            linear.weight = Uncut(linear.weight.detach(), requires_grad=False)

    part: Any = ModuleType("torchao.quantization")
    part.quantize_, part.Int8WeightOnlyConfig = quantize_, lambda **options: None
    whole = ModuleType("torchao")
    monkeypatch.setitem(sys.modules, "torchao", whole)
    monkeypatch.setitem(sys.modules, "torchao.quantization", part)
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")
    return told


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prepared_first", [False, True])
def test_only_layers_are_quantised_and_their_weights_are_not_cut(
    folders: dict[str, Path], quantiser: list[nn.Module], family: str, prepared_first: bool
) -> None:
    model, exact = load(folders[family], quantize="int8"), load(folders[family])
    if prepared_first:
        model.network  # noqa: B018 - outside of inference mode
    contexts = walk(4, 2, 30)
    for given in (contexts[:, 0], contexts):
        for horizon in (2, 6):
            found, expected = (m.predict(given, horizon=horizon) for m in (model, exact))
            assert largest_error(found, expected) < 1e-4
    assert quantiser == [model.network.layers]
    assert "int8" in model.identity.kernel


def test_later_outputs_of_a_linear_map() -> None:
    linear, values = nn.Linear(5, 7), torch.randn(3, 5)
    expected = linear(values)[:, 4:]
    torch.testing.assert_close(outputs_from(linear, values, 4), expected)
    linear.weight = Uncut(linear.weight.detach())
    torch.testing.assert_close(outputs_from(linear, values, 4), expected)


def test_precisions_that_cannot_be_had_are_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArgumentError, match="float16 is not for the CPU.*dtype='bfloat16'"):
        load(folders["toto1"], dtype="float16")
    monkeypatch.setattr(device, "find_spec", lambda name: None if name == "torchao" else object())
    with pytest.raises(MissingDependencyError, match=r"torchao.*pip install '\.\[int8\]'"):
        load(folders["toto1"], quantize="int8")
