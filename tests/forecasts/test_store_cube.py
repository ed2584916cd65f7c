"""The stored forecasts of a stretch of rows at once, on the host and on a device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from backends import DEVICES, on_backend
from market import changed_from, random_bars, random_frame
from mixture_model import MixtureModel
from store_cases import NotingModel, mute

import marketsim as ms
from marketsim.errors import ArgumentError, StoreMissError, UnknownNameError
from marketsim.forecasts import ForecastCube, ForecastPlan, PredictionStore, run_plan

ROWS = 80


@pytest.fixture
def store(tmp_path: Path) -> PredictionStore:
    return PredictionStore(tmp_path / "store")


def fill(store: PredictionStore, first: int = 11, stop: int = ROWS, model=None) -> ForecastCube:
    plan = ForecastPlan(first, stop, 1, 1)
    model = model or NotingModel()
    return run_plan(random_bars(ROWS), model, plan, store=store, progress=False)


def test_it_is_what_a_run_gives_and_no_model_is_asked(store: PredictionStore) -> None:
    made = fill(store)
    cube = store.cube(random_bars(ROWS), mute(NotingModel()))
    assert (cube.first, cube.schema) == (11, made.schema)
    np.testing.assert_array_equal(cube.records, made.records)
    part = store.cube(random_bars(ROWS), mute(NotingModel()), 20, 30)
    assert part.first == 20
    np.testing.assert_array_equal(part.records, made.slice(20, 30).records)
    assert store.counters["misses"] == 4 * (ROWS - 11)  # when they were made


@pytest.mark.parametrize("name", DEVICES[::2])
@pytest.mark.parametrize("model", [NotingModel(), MixtureModel()], ids=lambda model: model.name)
def test_on_a_device(store: PredictionStore, name: str, model) -> None:
    pytest.importorskip("torch")
    made = fill(store, model=model)
    with on_backend(name) as backend:
        there = store.cube(random_bars(ROWS), model, 12, 70, device=backend.device)
        assert (there.first, there.schema) == (12, made.schema)
        np.testing.assert_array_equal(there.records.cpu().numpy(), made.slice(12, 70).records)


def test_what_is_missing_is_counted(store: PredictionStore) -> None:
    fill(store, 30, 60)
    with pytest.raises(StoreMissError) as miss:
        store.cube(random_bars(ROWS), mute(NotingModel()), 30)
    text = str(miss.value)
    assert text.startswith("80 of 200 forecasts of TEST by noting (fingerprint ")
    assert "the first for row 60: run `marketsim forecast` with the same model and data" in text
    with pytest.raises(StoreMissError, match=r"120 of 120 .*, the first for row 30: run"):
        store.cube(random_bars(ROWS), NotingModel(fingerprint="00fe"), 30, 60)
    with pytest.raises(StoreMissError, match=r"4 of 4 .*, the first for row 29: run"):
        store.cube(random_bars(ROWS), mute(NotingModel()), 29, 30)


def test_a_revised_history_never_hits_and_what_follows_changes_nothing(
    store: PredictionStore,
) -> None:
    fill(store)
    frame = random_frame(ROWS)
    for cut in (40, ROWS - 1):
        changed = ms.read_bars(changed_from(frame, cut), symbol="TEST")
        # The forecast for the row of the change was made from the rows before it.
        before = store.cube(changed, mute(NotingModel()), 11, cut + 1)
        np.testing.assert_array_equal(
            before.records, store.cube(random_bars(ROWS), mute(NotingModel()), 11, cut + 1).records
        )
        if cut + 1 < ROWS:
            count = 4 * (ROWS - cut - 1)
            with pytest.raises(StoreMissError, match=f"{count} of {count} forecasts"):
                store.cube(changed, mute(NotingModel()), cut + 1)


@pytest.mark.parametrize(
    "rows", [(1, 20), (20, 20), (30, 20), (20, ROWS + 1), (-5, 20), (20.0, 30), (True, 30)]
)
def test_rows_that_are_not_there(store: PredictionStore, rows) -> None:
    with pytest.raises(ArgumentError, match=r"rows with 2 <= start < stop <= 80 .*: got start="):
        store.cube(random_bars(ROWS), mute(NotingModel()), *rows)


def test_read_only_and_complete_stores(store: PredictionStore) -> None:
    made = fill(store, 30, 60)
    for options in ({"mode": "r"}, {"mode": "r", "require_complete": True}):
        other = PredictionStore(store.path, **options)
        found = other.cube(random_bars(ROWS), mute(NotingModel()), 30, 60)
        np.testing.assert_array_equal(found.records, made.records)
        with pytest.raises(StoreMissError, match="4 of 124 forecasts"):
            other.cube(random_bars(ROWS), mute(NotingModel()), 30, 61)


def test_an_unknown_device_is_named_before_anything_is_read(store: PredictionStore) -> None:
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        store.cube(random_bars(ROWS), mute(NotingModel()), device="gpu")
    assert store.counters["misses"] == 0
