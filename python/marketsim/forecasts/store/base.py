"""Interface of forecast stores, and a store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.forecasts.keys import RecordKeys, SeriesId
from marketsim.forecasts.schema import Schema

Records = npt.NDArray[np.float32]


@runtime_checkable
class ForecastStore(Protocol):
    """Interface of a store: float32 records by key; a key covers all that its record depends on."""

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records.

        Returns:
            (records [key, width of the schema], found [key]); the records not found are NaN.
        """
        ...

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Store records [key, width]; a key that exists keeps its first record.

        Returns:
            Number of new records.

        Raises:
            StoreWriteError: the records could not be written; earlier records are unchanged.
        """
        ...

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Store a readable description of a model beside its fingerprint."""
        ...


def check_records(series: SeriesId, keys: RecordKeys, records: Records) -> None:
    """Raise ArgumentError unless there is one record of the schema's width per key."""
    expected = (len(keys), Schema.parse(series.schema).width)
    if np.shape(records) != expected:
        raise ArgumentError(f"records must have shape {expected}: got {np.shape(records)}")


@dataclass
class MemoryStore:
    """Store in memory; pass it to several runs to share forecasts.

    Attributes:
        hits, misses: numbers of records found and not found.
    """

    hits: int = 0
    misses: int = 0
    _records: dict[SeriesId, dict[bytes, Records]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return sum(len(records) for records in self._records.values())

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`."""
        known = self._records.get(series, {})
        width = Schema.parse(series.schema).width
        records = np.full((len(keys), width), np.nan, dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        for i, key in enumerate(keys.digests()):
            record = known.get(key)
            if record is not None:
                records[i] = record
                found[i] = True
        hits = int(found.sum())
        self.hits += hits
        self.misses += len(keys) - hits
        return records, found

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Store records; see `ForecastStore.append`."""
        check_records(series, keys, records)
        known = self._records.setdefault(series, {})
        before = len(known)
        for key, record in zip(keys.digests(), np.array(records, dtype=np.float32), strict=True):
            known.setdefault(key, record)
        return len(known) - before

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Ignore the description: memory has no reader for it."""
