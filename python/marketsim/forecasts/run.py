"""Make the forecasts of plans, each once: read the store, and run the model for what it lacks."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import ArgumentError, StoreWarning, StoreWriteError
from marketsim.forecasts.cube import ForecastCube
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.plan_keys import PlanKeys
from marketsim.forecasts.schema import Records, Schema, check_made
from marketsim.forecasts.store.base import ForecastStore
from marketsim.models import Cost, Distribution, Model, describe_model
from marketsim.models.fingerprint import stored_as
from marketsim.models.inputs import ModelInputs
from marketsim.models.neural.estimate import CostedModel
from marketsim.models.protocol import BatchedModel, BatchForecasts, InputsModel, SeededModel
from marketsim.models.traits import ModelTraits, traits_of
from marketsim.progress import Progress, ProgressBar
from marketsim.timing import stage

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Forecasts per call of a model without its own batches: enough to amortise the call, few enough to
# keep the progress bar moving. Models that draw samples are slow.
BATCH_DAYS = 1024
BATCH_DRAWN = 16
BATCH_BARS = 128
STORED_TOGETHER = 16  # forecasts of several calls that are stored in one append
# Classes of models without an identity that were warned about.
_reported: set[type] = set()


def run_plan(
    bars: Bars | ReturnTable,
    model: Model,
    plan: ForecastPlan,
    *,
    store: ForecastStore | None,
    progress: Progress = True,
    targets: Collection[str] = TARGETS,
) -> ForecastCube:
    """Forecast every target on every bar of the plan; see `run_plans`."""
    return run_plans([(bars, plan)], model, store=store, progress=progress, targets=targets)[0]


def run_plans(
    planned: Sequence[tuple[Bars | ReturnTable, ForecastPlan]],
    model: Model,
    *,
    store: ForecastStore | None,
    progress: Progress = True,
    targets: Collection[str] = TARGETS,
) -> list[ForecastCube]:
    """Forecast every target on every bar and horizon of several plans, of one or many symbols.

    The model's inputs are exactly what the forecasts' keys cover, and it runs only for forecasts
    that the store lacks; a model with its own batches is called once for all of them. Forecasts
    from the store and from the model are equal. Each batch is stored as soon as it is made, so an
    interruption loses at most one batch. If the store cannot be written, or the model has no
    identity for keys, one StoreWarning says so and the run continues.

    Args:
        planned: (bars, plan) of each symbol.
        model: the model.
        store: store of forecasts; None for none.
        progress: show a progress bar on a terminal.
        targets: targets to forecast. Other targets are only read from the store, and are NaN if it
            lacks them; a joint model always forecasts all.

    Raises:
        ArgumentError: a forecast that is not finite, or that contradicts the model's traits.
        StoreMissError: the store was opened with require_complete, and lacks a forecast.
    """
    keeper = Keeper.of(store, model)
    with plans_bar(planned, progress) as bar:
        work = [look_up(one, model, keeper, targets, bar) for one in planned]
        make_missing(work, model, keeper, bar)
    return [one.cube for one in work]


@dataclass(frozen=True)
class PlanWork:
    """Forecasts of a plan that a store holds, and the plan of those that are missing.

    Attributes:
        cube: the forecasts; NaN where missing.
        table, plan: moves and plan of the forecasts.
        found: bool [bar, horizon, target], True where the forecast is known or not requested.
        keys: keys of the forecasts; None where none are stored and no seeds are needed.
    """

    cube: ForecastCube
    table: ReturnTable
    plan: ForecastPlan
    found: Flags
    keys: PlanKeys | None


def look_up(
    planned: tuple[Bars | ReturnTable, ForecastPlan],
    model: Model,
    keeper: Keeper | None,
    targets: Collection[str],
    bar: ProgressBar,
) -> PlanWork:
    """Look a plan up in the store; `bar` advances by the forecasts found."""
    bars, plan = planned
    traits = traits_of(model)
    table = ReturnTable.for_model(bars, model)
    most = traits.horizons
    if most is not None and plan.horizons[-1] > most:
        raise ArgumentError(
            f"{model.name} forecasts at most {most} steps ahead (trait horizons): got horizon "
            f"{plan.horizons[-1]}"
        )
    schema = Schema.for_model(model, table.targets)
    keys = PlanKeys.of(table, model, plan) if keeper or traits.seeded else None
    if keeper and keys:
        records, found = keeper.read(keys)
    else:
        shape = (plan.days, len(plan.horizons), len(TARGETS))
        records = np.full((*shape, schema.width), np.nan, dtype=np.float32)
        found = np.zeros(shape, dtype=np.bool_)
    if not traits.joint:
        found[..., [target not in targets for target in TARGETS]] = True
    found = _whole_bars(traits, found)
    bar.skip(int(found.sum()))
    return PlanWork(
        ForecastCube(plan.first, schema, records, plan.horizons), table, plan, found, keys
    )


def plans_bar(
    planned: Sequence[tuple[Bars | ReturnTable, ForecastPlan]], progress: Progress
) -> ProgressBar:
    """Return the progress bar of a run over plans."""
    total = sum(plan.forecasts for _, plan in planned)
    return ProgressBar(total, _title(planned), enabled=progress, unit="forecasts")


def _title(planned: Sequence[tuple[Bars | ReturnTable, ForecastPlan]]) -> str:
    symbols = list(dict.fromkeys(bars.symbol for bars, _ in planned))
    return f"forecasting {symbols[0] if len(symbols) == 1 else f'{len(symbols)} symbols'}"


def held(bars: Bars | ReturnTable, model: Model, plan: ForecastPlan, store: ForecastStore) -> Flags:
    """Find the forecasts of a plan that a store holds, bool [bar, horizon, target]."""
    traits = traits_of(model)
    if stored_as(model) is None:
        return np.zeros((plan.days, len(plan.horizons), len(TARGETS)), dtype=np.bool_)
    keys = PlanKeys.of(bars, model, plan)
    return _whole_bars(traits, keys.by_bar(store.read(keys.series, keys.batch)[1]))


def _whole_bars(traits: ModelTraits, found: Flags) -> Flags:
    """Restrict found forecasts of a joint model to bars with all their targets."""
    if not traits.joint:
        return found
    return np.repeat(found.all(axis=2, keepdims=True), found.shape[2], axis=2)


@dataclass
class Keeper:
    """Reader and writer of a model's forecasts in a store; stops writing when an append fails."""

    store: ForecastStore
    model: Model
    works: bool = True

    @classmethod
    def of(cls, store: ForecastStore | None, model: Model) -> Keeper | None:
        """Return the keeper of a model; None, with one warning, if its forecasts have no keys."""
        if store is None:
            return None
        if stored_as(model) is not None:
            return cls(store, model)
        if type(model) not in _reported:
            _reported.add(type(model))
            warnings.warn(
                f"forecasts of {model.name} are not stored: it states no identity, and its "
                "fingerprint alone may equal another model's. Give it `identity`, a "
                "marketsim.models.ModelIdentity, build it by marketsim.model_from(...), or pass "
                "store=False",
                StoreWarning,
                stacklevel=4,
            )
        return None

    def read(self, plan: PlanKeys) -> tuple[Records, Flags]:
        """Read records [bar, horizon, target, field], and whether each was found."""
        with stage("store read"):
            records, found = self.store.read(plan.series, plan.batch)
        return plan.by_bar(records), plan.by_bar(found)

    def keep(self, work: PlanWork, made: Sequence[Made]) -> None:
        """Store forecasts of a plan in one append; warn at the first failure."""
        if not self.works or work.keys is None or not made:
            return
        try:
            with stage("store append"):
                self._append(work.keys, made)
        except StoreWriteError as error:
            self.works = False
            warnings.warn(f"forecasts are not stored: {error}", StoreWarning, stacklevel=4)

    def _append(self, plan: PlanKeys, made: Sequence[Made]) -> None:
        self.store.describe(plan.series.model, describe_model(self.model))
        places, rows = [], []
        for piece, days, records in made:
            targets = np.arange(piece.targets.start, piece.targets.stop)
            steps = np.arange(piece.steps.start, piece.steps.stop)
            at = plan.places(targets[:, None, None], steps[None, :, None], days[None, None, :])
            flat = np.ascontiguousarray(records.swapaxes(0, 2)).reshape(len(at), -1)
            places.append(at)
            rows.append(flat)
        self.store.append(plan.series, plan.batch[np.concatenate(places)], np.concatenate(rows))


