"""What the benchmarks of the store share: records, sizes, and new folders."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketsim.forecasts import PredictionStore, RecordKeys, Schema, SeriesId

SCHEMA = Schema.quantiles(tuple(round(0.04 * i, 2) for i in range(1, 23)))
WIDTH = SCHEMA.width  # 24
SERIES = SeriesId("00ff", "BENCH", SCHEMA.text)


@pytest.fixture(scope="module")
def size(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many of something: the first where times are taken, the second in a smoke test."""
    disabled = request.config._benchmarksession.disabled
    return lambda full, small: small if disabled else full


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    """A new path at each call."""
    numbers = itertools.count()
    return lambda: tmp_path / f"{next(numbers)}"


def keys_of(count: int, seed: int = 0) -> RecordKeys:
    rng = np.random.default_rng(seed)
    tags = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    at = np.arange(count)
    return RecordKeys(
        tags,
        at // 4 * 86_400_000_000_000,
        (at % 4).astype(np.uint8),
        np.ones(count, dtype=np.uint16),
        np.zeros(count, dtype=np.uint8),
    )


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, WIDTH), dtype=np.float32)


def filled(path: Path, count: int) -> tuple[PredictionStore, RecordKeys, np.ndarray]:
    store, keys, rows = PredictionStore(path, sync="none"), keys_of(count), rows_of(count)
    assert store.append(SERIES, keys, rows) == count
    return store, keys, rows


def order_of(count: int, order: str) -> list[int]:
    places = np.arange(count)
    return (np.random.default_rng(1).permutation(places) if order == "random" else places).tolist()


def timed(
    benchmark: Any,
    function: Callable[..., Any],
    setup: Callable[[], Any] | None = None,
    *,
    items: float,
    unit: str,
    rounds: int,
) -> Any:
    """Time a function that needs something new each time: what `setup` returns."""
    benchmark.extra_info.update(items=items, unit=unit)
    if not benchmark.enabled:
        rounds = 1
    prepared = None if setup is None else lambda: ((setup(),), {})
    return benchmark.pedantic(function, setup=prepared, rounds=rounds, warmup_rounds=0)
