"""Keys of all forecasts of a plan, computed from exactly the model's inputs for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.bars import TARGETS, Bars
from marketsim.forecasts.digests import digest_contexts, digest_records
from marketsim.forecasts.keys import KEY_BYTES, RecordKeys, SeriesId, seeds_of
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.schema import Schema
from marketsim.models import Model
from marketsim.models.fingerprint import stored_as
from marketsim.models.inputs import ModelInputs
from marketsim.models.traits import traits_of
from marketsim.timing import stage


@dataclass(frozen=True)
class PlanKeys:
    """Keys of all forecasts of a plan, and the series that stores their records.

    Attributes:
        series: series of the records.
        batch: keys of all forecasts, [target, horizon, bar] flattened.
        shape: (targets, horizons, bars).
        seeds: uint64 [target, bar], seed of each bar's samples: the first eight bytes of its key
            for horizon 1, whichever horizons are requested.
    """

    series: SeriesId
    batch: RecordKeys
    shape: tuple[int, int, int]
    seeds: npt.NDArray[np.uint64]

    @cached_property
    def keys(self) -> tuple[RecordKeys, ...]:
        """Keys of each target: one per horizon and bar of the plan."""
        size = self.shape[1] * self.shape[2]
        return tuple(self.batch[i * size : (i + 1) * size] for i in range(self.shape[0]))

    def by_bar(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Reorder values of `batch` [key, ...] to [bar, horizon, target, ...]; contiguous."""
        return np.ascontiguousarray(flat.reshape(*self.shape, *flat.shape[1:]).swapaxes(0, 2))

    def places(
        self, targets: npt.ArrayLike, steps: npt.ArrayLike, days: npt.ArrayLike
    ) -> npt.NDArray[np.int64]:
        """Compute indices into `batch` of positions in the plan, broadcast together."""
        _, horizons, bars = self.shape
        at = (np.asarray(targets) * horizons + np.asarray(steps)) * bars + np.asarray(days)
        return np.asarray(at, dtype=np.int64).reshape(-1)

    @classmethod
    def of(cls, bars: Bars | ReturnTable, model: Model, plan: ForecastPlan) -> PlanKeys:
        """Compute the keys of all forecasts of a plan, without running the model."""
        with stage("store keys"):
            return cls._hashed(ReturnTable.for_model(bars, model), model, plan)

    @classmethod
    def _hashed(cls, table: ReturnTable, model: Model, plan: ForecastPlan) -> PlanKeys:
        traits = traits_of(model)
        ends = np.arange(plan.first, plan.stop) - 1  # the forecast of bar t reads t - 1 moves
        as_of = table.timestamps[ends]
        schema = Schema.for_model(model, table.targets)
        # Forecasts of a model without an identity are not stored; their keys still seed samples.
        series = SeriesId(stored_as(model) or model.fingerprint, table.symbol, schema.text)
        tags: list[npt.NDArray[np.uint8]] = []
        seeds = []
        contexts = None
        for i, target in enumerate(TARGETS):
            if contexts is None or not traits.joint:
                inputs = table.inputs(traits, slice(i, i + 1))
                contexts = _digests(inputs, ends, traits.rows)
            made = {h: digest_records(series, target, h, as_of, contexts) for h in plan.horizons}
            tags += made.values()
            one = made.get(1)
            one = digest_records(series, target, 1, as_of, contexts) if one is None else one
            seeds.append(seeds_of(one))
        shape = (len(TARGETS), len(plan.horizons), len(ends))
        return cls(series, _batch(np.concatenate(tags), as_of, plan, shape), shape, np.stack(seeds))


def _batch(
    tags: npt.NDArray[np.uint8],
    as_of: npt.NDArray[np.int64],
    plan: ForecastPlan,
    shape: tuple[int, int, int],
) -> RecordKeys:
    targets, horizons, days = shape
    steps = np.array(plan.horizons, dtype=np.uint16)
    return RecordKeys(
        tags,
        np.tile(as_of, targets * horizons),
        np.arange(targets, dtype=np.uint8).repeat(horizons * days),
        np.tile(steps.repeat(days), targets),
        np.zeros(len(tags), dtype=np.uint8),
    )


def _digests(
    inputs: ModelInputs, ends: npt.NDArray[np.int64], rows: int | None
) -> npt.NDArray[np.uint8]:
    """Digest the model's inputs of each bar; with the bar's own date if the model reads dates."""
    found = digest_contexts(inputs.timestamps, inputs.values, ends, rows)
    if not inputs.dated:
        return found
    coming = np.ascontiguousarray(inputs.coming[ends], dtype="<i8")
    zone = b"" if inputs.zone == "UTC" else inputs.zone.encode()
    parts = [
        blake3(one.tobytes() + when.tobytes() + zone).digest(length=KEY_BYTES)
        for one, when in zip(found, coming, strict=True)
    ]
    return np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, KEY_BYTES)
