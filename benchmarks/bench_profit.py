"""Fused evaluation of many candidates: the kernel on each instruction set, beside NumPy.

Targets on one core: 0.25 ns a day-candidate with AVX-512, 0.35 with AVX2.
"""

from __future__ import annotations

import numpy as np
import pytest
from problems import random_days

import marketsim as ms
from marketsim.kernels import rules
from marketsim.kernels.reference import profit_reference

CANDIDATES = 512


def problem(days: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(days)
    high, low = rng.uniform(-0.03, 0.03, (2, CANDIDATES)).astype(np.float32)
    return random_days(rng, days), high, low


@pytest.mark.parametrize("days", [250, 2000])
@pytest.mark.parametrize("fill", rules.FILLS)
def bench_kernel(measure, benchmark, one_core, isa: str, days: int, fill: str) -> None:
    benchmark.group = f"profit of {CANDIDATES} candidates, {days} days, {fill}"
    given, high, low = problem(days)
    options = {"fill": fill, "fee": 0.0005}

    def run() -> np.ndarray:
        return ms.profit(**given, high_offset=high, low_offset=low, **options)

    for i in (0, 17, 511):
        expected = profit_reference(**given, high_offset=high[i], low_offset=low[i], **options)
        np.testing.assert_array_equal(run()[i], expected)
    measure(run, items=days * CANDIDATES, unit="a day-candidate")


@pytest.mark.parametrize("days", [250, 2000])
@pytest.mark.parametrize("fill", rules.FILLS)
def bench_numpy(measure, benchmark, days: int, fill: str) -> None:
    benchmark.group = f"profit of {CANDIDATES} candidates, {days} days, {fill}"
    given, high, low = problem(days)

    def run() -> list[np.ndarray]:
        return [
            profit_reference(**given, high_offset=h, low_offset=v, fill=fill, fee=0.0005)
            for h, v in zip(high[:32], low[:32], strict=True)
        ]

    measure(run, items=days * 32, unit="a day-candidate")
