"""Forecasts that are made on a device and stay there: the same bits as on the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import DEVICES, on_backend
from checkpoints import write_toto1, write_toto2
from market import random_frame
from mixture_model import MixtureModel
from store_cases import NotingModel, bits
from toto1_cases import load

import marketsim as ms
from marketsim.errors import ArgumentError, StoreWarning, UnknownNameError
from marketsim.forecasts import (
    DeviceCube,
    ForecastPlan,
    MemoryStore,
    PredictionStore,
    Schema,
    run_plans,
    run_plans_on,
)
from marketsim.forecasts.device.schema import mixture_records_on_device
from marketsim.kernels.cuda import place as cuda
from marketsim.models import StudentTMixture

torch = pytest.importorskip("torch")

WANTED = [(ms.read_bars(random_frame(n, n), symbol=f"S{n}"), n) for n in (70, 90, 61)]
PLANS = [(bars, ForecastPlan(40, n, 1, 1)) for bars, n in WANTED]
PLANS.append((WANTED[0][0], ForecastPlan(20, 25, 1, 1)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toto1(tmp_path_factory.mktemp("toto1") / "small", 5)


@pytest.fixture(params=DEVICES[::2])
def on(request: pytest.FixtureRequest):
    with on_backend(request.param):
        yield "cpu" if cuda.platform().kind == "cpu" else "cuda"


def same(found: list[DeviceCube], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for there, here in zip(found, expected, strict=True):
        assert (there.first, there.schema) == (here.first, here.schema)
        assert bits(there.records.cpu().numpy()) == bits(here.records)
        assert not there.records.is_inference()


@pytest.mark.parametrize("variates", ["independent", "joint"])
def test_what_a_model_makes_stays_and_is_kept(folder, on: str, variates: str, monkeypatch) -> None:
    options = {"variates": variates, "device": on}
    store, own = MemoryStore(), MemoryStore()
    model = load(folder, **options)
    model.batches.max_tokens = 100  # several batches
    expected = run_plans(PLANS, model, store=store, progress=False)
    monkeypatch.setattr("marketsim.forecasts.device.run.run_plans", None)  # no way over the host
    same(run_plans_on(PLANS, model, "cuda", store=None, progress=False), expected)
    same(run_plans_on(PLANS, model, "cuda", store=own, progress=False), expected)
    assert kept_in(own) == kept_in(store)
    warm = load(folder, **options)
    same(run_plans_on(PLANS, warm, "cuda", store=own, progress=False), expected)
    assert "network" not in vars(warm)


def kept_in(store: MemoryStore) -> dict[Any, bytes]:
    return {
        (series, key): bits(record)
        for series, held in store._records.items()
        for key, record in held.items()
    }


def test_a_store_that_has_a_part(folder, on: str) -> None:
    store = MemoryStore()
    run_plans(
        [(WANTED[1][0], ForecastPlan(50, 60, 1, 1))],
        load(folder, device=on),
        store=store,
        progress=False,
    )
    expected = run_plans(PLANS, load(folder, device=on), store=None, progress=False)
    found = run_plans_on(PLANS, load(folder, device=on), "cuda", store=store, progress=False)
    same(found, expected)
    assert store.hits == 40
    half = run_plans_on(
        PLANS, load(folder, device=on), "cuda", store=None, progress=False, targets=("high",)
    )
    assert torch.isnan(half[0].records[:, 0, 0]).all()
    assert torch.equal(half[0].records[:, 0, 1], found[0].records[:, 0, 1])


@pytest.mark.parametrize("name", ["cpu", *DEVICES[::2]])
@pytest.mark.parametrize("make", [NotingModel, MixtureModel], ids=["quantiles", "mixture"])
def test_other_models_are_uploaded(name: str, make) -> None:
    expected = run_plans(PLANS, make(), store=None, progress=False)
    with on_backend(name) as backend:
        found = run_plans_on(PLANS, make(), backend.device, store=MemoryStore(), progress=False)
        same(found, expected)
        assert run_plans_on([], make(), backend.device, store=None, progress=False) == []
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        run_plans_on(PLANS, make(), "gpu", store=None)


def test_what_is_no_forecast_is_an_error(folder, on: str, monkeypatch) -> None:
    def run(change) -> None:
        model = load(folder, device=on)
        call = model._call

        def changed(*arguments: Any) -> Any:
            made = call(*arguments).clone()
            change(made)
            return made

        monkeypatch.setitem(vars(model), "_call", changed)
        run_plans_on(PLANS, model, "cuda", store=None, progress=False)

    with pytest.raises(ArgumentError, match="df must be above 1"):
        run(lambda made: made[-1, ..., 0].fill_(0.5))
    with pytest.raises(ArgumentError, match="loc must be finite"):
        run(lambda made: made[-1, ..., 3].fill_(float("nan")))

    def unsound(parameters: Any) -> Any:
        records, sound = mixture_records_on_device(parameters)
        return records, sound & (torch.arange(len(sound), device=sound.device) != 3)

    monkeypatch.setattr("marketsim.forecasts.device.run.mixture_records_on_device", unsound)
    with pytest.raises(ArgumentError, match=r"not finite for row \d+ of S\d+"):
        run(lambda made: None)


def test_a_full_disk_is_said_once(folder, on: str, tmp_path, monkeypatch) -> None:
    store = PredictionStore(tmp_path / "store")
    monkeypatch.setattr(store, "why_not", "the test says so")
    with pytest.warns(StoreWarning, match="forecasts are not stored") as said:
        run_plans_on(PLANS, load(folder, device=on), "cuda", store=store, progress=False)
    assert len(said) == 1


def awkward_mixtures(rng: np.random.Generator, count: int = 400, components: int = 5):
    """Parameters [row, 4 * component] in float64, at the edges of what float32 holds."""
    df = np.exp(rng.uniform(0.0, 5.0, (count, components))) + 1e-9
    df[::7] = 1.0 + 10.0 ** rng.uniform(-12, -6, df[::7].shape)
    df[1::7] = 2.0 + 10.0 ** rng.uniform(-12, -6, df[1::7].shape)
    df[2::7] = 10.0 ** rng.uniform(30, 300, df[2::7].shape)
    loc = rng.normal(0, 1, df.shape) * 10.0 ** rng.uniform(-50, 3, df.shape)
    scale = 10.0 ** rng.uniform(-60, 60, df.shape)
    weights = rng.dirichlet(np.full(components, 0.1), count)
    weights[::3] *= 1.0 + rng.uniform(-9e-5, 9e-5, (len(weights[::3]), 1))
    weights[1::3] *= 1.0 + rng.uniform(-2e-6, 2e-6, (len(weights[1::3]), 1))
    return np.concatenate([df, loc, scale, weights], axis=1)


def test_records_are_those_of_the_host(on: str) -> None:
    parameters = awkward_mixtures(np.random.default_rng(0))
    parts = (part[:, None] for part in np.split(parameters, 4, axis=1))
    expected = Schema.student_t_mixture(5).encode(StudentTMixture(*parts))
    given = torch.from_numpy(parameters).to(on)
    records, sound = mixture_records_on_device(given)
    assert bool(sound.all())
    assert bits(records.cpu().numpy()) == bits(expected)
    for column, value in ((0, 1.0), (5, np.inf), (10, 0.0), (15, -0.1), (15, 2.0), (7, np.nan)):
        changed = given.clone()
        changed[3, column] = value
        assert mixture_records_on_device(changed)[1].tolist() == [i != 3 for i in range(400)]
    changed[3, 7] = 1e39  # beyond float32
    assert not mixture_records_on_device(changed)[1][3]


def test_models_that_cannot_leave_forecasts_there_say_so(tmp_path: Path) -> None:
    model: Any = ms.load_model(write_toto2(tmp_path / "small", 5))
    assert not model.stays_on_device
    with pytest.raises(ArgumentError, match="are made on the host"):
        model.parameters_each_of([np.ones(30)], [10], lambda batch: None)
