"""The prediction store where it works: writing, opening, universes and whole runs, with rivals.

The targets are those of `bench_store.py`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim import _core
from marketsim.forecasts import PredictionStore
from marketsim.models import EwmaModel
from rivals_store import DiskCache, Lmdb, PickleCache, Sqlite
from store_data import (
    SCHEMA,
    SERIES,
    filled,
    folder,
    keys_of,
    rows_of,
    size,
    timed,
)

__all__ = ["folder", "size"]  # pytest finds fixtures by their names here

BULK = {"store": 50, "lmdb": 50, "sqlite": 10, "diskcache": 1, "old cache": 1}  # series of 8,000
WRITERS = pytest.mark.parametrize(
    ("name", "sync"),
    # The last two never have anything on the disk when they return.
    [*((name, "none") for name in BULK), *((name, "batch") for name in list(BULK)[:3])],
)


# ---- writing ------------------------------------------------------------------------------------


def writers(path: Path, sync: str) -> dict[str, Callable[[], Any]]:
    return {
        "store": lambda: PredictionStore(path, sync=sync),
        "lmdb": lambda: Lmdb(path, sync=sync == "batch"),
        "sqlite": lambda: Sqlite(path, sync=sync == "batch"),
        "diskcache": lambda: DiskCache(path),
        "old cache": lambda: PickleCache(path),
    }


def write_all(name: str, kept: Any, batches: list[Any]) -> None:
    for i, (series, keys, names, rows) in enumerate(batches):
        if name == "store":
            kept.append(series, keys, rows)
        elif name == "sqlite":
            kept.write(names, rows, i)
        else:
            kept.write(names, rows)


def batches_for(name: str, kept: Any, sizes: list[int], *, one: bool = False) -> list[Any]:
    """(series, keys, the rival's keys, records) of batches of these sizes, each new."""
    found = []
    for i, count in enumerate(sizes):
        series = SERIES if one else SERIES._replace(series=f"S{i}")
        keys, rows = keys_of(count, i + 1), rows_of(count, i)
        names: list[Any] = keys.digests()
        if name == "lmdb":
            names = kept.keys(series, keys)
        if name == "old cache":  # the context of a day in the middle
            names = [np.frombuffer(digest * 250, dtype=np.float32) for digest in names]
        found.append((series, keys, names, rows))
    return found


@WRITERS
def bench_bulk_write(benchmark, folder, size, name: str, sync: str) -> None:
    """Series of 8,000 records into an empty folder, one batch a series."""
    benchmark.group = f"bulk write, sync {sync}"
    count, series = size(8_000, 40), size(BULK[name], 2)
    shape = [count] * series
    batches: list[Any] = []
    opened: list[Any] = []

    def setup() -> Any:
        opened.append(writers(folder(), sync)[name]())
        if not batches:
            batches.extend(batches_for(name, opened[-1], shape))
        return opened[-1]

    def run(kept: Any) -> None:
        write_all(name, kept, batches)

    timed(benchmark, run, setup, items=count * series, unit="a record", rounds=7)
    if name == "store":
        for which, keys, _, rows in batches:
            records, found = opened[-1].read(which, keys)
            assert found.all()
            np.testing.assert_array_equal(records, rows)
    elif name != "old cache":
        np.testing.assert_array_equal(opened[-1].get(batches[0][2][7]), batches[0][3][7])


@WRITERS
def bench_append_of_4(benchmark, folder, size, name: str, sync: str) -> None:
    """The four targets of one more day."""
    benchmark.group = f"append of 4 records, sync {sync}"
    kept = writers(folder(), sync)[name]()
    rounds = size(3_000 if sync == "none" else 300, 3)
    batches = batches_for(name, kept, [4] * rounds, one=True)
    starts = itertools.count(0, 4)
    coming = iter(batches)

    def run(batch: Any) -> None:
        series, keys, names, rows = batch
        if name == "store":
            kept.append(series, keys, rows)
        elif name == "sqlite":
            kept.write(names, rows, 0, next(starts))
        else:
            kept.write(names, rows)

    timed(benchmark, run, lambda: next(coming), items=1, unit="an append", rounds=rounds)
    if name == "store":
        assert kept._file(SERIES).contents()["live"] == 4 * (rounds if benchmark.enabled else 1)


# ---- opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [8_000, 300_000])
@pytest.mark.parametrize("name", ["engine", "store", "lmdb", "sqlite"])
def bench_open(measure, benchmark, folder, size, name: str, count: int) -> None:
    """Until the first record is there. Ours has verified all of them by then, the others none."""
    benchmark.group = f"open {count:,} records"
    count, path = size(count, 400), folder()
    store, keys, rows = filled(path, count)
    first = keys.digests()[-1]
    counters = _core.StoreCounters()
    file = str(store.path_of(SERIES))
    rivals = {"lmdb": Lmdb, "sqlite": Sqlite}
    if name in rivals:
        path = folder()
        kept = rivals[name](path)
        names = kept.keys(SERIES, keys) if name == "lmdb" else keys.digests()
        kept.write(names, rows)
        kept.close()

    def run() -> Any:
        if name == "engine":
            opened = _core.StoreFile(
                file, *SERIES, SCHEMA.width, counters, writable=True, sync=False, use_maps=True
            )
            return opened.get(first)
        if name == "store":
            return PredictionStore(path).get(SERIES, first)
        kept = rivals[name](path)
        found = kept.get(names[-1]).copy()
        kept.close()
        return found

    found = measure(run, items=1, unit="an opening")
    np.testing.assert_array_equal(found, rows[-1])
    assert counters.counts()["corrupt"] == 0


@pytest.mark.parametrize("name", ["store", "lmdb", "sqlite", "old cache"])
def bench_many_small_series(benchmark, folder, size, name: str) -> None:
    """20 days of 4 targets of each of 10,000 series, from a new object, the files in memory."""
    benchmark.group = "10,000 series of 80 records"
    series = size(10_000 if name != "old cache" else 200, 20)
    if name == "old cache":
        benchmark.group += " (old cache: 200 of them)"
    path = folder()
    kept = writers(path, "none")[name]()
    batches = batches_for(name, kept, [80] * series)
    write_all(name, kept, batches)

    def run() -> np.ndarray:
        if name == "store":
            kept = PredictionStore(path)
            for which, keys, _, _ in batches:
                records, _ = kept.read(which, keys)
            return records
        if name == "old cache":
            old = PickleCache.__new__(PickleCache)
            old.folder = path
            for _, _, contexts, _ in batches:
                records = np.stack([old.get(context) for context in contexts])
            return records
        kept = writers(path, "none")[name]()
        for i, (_, _, names, _) in enumerate(batches):
            records = kept.read(i if name == "sqlite" else names, SCHEMA.width)
        kept.close()
        return records

    if hasattr(kept, "close"):
        kept.close()
    last = timed(benchmark, run, items=series, unit="a series", rounds=7)
    np.testing.assert_array_equal(last, batches[-1][3])


# ---- runs ---------------------------------------------------------------------------------------

GROUP_RUNS = "walk-forward of 5,000 bars, 70 simulations"


def unasked() -> EwmaModel:
    """An `ewma` model, which must not be run: its forecasts are in the store."""

    def run(*_: object, **__: object) -> None:
        raise AssertionError("the model was run")

    model = EwmaModel()
    model.predict = model.predict_each = run  # type: ignore[assignment,method-assign]
    return model


def whole(result: ms.WalkForwardResult) -> str:
    """Everything that a user looks at."""
    for part in (result.days, result.forecasts, result.simulations):
        assert len(part) > 0
    return str(result.summary())


@pytest.mark.parametrize("part", ["call", "call, frames and summary"])
@pytest.mark.parametrize("store", ["warm", "none"])
def bench_walk_forward(measure, benchmark, folder, size, store: str, part: str) -> None:
    benchmark.group = GROUP_RUNS
    bars, path = random_bars(size(5_000, 300)), folder()
    made = ms.walk_forward(bars, "ewma", store=path, progress=False)
    # Without a store the model must run, and does.
    model, where = (unasked(), path) if store == "warm" else (EwmaModel(), False)

    def run() -> ms.WalkForwardResult:
        result = ms.walk_forward(bars, model, store=where, progress=False)
        if part != "call":
            assert "maxdiff" in whole(result)
        return result

    result = measure(run, items=1, unit="a run")
    assert len(result.windows.as_of) == 70
    np.testing.assert_array_equal(result.cube.records, made.cube.records)


def bench_walk_forward_old_cache(measure, benchmark, folder, size) -> None:
    """Only the lookups of the old loop, each a hit: 70 simulations of 4 targets and 7 days."""
    benchmark.group = GROUP_RUNS
    bars = random_bars(size(5_000, 300))
    prices = [getattr(bars, name) for name in ("close", "low", "high", "open")]
    returns = [np.diff(price).astype(np.float32) for price in prices]
    simulations = size(70, 3)
    asked = [
        values[: len(values) - simulation - step]
        for simulation in range(simulations)
        for values in returns
        for step in range(7, 0, -1)
    ]
    kept = PickleCache(folder())
    samples = np.zeros((128, 1), dtype=np.float32)
    kept.write(asked, itertools.repeat(samples, len(asked)))
    assert len({hashlib.md5(context.tobytes()).digest() for context in asked}) == 4 * (
        simulations + 6
    )

    def run() -> list[np.ndarray]:
        return [kept.get(context) for context in asked]

    assert len(measure(run, items=1, unit="a run")) == simulations * 28
