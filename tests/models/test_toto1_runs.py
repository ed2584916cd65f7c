"""Toto 1.0 in runs: nothing loaded that is not needed, nothing stale used, equal from a store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

import torch
from checkpoints import TOTO1, write_checkpoint, write_toto1
from market import random_bars, random_frame
from toto1_cases import PATCH, load, parameters, sharp_weights, walk

import marketsim as ms
from marketsim.bars import TARGETS, close_moves
from marketsim.forecasts import ForecastPlan, MemoryStore, ReturnTable, run_plan, run_plans
from marketsim.models.toto1.model import Toto1Model

RUN: dict[str, Any] = {"simulations": 6, "window": 4, "offset_window": 15, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toto1(tmp_path_factory.mktemp("toto1") / "small", 5)


def same(one: ms.WalkForwardResult, other: ms.WalkForwardResult) -> None:
    for name in ("days", "forecasts", "simulations"):
        left, right = getattr(one, name), getattr(other, name)
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def made(model: Toto1Model) -> bool:
    """Whether its weights were read."""
    return "network" in vars(model)


@pytest.mark.parametrize("variates", ["independent", "joint"])
def test_the_store_changes_nothing(folder: Path, tmp_path: Path, variates: str) -> None:
    bars = random_bars(120)
    unkept = ms.walk_forward(bars, load(folder, variates=variates), store=False, **RUN)
    cold, warm = load(folder, variates=variates), load(folder, variates=variates)
    same(unkept, ms.walk_forward(bars, cold, store=tmp_path / "store", **RUN))
    assert made(cold)
    same(unkept, ms.walk_forward(bars, warm, store=tmp_path / "store", **RUN))
    assert not made(warm)
    other = load(folder, variates="joint" if variates == "independent" else "independent")
    apart = ms.walk_forward(bars, other, store=tmp_path / "store", **RUN)
    assert made(other)
    assert (apart.forecasts["mean"] != unkept.forecasts["mean"]).any()


@pytest.mark.parametrize("variates", ["independent", "joint"])
def test_a_runs_forecasts_are_those_of_each_day_alone(folder: Path, variates: str) -> None:
    bars = random_bars(120)
    model = load(folder, variates=variates, context_length=50)
    plan = ForecastPlan(100, 120, 1, 1)
    records = run_plan(bars, model, plan, store=None, progress=False).records
    returns = close_moves(bars)
    for day in (100, 109, 119):
        if variates == "joint":
            alone = parameters(model.predict(returns[None, :, : day - 1]))[0, :, 0]
        else:
            alone = parameters(model.predict(returns[:, : day - 1]))[:, 0]
        np.testing.assert_array_equal(records[day - 100, 0], alone.astype(np.float32))


def test_plans_of_many_symbols_share_one_request(folder: Path) -> None:
    """And each gets what it gets alone, whether the store knows some of it or none."""
    several = [ms.read_bars(random_frame(days, days), symbol=f"S{days}") for days in (90, 120, 75)]
    wanted = [(bars, ForecastPlan(60, len(bars), 1, 1)) for bars in several]
    wanted.append((several[0], ForecastPlan(40, 50, 1, 1)))
    alone = [
        run_plan(bars, load(folder), plan, store=None, progress=False) for bars, plan in wanted
    ]
    store = MemoryStore()
    run_plan(several[1], load(folder), ForecastPlan(70, 80, 1, 1), store=store, progress=False)
    for kept in (None, store, store):
        counted = Counted(folder)
        made = run_plans(wanted, counted.model, store=kept, progress=False)
        for one, other in zip(made, alone, strict=True):
            assert one.first == other.first
            np.testing.assert_array_equal(one.records, other.records)
        known = 0 if kept is None else store.hits
        store.hits = 0
        assert counted.asked["calls"] == (known < 4 * 115)
        assert counted.asked["forecasts"] == 4 * 115 - known


class Counted:
    """Counts the forecasts that a model is asked for."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.model = load(folder, **options)
        self.asked = Counter[str]()
        ask = self.model.predict_batches

        def counted(series: Any, starts: Any, take: Any, **rest: Any) -> Any:
            self.asked["calls"] += 1
            for one, start in zip(series, starts, strict=True):
                size = np.shape(one)
                self.asked["forecasts"] += (size[-1] - start + 1) * (size[0] if size[1:] else 1)
            return ask(series, starts, take, **rest)

        self.model.predict_batches = counted  # type: ignore[method-assign]

    def run(self, frame: pd.DataFrame, store: MemoryStore) -> tuple[np.ndarray, int]:
        self.asked.clear()
        bars = ms.read_bars(frame, symbol="TEST")
        plan = ForecastPlan(60, 110, 1, 1)
        cube = run_plan(ReturnTable.of(bars, "own"), self.model, plan, store=store, progress=False)
        return cube.records[:, 0], self.asked["forecasts"]


