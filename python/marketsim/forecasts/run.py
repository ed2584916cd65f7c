"""Makes the forecasts of a plan, each once: from the store, or by the model."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import ArgumentError, StoreWarning, StoreWriteError
from marketsim.forecasts.cube import ForecastCube
from marketsim.forecasts.keys import PlanKeys
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.schema import Records, Schema
from marketsim.forecasts.store.base import ForecastStore
from marketsim.models import (
    BatchedModel,
    Cost,
    CostedModel,
    Distribution,
    Model,
    SeededModel,
    describe_model,
)
from marketsim.progress import ProgressBar
from marketsim.timing import stage

# Forecasts of one call to a model that makes no batches of its own: enough to amortise its start,
# few enough for a lively bar.
BATCH_DAYS = 1024


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


@dataclass(frozen=True)
class Piece:
    """Days without a gap that are forecast together, of one target or of all.

    Attributes:
        days: positions in the plan.
        targets: positions in `marketsim.bars.TARGETS`.
    """

    days: slice
    targets: slice

    @property
    def forecasts(self) -> int:
        """How many forecasts it is."""
        days = self.days.stop - self.days.start
        return int(days * (self.targets.stop - self.targets.start))


@dataclass(frozen=True)
class Request:
    """What is asked of a model for one plan.

    Attributes:
        table, plan: what is to be forecast from what.
        found: bool [day, target], what is known already.
        seeds: keys that seeds derive from, for a `SeededModel`.
    """

    table: ReturnTable
    plan: ForecastPlan
    found: npt.NDArray[np.bool_]
    seeds: PlanKeys | None = None


def ask(
    requests: Sequence[Request], model: Model, schema: Schema, bar: ProgressBar
) -> Iterator[tuple[int, Piece, Records]]:
    """Each piece of what is missing: position of its request, and records [day, target, width].

    A model that makes batches of its own gets all pieces at once: passes of several targets and
    symbols share batches, and a day's pass serves others.

    Args:
        requests: what is asked for.
        model: who is asked.
        schema: how the forecasts become records.
        bar: told of each forecast that is made.

    Raises:
        ArgumentError: the model returned a forecast that is not finite.
    """
    calls = calls_of(requests, model)
    if not calls:
        return
    if isinstance(model, BatchedModel):
        with stage("model"):
            made = model.predict_each_of(
                [call.series for _, call in calls],
                [call.start for _, call in calls],
                on_progress=bar.advance,
            )
        for (i, call), distribution in zip(calls, made, strict=True):
            yield i, call.piece, _records(requests[i], model, schema, distribution, call.piece)
        return
    for i, call in calls:
        with stage("model"):
            one = _ask_once(requests[i], model, call)
        yield i, call.piece, _records(requests[i], model, schema, one, call.piece)
        bar.advance(call.piece.forecasts)


def calls_of(requests: Sequence[Request], model: Model) -> list[tuple[int, Call]]:
    """What a model is asked for what is missing, with the positions of the requests."""
    return [
        (i, call)
        for i, request in enumerate(requests)
        for call in _calls(request.table, model, request.plan, request.found)
    ]


def _ask_once(request: Request, model: Model, call: Call) -> Distribution:
    if request.seeds is None:
        return model.predict_each(call.series, call.start)
    seeds = request.seeds.keys[call.piece.targets.start][call.piece.days].seeds()
    return cast(SeededModel, model).predict_each(call.series, call.start, seeds=seeds)


def cost_of(
    bars: Bars, model: CostedModel, plan: ForecastPlan, found: npt.NDArray[np.bool_]
) -> Cost:
    """What `ask` will cost with the same arguments; the model is not run."""
    assert isinstance(model, Model)
    calls = _calls(ReturnTable.of(bars), model, plan, found)
    return model.cost([call.series for call in calls], [call.start for call in calls])


class Call(NamedTuple):
    """A piece, and what `predict_each` is asked for it."""

    piece: Piece
    series: npt.NDArray[np.float64]
    start: int


def _calls(
    table: ReturnTable, model: Model, plan: ForecastPlan, found: npt.NDArray[np.bool_]
) -> list[Call]:
    """What a model is asked for what is missing."""
    if found.all():
        return []
    batched = isinstance(model, BatchedModel)
    joint = bool(getattr(model, "joint", False))
    pieces = _pieces(found, joint, len(found) if batched else BATCH_DAYS)
    return [Call(piece, *_seen(table.returns, model, plan, piece, joint)) for piece in pieces]


def _pieces(found: npt.NDArray[np.bool_], joint: bool, longest: int) -> Iterator[Piece]:
    """Runs of missing days, none longer than `longest`."""
    groups = [slice(0, len(TARGETS))] if joint else [slice(i, i + 1) for i in range(len(TARGETS))]
    for targets in groups:
        for days in _runs(~found[:, targets.start], longest):
            yield Piece(days, targets)


def _runs(missing: npt.NDArray[np.bool_], longest: int) -> Sequence[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [
        slice(at, min(at + longest, int(stop)))
        for start, stop in edges.reshape(-1, 2)
        for at in range(int(start), int(stop), longest)
    ]


def _seen(
    returns: npt.NDArray[np.float64], model: Model, plan: ForecastPlan, piece: Piece, joint: bool
) -> tuple[npt.NDArray[np.float64], int]:
    """What `predict_each` is handed for a piece: the part of the returns that its days' keys cover.

    The return of day t is returns[:, t - 1].
    """
    first, stop = plan.first + piece.days.start, plan.first + piece.days.stop
    seen = model.context_length
    begin = 0 if seen is None else max(0, first - 1 - seen)
    part = returns[piece.targets, begin : stop - 2]
    return (part if joint else part[0]), first - 1 - begin


def _records(
    request: Request, model: Model, schema: Schema, distribution: Distribution, piece: Piece
) -> Records:
    """Records [day, target, width] of forecasts [day, 1] or [day, target, 1]."""
    with stage("head"):
        records = schema.encode(distribution)
    records = records if records.ndim > 2 else records[:, None]
    finite = np.isfinite(records).all(axis=(1, 2))
    if not finite.all():
        day = piece.days.start + int(np.flatnonzero(~finite)[0])
        raise not_finite(request, model, day)
    return records


def not_finite(request: Request, model: Model, day: int) -> ArgumentError:
    """The error of a forecast for a day of a plan that is not finite."""
    return ArgumentError(
        f"{model.name} returned a forecast that is not finite for row {request.plan.first + day} "
        f"of {request.table.symbol}"
    )
