"""The prediction store beside the old pickle cache, LMDB, SQLite and diskcache.

Targets on one core, records of 24 float32:

C++ hit, cached                                       15 ns
Python get, sequential / random                       0.3 / 0.7 us
batch of 8,000 records in cache / beyond it           15 GB/s / 60 % of memcpy
append of 4 records, not synchronised                 10 us
bulk write, not synchronised                          5 M records/s
open and verify 8,000 / 300,000 records               150 us / 20 ms
10,000 series of 20 days x 4, opened and read warm    0.5 s
beside the old cache                                  100x a record, 5,000x a series
walk_forward of 70 simulations, warm, no model        10 ms

Rates are of what a caller gets: 96 bytes a record.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rivals_store import DiskCache, Lmdb, PickleCache, Sqlite
from store_data import SERIES, WIDTH, filled, folder, keys_of, order_of, rows_of, size

__all__ = ["folder", "size"]  # pytest finds fixtures by their names here

ROOT = Path(__file__).parent.parent
DAYS = 2_000


# ---- one record ---------------------------------------------------------------------------------


def lookups(measure: Any, get: Callable[[Any], np.ndarray], keys: list[Any]) -> None:
    def run() -> None:
        for key in keys:
            get(key)

    measure(run, items=len(keys), unit="a lookup")


@pytest.mark.parametrize("order", ["sequential", "random"])
@pytest.mark.parametrize("count", [8_000, 300_000])
def bench_get(measure, benchmark, folder, size, count: int, order: str) -> None:
    benchmark.group = f"one record of {count:,}"
    store, keys, rows = filled(folder(), size(count, 400))
    digests, places = keys.digests(), order_of(len(keys), order)
    for i in places[:100]:
        np.testing.assert_array_equal(store.get(SERIES, digests[i]), rows[i])
    lookups(measure, functools.partial(store.get, SERIES), [digests[i] for i in places])


@pytest.mark.parametrize("order", ["sequential", "random"])
@pytest.mark.parametrize(
    ("rival", "count"),
    # The slow ones among the fewer records only: that flatters them.
    [(Lmdb, 8_000), (Lmdb, 300_000), (Sqlite, 8_000), (DiskCache, 8_000)],
)
def bench_get_rival(measure, benchmark, folder, size, rival: Any, count: int, order: str) -> None:
    benchmark.group = f"one record of {count:,}"
    keys, rows, kept = keys_of(size(count, 400)), rows_of(size(count, 400)), rival(folder())
    names = kept.keys(SERIES, keys) if rival is Lmdb else keys.digests()
    kept.write(names, rows)
    places = order_of(len(keys), order)
    for i in places[:100]:
        np.testing.assert_array_equal(kept.get(names[i]), rows[i])
    lookups(measure, kept.get, [names[i] for i in places])
    kept.close()


def old_cache(folder: Path, days: int) -> tuple[PickleCache, list[np.ndarray], np.ndarray]:
    """Predictions of four targets on so many days, each from all days before it."""
    values = np.random.default_rng(0).normal(0.0, 0.01, (4, DAYS)).astype(np.float32)
    contexts = [values[i, :day] for day in range(DAYS - days, DAYS) for i in range(4)]
    samples = np.random.default_rng(1).normal(0.0, 0.01, (len(contexts), 128, 1))
    kept = PickleCache(folder)
    kept.write(contexts, samples.astype(np.float32))
    return kept, contexts, samples.astype(np.float32)


@pytest.mark.parametrize("order", ["sequential", "random"])
def bench_get_old_cache(measure, benchmark, folder, size, order: str) -> None:
    benchmark.group = "one record of 8,000"
    kept, contexts, samples = old_cache(folder(), size(DAYS - 1, 100))
    for i in range(0, len(contexts), 97):
        np.testing.assert_array_equal(kept.get(contexts[i]), samples[i])
    lookups(measure, kept.get, [contexts[i] for i in order_of(len(contexts), order)])


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Lookups in C++, compiled with the store's own sources."""
    library = tmp_path_factory.mktemp("native") / "store_hits.so"
    store = ROOT / "csrc/kernels/store"
    keys = {store / "keys.cpp", store / "blake3_lanes.cpp"}  # digests, which no lookup needs
    needed = [*(set(store.glob("*.cpp")) - keys), ROOT / "csrc/common/isa.cpp"]
    sources = [ROOT / "benchmarks/native/store_hits.cpp", *needed]
    options = ["-std=c++20", "-O3", "-fno-strict-aliasing", "-shared", "-fPIC", "-pthread"]
    include = f"-I{ROOT / 'csrc'}"
    subprocess.run(["c++", *options, include, *sources, "-o", library], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.store_open.restype = loaded.store_close.restype = ctypes.c_void_p
    for name in ("sequential", "indexed", "dependent"):
        function = getattr(loaded, f"store_{name}")
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        function.restype = ctypes.c_double
    return loaded


@pytest.mark.parametrize(
    "how", ["sequential", "indexed-sequential", "indexed-random", "dependent-random"]
)
@pytest.mark.parametrize("count", [8_000, 300_000])
def bench_hit_in_cpp(measure, benchmark, folder, size, native, count: int, how: str) -> None:
    benchmark.group = f"one record of {count:,}"
    store, keys, rows = filled(folder(), size(count, 400))
    texts = [str(store.path_of(SERIES)), *SERIES]
    handle = ctypes.c_void_p(native.store_open(*(text.encode() for text in texts), WIDTH))
    assert handle.value
    tags = np.ascontiguousarray(keys.tags[order_of(len(keys), how.rpartition("-")[2])])
    function = getattr(native, f"store_{how.partition('-')[0]}")
    total = measure(
        lambda: function(handle, tags.ctypes.data, len(tags)), items=len(tags), unit="a hit"
    )
    assert total == pytest.approx(rows[:, 0].sum(dtype=np.float64), rel=1e-12)
    native.store_close(handle)


# ---- many records -------------------------------------------------------------------------------

GROUP_SERIES = "a series of 8,000 records"
GIGABYTE = 1e9 / (4 * WIDTH)  # records


def bench_series(measure, benchmark, folder, size) -> None:
    benchmark.group = GROUP_SERIES
    store, keys, rows = filled(folder(), size(8_000, 400))
    records, found = measure(lambda: store.read(SERIES, keys), items=1, unit="a series")
    assert found.all()
    np.testing.assert_array_equal(records, rows)
    if benchmark.enabled:
        print(f"\n{rows.nbytes / benchmark.stats.stats.median / 1e9:.1f} GB/s")


@pytest.mark.parametrize("rival", [Lmdb, Sqlite, DiskCache, "LmdbStore"])
def bench_series_rival(measure, benchmark, folder, size, rival: Any) -> None:
    benchmark.group = GROUP_SERIES
    keys, rows = keys_of(size(8_000, 400)), rows_of(size(8_000, 400))
    kept = Lmdb(folder()) if rival == "LmdbStore" else rival(folder())
    names = kept.keys(SERIES, keys) if isinstance(kept, Lmdb) else keys.digests()
    kept.write(names, rows)
    readers: dict[Any, Callable[[], np.ndarray]] = {
        Lmdb: lambda: kept.read(names, WIDTH),
        Sqlite: lambda: kept.read(0, WIDTH),
        DiskCache: lambda: np.stack([kept.get(name) for name in names]),
        "LmdbStore": lambda: kept.store.read(SERIES, keys)[0],
    }
    records = measure(readers[rival], items=1, unit="a series")
    np.testing.assert_array_equal(records, rows)
    kept.close()


def bench_series_old_cache(measure, benchmark, folder, size) -> None:
    benchmark.group = GROUP_SERIES
    kept, contexts, samples = old_cache(folder(), size(DAYS - 1, 100))
    records = measure(
        lambda: np.stack([kept.get(context) for context in contexts]), items=1, unit="a series"
    )
    np.testing.assert_array_equal(records, samples)


@pytest.mark.parametrize("count", [8_000, 2_000_000])
@pytest.mark.parametrize("how", ["store", "memcpy"])
def bench_batches_of_8000(measure, benchmark, folder, size, count: int, how: str) -> None:
    """Batches of 8,000 after one another: all from cache, or from far more than any cache holds."""
    where = "in cache" if count == 8_000 else "beyond it"
    benchmark.group = f"batches of 8,000 records {where}"
    count, step = size(count, 800), size(8_000, 400)
    rows, target = rows_of(count), np.empty((step, WIDTH), dtype=np.float32)
    starts = range(0, count, step)
    if how == "memcpy":

        def run() -> np.ndarray:
            for start in starts:
                np.copyto(target, rows[start : start + step])
            return target

    else:
        store, keys, _ = filled(folder(), count)
        parts = [keys[start : start + step] for start in starts]

        def run() -> np.ndarray:
            for part in parts:
                records, found = store.read(SERIES, part)
                assert found.all()
            return records

    last = measure(run, items=count / GIGABYTE, unit="a GB")
    np.testing.assert_array_equal(last, rows[-step:])