@pytest.mark.parametrize("column", TARGETS)
@pytest.mark.parametrize("context_length", [None, 30])
def test_keys_cover_all_that_a_forecast_saw(
    folder: Path, context_length: int | None, column: str
) -> None:
    """One value of one old day is revised: which forecasts of which targets are made again?"""
    frame = random_frame(110)
    revised = frame.copy()
    bar = frame.iloc[70]
    values = {"high": bar["high"] * 1.001, "low": bar["low"] * 0.999}
    revised.iloc[70, revised.columns.get_loc(column)] = values.get(
        column, (bar[column] + bar["low"]) / 2
    )
    # Changes the returns of rows 70 and 71: the first day to see one is 71.
    last = 109 if context_length is None else 71 + context_length
    seen = slice(71 - 60, last - 60 + 1)
    for variates in ("joint", "independent"):
        store = MemoryStore()
        counted = Counted(folder, variates=variates, context_length=context_length)
        before, first = counted.run(frame, store)
        assert first == 50 * len(TARGETS)
        again, none = counted.run(frame, store)
        assert none == 0
        np.testing.assert_array_equal(again, before)
        after, some = counted.run(revised, store)
        fresh, _ = counted.run(revised, MemoryStore())
        np.testing.assert_array_equal(after, fresh)
        expected = np.zeros((50, len(TARGETS)), bool)
        expected[seen, slice(None) if variates == "joint" else TARGETS.index(column)] = True
        np.testing.assert_array_equal((after != before).any(axis=2), expected)
        assert some == expected.sum()


def test_a_warm_run_reads_no_weights_and_imports_no_torch(folder: Path, tmp_path: Path) -> None:
    bars, store = tmp_path / "bars.csv", tmp_path / "store"
    random_frame(120).rename_axis("timestamp").to_csv(bars)
    code = f"""
import json, sys
import marketsim as ms
model = ms.load_model({str(folder)!r})
loaded = ["torch" in sys.modules, "safetensors" in sys.modules]
result = ms.walk_forward({str(bars)!r}, model, store={str(store)!r}, **{RUN!r})
loaded += ["torch" in sys.modules, "network" in vars(model)]
means = result.forecasts["mean"].tolist()
print(json.dumps([loaded, model.fingerprint, means]))
"""
    runs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        runs.append(json.loads(done.stdout))
    cold, warm = runs
    assert cold[0] == [False, False, True, True]
    assert warm[0] == [False, False, False, False]
    assert cold[1:] == warm[1:]
    assert warm[1] == load(folder).fingerprint


