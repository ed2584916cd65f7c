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


def ask(
    table: ReturnTable,
    model: Model,
    plan: ForecastPlan,
    schema: Schema,
    found: npt.NDArray[np.bool_],
    seeds: PlanKeys | None,
    bar: ProgressBar,
) -> Iterator[tuple[Piece, Records]]:
    """Each piece of what is missing, with its records [day, target, width].

    A model that makes batches of its own gets all pieces at once: passes of several targets share
    batches, and a day's pass serves others.

    Args:
        table, model, plan: what is asked of whom.
        schema: how the forecasts become records.
        found: bool [day, target], what is known already.
        seeds: keys that seeds derive from, for a `SeededModel`.
        bar: told of each forecast that is made.

    Raises:
        ArgumentError: the model returned a forecast that is not finite.
    """
    calls = _calls(table, model, plan, found)
    if not calls:
        return
    if isinstance(model, BatchedModel):
        with stage("model"):
            made = model.predict_each_of(
                [call.series for call in calls],
                [call.start for call in calls],
                on_progress=bar.advance,
            )
        for call, distribution in zip(calls, made, strict=True):
            piece = call.piece
            yield piece, _records(model, schema, distribution, plan.first + piece.days.start)
        return
    for call in calls:
        piece, series, start = call
        with stage("model"):
            if seeds is None:
                one = model.predict_each(series, start)
            else:
                seed = seeds.keys[piece.targets.start][piece.days].seeds()
                one = cast(SeededModel, model).predict_each(series, start, seeds=seed)
        yield piece, _records(model, schema, one, plan.first + piece.days.start)
        bar.advance(piece.forecasts)


def cost_of(
    bars: Bars, model: CostedModel, plan: ForecastPlan, found: npt.NDArray[np.bool_]
) -> Cost:
    """What `ask` will cost with the same arguments; the model is not run."""
    assert isinstance(model, Model)
    calls = _calls(ReturnTable.of(bars), model, plan, found)
    return model.cost([call.series for call in calls], [call.start for call in calls])


class _Call(NamedTuple):
    """A piece, and what `predict_each` is asked for it."""

    piece: Piece
    series: npt.NDArray[np.float64]
    start: int


def _calls(
    table: ReturnTable, model: Model, plan: ForecastPlan, found: npt.NDArray[np.bool_]
) -> list[_Call]:
    """What a model is asked for what is missing."""
    if found.all():
        return []
    batched = isinstance(model, BatchedModel)
    joint = bool(getattr(model, "joint", False))
    pieces = _pieces(found, joint, len(found) if batched else BATCH_DAYS)
    return [_Call(piece, *_seen(table.returns, model, plan, piece, joint)) for piece in pieces]


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


def _records(model: Model, schema: Schema, distribution: Distribution, first: int) -> Records:
    """Records [day, target, width] of forecasts [day, 1] or [day, target, 1]."""
    with stage("head"):
        records = schema.encode(distribution)
    records = records if records.ndim > 2 else records[:, None]
    finite = np.isfinite(records).all(axis=(1, 2))
    if not finite.all():
        day = first + int(np.flatnonzero(~finite)[0])
        raise ArgumentError(f"{model.name} returned a forecast that is not finite for row {day}")
    return records