@dataclass(frozen=True)
class Piece:
    """Consecutive bars that are forecast in one call, for one target or all.

    Attributes:
        days: positions in the plan.
        targets: positions in `marketsim.bars.TARGETS`.
        steps: positions among the plan's horizons.
        horizon: steps that the model forecasts, the last of these horizons.
    """

    days: slice
    targets: slice
    steps: slice
    horizon: int

    @property
    def each(self) -> int:
        """Number of forecasts per bar: horizons times targets."""
        steps = self.steps.stop - self.steps.start
        return int(steps * (self.targets.stop - self.targets.start))

    @property
    def forecasts(self) -> int:
        """Number of forecasts."""
        return int(self.days.stop - self.days.start) * self.each


class Made(NamedTuple):
    """Forecasts of a piece: positions of bars in the plan, and [bar, horizon, target, field]."""

    piece: Piece
    days: Indices
    records: Records


class Call(NamedTuple):
    """Call of a model: the piece, its inputs, and the first input row to forecast."""

    piece: Piece
    inputs: ModelInputs
    start: int

    def series(self, traits: ModelTraits) -> npt.NDArray[np.float64]:
        """Return the values [time], or [target, time] for a joint model."""
        return self.inputs.values if traits.joint else self.inputs.values[0]


def make_missing(
    work: Sequence[PlanWork], model: Model, keeper: Keeper | None, bar: ProgressBar
) -> None:
    """Make the missing forecasts, write them into the cubes, and store each batch as it is made.

    Horizon 1 is requested by itself, so that its bits do not depend on other horizons.

    Raises:
        ArgumentError: a forecast that is not finite, or that contradicts the model's traits.
    """
    traits = traits_of(model)
    calls = calls_of(work, traits)

    def place(i: int, made: Made) -> None:
        piece, days, records = made
        _require_finite(work[i], model, days, records)
        steps, targets = (np.arange(part.start, part.stop) for part in (piece.steps, piece.targets))
        work[i].cube.records[np.ix_(days, steps, targets)] = records

    def place_batch(i: int, made: Made) -> None:
        place(i, made)
        if keeper:
            keeper.keep(work[i], [made])

    if traits.batched:
        for horizon in sorted({call.piece.horizon for _, call in calls}):
            chosen = [one for one in calls if one[1].piece.horizon == horizon]
            with stage("model"):
                _make_batches(work, chosen, model, horizon, place_batch, bar)
        return
    several = len({one.table.symbol for one in work}) > 1
    for i, each in itertools.groupby(calls, key=lambda one: one[0]):
        if several:
            bar.describe(f"forecasting {work[i].table.symbol}")
        waiting: list[Made] = []  # few forecasts of a symbol are stored in one append
        try:
            for _, call in each:
                with stage("model"):
                    forecasts = _make_one(work[i], model, traits, call)
                days = np.arange(call.piece.days.start, call.piece.days.stop)
                records = _records(work[i], model, forecasts, call.piece, len(days))
                place(i, made := Made(call.piece, days, records))
                waiting.append(made)
                bar.advance(call.piece.forecasts)
                if keeper and sum(one.piece.forecasts for one in waiting) >= STORED_TOGETHER:
                    keeper.keep(work[i], waiting)
                    waiting = []
        finally:  # an error or Ctrl-C in one target keeps the others
            if keeper:
                keeper.keep(work[i], waiting)


