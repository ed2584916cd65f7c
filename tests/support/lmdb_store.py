"""The rival store: the same records in LMDB. An oracle in tests, a contender in benchmarks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.errors import StoreWriteError
from marketsim.forecasts import RecordKeys, Schema, SeriesId
from marketsim.forecasts.store.base import Records, check_records

DESCRIPTION = b"model "  # before a model's description; a record's key has 32 bytes


class LmdbStore:
    """One environment for all series; a record's key is a digest of its series, then its own.

    Args:
        path: a folder; made if it is not there.
        sync: flush each transaction to the disk.
        map_size: the most that the environment can grow to; address space, not memory.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, sync: bool = True, map_size: int = 1 << 33
    ) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._sync, self._map_size = sync, map_size
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self.environment = lmdb.open(
            str(self.path),
            map_size=self._map_size,
            sync=self._sync,
            # Without a sync, no ordered writes either: both sides give up the same.
            metasync=self._sync,
            writemap=False,
            readahead=False,
            meminit=False,
            max_readers=512,
        )

    def _here(self) -> lmdb.Environment:
        """The environment; a process that was forked off must open its own."""
        if os.getpid() != self._pid:
            self._open()
        return self.environment

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`."""
        width = Schema.parse(series.schema).width
        records = np.full((len(keys), width), np.nan, dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        prefix = prefix_of(series)
        with self._here().begin(buffers=True) as transaction:
            for i, key in enumerate(keys.digests()):
                value = transaction.get(prefix + key)
                if value is not None:
                    records[i] = np.frombuffer(value, dtype=np.float32)
                    found[i] = True
        return records, found

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Keep records in one transaction; see `ForecastStore.append`."""
        check_records(series, keys, records)
        prefix = prefix_of(series)
        rows = np.ascontiguousarray(records, dtype=np.float32)
        items = [
            (prefix + key, row.tobytes()) for key, row in zip(keys.digests(), rows, strict=True)
        ]
        try:
            with self._here().begin(write=True) as transaction:
                _, added = transaction.cursor().putmulti(items, overwrite=False)
        except lmdb.Error as error:
            raise StoreWriteError(f"{len(keys)} forecasts could not be stored: {error}") from error
        return int(added)

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Keep a model's description, if there is none."""
        text = json.dumps({"fingerprint": model, **facts}, sort_keys=True).encode()
        with self._here().begin(write=True) as transaction:
            transaction.put(DESCRIPTION + model.encode(), text, overwrite=False)

    def close(self) -> None:
        """Close the environment."""
        if os.getpid() == self._pid:
            self.environment.close()


def prefix_of(series: SeriesId) -> bytes:
    """What the keys of a series begin with: LMDB's keys are at most 511 bytes, names may be any."""
    parts = [part.encode() for part in series]
    text = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return blake3(text).digest(length=16)
