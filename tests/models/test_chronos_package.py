"""Pipelines of chronos-forecasting on random weights, against the pipelines called directly."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import marketsim as ms

pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that it imports
    pytest.importorskip("chronos", reason="chronos-forecasting is not installed")

import torch
from chronos import BaseChronosPipeline
from chronos_pipelines import walk, write_real

from marketsim.errors import ArgumentError, CheckpointError, CheckpointNotFoundError
from marketsim.models import chronos_from_pipeline

QUANTILES = ("bolt", "2")
# Random weights end in a hyperbolic sine in Chronos-2, which multiplies what rounding does.
ROUNDING = {"bolt": 2e-6, "2": 2e-5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        kind: write_real(kind, tmp_path_factory.mktemp(kind)) for kind in (*QUANTILES, "samples")
    }


def direct(folder: Path) -> Any:
    return BaseChronosPipeline.from_pretrained(folder, dtype=torch.float32)


def alone(pipeline: Any, context: np.ndarray, steps: int) -> np.ndarray:
    """What a pipeline says of one context [time] or [variate, time]: [..., step, level], sorted."""
    values = torch.from_numpy(np.atleast_2d(context)).float()
    found = pipeline.predict(values if "Bolt" in type(pipeline).__name__ else [values], steps)[0]
    found = found.reshape(*context.shape[:-1], *found.shape[-2:])
    return np.sort(found.double().numpy(), axis=-2).swapaxes(-1, -2)


def assert_near(found: np.ndarray, expected: np.ndarray, kind: str) -> None:
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=ROUNDING[kind] * np.abs(expected).max()
    )


@pytest.mark.parametrize("kind", QUANTILES)
def test_forecasts_are_those_of_the_pipeline(folders: dict[str, Path], kind: str) -> None:
    model, pipeline = ms.load_model(folders[kind]), direct(folders[kind])
    assert model.context_length == pipeline.model_context_length == 44
    assert model.levels == tuple(pipeline.quantiles)
    contexts = [walk(n, seed=n) for n in (1, 7, 8, 9, 30, 44, 44, 60)]
    contexts[4][[0, 1, 2, 11, 28]] = np.nan
    for steps in (1, 6):
        made = model.predict(contexts, horizon=steps)
        for found, context in zip(made.quantiles, contexts, strict=True):
            assert_near(found, alone(pipeline, context, steps), kind)


@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
@pytest.mark.parametrize("kind", QUANTILES)
def test_horizons_beyond_one_step_go_on_as_the_pipeline_does(
    folders: dict[str, Path], kind: str
) -> None:
    steps = {"bolt": 9, "2": 17}[kind]
    made = ms.load_model(folders[kind]).predict(walk(2, 30), horizon=steps)
    expected = alone(direct(folders[kind]), walk(2, 30)[1], steps)
    assert made.mean.shape == (2, steps)
    assert_near(made.quantiles[1], expected, kind)


@pytest.mark.parametrize("kind", QUANTILES)
def test_every_day_equals_its_context_alone(folders: dict[str, Path], kind: str) -> None:
    model, pipeline = ms.load_model(folders[kind]), direct(folders[kind])
    series = walk(60)
    made = model.predict_each(series, 1, horizon=2)
    assert made.mean.shape == (60, 2)
    for i in (0, 3, 7, 8, 30, 43, 44, 59):
        assert_near(made.quantiles[i], alone(pipeline, series[: i + 1], 2), kind)
        assert_near(
            made.quantiles[i], model.predict(series[None, : i + 1], horizon=2).quantiles[0], kind
        )


@pytest.mark.parametrize("kind", QUANTILES)
def test_the_batch_changes_no_more_than_rounding(folders: dict[str, Path], kind: str) -> None:
    model = ms.load_model(folders[kind])
    contexts = [walk(n, seed=n) for n in range(1, 50)]
    contexts += [np.full(20, 0.1), np.zeros(20), np.full(3, 0.1), 1e6 * walk(20)]
    together = model.predict(contexts).quantiles
    for i in (0, 5, 20, 44, 49, 50, 51, 52):
        assert_near(together[i], model.predict([contexts[i]]).quantiles[0], kind)


def test_chronos_2_sees_variates_together(folders: dict[str, Path]) -> None:
    model, pipeline = ms.load_model(folders["2"], variates="joint"), direct(folders["2"])
    series = walk(4, 50)
    expected = np.stack([alone(pipeline, series[:, :end], 1) for end in (48, 49, 50)])
    found = model.predict_each(series, 48).quantiles
    assert_near(found, expected, "2")
    apart = ms.load_model(folders["2"]).predict(series)
    assert np.abs(apart.quantiles - expected[-1]).max() > 1e-3 * np.abs(expected).max()
    # Another symbol in the batch is none of its variates.
    both = model.predict(np.stack([series, 2.0 * series[::-1]]))
    assert_near(both.quantiles[0], expected[-1], "2")


def test_samples_are_those_of_the_pipeline_with_that_seed(folders: dict[str, Path]) -> None:
    model, pipeline = ms.load_model(folders["samples"]), direct(folders["samples"])
    assert model.samples == 12
    series, seeds = walk(50), np.array([3, 2**63 + 5, 3], dtype=np.uint64)
    made = model.predict_each(series, 48, horizon=3, seeds=seeds)
    for i, end in enumerate((48, 49, 50)):
        torch.manual_seed(int(seeds[i]))
        expected = pipeline.predict(torch.from_numpy(series[None, :end]).float(), 3)[0]
        np.testing.assert_array_equal(made.samples[:, i], expected.numpy())
    assert made.std.min() > 0.0
    few = ms.load_model(folders["samples"], num_samples=3, temperature=0.5, top_k=5, top_p=0.9)
    torch.manual_seed(9)
    expected = pipeline.predict(
        torch.from_numpy(series[None]).float(),
        1,
        num_samples=3,
        temperature=0.5,
        top_k=5,
        top_p=0.9,
    )
    np.testing.assert_array_equal(few.predict(series[None], seeds=[9]).samples[:, 0], expected[0])


@pytest.mark.parametrize("kind", [*QUANTILES, "samples"])
def test_other_precisions(folders: dict[str, Path], kind: str) -> None:
    exact, rough = (ms.load_model(folders[kind], dtype=d) for d in ("float32", "bfloat16"))
    assert rough.fingerprint != exact.fingerprint
    context = walk(1, 40)
    found, expected = (model.predict(context).mean[0, 0] for model in (rough, exact))
    assert rough.pipeline.inner_model.dtype == torch.bfloat16
    assert np.isfinite(found)
    if kind == "bolt":
        assert 0.0 < abs(found - expected) < 0.2 * float(exact.predict(context).std[0, 0])


@pytest.mark.parametrize("kind", [*QUANTILES, "samples"])
def test_a_pipeline_that_exists_is_as_good_as_its_folder(
    folders: dict[str, Path], kind: str
) -> None:
    model = chronos_from_pipeline(direct(folders[kind]), name="mine")
    loaded = ms.load_model(folders[kind])
    assert type(model) is type(loaded)
    assert model.levels == loaded.levels
    context = walk(3, 33)
    np.testing.assert_array_equal(model.predict(context).mean, loaded.predict(context).mean)
    direct_again = chronos_from_pipeline(direct(folders[kind]), name="mine")
    assert direct_again.fingerprint == model.fingerprint


def test_weights_that_do_not_fit_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folders["bolt"] / "model.safetensors")
    taken = "encoder.block.1.layer.0.SelfAttention.q.weight"
    for change, message in (
        ({taken: None}, f"do not fit its configuration: missing: {taken}"),
        ({"extra.weight": torch.zeros(2)}, "do not fit its configuration: unknown: extra.weight"),
        ({taken: torch.zeros(3, 3)}, "cannot be opened by chronos-forecasting"),
        ({"shared.weight": None}, "missing: shared.weight"),
    ):
        changed = {name: some for name, some in {**weights, **change}.items() if some is not None}
        (tmp_path / "config.json").write_text((folders["bolt"] / "config.json").read_text())
        save_file(changed, tmp_path / "model.safetensors", metadata={"format": "pt"})
        model = ms.load_model(tmp_path)
        with pytest.raises(CheckpointError, match=message):
            model.predict(walk(1, 9))


def test_folders_that_cannot_be_opened(folders: dict[str, Path], tmp_path: Path) -> None:
    config = json.loads((folders["bolt"] / "config.json").read_text())
    with pytest.raises(CheckpointNotFoundError, match="weights are read as safetensors"):
        (tmp_path / "config.json").write_text(json.dumps(config))
        ms.load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(
        (folders["bolt"] / "model.safetensors").read_bytes()
    )
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="adapter of another model"):
        ms.load_model(tmp_path).predict(walk(1, 9))
    (tmp_path / "adapter_config.json").unlink()
    config["chronos_pipeline_class"] = "Chronos9Pipeline"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="Chronos9Pipeline"):
        ms.load_model(tmp_path).predict(walk(1, 9))


def test_memory_that_does_not_suffice_halves_the_batches(folders: dict[str, Path]) -> None:
    pipeline = direct(folders["bolt"])
    model = chronos_from_pipeline(pipeline, name="mine")
    context = walk(8, 40)
    expected = model.predict(context).quantiles
    inner = pipeline.predict

    def cramped(contexts: torch.Tensor, **options: Any) -> torch.Tensor:
        if len(contexts) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return inner(contexts, **options)

    pipeline.predict = cramped
    with pytest.warns(RuntimeWarning, match="memory did not suffice"):
        found = model.predict(context).quantiles
    assert_near(found, expected, "bolt")
    assert model.batches.halvings >= 1
    with pytest.raises(ArgumentError, match="infinite value"):
        model.predict(np.array([[np.inf, 0.1]]))
