"""What forecasts are said to cost is what they then cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from checkpoints import write_toto1, write_toto2
from torch.utils.flop_counter import FlopCounterMode

import marketsim as ms
from marketsim.models import Cost
from marketsim.models.neural.batching import Batch
from marketsim.models.neural.cost import batch_cost
from marketsim.models.neural.model import NeuralModel


@pytest.fixture(params=["toto1", "toto2"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> NeuralModel:
    """Large enough that what pads rows to whole tiles does not matter."""
    write = {"toto1": write_toto1, "toto2": write_toto2}[request.param]
    loaded = ms.load_model(write(tmp_path / "m", 3))
    assert isinstance(loaded, NeuralModel)
    assert loaded.traits.costed
    return loaded


def attention_flop(query, key, value, dropout=0.0, is_causal=False, **_: object) -> float:
    """Operations of an attention [row, head, position, dimension], from shapes."""
    rows, heads, positions, _size = query
    seen = key[2] / 2 if is_causal else key[2]
    return 2 * rows * heads * positions * seen * (key[3] + value[3])


# What torch's counter does not know by itself.
ON_A_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flop,
    torch.ops.aten.addmm_: lambda out, a, b, **_: 2 * a[0] * a[1] * b[1],
}


def walks(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(0.0, 0.01, shape) for shape in shapes]


def launched(model: NeuralModel, monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches that the model will run, as they are."""
    seen = []
    inner = model._launch

    def launch(batch: Batch, steps: int) -> object:
        seen.append(batch)
        return inner(batch, steps)

    monkeypatch.setattr(model, "_launch", launch)
    return seen


@pytest.mark.parametrize("context_length", [None, 30])
def test_a_plan_is_what_is_run(model: NeuralModel, monkeypatch, context_length) -> None:
    model.context_length = context_length
    series = walks((90,), (3, 60), (70,))
    series[2][40] = np.nan  # where a day may have to be read alone
    starts = [20, 25, 66]
    cost = model.cost(series, starts)
    assert "network" not in vars(model)  # no weights were read
    batches = launched(model, monkeypatch)
    parts = model.predict_each_of(series, starts)
    assert cost.forecasts == sum(part.mean.size for part in parts) == 71 + 3 * 36 + 5
    assert cost.batches == len(batches)
    assert cost.passes == sum(len(batch.rows) for batch in batches)
    patches = [batch.count * batch.rows[0].variates * batch.width for batch in batches]
    assert cost.patches == sum(patches)
    assert cost.largest == max(patches)
    if context_length is None:
        # One pass an alignment; Toto 2.0 reads the days alone whose last patch has a gap.
        assert cost.passes <= model.patch * 2 + 5
    else:
        assert cost.passes > 100


@pytest.mark.parametrize("shape", [(300,), (3, 300)])
def test_operations_are_those_that_torch_counts(model: NeuralModel, shape) -> None:
    series = walks(*[shape] * 6)
    starts = [280] * len(series)
    cost = model.cost(series, starts)
    _ = model.network
    with FlopCounterMode(display=False, custom_mapping=ON_A_CPU) as counter:
        model.predict_each_of(series, starts)
    counted = counter.get_total_flops()
    # Heads of less than a tile are filled up where they look across variates.
    apart = 0.03 if len(shape) == 1 else 0.08
    assert cost.operations + cost.operations_float32 == pytest.approx(counted, rel=apart)


def test_costs_add_up(model: NeuralModel) -> None:
    one, other = model.cost(walks((50,)), [30]), model.cost(walks((80,)), [70])
    both = one + other
    assert both.forecasts == one.forecasts + other.forecasts == 21 + 11
    assert both.operations == one.operations + other.operations
    assert both.largest == max(one.largest, other.largest)
    assert both.shapes == one.shapes | other.shapes
    assert one + Cost() == one
    assert model.cost([], []) == Cost()


def test_compiled_batches_are_counted_as_they_are_filled_up(model: NeuralModel) -> None:
    series, starts = walks((50,), (61,)), [30, 60]
    plain = model.cost(series, starts)
    groups = model._grouped(series, starts, 1)
    bucketed = Cost()
    for group in groups:
        for batch in model.batches.plan(group.rows, model.patch):
            bucketed += batch_cost(model.sizes, batch, model.patch, steps=1, bucketed=True)
    assert bucketed.operations >= plain.operations
    assert bucketed.forecasts == plain.forecasts == 21 + 2


def test_weights_are_counted(model: NeuralModel) -> None:
    network = model.network
    held = sum(p.numel() for p in network.parameters())
    # Factors of norms and scalars become part of other weights.
    assert model.sizes.weights == pytest.approx(held, rel=0.03)
    layers = sum(p.numel() for p in network.layers.parameters())
    assert model.sizes.layer_weights == pytest.approx(layers, rel=0.05)


def test_an_expectation(model: NeuralModel) -> None:
    cost = model.cost(walks((90,)), [20])
    expected = model.expect(cost)
    assert "network" not in vars(model)
    assert 0.0 < expected.seconds < 60.0
    assert 0.0 < expected.load_seconds < 60.0
    assert expected.weights == 4 * model.sizes.weights
    assert expected.memory >= expected.weights + cost.largest * model.bytes_per_token()
    assert expected.rate > 0.0
    more = model.expect(cost + cost)
    assert more.memory == expected.memory
    # Twice the work: only the speed, measured anew, may differ.
    work = more.seconds * more.rate / (expected.seconds * expected.rate)
    assert 0.2 < work < 20.0


def test_a_network_is_translated_as_one_graph(model: NeuralModel, monkeypatch) -> None:
    """Whatever breaks it in two, such as a stage within, would cost time at each batch."""
    from marketsim.timing import profiled

    series = walks((60,))[0]
    plain = model.predict_each(series, 50).mean
    whole = torch.compile(model.network, fullgraph=True, dynamic=False, backend="eager")
    monkeypatch.setattr(model, "network", whole)
    vars(model).pop("_call")
    made = model.predict_each(series, 50).mean
    assert np.allclose(made, plain, atol=1e-5)
    with profiled() as profile:
        assert np.array_equal(model.predict_each(series, 50).mean, made)
    # Only the units of what comes out are left to "head"; the network's own is within it.
    assert ("prepare", "encode") in profile.by_path()
    assert ("prepare", "encode", "head") not in profile.by_path()
