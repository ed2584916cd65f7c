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
    store: ForecastStore | None,
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
    returns = bar_returns(bars)
    schema = Schema.for_model(model)
    seeded = bool(getattr(model, "seeded", False))
    asked = None if store is None and not seeded else PlanKeys.of(bars, model, plan)
    keeper = None if store is None or asked is None else _Keeper(store, model, asked)
    records = np.empty((plan.days, len(TARGETS), schema.width), dtype=np.float32)
    with ProgressBar(plan.forecasts, f"forecasting {bars.symbol}", enabled=progress) as bar:
        for i in range(len(TARGETS)):
            found = np.zeros(plan.days, dtype=np.bool_)
            if keeper:
                records[:, i], found = keeper.read(i)
                bar.advance(int(found.sum()))
            for start, stop in _batches(~found):
                seeds = asked.keys[i][start:stop].seeds() if seeded and asked else None
                days = (plan.first + start, plan.first + stop)
                made = _forecast(model, schema, returns[i], days, seeds)
                records[start:stop, i] = made
                if keeper:
                    keeper.keep(i, start, stop, made)
                bar.advance(stop - start)
    return ForecastCube(plan.first, schema, records)


@dataclass(frozen=True)
class PlanKeys:
    """What a plan asks of a store.

    Attributes:
        series: where the records are.
        keys: one batch of keys a target, one key a day of the plan.
    """

    series: SeriesId
    keys: tuple[RecordKeys, ...]

    @classmethod
    def of(cls, bars: Bars, model: Model, plan: ForecastPlan) -> PlanKeys:
        """The keys of all forecasts of a plan; no model is asked."""
        returns = bar_returns(bars)
        stamps = bars.timestamps.astype(np.int64)
        ends = np.arange(plan.first, plan.stop) - 1  # the forecast for day t sees t - 1 returns
        as_of = stamps[ends]
        series = SeriesId(model.fingerprint, bars.symbol, Schema.for_model(model).text)
        keys = []
        for i, target in enumerate(TARGETS):
            contexts = context_digests(stamps[1:], returns[i], ends, model.context_length)
            digests = record_digests(series, target, 1, as_of, contexts)
            keys.append(RecordKeys.of(digests, as_of, i, 1))
        return cls(series, tuple(keys))


@dataclass
class _Keeper:
    """Reads from the store, and hands it records until it says that it cannot keep them."""

    store: ForecastStore
    model: Model
    asked: PlanKeys
    works: bool = True

    def read(self, target: int) -> tuple[Records, npt.NDArray[np.bool_]]:
        return self.store.read(self.asked.series, self.asked.keys[target])

    def keep(self, target: int, start: int, stop: int, records: Records) -> None:
        if not self.works:
            return
        try:
            self.store.describe(self.asked.series.model, describe_model(self.model))
            self.store.append(self.asked.series, self.asked.keys[target][start:stop], records)
        except StoreWriteError as error:
            self.works = False
            warnings.warn(f"forecasts are not kept: {error}", StoreWarning, stacklevel=3)


def _forecast(
    model: Model,
    schema: Schema,
    returns: npt.NDArray[np.float64],
    days: tuple[int, int],
    seeds: npt.NDArray[np.uint64] | None,
) -> Records:
    """Records of the days [days[0], days[1]); the return of day t is returns[t - 1]."""
    first, stop = days
    seen = model.context_length
    begin = 0 if seen is None else max(0, first - 1 - seen)
    series = returns[begin : stop - 2]
    if seeds is None:
        distribution = model.predict_each(series, first - 1 - begin)
    else:
        distribution = cast(SeededModel, model).predict_each(series, first - 1 - begin, seeds=seeds)
    records = schema.encode(distribution)
    finite = np.isfinite(records).all(axis=1)
    if not finite.all():
        day = first + int(np.flatnonzero(~finite)[0])
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
