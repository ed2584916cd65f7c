"""Chronos pipelines as models, with stand-ins for the pipelines: the package is not needed."""

from __future__ import annotations

import contextlib
import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from chronos_pipelines import (
    LEVELS,
    JointPipeline,
    QuantilePipeline,
    SamplePipeline,
    bolt_config,
    sample_config,
    walk,
)
from market import random_bars
from safetensors.numpy import save_file

import marketsim as ms
from marketsim.errors import (
    ArgumentError,
    CheckpointError,
    MissingDependencyError,
    UnknownNameError,
)
from marketsim.forecasts import ForecastPlan, MemoryStore, run_plan
from marketsim.models import Model, SampleDistribution, chronos_from_pipeline
from marketsim.models.chronos import pipeline as opening
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution


def quantiles_of(pipeline: QuantilePipeline, context: np.ndarray, steps: int = 1) -> np.ndarray:
    """What a pipeline says of one context alone, [step, level]."""
    return pipeline.forecast(torch.from_numpy(context).float(), steps).T.double().numpy()


def test_each_forecast_is_the_pipelines_own_for_its_context() -> None:
    pipeline = QuantilePipeline()
    model = chronos_from_pipeline(pipeline, name="mine")
    assert isinstance(model, Model)
    assert model.traits.batched
    assert (model.name, model.context_length, model.levels) == ("mine", 44, tuple(LEVELS))
    contexts = [walk(n, seed=n) for n in (1, 7, 8, 9, 30, 44, 60)]
    made = model.predict(contexts, horizon=3)
    for found, context in zip(made.quantiles, contexts, strict=True):
        np.testing.assert_array_equal(found, quantiles_of(pipeline, context[-44:], 3))
    square = walk(2, 3, 20)
    both = model.predict(square)
    assert both.mean.shape == (2, 3, 1)
    np.testing.assert_array_equal(both.quantiles[1, 2], quantiles_of(pipeline, square[1, 2]))


def test_a_context_is_filled_up_by_its_own_length_alone() -> None:
    pipeline = QuantilePipeline()
    model = chronos_from_pipeline(pipeline, name="mine")
    model.predict([walk(n) for n in (1, 8, 9, 17, 30, 33, 41, 44)])
    # Whole patches, 1, 2, 3, 4 or 6 of them, but never more than the model sees.
    assert sorted(pipeline.handed) == [(1, 16), (1, 24), (1, 32), (2, 8), (3, 44)]
    overlapping = QuantilePipeline(input_patch_stride=4)
    model = chronos_from_pipeline(overlapping, name="mine")
    model.predict([walk(n) for n in (5, 17, 30)])
    assert sorted(overlapping.handed) == [(1, 5), (1, 17), (1, 30)]


def test_every_day_is_forecast_from_its_own_past() -> None:
    pipeline = QuantilePipeline()
    model = chronos_from_pipeline(pipeline, name="mine", context_length=20)
    assert model.traits.batched
    one, pair = walk(50), walk(2, 30)
    told: list[int] = []
    parts = model.predict_each_of([pair, one], [29, 5], horizon=2, on_progress=told.append)
    assert [part.mean.shape for part in parts] == [(2, 2, 2), (46, 2)]
    assert sum(told) == 46 + 4
    for i, end in enumerate(range(5, 51)):
        expected = quantiles_of(pipeline, one[:end][-20:], 2)
        np.testing.assert_array_equal(parts[1].quantiles[i], expected)
    for variate in range(2):
        expected = quantiles_of(pipeline, pair[variate, -20:], 2)
        np.testing.assert_array_equal(parts[0].quantiles[1, variate], expected)
    np.testing.assert_array_equal(model.predict_each(one, 5, horizon=2).mean, parts[1].mean)
    assert model.predict_each_of([], []) == []


def test_what_is_not_observed_reaches_the_pipeline_as_nan() -> None:
    pipeline = QuantilePipeline()
    model = chronos_from_pipeline(pipeline, name="mine")
    context, mask = walk(1, 30), np.ones((1, 30), dtype=bool)
    mask[0, 3:9] = False
    expected = quantiles_of(pipeline, context[0][mask[0]])
    np.testing.assert_array_equal(model.predict(context, mask=mask).quantiles[0], expected)
    gaps = np.where(mask, context, np.nan)
    np.testing.assert_array_equal(model.predict(gaps).quantiles[0], expected)


def test_levels_and_quantiles_come_in_order() -> None:
    pipeline = QuantilePipeline(quantiles=[0.9, 0.1, 0.5])
    model = chronos_from_pipeline(pipeline, name="mine")
    assert model.levels == (0.1, 0.5, 0.9)
    found = model.predict(walk(1, 9)).quantiles[0, 0]
    expected = quantiles_of(pipeline, walk(1, 9)[0])[0]
    np.testing.assert_array_equal(found, np.sort(expected))


