"""The second drop-in: features, backtests, trials, summaries; beside the original where it is.

GENESIS_CHECKOUT names a checkout of commit 6748be17, GENESIS_PYTHON an interpreter that has what it
imports (this one by default). The ratios of CPU time are then printed and stand in extra_info.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from genesis_project import (
    random_candles,
    random_model,
    write_candles,
    write_champion,
    write_json,
    write_model,
)

from marketsim.legacy.genesis import use_root
from marketsim.legacy.genesis.backtest.engine import BacktestEngine
from marketsim.legacy.genesis.columns import columns_of, forget_columns
from marketsim.legacy.genesis.optimizer import summary, trials
from marketsim.legacy.genesis.optimizer.runner import _Search
from marketsim.legacy.genesis.optimizer.scoring import score_backtest

CONFIG = {
    "thresholds": {"entry_conf_overall": 0.35, "regime_proba": {"balanced": 0.4}},
    "risk": {"risk_map": [[0.3, 0.02]]},
    "ltf_fib": {"entry": {"enabled": True, "long_max_level": 0.618, "short_min_level": 0.382}},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("genesis")
    use_root(folder)
    write_candles(folder, "tX", "1h", random_candles(10_000, 4))
    write_candles(folder, "tX", "1D", random_candles(500, 8, step="D"))
    write_champion(folder, "tX", "1h", CONFIG)
    write_model(folder, "tX", "1h", random_model(1))
    run = folder / "results" / "hparam_search" / "r"
    for k in range(100):
        metrics = {"num_trades": 40 + k, "sharpe_ratio": k / 100, "profit_factor": 1.1}
        score = {"score": k / 10, "metrics": metrics, "hard_failures": []}
        trial = {"trial_id": f"trial_{k:03d}", "parameters": CONFIG, "score": score}
        trial |= {"constraints": {"ok": True, "reasons": []}, "duration_seconds": 1.5}
        write_json(run / f"trial_{k:03d}.json", trial)
        write_json(run / f"trial_{k:03d}_config.json", {"cfg": CONFIG})
    yield folder
    use_root(None)


@cache
def original(root: Path) -> dict[str, float]:
    """CPU seconds of the original; nothing where no checkout is named."""
    checkout = os.environ.get("GENESIS_CHECKOUT")
    if not checkout:
        return {}
    bars = root / "data" / "curated" / "v1" / "candles" / "tX_1h.parquet"
    command = [os.environ.get("GENESIS_PYTHON", sys.executable)]
    command += [str(Path(__file__).parent / "genesis_original.py"), checkout, "3000", str(bars)]
    command.append(str(root / "results" / "hparam_search"))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def compare(benchmark: Any, root: Path, name: str, run: Any, units: int) -> None:
    """CPU time of the best of several runs against the original's, a unit of work."""
    run()
    best = min(cpu(run) for _ in range(7)) / units
    benchmark.extra_info["cpu_us_per_unit"] = round(best * 1e6, 3)
    theirs = original(root).get(name)
    if theirs is not None:
        benchmark.extra_info["ratio"] = round(theirs / best, 1)
    print(f"\n{name}: {best * 1e6:.2f} us a unit; {benchmark.extra_info.get('ratio', '-')}x")


def cpu(run: Any) -> float:
    """CPU seconds, those of processes that it began included."""

    def spent() -> float:
        used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    begin = spent()
    run()
    return spent() - begin


def candles(rows: int) -> Any:
    return random_candles(10_000, 4).upto(rows - 1)


@pytest.mark.benchmark(group="genesis: windowed features of 3,000 bars")
def bench_windowed_features(benchmark: Any, root: Path) -> None:
    bars = random_candles(3000, 4)
    assert np.isfinite(columns_of(bars, "1h", keep=False).features[:, 60:]).all()

    def run() -> Any:
        return columns_of(bars, "1h", keep=False)

    compare(benchmark, root, "windowed", run, len(bars))
    benchmark(run)


@pytest.mark.benchmark(group="genesis: features from all rows before, 3,000 bars")
def bench_full_history(benchmark: Any, root: Path) -> None:
    bars = random_candles(3000, 4)

    def run() -> Any:
        return columns_of(bars, "1h", lookback=None, lag=0, keep=False)

    assert np.isfinite(run().features[:, 60:]).all()
    compare(benchmark, root, "full", run, len(bars))
    benchmark(run)


@pytest.mark.parametrize("rows", [3000, 10_000])
@pytest.mark.benchmark(group="genesis: backtest, cold")
def bench_backtest(benchmark: Any, root: Path, rows: int) -> None:
    engine = BacktestEngine("tX", "1h")
    assert engine.load_data()
    assert engine.candles_df is not None
    frame = engine.candles_df.iloc[:rows]

    def run() -> Any:
        forget_columns()
        fresh = BacktestEngine("tX", "1h")
        fresh.candles_df = frame
        return fresh.run()

    result = run()
    assert len(result["equity_curve"]) == rows - 120 and len(result["trades"]) > 20
    compare(benchmark, root, "backtest", run, rows)
    benchmark(run)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.benchmark(group="genesis: 100 trials on 3,000 bars, cold")
def bench_trials(benchmark: Any, root: Path, tmp_path: Path, workers: int) -> None:
    end = str(np.datetime64(int(random_candles(3000, 4).time[-1]), "ns"))
    runs = {"use_sample_range": False, "resume": False}
    meta = {"symbol": "tX", "timeframe": "1h", "warmup_bars": 120, "runs": runs}
    meta["snapshot_id"] = f"tX_1h_2020-03-01_{end}_v1"
    chosen = [
        {"thresholds": {"entry_conf_overall": 0.3 + k / 1000, "regime_proba": {"balanced": 0.4}}}
        for k in range(100)
    ]

    def run() -> Any:
        forget_columns()
        trials._grounds.clear()
        search = _Search({"meta": meta, "constraints": {"min_trades": 1}}, "t", tmp_path / "t")
        for path in (tmp_path / "t").glob("_cache/*"):
            path.unlink()
        return search.run_all(chosen, workers)

    results = run()
    assert len(results) == 100 and not any("error" in result for result in results)
    one = results[7]
    config = json.loads((tmp_path / "t" / "trial_008_config.json").read_text())["cfg"]
    engine = BacktestEngine("tX", "1h", "2020-03-01", end)
    engine.load_data()
    assert score_backtest(engine.run(configs=config))["score"] == one["score"]["score"]
    compare(benchmark, root, "backtest", run, 100 * 3000)
    benchmark(run)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.benchmark(group="genesis: summary of 100 trials")
def bench_summary(benchmark: Any, root: Path, again: bool) -> None:
    def run() -> Any:
        return summary.summarize_run("r", use_cache=again)["best_trial"]["score"]

    assert run() == 9.9
    compare(benchmark, root, "summary", run, 1)
    benchmark(run)