Place = Callable[[int, Made], None]


def _make_batches(
    work: Sequence[PlanWork],
    calls: Sequence[tuple[int, Call]],
    model: Model,
    horizon: int,
    place: Place,
    bar: ProgressBar,
) -> None:
    """Run a model's own batches over all calls; scatter each batch to the calls."""
    traits = traits_of(model)

    def take(batch: BatchForecasts) -> None:
        done, encoded = 0, {}
        for which in np.unique(batch.series):
            i, call = calls[which]
            piece = call.piece
            steps = work[i].plan.horizons[piece.steps]
            if steps not in encoded:  # plans of other horizons share batches
                count = len(batch.series)
                encoded[steps] = _records(work[i], model, batch.distribution, piece, count)
            part = batch.series == which
            place(i, Made(piece, batch.days[part] + piece.days.start, encoded[steps][part]))
            done += int(part.sum()) * piece.each
        bar.advance(done)

    def started(made: int) -> None:
        if made == 0:  # reported once, before the first batch
            bar.advance(0)

    cast(BatchedModel, model).predict_batches(
        [call.series(traits) for _, call in calls],
        [call.start for _, call in calls],
        take,
        horizon=horizon,
        on_progress=started,
    )


def _make_one(work: PlanWork, model: Model, traits: ModelTraits, call: Call) -> Distribution:
    piece = call.piece
    if traits.timestamps:
        dated = cast(InputsModel, model)
        return dated.predict_inputs(call.inputs, call.start, horizon=piece.horizon)
    series = call.series(traits)
    if not traits.seeded:
        return model.predict_each(series, call.start, horizon=piece.horizon)
    assert work.keys is not None
    seeds = work.keys.seeds[piece.targets.start, piece.days]
    drawing = cast(SeededModel, model)
    return drawing.predict_each(series, call.start, horizon=piece.horizon, seeds=seeds)


