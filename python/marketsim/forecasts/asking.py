"""Asks a model for the forecasts of a plan that are not known yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import ArgumentError
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.schema import Records, Schema
from marketsim.models import BatchedModel, Cost, CostedModel, Distribution, Model, SeededModel
from marketsim.progress import ProgressBar
from marketsim.timing import stage

if TYPE_CHECKING:
    from marketsim.forecasts.run import PlanKeys

# Forecasts of one call to a model that makes no batches of its own: enough to amortise its start,
# few enough for a lively bar.
BATCH_DAYS = 1024


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
