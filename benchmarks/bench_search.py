"""Grids of replays, our share of an Optuna trial, processes, the ledger, and overfitting.

Targets: 10,000 SMA pairs on 2,148 bars at most 0.1 CPU s and 150 MB (raptorbt 2.6 CPU s and 836 MB,
vectorbt 14 CPU s and 3.2 GB); our share of 1,000 Optuna trials over a prepared walk-forward run
under 10 % of Optuna's own time; two processes at least 1.8 times one for trials of 5 ms; a summary
of 10,000 trials at most 10 ms; of 1,000 strategies x 2,500 days 12,870 splits of cross-validation
at most 1 s and 10,000 bootstrap samples at most 5 s; PBO and deflated Sharpe ratio of 50 strategies
at most 20 ms.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest

import marketsim as ms
from marketsim import metrics
from marketsim.search import Ledger, grid, walk_forward_objective

SPACE = {"fast": range(2, 102), "slow": range(102, 202)}
STRATEGIES, DAYS = 1_000, 2_500
NET = np.random.default_rng(0).standard_t(5, (STRATEGIES, DAYS)) * 0.008 + 0.0002
DATA = Path(os.environ.get("MARKETSIM_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def bench_sma_grid(measure, benchmark) -> None:
    benchmark.group = "10,000 SMA pairs on 2,148 bars"
    bars = ms.read_bars(DATA / "GOOG_1d.csv")
    seconds = []

    def run():
        start = time.process_time()
        found = grid("sma_cross", bars, SPACE, fee_bps=10, fill="same_close", progress=False)
        seconds.append(time.process_time() - start)
        return found

    found = measure(run, items=10_000, unit="set")
    assert round(100 * found.scores[found.best], 4) == 278.6679
    benchmark.extra_info["cpu_seconds"] = min(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    benchmark.extra_info["peak_megabytes_of_the_process"] = peak


class Momentum:
    name, targets, fitted = "momentum", ("close",), False

    def __init__(self, threshold: float, scale: float) -> None:
        self.threshold, self.scale = threshold, scale

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((view.last_return > self.threshold) * self.scale)


def bench_share_of_optuna(measure, benchmark, tmp_path: Path, monkeypatch) -> None:
    """CPU time of a search less the objective's and Optuna's own, over Optuna's own."""
    package = pytest.importorskip("optuna")
    from marketsim.search import Float, optuna

    benchmark.group = "1,000 TPE trials over a prepared walk-forward run"
    prepared = ms.prepare(ms.demo_bars(), "ewma", simulations=250, store=False, progress=False)
    objective = walk_forward_objective(prepared, Momentum, keep_net=True)
    spent = {"optuna": 0.0, "objective": 0.0, "all": 0.0}

    def timed(function, name):
        def call(*args, **kwargs):
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.thread_time() - start

        return call

    for owner, method in (
        (package.study.Study, "ask"), (package.study.Study, "tell"),
        (package.trial.Trial, "suggest_float"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, method, timed(getattr(owner, method), "optuna"))
    objective.one = timed(objective.one, "objective")
    space = {"threshold": Float(-0.02, 0.02), "scale": Float(0.1, 1.0)}
    studies = iter(range(100))

    def run():
        with Ledger(tmp_path / f"{next(studies)}.sqlite") as ledger:
            return timed(optuna, "all")(
                objective, space, trials=1_000, ledger=ledger, without_effect="keep", progress=False
            )

    assert len(measure(run, items=1_000, unit="trial")) == 1_000
    ours = spent["all"] - spent["optuna"] - spent["objective"]
    benchmark.extra_info["share_of_optuna"] = ours / spent["optuna"]


def work(x: float) -> float:
    """Five milliseconds of computing."""
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        pass
    return x


@pytest.mark.parametrize("jobs", [1, 2])
def bench_processes(measure, benchmark, jobs: int) -> None:
    pytest.importorskip("optuna")
    from marketsim.search import Float, optuna

    benchmark.group = "200 random trials of 5 ms"

    def run():
        return optuna(work, {"x": Float(0, 1)}, trials=200, jobs=jobs, sampler="random",
                      without_effect="keep", progress=False)  # fmt: skip

    assert len(measure(run, items=200, unit="trial")) == 200


def hill(sets: dict[str, np.ndarray]) -> np.ndarray:
    return -((sets["fast"] - 20.0) ** 2) - (sets["slow"] - 150.0) ** 2


def bench_grid(measure, benchmark) -> None:
    benchmark.group = "grid of 10,000 sets"
    found = measure(lambda: grid(hill, SPACE, progress=False), items=10_000, unit="set")
    assert found.best_params == {"fast": 20, "slow": 150}


@pytest.fixture
def full(tmp_path: Path):
    with Ledger(tmp_path / "trials.sqlite") as ledger:
        grid(hill, SPACE, ledger=ledger, progress=False)
        yield ledger


def bench_grid_from_a_full_ledger(measure, benchmark, full: Ledger) -> None:
    benchmark.group = "grid of 10,000 sets"
    found = measure(
        lambda: grid(hill, SPACE, ledger=full, progress=False), items=10_000, unit="set reused"
    )
    assert found.reused == 10_000


def bench_summary(measure, benchmark, full: Ledger) -> None:
    benchmark.group = "ledger of 10,000 trials"
    found = measure(lambda: full.summary("grid"), items=1, unit="summary")
    assert found.trials == 10_000 and found.best.params == {"fast": 20, "slow": 150}


def bowl(x: float, y: float) -> float:
    return -((x - 1.0) ** 2) - y * y


def bench_optuna(measure, benchmark, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    from marketsim.search import Float, optuna

    benchmark.group = "200 TPE trials"
    space = {"x": Float(-4, 4), "y": Float(-4, 4)}
    with Ledger(tmp_path / "optuna.sqlite") as ledger:
        studies = iter(range(10_000))  # each round is a new search

        def run() -> float:
            return optuna(
                bowl, space, trials=200, ledger=ledger, study=f"s{next(studies)}", progress=False
            ).best_score

        assert measure(run, items=200, unit="trial, recorded") > -1.0


def bench_plain_optuna(measure, benchmark) -> None:
    package = pytest.importorskip("optuna")
    package.logging.set_verbosity(package.logging.ERROR)
    benchmark.group = "200 TPE trials"

    def run() -> float:
        study = package.create_study(
            sampler=package.samplers.TPESampler(seed=0), direction="maximize"
        )
        study.optimize(
            lambda t: bowl(t.suggest_float("x", -4, 4), t.suggest_float("y", -4, 4)), n_trials=200
        )
        return float(study.best_value)

    assert measure(run, items=200, unit="trial") > -1.0


def bench_backtest_overfitting(measure, benchmark) -> None:
    benchmark.group = f"overfitting of {STRATEGIES} strategies x {DAYS} days"
    found = measure(
        lambda: metrics.probability_of_backtest_overfitting(NET),
        items=12_870,
        unit="split of 16 blocks",
    )
    assert len(found.logits) == 12_870
    assert 0.0 < found.probability < 1.0


def bench_superiority(measure, benchmark) -> None:
    benchmark.group = f"overfitting of {STRATEGIES} strategies x {DAYS} days"
    found = measure(
        lambda: metrics.superior_predictive_ability(NET, repetitions=10_000),
        items=10_000,
        unit="bootstrap sample",
    )
    assert found.lower <= found.consistent <= found.upper


def bench_superiority_by_arch(measure, benchmark) -> None:
    benchmark.group = f"overfitting of {STRATEGIES} strategies x {DAYS} days"
    bootstrap = pytest.importorskip("arch.bootstrap")
    losses, cash = -NET.T, np.zeros(DAYS)

    def ten() -> float:
        test = bootstrap.SPA(cash, losses, reps=10, seed=1)
        test.compute()
        return float(test.pvalues["upper"])

    assert 0.0 <= measure(ten, items=10, unit="bootstrap sample") <= 1.0


def bench_fifty_strategies(measure, benchmark) -> None:
    benchmark.group = f"PBO and deflated Sharpe ratio of 50 strategies x {DAYS} days"
    few = NET[:50].copy()

    def both() -> tuple[float, float]:
        trials = metrics.effective_trials(few).number
        deflated = metrics.deflated_sharpe_ratio(few, trials=trials)
        return metrics.probability_of_backtest_overfitting(few).probability, deflated.probability

    found = measure(both, items=50, unit="strategy")
    assert all(0.0 < value < 1.0 for value in found)
