"""An interruption costs at most the batch that is being made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.forecasts import ForecastPlan, PredictionStore, held, run_plans

torch = pytest.importorskip("torch")
from checkpoints import write_toto1  # noqa: E402

PLAN = ForecastPlan(60, 90, 1, 1)


def test_what_was_made_before_ctrl_c_is_kept(tmp_path: Path, monkeypatch) -> None:
    from marketsim.models.toto1.model import Toto1Model

    folder = write_toto1(tmp_path / "toto", 1)
    bars = [random_bars(90, seed) for seed in range(3)]
    bars = [ms.read_bars(one.frame, symbol=f"S{i}") for i, one in enumerate(bars)]
    wanted = [(one, PLAN) for one in bars]
    model = ms.load_model(folder)
    whole = run_plans(wanted, model, store=None, progress=False)
    monkeypatch.setattr("marketsim.models.neural.device._CPU_TOKENS", 64)
    model, store = ms.load_model(folder), PredictionStore(tmp_path / "store")
    launch, sizes = Toto1Model._launch, []

    def interrupted(self, batch, steps):
        if len(sizes) == 7:
            raise KeyboardInterrupt
        sizes.append(sum(len(row.ends) for row in batch.rows))
        return launch(self, batch, steps)

    monkeypatch.setattr(Toto1Model, "_launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_plans(wanted, model, store=store, progress=False)
    kept = [held(one, model, PLAN, store) for one in bars]
    assert sum(int(one.sum()) for one in kept) == sum(sizes) > 0
    monkeypatch.setattr(Toto1Model, "_launch", launch)
    again = run_plans(wanted, model, store=store, progress=False)
    for one, expected in zip(again, whole, strict=True):
        np.testing.assert_array_equal(one.records, expected.records)


def test_a_model_that_draws_is_kept_every_few_forecasts(tmp_path: Path, monkeypatch) -> None:
    from store_cases import SampledModel

    bars, store = random_bars(90), PredictionStore(tmp_path)
    model = SampledModel()
    ask, calls = SampledModel.predict_each, []

    def interrupted(self, series, start, **options):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(len(series) - start + 1)
        return ask(self, series, start, **options)

    monkeypatch.setattr(SampledModel, "predict_each", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_plans([(bars, PLAN)], model, store=store, progress=False)
    assert max(calls) <= 16
    made = sum(calls)
    # Patched, it is another class's code, the list that it captured included.
    calls.clear()
    assert held(bars, model, PLAN, store).sum() == made
