"""Makes the forecasts of a plan, each once: from the store, or by the model in batches."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars, bar_returns
from marketsim.errors import ArgumentError, StoreWarning, StoreWriteError
from marketsim.forecasts.cube import ForecastCube
from marketsim.forecasts.keys import RecordKeys, SeriesId, context_digests, record_digests
from marketsim.forecasts.plan import ForecastPlan
from marketsim.forecasts.schema import Records, Schema
from marketsim.forecasts.store import ForecastStore
from marketsim.models import Model, SeededModel, describe_model
from marketsim.progress import ProgressBar

# Forecasts of one call to a model: enough to amortise its start, few enough for a lively bar.
BATCH_DAYS = 1024


def run_plan(
    bars: Bars,
    model: Model,
    plan: ForecastPlan,
    *,
    store: ForecastStore,
    progress: bool = True,
) -> ForecastCube:
    """Forecast every target on every day of the plan.

    The model is handed the one-bar returns of one target that the days' keys cover, nothing else,
    and only where the store lacks a forecast. The result is the same whether a forecast comes from
    the store or from the model. Where the store cannot keep what is made, a StoreWarning says so
    once, and the run goes on.

    Raises:
        ArgumentError: the model returned a forecast that is not finite.
        StoreMissError: the store was told that it must hold everything, and does not.
    """
    asked = PlanKeys.of(bars, model, plan)
    records = np.empty((plan.days, len(TARGETS), asked.schema.width), dtype=np.float32)
    keeper = _Keeper(store, model, asked.series)
    with ProgressBar(plan.forecasts, f"forecasting {bars.symbol}", enabled=progress) as bar:
        for i, keys in enumerate(asked.keys):
            records[:, i], found = store.read(asked.series, keys)
            bar.advance(int(found.sum()))
            for start, stop in _batches(~found):
                batch = keys[start:stop]
                made = _forecast(model, asked, i, plan.first + start, batch)
                records[start:stop, i] = made
                keeper.keep(batch, made)
                bar.advance(stop - start)
    return ForecastCube(plan.first, asked.schema, records)


@dataclass(frozen=True)
class PlanKeys:
    """What a plan asks of a store and of a model.

    Attributes:
        series: where the records are.
        schema: their fields.
        keys: one batch of keys a target, one key a day of the plan.
        returns: [target, row]: the return of bar row + 1.
    """

    series: SeriesId
    schema: Schema
    keys: tuple[RecordKeys, ...]
    returns: npt.NDArray[np.float64]

    @classmethod
    def of(cls, bars: Bars, model: Model, plan: ForecastPlan) -> PlanKeys:
        """The keys of all forecasts of a plan; no model is asked."""
        returns = bar_returns(bars)
        stamps = bars.timestamps.astype(np.int64)
        ends = np.arange(plan.first, plan.stop) - 1  # the forecast for day t sees t - 1 returns
        as_of = stamps[ends]
        schema = Schema.quantiles(model.levels)
        series = SeriesId(model.fingerprint, bars.symbol, schema.text)
        keys = []
        for i, target in enumerate(TARGETS):
            contexts = context_digests(stamps[1:], returns[i], ends, model.context_length)
            digests = record_digests(series, target, 1, as_of, contexts)
            keys.append(RecordKeys.of(digests, as_of, i, 1))
        return cls(series, schema, tuple(keys), returns)


@dataclass
class _Keeper:
    """Hands records to the store until it says that it cannot keep them."""

    store: ForecastStore
    model: Model
    series: SeriesId
    works: bool = True

    def keep(self, keys: RecordKeys, records: Records) -> None:
        if not self.works:
            return
        try:
            self.store.describe(self.series.model, describe_model(self.model))
            self.store.append(self.series, keys, records)
        except StoreWriteError as error:
            self.works = False
            warnings.warn(f"forecasts are not kept: {error}", StoreWarning, stacklevel=2)


def _forecast(
    model: Model, asked: PlanKeys, target: int, first_day: int, keys: RecordKeys
) -> Records:
    """Records of the days from first_day on, one for each key."""
    seen = model.context_length
    begin = 0 if seen is None else max(0, first_day - 1 - seen)
    end = first_day - 1 + len(keys) - 1  # the return of day t has index t - 1
    series = asked.returns[target, begin:end]
    start = first_day - 1 - begin
    if getattr(model, "seeded", False):
        seeded = cast(SeededModel, model)
        distribution = seeded.predict_each(series, start, seeds=keys.seeds())
    else:
        distribution = model.predict_each(series, start)
    records = asked.schema.encode(distribution)
    finite = np.isfinite(records).all(axis=1)
    if not finite.all():
        day = first_day + int(np.flatnonzero(~finite)[0])
        raise ArgumentError(f"{model.name} returned a forecast that is not finite for row {day}")
    return records


def _batches(missing: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of missing days as [start, stop), none longer than BATCH_DAYS."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [
        (at, min(at + BATCH_DAYS, int(stop)))
        for start, stop in edges.reshape(-1, 2)
        for at in range(int(start), int(stop), BATCH_DAYS)
    ]
