"""Where forecasts are kept once they are made: the interface, and a store in memory."""

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
    """Records of float32 values by key; a key says everything that the record depends on."""

    def read(self, series: SeriesId, keys: RecordKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records.

        Returns:
            (records [key, width of the schema], found [key]); the records not found are NaN.
        """
        ...

    def append(self, series: SeriesId, keys: RecordKeys, records: Records) -> int:
        """Keep records [key, width]; a key that is already there keeps its first record.

        Returns:
            How many records are new.

        Raises:
            StoreWriteError: they could not be kept; what was there before is as it was.
        """
        ...

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Note for people what a model's fingerprint stands for."""
        ...


def check_records(series: SeriesId, keys: RecordKeys, records: Records) -> None:
    """Raise ArgumentError unless there is one record for each key, as wide as the schema says."""
    expected = (len(keys), Schema.parse(series.schema).width)
    if np.shape(records) != expected:
        raise ArgumentError(f"records must have shape {expected}: got {np.shape(records)}")


@dataclass
class MemoryStore:
    """A store that lives as long as the object; give it to several runs to share forecasts.

    Attributes:
        hits, misses: how many records have been found and not found.
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
        """Keep records; see `ForecastStore.append`."""
        check_records(series, keys, records)
        known = self._records.setdefault(series, {})
        before = len(known)
        for key, record in zip(keys.digests(), np.array(records, dtype=np.float32), strict=True):
            known.setdefault(key, record)
        return len(known) - before

    def describe(self, model: str, facts: Mapping[str, Any]) -> None:
        """Nothing: no one reads along."""
