"""Keys of stored forecasts: digests of exactly the model's inputs and the requested forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

KEY_BYTES = 16


class SeriesId(NamedTuple):
    """Identity of one file of a store: one model, one series, one schema.

    Attributes:
        model: fingerprint of the model, hex digits.
        series: the symbol.
        schema: text of the schema, see `marketsim.forecasts.schema`.
    """

    model: str
    series: str
    schema: str


@dataclass(frozen=True)
class RecordKeys:
    """Keys of a batch of forecasts, and their as-of dates, targets, horizons and flags.

    Attributes:
        tags: uint8 [n, 16], the keys.
        as_of: int64 [n], nanoseconds since 1970 of the last bar that each forecast read.
        target: uint8 [n], position in `marketsim.bars.TARGETS`.
        horizon: uint16 [n], steps ahead.
        flags: uint8 [n], bits of `Flag`.
    """

    tags: npt.NDArray[np.uint8]
    as_of: npt.NDArray[np.int64]
    target: npt.NDArray[np.uint8]
    horizon: npt.NDArray[np.uint16]
    flags: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        digests: Sequence[bytes],
        as_of: npt.NDArray[np.int64],
        target: int | npt.NDArray[np.uint8],
        horizon: int,
        flags: int = 0,
    ) -> RecordKeys:
        """Build keys of one horizon from 16-byte digests; one target for all, or one for each."""
        n = len(digests)
        return cls(
            np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(n, KEY_BYTES),
            np.ascontiguousarray(as_of, dtype=np.int64),
            np.full(n, target, dtype=np.uint8),
            np.full(n, horizon, dtype=np.uint16),
            np.full(n, flags, dtype=np.uint8),
        )

    def __len__(self) -> int:
        return len(self.tags)

    def __getitem__(
        self, part: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]
    ) -> RecordKeys:
        return RecordKeys(
            np.ascontiguousarray(self.tags[part]),
            np.ascontiguousarray(self.as_of[part]),
            np.ascontiguousarray(self.target[part]),
            np.ascontiguousarray(self.horizon[part]),
            np.ascontiguousarray(self.flags[part]),
        )

    def flagged(self, flags: int) -> RecordKeys:
        """Return the keys with other flags."""
        return replace(self, flags=np.full(len(self), flags, dtype=np.uint8))

    def digests(self) -> list[bytes]:
        """Return the 16 bytes of each key."""
        return [tag.tobytes() for tag in self.tags]


def seeds_of(tags: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the seed of each forecast's samples, uint64 [n]: the first eight bytes of its key.

    A seed depends on the forecast and its inputs only, not on batch or order.
    """
    return np.ascontiguousarray(tags[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


class Flag:
    """Bits of a record's flags."""

    IMPORTED = 1  # imported from another program's cache
