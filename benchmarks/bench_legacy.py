"""The old functions: offsets from tensors, one simulation, and a backtest of 70 simulations.

Targets: optimize_entry_exit_multipliers at N=6 at most 5 us from Python with torch tensors;
run_single_simulation given forecasts at most 1 ms; backtest_forecasts with 70 simulations and a
warm store at most 50 ms. Forecasts are given in two ways: a function in the place of cached_predict
returns ready samples, or the store holds them, and they are read from it anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_frame

torch = pytest.importorskip("torch")

from scipy.optimize import direct  # noqa: E402

from marketsim.legacy.stock import backtest_test3_inline as old  # noqa: E402
from marketsim.legacy.stock.loss_utils import (  # noqa: E402
    calculate_trading_profit_torch_with_entry_buysell,
)
from marketsim.legacy.stock.optimization_utils import (  # noqa: E402
    optimize_always_on_multipliers,
    optimize_entry_exit_multipliers,
)

FEE = 0.0005
ROWS = 2_000
SIZES = [6, 60, 250]


def tensors(days: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    close = rng.normal(0, 0.02, days)
    rows = {
        "close_actual": close,
        "positions": rng.choice([-1.0, 1.0], days),
        "high_actual": np.maximum(close, 0) + rng.exponential(0.01, days),
        "high_pred": rng.normal(0.01, 0.01, days),
        "low_actual": np.minimum(close, 0) - rng.exponential(0.01, days),
        "low_pred": rng.normal(-0.01, 0.01, days),
    }
    return {name: torch.tensor(row, dtype=torch.float32) for name, row in rows.items()}


def profit_at(rows: dict[str, Any], high: float, low: float) -> float:
    """The profit at a pair of offsets by the tensors' formula: what both sides maximise."""
    total = calculate_trading_profit_torch_with_entry_buysell(
        None,
        None,
        rows["close_actual"],
        rows["positions"],
        rows["high_actual"],
        rows["high_pred"] + high,
        rows["low_actual"],
        rows["low_pred"] + low,
        trading_fee=FEE,
    )
    return float(total)


@pytest.mark.parametrize("days", SIZES)
def bench_exact_offsets_of_tensors(measure, benchmark, one_core, days: int) -> None:
    benchmark.group = f"optimize_entry_exit_multipliers, {days} days"
    rows = tensors(days)
    high, low, profit = measure(
        lambda: optimize_entry_exit_multipliers(**rows, trading_fee=FEE), items=1, unit="a call"
    )
    assert profit == pytest.approx(profit_at(rows, high, low), abs=1e-6)


@pytest.mark.parametrize("days", SIZES)
def bench_direct_over_tensors(measure, benchmark, days: int) -> None:
    """The old way: SciPy's DIRECT, 500 evaluations of the profit on tensors."""
    benchmark.group = f"optimize_entry_exit_multipliers, {days} days"
    rows = tensors(days)

    def run() -> float:
        bounds = [(-0.03, 0.03)] * 2
        return -direct(lambda at: -profit_at(rows, *map(float, at)), bounds, maxfun=500).fun

    profit = measure(run, items=1, unit="a call")
    assert profit <= optimize_entry_exit_multipliers(**rows, trading_fee=FEE)[2] + 1e-6


def bench_always_on(measure, benchmark, one_core) -> None:
    benchmark.group = "optimize_always_on_multipliers, 6 days"
    rows = tensors(6)
    ones = torch.ones(6)
    del rows["positions"]
    rows |= {"buy_indicator": ones, "sell_indicator": -ones}
    found = measure(lambda: optimize_always_on_multipliers(**rows), items=1, unit="a call")
    assert found[2] >= 0.0


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The module with data of its own, the EWMA for a model, and a store that is empty."""
    data = random_frame(ROWS).rename(columns=str.capitalize)
    monkeypatch.setenv("TOTO_MODEL_ID", "ewma")
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    monkeypatch.setenv("MARKETSIM_TENSORBOARD", "0")
    monkeypatch.setattr(old, "download_daily_stock_data", lambda *_, **__: data)
    monkeypatch.setattr(old, "fetch_spread", lambda symbol: 1.001)
    yield data


def bench_single_simulation_of_ready_samples(
    measure, benchmark, quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.group = f"run_single_simulation, {ROWS} rows"
    samples = torch.randn(128, generator=torch.Generator().manual_seed(0)) * 0.01
    monkeypatch.setattr(old, "cached_predict", lambda *_, **__: [samples])

    def run() -> dict[str, Any]:
        return old.run_single_simulation(quiet, "AAPL", FEE, False, 0, 1.001)

    first = run()
    result = measure(run, items=1, unit="a simulation, samples ready")
    assert result["maxdiff_return"] == first["maxdiff_return"]


def bench_single_simulation(measure, benchmark, quiet) -> None:
    benchmark.group = f"run_single_simulation, {ROWS} rows"

    def run() -> dict[str, Any]:
        return old.run_single_simulation(quiet, "AAPL", FEE, False, 0, 1.001)

    first = run()
    result = measure(run, items=1, unit="a simulation, store warm")
    assert result["maxdiff_return"] == first["maxdiff_return"]


def bench_seventy_simulations(measure, benchmark, quiet) -> None:
    benchmark.group = f"backtest_forecasts, 70 simulations of {ROWS} rows"
    run: Callable[[], Any] = lambda: old.backtest_forecasts("AAPL", 70)  # noqa: E731
    first = run()
    frame = measure(run, items=1, unit="a run, store warm")
    assert frame["maxdiff_return"].tolist() == first["maxdiff_return"].tolist()
    assert len(frame) == 70


def bench_seventy_simulations_without_a_store(
    measure, benchmark, quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.group = f"backtest_forecasts, 70 simulations of {ROWS} rows"
    monkeypatch.setenv("MARKETSIM_CACHE_PREDICTIONS", "0")
    frame = measure(
        lambda: old.backtest_forecasts("AAPL", 70), items=1, unit="a run, forecasts anew"
    )
    assert len(frame) == 70
