"""Keys of stored forecasts: digests of exactly what the model saw and of what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.bars import TARGETS, Bars
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.schema import Schema
from marketsim.models import Model
from marketsim.timing import stage

KEY_BYTES = 16


class SeriesId(NamedTuple):
    """What one file of a store holds: forecasts of one model for one series, as one schema.

    Attributes:
        model: the model's fingerprint, hex digits.
        series: the symbol.
        schema: text of the fields, see `marketsim.forecasts.schema`.
    """

    model: str
    series: str
    schema: str


@dataclass(frozen=True)
class RecordKeys:
    """The keys of a batch of forecasts, and what people want to know of them.

    Attributes:
        tags: uint8 [n, 16], the keys themselves.
        as_of: int64 [n], nanoseconds since 1970 of the last bar that each forecast saw.
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
        """Keys of one horizon, and of one target or of each its own, from their 16 bytes each."""
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

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> RecordKeys:
        return RecordKeys(
            np.ascontiguousarray(self.tags[part]),
            np.ascontiguousarray(self.as_of[part]),
            np.ascontiguousarray(self.target[part]),
            np.ascontiguousarray(self.horizon[part]),
            np.ascontiguousarray(self.flags[part]),
        )

    def flagged(self, flags: int) -> RecordKeys:
        """The same keys with other flags."""
        return replace(self, flags=np.full(len(self), flags, dtype=np.uint8))

    def digests(self) -> list[bytes]:
        """The 16 bytes of each key."""
        return [tag.tobytes() for tag in self.tags]

    def seeds(self) -> npt.NDArray[np.uint64]:
        """uint64 [n]: the seed of each forecast's samples, the first eight bytes of its key.

        A seed depends on what is forecast from what, and not on when or beside which others.
        """
        return np.ascontiguousarray(self.tags[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


class Flag:
    """Bits of a record's flags."""

    IMPORTED = 1  # taken over from another program's cache, not made by the model here


def context_digests(
    timestamps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    ends: npt.NDArray[np.int64],
    context_length: int | None,
) -> list[bytes]:
    """Digest of the rows values[:, max(0, end - context_length):end] for each end.

    Args:
        timestamps: [row], of each value.
        values: [variate, row], all that the model sees.
        ends: [n], ascending, each at least 1.
        context_length: how many last rows the model sees; None for all.

    Returns:
        One BLAKE3 digest of KEY_BYTES bytes for each end. It covers the bytes of every row seen, so
        it changes with any of them and with nothing else.
    """
    rows = np.empty((values.shape[1], 1 + len(values)), dtype="<i8")
    rows[:, 0] = timestamps
    rows[:, 1:] = np.ascontiguousarray(values.T, dtype="<f8").view("<i8")
    seen = rows.reshape(-1).view(np.uint8).data
    row = rows.itemsize * rows.shape[1]
    digests = []
    running = blake3()  # of the rows from the first one on, as far as they have been asked for
    done = 0
    for end in ends.tolist():
        if context_length is not None and end > context_length:
            part = seen[row * (end - context_length) : row * end]
            digests.append(blake3(part).digest(length=KEY_BYTES))
            continue
        running.update(seen[row * done : row * end])
        done = end
        digests.append(running.digest(length=KEY_BYTES))
    return digests


def record_digests(
    series: SeriesId,
    target: str,
    horizon: int,
    as_of: npt.NDArray[np.int64],
    contexts: list[bytes],
) -> list[bytes]:
    """Key of each forecast: schema, model, series, target, horizon, as-of timestamp, context."""
    parts = (series.schema, series.model, series.series, target, str(horizon))
    encoded = [part.encode() for part in parts]
    head = b"".join(len(part).to_bytes(8, "little") + part for part in encoded)
    return [
        blake3(head + stamp.to_bytes(8, "little", signed=True) + context).digest(length=KEY_BYTES)
        for stamp, context in zip(as_of.tolist(), contexts, strict=True)
    ]


@dataclass(frozen=True)
class PlanKeys:
    """What a plan asks of a store.

    Attributes:
        series: where the records are.
        batch: the keys of all days of the plan for the first target, then for the next one.
    """

    series: SeriesId
    batch: RecordKeys

    @cached_property
    def keys(self) -> tuple[RecordKeys, ...]:
        """One batch of keys a target, one key a day of the plan."""
        days = len(self.batch) // len(TARGETS)
        return tuple(self.batch[i * days : (i + 1) * days] for i in range(len(TARGETS)))

    @classmethod
    def of(cls, bars: Bars | ReturnTable, model: Model, plan: ForecastPlan) -> PlanKeys:
        """The keys of all forecasts of a plan; no model is asked."""
        with stage("store keys"):
            return cls._hashed(ReturnTable.of(bars), model, plan)

    @classmethod
    def _hashed(cls, table: ReturnTable, model: Model, plan: ForecastPlan) -> PlanKeys:
        returns, stamps = table.returns, table.timestamps
        ends = np.arange(plan.first, plan.stop) - 1  # the forecast for day t sees t - 1 returns
        as_of = stamps[ends]
        series = SeriesId(model.fingerprint, table.symbol, Schema.for_model(model).text)
        digests: list[bytes] = []
        joint = bool(getattr(model, "joint", False))
        for i, target in enumerate(TARGETS):
            seen = returns if joint else returns[i : i + 1]
            if i == 0 or not joint:
                contexts = context_digests(stamps[1:], seen, ends, model.context_length)
            digests += record_digests(series, target, 1, as_of, contexts)
        codes = np.arange(len(TARGETS), dtype=np.uint8).repeat(len(ends))
        return cls(series, RecordKeys.of(digests, np.tile(as_of, len(TARGETS)), codes, 1))
