"""Forecasts by models with weights, against the original code called as the old loop calls it.

Targets, at official sizes on the CPU: for the 70 simulations of a symbol of 200 and of 2,000 bars,
Toto 1.0 in at most a thousandth of the original's time; for every day of 2,000, a 3,000th in
float32 and an 8,000th in bfloat16; Toto 2.0 22m for 304 contexts of 512 steps in 0.75 of the
original's time, and for as many forecasts of 76 days in 0.4. Weights are random.

The original runs in an environment of its own (`make upstream`); where that is not there, only our
own times are taken. What its calls would take that are too many to wait for is extrapolated, and
the printed line says from what.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import write_toto1, write_toto2
from upstream_worker import run_upstream

import marketsim as ms
from rivals_models import (
    OFFICIAL,
    Rival,
    day_lengths,
    old_loop_lengths,
    time_toto1,
    time_toto2,
    why_not,
)

TARGETS, DAYS = 4, 76
PRECISIONS = ("float32", "bfloat16")


@pytest.fixture(scope="session")
def timed(pytestconfig: pytest.Config) -> bool:
    """Whether anything is timed: otherwise models are tiny and the original is not asked."""
    return bool(pytestconfig.getoption("benchmark_enable"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, timed: bool) -> Callable[[str], Path]:
    """Writes a checkpoint of random weights of an official size, once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def write(name: str) -> Path:
        sizes = OFFICIAL[name] if timed else {}
        if (folder / name).exists():
            pass
        elif name.startswith("toto1"):
            write_toto1(folder / name, 1, spread=3**-0.5, **sizes)
        else:
            write_toto2(folder / name, 1, **sizes)
        return folder / name

    return write


@pytest.fixture
def rival(benchmark: Any, timed: bool) -> Callable[[Callable[[], Rival]], None]:
    """Notes what the original takes, measured in its own process, as a contender of the group."""

    def note(measure: Callable[[], Rival]) -> None:
        if not timed:
            pytest.skip("the original is asked only when times are taken")
        if reason := why_not():
            pytest.skip(reason)
        found = measure()
        benchmark.extra_info.update(seconds=found.seconds, items=1, unit="in all", how=found.how)
        benchmark.pedantic(lambda: None, rounds=1)

    return note


def returns(days: int) -> list[np.ndarray]:
    """Returns of open, high, low and close, heavy-tailed as markets have them; days - 1 of each."""
    draw = np.random.default_rng(days)
    return list(0.01 * draw.standard_t(4, (TARGETS, days - 1)))


def close_to_original(model: ms.Model, folder: Path, series: list[np.ndarray]) -> None:
    """The model's means equal the original's, in its mean mode, to 1e-5 of the scale."""
    contexts = np.stack([one[-499:] for one in series])[:, None].astype(np.float32)
    cases = [{"name": "case", "horizons": [1]}]
    asked = {"case/series": contexts}
    answer = run_upstream("toto1-forecast", folder=folder, cases=cases, arrays=asked)
    theirs = answer["case/mean_h1_nokv"][:, 0]
    scale = np.sqrt(contexts[:, 0].var(axis=-1, ddof=1) + 0.1)[:, None]
    assert (np.abs(model.predict(contexts[:, 0]).mean - theirs) <= 1e-5 * scale).all()


def run_toto1(measure: Any, folder: Path, dtype: str, bars: int, first: int, unit: str) -> None:
    """Time every forecast for the rows from `first` on, after comparing some with the original."""
    model = ms.load_model(folder, dtype=dtype, context_length=None)
    series = returns(bars)
    starts = [first - 1] * TARGETS
    if why_not() is None and model.patch == 64 and dtype == "float32":
        close_to_original(model, folder, series)
    made = measure(lambda: model.predict_each_of(series, starts), items=1, unit=unit)
    alone = model.predict([series[0][: first - 1], series[0]]).mean
    assert np.array_equal(made[0].mean[[0, -1]], alone)
    assert all(one.mean.shape == (bars - first + 1, 1) for one in made)


@pytest.mark.parametrize("bars", [200, 2_000])
@pytest.mark.parametrize("dtype", PRECISIONS)
def bench_simulations(measure, benchmark, checkpoint, timed, bars: int, dtype: str) -> None:
    benchmark.group = f"Toto 1.0: 70 simulations x 4 targets, {bars} bars"
    size = bars if timed else 100
    run_toto1(measure, checkpoint("toto1-base"), dtype, size, size - DAYS + 1, "in all")


@pytest.mark.parametrize("bars", [200, 2_000])
def bench_simulations_original(benchmark, rival, checkpoint, bars: int) -> None:
    benchmark.group = f"Toto 1.0: 70 simulations x 4 targets, {bars} bars"
    rival(lambda: time_toto1(checkpoint("toto1-base"), old_loop_lengths(bars)))


@pytest.mark.parametrize("dtype", PRECISIONS)
def bench_every_day(measure, benchmark, checkpoint, timed, dtype: str) -> None:
    benchmark.group = "Toto 1.0: every day of 2,000 x 4 targets"
    run_toto1(measure, checkpoint("toto1-base"), dtype, 2_000 if timed else 60, 3, "in all")


def bench_every_day_original(benchmark, rival, checkpoint) -> None:
    benchmark.group = "Toto 1.0: every day of 2,000 x 4 targets"
    rival(lambda: time_toto1(checkpoint("toto1-base"), day_lengths(2_000, 3)))


@pytest.mark.parametrize("dtype", PRECISIONS)
def bench_contexts(measure, benchmark, checkpoint, timed, dtype: str) -> None:
    benchmark.group = "Toto 2.0 22m: 304 forecasts"
    model = ms.load_model(checkpoint("toto2-22m"), dtype=dtype)
    contexts = np.random.default_rng(0).normal(0, 0.01, (TARGETS * DAYS, 512 if timed else 24))
    made = measure(lambda: model.predict(contexts), items=1, unit="304 contexts of 512")
    assert np.array_equal(made.mean[7], model.predict(contexts[7:8]).mean[0])


@pytest.mark.parametrize("dtype", PRECISIONS)
def bench_days(measure, benchmark, checkpoint, timed, dtype: str) -> None:
    benchmark.group = "Toto 2.0 22m: 304 forecasts"
    model = ms.load_model(checkpoint("toto2-22m"), dtype=dtype)
    series = [one[-512:] for one in returns(600)] if timed else returns(100)
    starts = [len(series[0]) - DAYS + 1] * TARGETS
    made = measure(lambda: model.predict_each_of(series, starts), items=1, unit="76 days x 4")
    assert np.array_equal(made[3].mean[-1], model.predict([series[3]]).mean[0])


def bench_contexts_original(benchmark, rival, checkpoint) -> None:
    benchmark.group = "Toto 2.0 22m: 304 forecasts"
    rival(lambda: time_toto2(checkpoint("toto2-22m")))