def test_all_that_changes_a_forecast_changes_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    weights = sharp_weights(TOTO1, 5)
    changed = {n: w + np.float32(1e-6) * (n == "model.unembed.bias") for n, w in weights.items()}
    clamp = TOTO1 | {"scale_factor_exponent": 9.0}
    base = write_checkpoint(tmp_path / "small", TOTO1, weights, 1)
    others = [
        load(write_checkpoint(tmp_path / "a" / "small", TOTO1, changed, 1)),
        load(write_checkpoint(tmp_path / "b" / "small", clamp, weights, 1)),
        load(base, dtype="bfloat16"),
        load(base, compile=True),
        load(base, context_length=None),
        load(base, context_length=100),
        load(base, decoding="cached"),
        load(base, variates="joint"),
    ]
    prints = {model.fingerprint for model in others} | {load(base).fingerprint}
    assert len(prints) == len(others) + 1
    copy = load(write_checkpoint(tmp_path / "c" / "small", TOTO1, weights, 1))
    copy.batches.max_tokens = 7
    assert copy.fingerprint == load(base).fingerprint
    assert not any(made(model) for model in others)


def test_levels_and_components_are_known_without_weights(folder: Path) -> None:
    model = load(folder)
    assert model.components == TOTO1["output_distribution_kwargs"]["k_components"]
    assert model.patch == PATCH and model.name == "small" and model.context_length == 4096
    assert not made(model)
    assert isinstance(model, ms.Model)


def test_no_forecasts_of_no_contexts(folder: Path) -> None:
    model = load(folder)
    assert model.predict(np.zeros((0, 5))).mean.shape == (0, 1)
    assert model.predict(np.zeros((0, 2, 5)), horizon=7).mean.shape == (0, 2, 7)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of patches and places for which torch translates a network, without a compiler."""
    found: list[tuple[int, ...]] = []

    def backend(graph: Any, inputs: Any) -> Any:
        patches = next(i for i in inputs if i.dim() == 4 and i.shape[3] == PATCH)
        places = next(i for i in inputs if i.dim() == 1 and i.dtype == torch.int64)
        found.append((*patches.shape, *places.shape))
        return graph

    def translate(network: Any, *, dynamic: bool, mode: str | None) -> Any:
        assert (dynamic, mode) == (False, None)
        return compile_(network, dynamic=dynamic, backend=backend)

    compile_ = torch.compile
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", translate)
    yield found
    torch._dynamo.reset()


def test_shapes_are_translated_once_each(
    tmp_path: Path, graphs: list[tuple[int, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_toto1(tmp_path, 1, num_layers=1, spacewise_every_n_layers=-1)
    rows = [walk((length,), length) for length in range(1, 400, 3)]
    series = rows[-1][-100:]
    model, eager = load(folder, compile=True), load(folder)
    model.batches.max_tokens = 300
    for horizon in (1, 2):
        graphs.clear()
        for made, expected in (
            (model.predict(rows, horizon=horizon), eager.predict(rows, horizon=horizon)),
            (model.predict_each(series, 30), eager.predict_each(series, 30)),
        ):
            np.testing.assert_allclose(parameters(made), parameters(expected), rtol=1e-3, atol=1e-3)
        # Torch gives up after 8 of one function, unless it is told not to.
        assert 6 < len(graphs) < 15
        assert set(Counter(graphs).values()) == {1}
        graphs.clear()
        model.predict(rows, horizon=horizon)
        model.predict([row + 1 for row in rows[::-1]], horizon=horizon)
        model.predict_each(series[::-1], 31)
        assert not graphs
    assert "recompile_limit" not in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_forecasts_are_near(folder: Path) -> None:
    torch._dynamo.reset()
    model = load(folder, compile=True)
    for variates in (1, 2):
        contexts = walk((30, variates, 40))
        exact, found = load(folder).predict(contexts), model.predict(contexts)
        unit = np.sqrt(contexts.var(axis=-1, ddof=1) + 0.1)[..., None]
        assert (np.abs(found.mean - exact.mean) <= 1e-4 * unit).all()
        for level in (0.05, 0.5, 0.95):
            apart = np.abs(found.quantile([level]) - exact.quantile([level]))[..., 0]
            assert (apart <= 1e-4 * unit).all()
    torch._dynamo.reset()