def cost_of(bars: Bars | ReturnTable, model: CostedModel, plan: ForecastPlan, found: Flags) -> Cost:
    """Estimate the cost of the forecasts that the store lacks, without running the model."""
    assert isinstance(model, Model)
    traits = traits_of(model)
    calls = list(_calls(ReturnTable.for_model(bars, model), traits, plan, found))
    return model.cost([call.series(traits) for call in calls], [call.start for call in calls])


def calls_of(work: Sequence[PlanWork], traits: ModelTraits) -> list[tuple[int, Call]]:
    """List the model calls for the missing forecasts, each with the index of its plan."""
    return [
        (i, call)
        for i, one in enumerate(work)
        for call in _calls(one.table, traits, one.plan, one.found)
    ]


def _calls(
    table: ReturnTable, traits: ModelTraits, plan: ForecastPlan, found: Flags
) -> Iterator[Call]:
    """Yield the model calls for missing forecasts, with exactly the rows that their keys cover."""
    if found.all():
        return
    longest = BATCH_DRAWN if traits.draws else BATCH_DAYS
    longest = BATCH_BARS if traits.bars else longest  # windows that share batches
    for piece in _pieces(found, plan, traits, len(found) if traits.batched else longest):
        inputs = table.inputs(traits, piece.targets)
        # The move of bar t is row t - 1 of the inputs; the forecast of bar t reads t - 1 of them.
        first, stop = plan.first + piece.days.start - 1, plan.first + piece.days.stop - 2
        begin = 0 if traits.rows is None else max(0, first - traits.rows)
        yield Call(piece, inputs.part(begin, stop), first - begin)


def _pieces(found: Flags, plan: ForecastPlan, traits: ModelTraits, longest: int) -> Iterator[Piece]:
    """Yield runs of missing bars, none longer than `longest`; horizon 1 by itself."""
    whole = slice(0, len(TARGETS))
    ones = int(plan.horizons[0] == 1)
    for part in (slice(0, ones), slice(ones, len(plan.horizons))):
        if part.start == part.stop:
            continue
        targets = [whole] if traits.joint else [slice(i, i + 1) for i in range(len(TARGETS))]
        for some in targets:
            missing = np.logical_not(found[:, part, some].all(axis=(1, 2)))
            for days in _runs(missing, longest):
                yield Piece(days, some, part, plan.horizons[part.stop - 1])


def _runs(missing: Flags, longest: int) -> Sequence[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [
        slice(at, min(at + longest, int(stop)))
        for start, stop in edges.reshape(-1, 2)
        for at in range(int(start), int(stop), longest)
    ]


def _records(
    work: PlanWork, model: Model, distribution: Distribution, piece: Piece, count: int
) -> Records:
    """Encode forecasts [forecast, (target,) horizon] as [forecast, horizon, target, width]."""
    schema, traits = work.cube.schema, traits_of(model)
    shape = (count, *((len(TARGETS),) if traits.joint else ()), piece.horizon)
    check_made(model.name, traits, distribution, shape)
    with stage("head"):
        parts = [schema.encode(distribution, h) for h in work.plan.horizons[piece.steps]]
    return np.stack([part if traits.joint else part[:, None] for part in parts], axis=1)


def _require_finite(work: PlanWork, model: Model, days: Indices, records: Records) -> None:
    finite = np.isfinite(records).all(axis=(1, 2, 3))
    if not finite.all():
        raise not_finite(work, model, int(days[np.flatnonzero(~finite)[0]]))


def not_finite(work: PlanWork, model: Model, day: int) -> ArgumentError:
    """Return the error for a forecast that is not finite, by its bar in the plan."""
    return ArgumentError(
        f"{model.name} returned a forecast that is not finite for row {work.plan.first + day} "
        f"of {work.table.symbol}"
    )