def test_variates_are_seen_together_where_the_pipeline_can() -> None:
    pipeline = JointPipeline()
    series = walk(3, 20)
    expected = pipeline.predict(torch.from_numpy(series[None]).float(), 1)[0].numpy()
    model = chronos_from_pipeline(pipeline, name="2")
    joint = chronos_from_pipeline(pipeline, name="2", variates="joint")
    for some in (model, joint):
        np.testing.assert_array_equal(
            some.predict(series[None]).quantiles[0, :, 0], expected[..., 0]
        )
        np.testing.assert_array_equal(
            some.predict_each(series, 20).quantiles[0, :, 0], expected[..., 0]
        )
    assert (model.joint, joint.joint) == (False, True)
    assert model.fingerprint != joint.fingerprint
    alone = model.predict(series)
    assert alone.mean.shape == (3, 1)
    assert np.abs(alone.quantiles[:, 0] - expected[..., 0]).max() > 1e-4
    with pytest.raises(ArgumentError, match="forecasts each series by itself: variates='joint'"):
        chronos_from_pipeline(QuantilePipeline(), name="bolt", variates="joint")
    with pytest.raises(UnknownNameError, match="variates 'both'"):
        chronos_from_pipeline(pipeline, name="2", variates="both")


def test_samples_follow_from_the_seeds_alone() -> None:
    model = chronos_from_pipeline(SamplePipeline(), name="t5", num_samples=7)
    assert not model.traits.batched
    assert model.traits.seeded
    assert model.samples == 7
    series, seeds = walk(2, 60), np.arange(4, dtype=np.uint64) + 2**63
    before = torch.get_rng_state()
    made = model.predict_each(series[0], 57, horizon=2, seeds=seeds)
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(made, SampleDistribution)
    assert made.samples.shape == (7, 4, 2)
    for i, end in enumerate(range(57, 61)):
        alone = model.predict(series[:1, :end], horizon=2, seeds=seeds[i : i + 1])
        np.testing.assert_array_equal(alone.samples[:, 0], made.samples[:, i])
    # Variates have seeds of their own; the same noise around other values would be one seed.
    both = model.predict_each(series, 57, seeds=seeds).samples
    assert both.shape == (7, 4, 2, 1)
    noise = both[..., 0] - series[:, 56:].T
    assert np.abs(noise[..., 0] - noise[..., 1]).max() > 1e-3


def test_seeds_that_are_not_given_follow_from_the_context() -> None:
    model = chronos_from_pipeline(SamplePipeline(), name="t5")
    contexts = [walk(n) for n in (9, 10, 11)]
    made = model.predict(contexts).samples
    np.testing.assert_array_equal(model.predict(contexts[::-1]).samples, made[:, ::-1])
    # Only what it sees counts: 40 values.
    long = walk(50)
    np.testing.assert_array_equal(
        model.predict(long[None]).samples, model.predict(long[None, -40:]).samples
    )
    for wrong in ([1, 2], [1.0, 2.0, 3.0], [-1, 2, 3], 4):
        with pytest.raises(ArgumentError, match="seeds must be 3 whole numbers of at least 0"):
            model.predict(contexts, seeds=wrong)


@pytest.mark.parametrize("kind", [QuantilePipeline, SamplePipeline, JointPipeline])
def test_a_run_keeps_what_is_made(kind: Any) -> None:
    options = {"variates": "joint"} if kind is JointPipeline else {}
    bars = random_bars(60)
    plan = ForecastPlan(30, 45, 5, 3)
    pipeline = kind()
    model = chronos_from_pipeline(pipeline, name="mine", **options)
    store = MemoryStore()
    made = run_plan(bars, model, plan, store=store, progress=False)
    assert made.schema.samples == (12 if kind is SamplePipeline else 0)
    pipeline.handed.clear()
    again = run_plan(bars, model, plan, store=store, progress=False)
    assert pipeline.handed == []
    np.testing.assert_array_equal(again.records, made.records)
    # Forecasts of a part of the days are those of all of them.
    part = run_plan(bars, model, ForecastPlan(37, 41, 2, 2), store=None, progress=False)
    np.testing.assert_array_equal(part.records, made.records[7:11])


def test_the_fingerprint_covers_weights_configuration_and_options() -> None:
    def fingerprint(pipeline: Any, **options: Any) -> str:
        return chronos_from_pipeline(pipeline, name="a", **options).fingerprint

    changed = QuantilePipeline()
    with torch.no_grad():
        changed.inner_model.bias[1] += 1e-7
    sampling = [{"num_samples": 5}, {"temperature": 0.9}, {"top_k": 3}, {"top_p": 0.9}]
    found = [
        fingerprint(QuantilePipeline()),
        fingerprint(QuantilePipeline(), context_length=20),
        fingerprint(QuantilePipeline(use_reg_token=False)),
        fingerprint(changed),
        fingerprint(SamplePipeline()),
        *(fingerprint(SamplePipeline(), **options) for options in sampling),
    ]
    assert len(set(found)) == len(found)
    assert fingerprint(QuantilePipeline()) == found[0]
    identity = chronos_from_pipeline(SamplePipeline(), name="a").identity
    assert identity.configuration == {
        "num_samples": 12,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    }
    assert identity.dtype == "float32"
    assert set(identity.libraries) == {"torch", "chronos-forecasting", "transformers"}


