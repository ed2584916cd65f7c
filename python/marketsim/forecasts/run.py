"""Makes the forecasts of a plan, each once: from the store, or by the model."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import StoreWarning, StoreWriteError
from marketsim.forecasts.asking import Piece, Request, ask
from marketsim.forecasts.cube import ForecastCube
from marketsim.forecasts.keys import RecordKeys, SeriesId, context_digests, record_digests
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.schema import Records, Schema
from marketsim.forecasts.store.base import ForecastStore
from marketsim.models import Model, describe_model
from marketsim.progress import ProgressBar
from marketsim.timing import stage


def run_plan(
    bars: Bars | ReturnTable,
    model: Model,
    plan: ForecastPlan,
    *,
    store: ForecastStore | None,
    progress: bool = True,
    targets: Collection[str] = TARGETS,
) -> ForecastCube:
    """Forecast every target on every day of the plan; see `run_plans`."""
    return run_plans([(bars, plan)], model, store=store, progress=progress, targets=targets)[0]


def run_plans(
    wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]],
    model: Model,
    *,
    store: ForecastStore | None,
    progress: bool = True,
    targets: Collection[str] = TARGETS,
) -> list[ForecastCube]:
    """Forecast every target on every day of several plans, of one symbol or of many.

    The model is handed the one-bar returns of one target that the days' keys cover, nothing else,
    and only where the store lacks a forecast; a model that makes batches of its own is asked once
    for all of them. The result is the same whether a forecast comes from the store or from the
    model. Where the store cannot keep what is made, a StoreWarning says so once, and the run goes
    on.

    A model is not asked for targets outside `targets`, unless it forecasts a day's targets
    together; where the store does not have them either, their records are NaN.

    Raises:
        ArgumentError: the model returned a forecast that is not finite.
        StoreMissError: the store was told that it must hold everything, and does not.
    """
    schema = Schema.for_model(model)
    keeper = None if store is None else Keeper(store, model)
    with plans_bar(wanted, progress) as bar:
        work = [look_up(one, model, schema, keeper, targets, bar) for one in wanted]
        for i, piece, made in ask([one.request for one in work], model, schema, bar):
            work[i].cube.records[piece.days, piece.targets] = made
            if keeper:
                keeper.keep(work[i], piece, made)
    return [one.cube for one in work]


class PlanWork(NamedTuple):
    """A plan's forecasts as far as a store has them, and what is to be made.

    Attributes:
        cube: the forecasts; NaN where there is none yet.
        request: what is to be asked of the model.
        keys: what they are kept by; None where nothing is kept and no seeds are needed.
    """

    cube: ForecastCube
    request: Request
    keys: PlanKeys | None


def look_up(
    wanted: tuple[Bars | ReturnTable, ForecastPlan],
    model: Model,
    schema: Schema,
    keeper: Keeper | None,
    targets: Collection[str],
    bar: ProgressBar,
) -> PlanWork:
    """What the store has of a plan; `bar` is told how much that is."""
    bars, plan = wanted
    table = ReturnTable.of(bars)
    seeded = bool(getattr(model, "seeded", False))
    asked = PlanKeys.of(table, model, plan) if keeper or seeded else None
    if keeper and asked:
        records, found = keeper.read(asked)
    else:
        shape = (plan.days, len(TARGETS))
        records = np.full((*shape, schema.width), np.nan, dtype=np.float32)
        found = np.zeros(shape, dtype=np.bool_)
    if not getattr(model, "joint", False):
        found[:, [target not in targets for target in TARGETS]] = True
    found = _whole_days(model, found)
    bar.skip(int(found.sum()))
    request = Request(table, plan, found, asked if seeded else None)
    return PlanWork(ForecastCube(plan.first, schema, records), request, asked)


def plans_bar(
    wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]], progress: bool
) -> ProgressBar:
    """The bar of a run over plans."""
    total = sum(plan.forecasts for _, plan in wanted)
    return ProgressBar(total, _title(wanted), enabled=progress, unit="forecasts")


def _title(wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]]) -> str:
    symbols = list(dict.fromkeys(bars.symbol for bars, _ in wanted))
    return f"forecasting {symbols[0] if len(symbols) == 1 else f'{len(symbols)} symbols'}"


def held(
    bars: Bars, model: Model, plan: ForecastPlan, store: ForecastStore
) -> npt.NDArray[np.bool_]:
    """What `run_plan` would find in the store, bool [day, target]; no model is asked."""
    asked = PlanKeys.of(bars, model, plan)
    found = [store.read(asked.series, keys)[1] for keys in asked.keys]
    return _whole_days(model, np.stack(found, axis=1))


def _whole_days(model: Model, found: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What need not be made: of a model that forecasts a day's targets together, whole days."""
    if not getattr(model, "joint", False):
        return found
    return np.repeat(found.all(axis=1, keepdims=True), found.shape[1], axis=1)


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


@dataclass
class Keeper:
    """Reads from the store, and hands it records until it says that it cannot keep them."""

    store: ForecastStore
    model: Model
    works: bool = True

    def read(self, asked: PlanKeys) -> tuple[Records, npt.NDArray[np.bool_]]:
        """Records [day, target, field], and whether each is there [day, target]."""
        with stage("store read"):
            records, found = self.store.read(asked.series, asked.batch)
        by_target = records.reshape(len(TARGETS), -1, records.shape[1])
        there = found.reshape(len(TARGETS), -1)
        return np.ascontiguousarray(by_target.swapaxes(0, 1)), np.ascontiguousarray(there.T)

    def keep(self, work: PlanWork, piece: Piece, records: Records) -> None:
        """Keep the records of a piece of a plan; warns where that fails for the first time."""
        if not self.works or work.keys is None:
            return
        try:
            with stage("store append"):
                self._append(work.keys, piece, records)
        except StoreWriteError as error:
            self.works = False
            warnings.warn(f"forecasts are not kept: {error}", StoreWarning, stacklevel=4)

    def _append(self, asked: PlanKeys, piece: Piece, records: Records) -> None:
        self.store.describe(asked.series.model, describe_model(self.model))
        for i in range(piece.targets.start, piece.targets.stop):
            mine = np.ascontiguousarray(records[:, i - piece.targets.start])
            self.store.append(asked.series, asked.keys[i][piece.days], mine)
