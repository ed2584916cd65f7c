"""Days on which very many pairs of offsets earn the same: answers stay exact, and quick."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from offset_totals import total
from problems import PLATEAUS, plateau_days

import marketsim as ms
from marketsim.kernels import rules

f32 = np.float32


@pytest.mark.parametrize("kind", PLATEAUS)
@pytest.mark.parametrize("side", ["long", "short", "mixed"])
def test_plateaus_of_equal_totals(isa: str, kind: str, side: str) -> None:
    """The sweep falls back on fingerprints here; the lanes look at every pair."""
    rng = np.random.default_rng([PLATEAUS.index(kind), len(side)])
    rows = plateau_days(rng, (16, 58), kind)
    if side != "mixed":
        rows["position"] = np.full((16, 58), 1.0 if side == "long" else -1.0, f32)
    for fill, fee, always_on in itertools.product(rules.FILLS, (0.0, 0.0006), (False, True)):
        options = {"fill": fill, "fee": fee, "always_on": always_on}
        count = 29 if always_on or fill != "close_only" else 58  # the most that go to the lanes
        short = {name: value[:, :count] for name, value in rows.items()}
        batch = ms.best_offsets(**short, **options)
        for i in range(16):
            single = ms.best_offsets(**{n: v[i] for n, v in short.items()}, **options)
            assert (f32(single.high), f32(single.low)) == (batch.high[i], batch.low[i])
            assert single.profit == batch.profit[i]


@pytest.mark.parametrize("kind", PLATEAUS)
@pytest.mark.parametrize("always_on", [False, True])
def test_plateaus_take_no_longer_than_other_days(kind: str, always_on: bool) -> None:
    rng = np.random.default_rng(5)
    days = plateau_days(rng, (2000,), kind) | {"position": np.ones(2000, f32)}
    for fill in rules.FILLS:
        options = {"fill": fill, "always_on": always_on}
        start = time.perf_counter()
        found = ms.best_offsets(**days, **options)
        assert time.perf_counter() - start < 0.5  # 1 to 4 ms; once it was 1 to 10 s
        highs, lows = rng.uniform(-0.03, 0.03, (2, 500)).astype(f32)
        assert total(days, highs, lows, **options).max() <= found.profit
        again = total(days, np.array([found.high]), np.array([found.low]), **options)
        assert again[0] == found.profit