@pytest.mark.parametrize("length", [0, 45, 1.5, True, "all"])
def test_context_lengths_that_the_model_has_not(length: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"context_length of a must be .* in 1 \.\. 44, or None"
    ):
        chronos_from_pipeline(QuantilePipeline(), name="a", context_length=length)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples must be a whole number of at least 1: got 0"),
        ({"top_k": 2.5}, "top_k must be a whole number of at least 1: got 2.5"),
        ({"temperature": 0.0}, "temperature must be a number above 0: got 0.0"),
        ({"temperature": "hot"}, "temperature must be a number above 0"),
        ({"top_p": 1.1}, "top_p must be a number above 0 and at most 1: got 1.1"),
    ],
)
def test_sampling_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        chronos_from_pipeline(SamplePipeline(), name="a", **options)


def test_pipelines_that_are_none() -> None:
    with pytest.raises(ArgumentError, match="must be one of chronos-forecasting: got int"):
        chronos_from_pipeline(3, name="a")
    training = QuantilePipeline()
    training.inner_model.train()
    with pytest.raises(ArgumentError, match=r"is in training mode.*inner_model\.eval\(\)"):
        chronos_from_pipeline(training, name="a")
    other = QuantilePipeline()
    other.model_context_length = 43
    with pytest.raises(ArgumentError, match="a sees 43 values, but its configuration says 44"):
        chronos_from_pipeline(other, name="a")
    other.forecast_type = None
    with pytest.raises(ArgumentError, match="QuantilePipeline has None"):
        chronos_from_pipeline(other, name="a")


def folder_of(tmp_path: Path, config: dict[str, Any], add: float = 0.0) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = {"shared.weight": np.full((2, 2), add, dtype=np.float32)}
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")


@pytest.mark.parametrize("config", [bolt_config(), sample_config()], ids=["bolt", "samples"])
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[chronos\]'"):
        ms.load_model(folder_of(tmp_path, config))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("options", [{"compile": True}, {"quantize": "int8"}])
def test_what_a_pipeline_does_not_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr("marketsim.models.neural.device.find_spec", lambda name: object())
    with pytest.raises(ArgumentError, match="leave compile and quantize at their defaults"):
        ms.load_model(folder_of(tmp_path, bolt_config()), **options)


@pytest.mark.usefixtures("installed")
def test_the_files_decide_the_fingerprint(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, sample_config())
    found = [ms.load_model(folder).fingerprint]
    (folder / "generation_config.json").write_text(json.dumps({"num_beams": 2}))
    found.append(ms.load_model(folder).fingerprint)
    found.append(ms.load_model(folder, top_k=7).fingerprint)
    found.append(ms.load_model(folder, dtype="bfloat16").fingerprint)
    folder_of(tmp_path, sample_config(), add=1.0)
    found.append(ms.load_model(folder).fingerprint)
    assert len(set(found)) == len(found)
    with pytest.raises(UnknownNameError, match="option"):
        ms.load_model(folder, variates="joint")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (bolt_config(quantiles=[0.5]), "at least two different levels"),
        (bolt_config(quantiles=[0.5, 0.5]), "at least two different levels"),
        (bolt_config(quantiles=[0.0, 0.5]), "at least two different levels"),
        (bolt_config(context_length=0), "sizes below 1"),
        (bolt_config(input_patch_size="x"), "cannot be understood"),
        (
            {"chronos_config": {"quantiles": LEVELS, "input_patch_size": 1}},
            "lacks 'context_length'",
        ),
        ({"chronos_config": {"context_length": 3}}, "belongs to no model that is known"),
        ({"chronos_config": 3}, "belongs to no model that is known"),
    ],
    ids=str,
)
def test_configurations_that_cannot_be(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ms.load_model(folder_of(tmp_path, config))


def test_a_folder_that_changes_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads the files itself: the fingerprint must be that of what it read."""
    for name in ("config.json", "generation_config.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")

    class Opened:
        changed = tmp_path / "model.safetensors"

        @classmethod
        def from_pretrained(cls, folder: str, **options: object) -> object:
            cls.changed.write_bytes((3).to_bytes(8, "little") + b"{ }")
            return object()

    monkeypatch.setattr(opening, "package_version", lambda: "2")
    monkeypatch.setattr(opening, "_no_loading_bar", contextlib.nullcontext)
    monkeypatch.setitem(sys.modules, "chronos", SimpleNamespace(BaseChronosPipeline=Opened))
    for name in ("model.safetensors", "generation_config.json"):
        Opened.changed = tmp_path / name
        checkpoint = Checkpoint.open(tmp_path, "tiny")
        assert opening.weights_digest(checkpoint) == checkpoint.digest
        with pytest.raises(CheckpointError, match="was changed after"):
            opening.open_pipeline(checkpoint, Execution("cpu", "float32"))
    checkpoint = Checkpoint.open(tmp_path, "tiny")
    (tmp_path / "generation_config.json").unlink()
    with pytest.raises(CheckpointError, match="was changed after"):
        opening.open_pipeline(checkpoint, Execution("cpu", "float32"))
