"""What forecasts were, or could have been, kept in: each at its best."""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import diskcache
import numpy as np
from lmdb_store import LmdbStore, prefix_of

from marketsim.forecasts import RecordKeys, SeriesId

Floats = np.ndarray


class PickleCache:
    """The old cache: one pickle of samples a prediction, its name an MD5 of the whole context.

    Made kinder than it was: NumPy arrays in place of tensors, no lock, no folder scan, nothing
    synchronised, and the samples are handed out as they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def path(self, context: Floats) -> Path:
        """Where the prediction from a context is: hashed at each lookup."""
        name = hashlib.md5(context.tobytes(), usedforsecurity=False)
        name.update(b"prediction_length=1,num_samples=128,samples_per_batch=32")
        return self.folder / f"{name.hexdigest()}.pkl"

    def get(self, context: Floats) -> Floats:
        """The samples of one prediction."""
        with self.path(context).open("rb") as file:
            return pickle.load(file)  # noqa: S301 - written by this benchmark

    def write(self, contexts: Iterable[Floats], samples: Iterable[Floats]) -> None:
        """Keep one prediction a context."""
        for context, drawn in zip(contexts, samples, strict=True):
            with self.path(context).open("wb") as file:
                pickle.dump(drawn, file, protocol=pickle.HIGHEST_PROTOCOL)


class Lmdb:
    """LMDB with a read transaction that stays open, one transaction a batch."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self.store = LmdbStore(folder, sync=sync)
        self.environment = self.store.environment
        self.reading = None

    def keys(self, series: SeriesId, keys: RecordKeys) -> list[bytes]:
        """Its own keys, made once: ours cover the series, and so must these."""
        prefix = prefix_of(series)
        return [prefix + key for key in keys.digests()]

    def write(self, keys: Sequence[bytes], rows: Floats) -> None:
        """Keep a batch; the first record of a key counts."""
        with self.environment.begin(write=True) as transaction:
            items = [(key, row.tobytes()) for key, row in zip(keys, rows, strict=True)]
            transaction.cursor().putmulti(items, overwrite=False)

    def get(self, key: bytes) -> Floats:
        """One record, where it lies."""
        if self.reading is None:
            self.reading = self.environment.begin(buffers=True)
        return np.frombuffer(self.reading.get(key), dtype=np.float32)

    def read(self, keys: Sequence[bytes], width: int) -> Floats:
        """Many records, by its fastest call."""
        with self.environment.begin(buffers=True) as transaction:
            found = transaction.cursor().getmulti(keys)
            joined = b"".join([value for _, value in found])
        return np.frombuffer(joined, dtype=np.float32).reshape(-1, width)

    def close(self) -> None:
        """Let go of it."""
        if self.reading is not None:
            self.reading.abort()
        self.environment.close()


class Sqlite:
    """SQLite with a write-ahead log; a record is a row of a table without row numbers."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(folder / "records.db", isolation_level=None)
        level = "FULL" if sync else "OFF"
        for line in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={level}",
            "PRAGMA mmap_size=8589934592",
            "PRAGMA cache_size=-262144",
            "CREATE TABLE IF NOT EXISTS records"
            "(series INTEGER, at INTEGER, key BLOB, value BLOB, PRIMARY KEY(series, at))"
            " WITHOUT ROWID",
            "CREATE UNIQUE INDEX IF NOT EXISTS by_key ON records(key)",
        ):
            self.connection.execute(line)

    def write(self, keys: Sequence[bytes], rows: Floats, series: int = 0, start: int = 0) -> None:
        """Keep a batch in one transaction; the first record of a key counts."""
        lines = [
            (series, start + i, key, row.tobytes())
            for i, (key, row) in enumerate(zip(keys, rows, strict=True))
        ]
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)", lines)
        self.connection.execute("COMMIT")

    def get(self, key: bytes) -> Floats:
        """One record."""
        row = self.connection.execute("SELECT value FROM records WHERE key = ?", (key,)).fetchone()
        return np.frombuffer(row[0], dtype=np.float32)

    def read(self, series: int, width: int) -> Floats:
        """A whole series in its order, without its keys: the least that it can be asked."""
        rows = self.connection.execute(
            "SELECT value FROM records WHERE series = ? ORDER BY at", (series,)
        ).fetchall()
        joined = b"".join([row[0] for row in rows])
        return np.frombuffer(joined, dtype=np.float32).reshape(-1, width)

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()


class DiskCache:
    """diskcache, small values inside its own SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.cache = diskcache.Cache(str(folder), eviction_policy="none", statistics=False)

    def write(self, keys: Sequence[bytes], rows: Floats) -> None:
        """Keep a batch in one transaction."""
        with self.cache.transact():
            for key, row in zip(keys, rows, strict=True):
                self.cache.add(key, row.tobytes())

    def get(self, key: bytes) -> Floats:
        """One record."""
        return np.frombuffer(self.cache[key], dtype=np.float32)

    def close(self) -> None:
        """Let go of it."""
        self.cache.close()
