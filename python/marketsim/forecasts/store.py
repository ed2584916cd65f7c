"""Where forecasts are kept once they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.float32]


class SeriesId(NamedTuple):
    """What one store file holds: the forecasts of one model for one series."""

    model: str
    series: str


@runtime_checkable
class ForecastStore(Protocol):
    """Records of float32 values by key; a key says everything that the record depends on."""

    def read(
        self, series: SeriesId, keys: Sequence[bytes], width: int
    ) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records.

        Returns:
            (records [key, width], found [key]); the records not found are NaN.
        """
        ...

    def append(self, series: SeriesId, keys: Sequence[bytes], records: Records) -> None:
        """Keep records [key, width]; a key that is already there keeps its first record."""
        ...


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

    def read(
        self, series: SeriesId, keys: Sequence[bytes], width: int
    ) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Look up records; see `ForecastStore.read`."""
        known = self._records.get(series, {})
        records = np.full((len(keys), width), np.nan, dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        for i, key in enumerate(keys):
            record = known.get(key)
            if record is not None:
                records[i] = record
                found[i] = True
        hits = int(found.sum())
        self.hits += hits
        self.misses += len(keys) - hits
        return records, found

    def append(self, series: SeriesId, keys: Sequence[bytes], records: Records) -> None:
        """Keep records; see `ForecastStore.append`."""
        known = self._records.setdefault(series, {})
        for key, record in zip(keys, np.array(records, dtype=np.float32), strict=True):
            known.setdefault(key, record)
