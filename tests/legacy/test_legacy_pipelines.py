from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import write_toto1, write_toto2

pytest.importorskip("torch")

import torch

from marketsim.errors import (
    ArgumentError,
    CudaUnavailableError,
    ModelReleasedError,
    StoreWarning,
    UnknownNameError,
)
from marketsim.forecasts import MemoryStore, open_store
from marketsim.legacy.stock import context_forecasts, pipelines
from marketsim.legacy.stock.pipelines import (
    cached_predict,
    current_pipeline,
    load_toto_pipeline,
    profile_toto_memory,
    release_model_resources,
)
from marketsim.legacy.stock.toto_aggregation import aggregate_with_spec
from marketsim.legacy.stock.toto_wrapper import TotoForecast, TotoPipeline
from marketsim.models import (
    Model,
    ModelIdentity,
    ModelTraits,
    QuantileDistribution,
    SampleDistribution,
    load_model,
)

CONTEXT = torch.randn(150, generator=torch.Generator().manual_seed(3)) * 0.01


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "toto1": str(write_toto1(folder / "toto1", 1)),
        "toto2": str(write_toto2(folder / "toto2", 2)),
        "ewma": "ewma",
    }


@pytest.fixture(autouse=True)
def nothing_resident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("MARKETSIM_TOTO_DEVICE", "cpu")
    release_model_resources(force=True)
    yield
    release_model_resources(force=True)


def counters() -> dict[str, int]:
    store = open_store()
    assert store is not None
    return store.counters  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("model", ["toto1", "toto2", "ewma"])
