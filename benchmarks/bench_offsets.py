"""Exact offsets beside SciPy's DIRECT with 500 evaluations of the same objective.

Targets on one core: 0.15 us a problem at N=6 in a batch of 10,000, 60 us at N=250, 600 us at
N=2,000; never a lower profit than DIRECT's. With always_on a problem has twice as many trades.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import random_days
from scipy.optimize import direct

import marketsim as ms
from marketsim.kernels import rules
from marketsim.kernels.reference import profit_reference

FEE = 0.0005
SIZES = [(6, 10_000), (20, 2_000), (60, 500), (250, 100), (2000, 10)]


def problems(days: int, count: int) -> dict[str, np.ndarray]:
    return random_days(np.random.default_rng(days), (count, days))


def group(days: int, all_policies: bool) -> str:
    return f"best offsets, {days} days{', all policies' if all_policies else ''}"


def objective(row: dict[str, np.ndarray], at: np.ndarray) -> float:
    """Total of one problem at one pair of offsets: what both sides maximise."""
    high, low = np.float32(at)
    of_days = profit_reference(**row, high_offset=high, low_offset=low, fee=FEE)
    return float(np.cumsum(of_days, dtype=np.float64)[-1])


@pytest.mark.parametrize(("days", "count"), SIZES)
def bench_exact(measure, benchmark, one_core, isa: str, days: int, count: int) -> None:
    benchmark.group = group(days, False)
    rows = problems(days, count)
    found = measure(lambda: ms.best_offsets(**rows, fee=FEE), items=count, unit="a problem")
    for i in range(min(count, 5)):
        row = {name: value[i] for name, value in rows.items()}
        assert objective(row, np.array([found.high[i], found.low[i]])) == found.profit[i]
        searched = direct(lambda at: -objective(row, at), [(-0.03, 0.03)] * 2, maxfun=500)  # noqa: B023
        assert found.profit[i] >= -searched.fun


@pytest.mark.parametrize("fill", rules.FILLS)
@pytest.mark.parametrize("always_on", [False, True], ids=["given", "always_on"])
@pytest.mark.parametrize(("days", "count"), SIZES)
def bench_exact_policies(
    measure, benchmark, one_core, days: int, count: int, always_on: bool, fill: str
) -> None:
    benchmark.group = group(days, True)
    rows = problems(days, count)
    found = measure(
        lambda: ms.best_offsets(**rows, fee=FEE, always_on=always_on, fill=fill),
        items=count,
        unit="a problem",
    )
    assert np.isfinite(found.profit).all()


@pytest.mark.parametrize("kind", ["halted", "one price a day", "always at the open"])
@pytest.mark.parametrize("days", [250, 2000])
def bench_exact_plateaus(measure, benchmark, one_core, days: int, kind: str) -> None:
    """Longs, filled at the open, where very many pairs come near the best or tie with it."""
    benchmark.group = f"best offsets, {days} days with plateaus"
    row = {name: value[0] for name, value in problems(days, 1).items()}
    row["position"] = np.ones(days, np.float32)
    if kind != "always at the open":
        price = row["close"] * np.float32(kind != "halted")
        row |= dict.fromkeys(("close", "high", "low", "open"), price)
    found = measure(
        lambda: ms.best_offsets(**row, fee=FEE, fill="open_aware"), items=1, unit="a problem"
    )
    assert np.isfinite(found.profit)


@pytest.mark.parametrize("by", ["kernel", "numpy"])
@pytest.mark.parametrize(("days", "count"), SIZES)
def bench_direct(measure, benchmark, days: int, count: int, by: str) -> None:
    """DIRECT, its objective evaluated by our kernel or by NumPy as users had it."""
    benchmark.group = group(days, False)
    row = {name: value[0] for name, value in problems(days, count).items()}

    def loss(at: np.ndarray) -> float:
        if by == "numpy":
            return -objective(row, at)
        of_days = ms.profit(**row, high_offset=at[0], low_offset=at[1], fee=FEE)
        return -float(np.cumsum(of_days, dtype=np.float64)[-1])

    def run() -> float:
        return -direct(loss, [(-0.03, 0.03)] * 2, maxfun=500).fun

    profit = measure(run, items=1, unit="a problem")
    assert profit <= ms.best_offsets(**row, fee=FEE).profit
