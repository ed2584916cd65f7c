"""Each forecast is made once: within a run, from run to run, and with the native functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from legacy_market import daily

import marketsim as ms
from marketsim.legacy.stock import backtest_test3_inline as old
from marketsim.legacy.stock import pipelines
from marketsim.models import EwmaModel

DATA = daily(120, 11)


class Counting(EwmaModel):
    """An EWMA that counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def predict(self, contexts: Any, **options: Any) -> Any:
        self.made += len(contexts)
        return super().predict(contexts, **options)

    def predict_each(self, series: Any, start: int, **options: Any) -> Any:
        self.made += np.shape(series)[-1] - start + 1
        return super().predict_each(series, start, **options)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counting:
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: DATA)
    monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)
    counting = Counting()
    monkeypatch.setattr(pipelines.load_toto_pipeline(), "model", counting)
    return counting


def test_seventy_simulations_ask_for_304_forecasts(model: Counting) -> None:
    cold = old.backtest_forecasts("AAPL", 70)
    assert 76 * 4 <= model.made <= 76 * 4 + 8  # and what strategies will earn
    made = model.made
    warm = old.backtest_forecasts("AAPL", 70)
    assert model.made == made
    fewer = old.backtest_forecasts("AAPL", 20)
    assert model.made <= made + 8  # of other simulations, strategies earned something else
    for frame in (warm, fewer):
        both = [name for name in cold if not name.startswith("walk_") and name != "last_preds"]
        both = [name for name in both if not name.endswith("_pnl")]
        pd.testing.assert_frame_equal(frame[both], cold[both].iloc[: len(frame)], check_exact=True)


def test_the_native_functions_share_them(model: Counting) -> None:
    bars = ms.read_bars(DATA, symbol="AAPL")
    ms.walk_forward(bars, model, simulations=90, strategies="simple", targets="own", progress=False)
    assert model.made > 76 * 4
    made = model.made
    old.run_single_simulation(DATA, "AAPL", 0.0005, False, 0, 1.001)
    assert model.made == made
    made = model.made
    other = DATA.copy()
    other.iloc[-3:, other.columns.get_loc("Close")] *= 1.01
    old.run_single_simulation(other, "AAPL", 0.0005, False, 0, 1.001)
    assert made < model.made <= made + 3


def test_gaps_ask_for_nothing_twice(model: Counting) -> None:
    """Rows that miss a price leave the four prices with different contexts."""
    gappy = DATA.copy()
    gappy.iloc[-30, gappy.columns.get_loc("Low")] = np.nan
    old.run_single_simulation(gappy, "AAPL", 0.0005, False, 0, 1.001)
    assert model.made == 28
    old.run_single_simulation(gappy, "AAPL", 0.0005, False, 0, 1.001)
    assert model.made == 28