@pytest.mark.parametrize("horizon", [1, 3, 6])
def test_forecasts_are_the_model_s(
    model: str, horizon: int, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOTO_MODEL_ID", folders[model])
    (first,) = cached_predict(CONTEXT, horizon, num_samples=200, samples_per_batch=64, symbol="A")
    expected = load_model(folders[model]).predict([CONTEXT.double().numpy()], horizon=horizon)
    assert first.distribution is not None
    for spec in ("mean", "trimmed_mean_10", "quantile_0.35"):
        found = first.distribution.aggregate(spec)
        assert found.shape == (horizon,)
        # The records of the store are float32.
        scale = float(np.abs(expected.quantile([0.1, 0.9])).max())
        np.testing.assert_allclose(found, expected.aggregate(spec)[0], atol=2e-6 * scale)
    # A store hit gives the same bits; so does another process's pipeline.
    release_model_resources(force=True)
    (again,) = cached_predict(CONTEXT, horizon, num_samples=200, samples_per_batch=1)
    np.testing.assert_array_equal(again.distribution.mean, first.distribution.mean)
    np.testing.assert_array_equal(again.numpy(), first.numpy())
    assert counters()["hits"] == horizon


@pytest.mark.parametrize("model", ["toto1", "toto2", "ewma"])
def test_draws_follow_the_distribution(
    model: str, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOTO_MODEL_ID", folders[model])
    (made,) = cached_predict(CONTEXT, 3, num_samples=20_000, samples_per_batch=64)
    draws = made.numpy()
    assert draws.shape == (20_000, 3) and draws.dtype == np.float32
    assert made.samples.shape == (1, 1, 3, 20_000)
    assert made.distribution is not None
    exact = made.distribution.quantile([0.1, 0.4, 0.5, 0.6, 0.9])
    shares = (draws[:, :, None] <= exact).mean(axis=0)
    np.testing.assert_allclose(shares, np.tile([0.1, 0.4, 0.5, 0.6, 0.9], (3, 1)), atol=0.02)
    np.testing.assert_array_equal(
        aggregate_with_spec(made.samples, "median"), aggregate_with_spec(draws, "median")
    )


def test_what_the_old_wrapper_s_forecasts_looked_like() -> None:
    (one,) = cached_predict(CONTEXT, 1, num_samples=128, samples_per_batch=32)
    assert one.numpy().shape == (128,)
    draws = np.arange(12.0).reshape(1, 1, 3, 4)
    np.testing.assert_array_equal(TotoForecast(samples=draws).numpy(), draws[0, 0].T)
    assert TotoForecast(draws[:, :, :1]).numpy().tolist() == [0.0, 1.0, 2.0, 3.0]
    assert TotoForecast(draws).distribution is None
    assert "samples (1, 1, 3, 4)" in repr(TotoForecast(draws))
    assert "not drawn" in repr(cached_predict(CONTEXT, 1, 128, 32)[0])
    with pytest.raises(ArgumentError, match="and not both"):
        TotoForecast()


def test_contexts_of_every_kind() -> None:
    reference = cached_predict(CONTEXT, 2, 16, 16)[0].numpy()
    for same in (CONTEXT.numpy(), CONTEXT.tolist(), CONTEXT.double(), CONTEXT[None]):
        np.testing.assert_array_equal(cached_predict(same, 2, 16, 16)[0].numpy(), reference)
    batch = torch.stack([CONTEXT, -CONTEXT])
    first, second = cached_predict(batch, 2, 16, 16)
    np.testing.assert_array_equal(first.numpy(), reference)
    np.testing.assert_array_equal(second.numpy(), cached_predict(-CONTEXT, 2, 16, 16)[0].numpy())
    for bad in (torch.zeros(1, 2, 3), [], torch.zeros(0)):
        with pytest.raises(ArgumentError, match="context must be"):
            cached_predict(bad, 1, 16, 16)
    for bad in ({"prediction_length": 0}, {"num_samples": 0}, {"samples_per_batch": -1}):
        options = {"prediction_length": 1, "num_samples": 8, "samples_per_batch": 8} | bad
        with pytest.raises(ArgumentError, match=next(iter(bad))):
            cached_predict(CONTEXT, **options)
    with pytest.raises(UnknownNameError, match="option of TotoPipeline.predict 'seed'"):
        load_toto_pipeline().predict(CONTEXT, 1, seed=3)


def test_another_model_finds_nothing_stale(
    folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cached_predict(CONTEXT, 1, 16, 16)[0].distribution
    monkeypatch.setenv("TOTO_MODEL_ID", "persistence")
    theirs = cached_predict(CONTEXT, 1, 16, 16)[0].distribution
    assert ours is not None and theirs is not None
    assert ours.mean != theirs.mean
    assert counters()["hits"] == 0


def test_nothing_is_kept_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("TESTING", "True"), ("MARKETSIM_CACHE_PREDICTIONS", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, text)
            cached_predict(CONTEXT, 1, 16, 16)
    assert counters()["hits"] + counters()["misses"] == 0


def test_one_call_of_the_model_for_a_batch_and_none_for_a_hit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = load_model("ewma")
    calls: list[int] = []
    ask = model.predict

    def predict(contexts: Any, **options: Any) -> Any:
        calls.append(len(contexts))
        return ask(contexts, **options)

    monkeypatch.setattr(model, "predict", predict)
    rows = [np.linspace(-1, 1, n) for n in (5, 9, 30)]
    store = MemoryStore()
    made = context_forecasts.forecast_contexts(model, rows, 2, store)
    assert calls == [3]
    again = context_forecasts.forecast_contexts(model, [rows[1], rows[0]], 2, store)
    assert calls == [3]
    np.testing.assert_array_equal(again[0].mean, made[1].mean)
    # Another number of steps is another question.
    context_forecasts.forecast_contexts(model, rows[:1], 1, store)
    assert calls == [3, 1]


def test_a_model_of_samples_with_a_short_context() -> None:
    class Sampling:
        name, fingerprint, context_length, levels = "s", "ab" * 16, 3, (0.5,)
        traits = ModelTraits(levels, context_length, draws=5)
        identity = ModelIdentity(name, "1", context_length, levels)

        def predict(self, contexts: Any, *, horizon: int = 1, mask: Any = None) -> Any:
            shape = (5, len(contexts), horizon)
            return SampleDistribution(np.arange(np.prod(shape), dtype=float).reshape(shape))

        def predict_each(self, series: Any, start: int, *, horizon: int = 1) -> Any: ...

    assert isinstance(Sampling(), Model)
    store = MemoryStore()
    (made,) = context_forecasts.forecast_contexts(Sampling(), [np.ones(9)], 2, store)
    assert made.mean.tolist() == [4.0, 5.0]
    # It sees three values: what came before is not part of the question.
    context_forecasts.forecast_contexts(Sampling(), [np.array([7.0, 1.0, 1.0, 1.0])], 2, store)
    assert store.hits == 2


def test_a_forecast_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model("ewma")
    made = QuantileDistribution((0.1, 0.9), np.zeros((2, 1, 2)), mean=[[0.0], [np.nan]])
    monkeypatch.setattr(model, "predict", lambda contexts, horizon: made)
    with pytest.raises(ArgumentError, match="not finite: context 1"):
        context_forecasts.forecast_contexts(model, [np.ones(4)] * 2, 1, None)


def test_a_store_that_cannot_be_written_warns(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_text("not a folder")
    with pytest.warns(StoreWarning, match="forecasts are not kept"):
        made = cached_predict(CONTEXT, 1, 16, 16)
    assert np.isfinite(made[0].numpy()).all()


def test_pipelines_are_loaded_once_and_anew_when_the_environment_changes(
    folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert current_pipeline() is None
    first = load_toto_pipeline()
    assert load_toto_pipeline() is first and current_pipeline() is first
    monkeypatch.setenv("TOTO_MODEL_ID", folders["toto1"])
    second = load_toto_pipeline()
    assert second is not first and first.model is None
    assert (second.device, second.model_dtype, second.compiled) == ("cpu", torch.float32, False)
    with pytest.raises(ModelReleasedError, match="load it again"):
        first.predict(CONTEXT, 1)


def test_release(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_toto_pipeline()
    release_model_resources()
    assert current_pipeline() is first  # just used
    monkeypatch.setattr(pipelines.time, "monotonic", lambda: 1e12)
    release_model_resources()
    assert current_pipeline() is None and first.model is None
    monkeypatch.undo()
    for name, text in (
        ("MARKETSIM_TOTO_KEEPALIVE_SECONDS", "0"),
        ("MARKETSIM_FORCE_RELEASE_MODELS", "1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("TOTO_MODEL_ID", "ewma")
            patch.setenv(name, text)
            load_toto_pipeline()
            release_model_resources()
            assert current_pipeline() is None


def test_from_pretrained_has_the_old_arguments(folders: dict[str, str]) -> None:
    pipeline = TotoPipeline.from_pretrained(
        model_id=folders["toto1"],
        device_map="cpu",
        torch_dtype=torch.bfloat16,
        compile_model=True,
        compile_mode="max-autotune",
        amp_dtype=None,
        amp_autocast=False,
        torch_compile=False,
        compile_backend="inductor",
        cache_policy="Prefer",
        warmup_sequence=0,
        force_refresh=False,
        cache_manager=None,
        max_oom_retries=4,
        min_samples_per_batch=32,
        min_num_samples=128,
        local_files_only=True,
        context_length=64,
    )
    assert pipeline.model_dtype == torch.bfloat16
    assert (pipeline.max_oom_retries, pipeline.min_num_samples) == (4, 128)
    assert pipeline.model is not None and pipeline.model.context_length == 64
    assert pipeline.last_run_metadata is None
    (made,) = pipeline.predict(
        context=CONTEXT, prediction_length=2, num_samples=64, samples_per_batch=512, top_p=0.9
    )
    assert made.numpy().shape == (64, 2)
    metadata = pipeline.last_run_metadata
    assert metadata is not None
    assert metadata["num_samples_used"] == 64 and metadata["samples_per_batch_used"] == 64
    assert metadata["torch_dtype"] == "torch.bfloat16"
    assert TotoPipeline(load_model("ewma")).model_dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cache_policy": "always"}, UnknownNameError, "unknown cache policy"),
        ({"device_map": "tpu"}, UnknownNameError, "unknown device"),
        ({"torch_dtype": torch.float64}, UnknownNameError, "unknown dtype"),
        ({"surprise": 1}, UnknownNameError, "option of .*'surprise'"),
        ({"model_id": "./nowhere/at/all"}, UnknownNameError, "unknown model"),
    ],
)
def test_from_pretrained_refuses(
    options: dict[str, Any], error: type[Exception], message: str, folders: dict[str, str]
) -> None:
    with pytest.raises(error, match=message):
        TotoPipeline.from_pretrained(
            **({"model_id": folders["toto1"], "device_map": "cpu"} | options)
        )


def test_the_constructor_refuses(folders: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="must be a model of marketsim"):
        TotoPipeline(torch.nn.Linear(1, 1), device="cpu")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="computes on 'cpu'"):
        TotoPipeline(load_model(folders["toto1"]), device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTO_MODEL_ID", folders["toto1"])
    monkeypatch.setenv("MARKETSIM_TOTO_DEVICE", "cuda")
    for wanted in (RuntimeError, CudaUnavailableError):
        with pytest.raises(wanted, match=r"TOTO_DEVICE=cuda: .*ALLOW_CPU_FALLBACK=1"):
            load_toto_pipeline()
    monkeypatch.setenv("MARKETSIM_ALLOW_CPU_FALLBACK", "1")
    assert load_toto_pipeline().device == "cpu"
    monkeypatch.delenv("MARKETSIM_TOTO_DEVICE")
    monkeypatch.delenv("MARKETSIM_ALLOW_CPU_FALLBACK")
    assert load_toto_pipeline().device == "cpu"  # nobody asked for one
    with pytest.raises(CudaUnavailableError, match="cannot be had"):
        TotoPipeline.from_pretrained(folders["toto1"])
    # A statistical model never needs one.
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("MARKETSIM_TOTO_DEVICE", "cuda")
    assert load_toto_pipeline().device == "cpu"


def test_profile_has_the_old_keys() -> None:
    found = profile_toto_memory(symbol="X", num_samples=128, samples_per_batch=32, runs=2)
    assert json.loads(json.dumps(found)) == {
        "symbol": "X",
        "num_samples": 128,
        "samples_per_batch": 32,
        "peak_mb": 0.0,
        "delta_mb": 0.0,
        "runs": 2,
    }
