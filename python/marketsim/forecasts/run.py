"""Make the forecasts of a plan, each once: read from the store, or run the model."""

from __future__ import annotations

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
from marketsim.progress import ProgressBar
from marketsim.timing import stage

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Forecasts of one call to a model that makes no batches of its own: enough to amortise its start,
# few enough to keep the progress bar moving. Models that draw samples are slow.
BATCH_DAYS = 1024
BATCH_DRAWN = 16
# Classes of models without an identity for which the warning was given.
_reported: set[type] = set()


def run_plan(
    bars: Bars | ReturnTable,
    model: Model,
    plan: ForecastPlan,
    *,
    store: ForecastStore | None,
    progress: bool = True,
    targets: Collection[str] = TARGETS,
) -> ForecastCube:
    """Forecast every target on every bar of the plan; see `run_plans`."""
    return run_plans([(bars, plan)], model, store=store, progress=progress, targets=targets)[0]


def run_plans(
    wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]],
    model: Model,
    *,
    store: ForecastStore | None,
    progress: bool = True,
    targets: Collection[str] = TARGETS,
) -> list[ForecastCube]:
    """Forecast every target on every bar and horizon of several plans, of one symbol or of many.

    The model is given exactly what the forecasts' keys cover, and only where the store lacks a
    forecast; a model that makes batches of its own is called once for all of them. Forecasts from
    the store and from the model are the same. Each batch is stored as soon as it is made, so an
    interruption costs one batch. Where the store cannot keep forecasts, or the model has no
    identity to key them by, a StoreWarning says so once, and the run goes on.

    A model does not forecast targets outside `targets`, unless it forecasts a bar's targets
    together; where the store does not have them either, their records are NaN.

    Raises:
        ArgumentError: a forecast that is not finite, or not what the model's traits say.
        StoreMissError: the store was opened with require_complete, and lacks one.
    """
    keeper = Keeper.of(store, model)
    with plans_bar(wanted, progress) as bar:
        work = [look_up(one, model, keeper, targets, bar) for one in wanted]
        make_missing(work, model, keeper, bar)
    return [one.cube for one in work]


@dataclass(frozen=True)
class PlanWork:
    """A plan's forecasts as far as a store has them, and what is to be made.

    Attributes:
        cube: the forecasts; NaN where there is none yet.
        table, plan: what is to be forecast from what.
        found: bool [bar, horizon, target], what is known already or not wanted.
        keys: what they are kept by; None where nothing is kept and no seeds are needed.
    """

    cube: ForecastCube
    table: ReturnTable
    plan: ForecastPlan
    found: Flags
    keys: PlanKeys | None


def look_up(
    wanted: tuple[Bars | ReturnTable, ForecastPlan],
    model: Model,
    keeper: Keeper | None,
    targets: Collection[str],
    bar: ProgressBar,
) -> PlanWork:
    """Look a plan up in the store; `bar` advances by what is found."""
    bars, plan = wanted
    traits = traits_of(model)
    table = ReturnTable.of(bars, traits.kind)
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
    wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]], progress: bool
) -> ProgressBar:
    """The bar of a run over plans."""
    total = sum(plan.forecasts for _, plan in wanted)
    return ProgressBar(total, _title(wanted), enabled=progress, unit="forecasts")


def _title(wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]]) -> str:
    symbols = list(dict.fromkeys(bars.symbol for bars, _ in wanted))
    return f"forecasting {symbols[0] if len(symbols) == 1 else f'{len(symbols)} symbols'}"


def held(bars: Bars | ReturnTable, model: Model, plan: ForecastPlan, store: ForecastStore) -> Flags:
    """What a store holds of a plan, bool [bar, horizon, target]; the model is not run."""
    traits = traits_of(model)
    if stored_as(model) is None:
        return np.zeros((plan.days, len(plan.horizons), len(TARGETS)), dtype=np.bool_)
    keys = PlanKeys.of(bars, model, plan)
    return _whole_bars(traits, keys.by_bar(store.read(keys.series, keys.batch)[1]))


def _whole_bars(traits: ModelTraits, found: Flags) -> Flags:
    """Which forecasts exist; of a joint model a bar counts only with all its targets."""
    if not traits.joint:
        return found
    return np.repeat(found.all(axis=2, keepdims=True), found.shape[2], axis=2)


@dataclass
class Keeper:
    """Reads from the store and appends to it until an append fails."""

    store: ForecastStore
    model: Model
    works: bool = True

    @classmethod
    def of(cls, store: ForecastStore | None, model: Model) -> Keeper | None:
        """The keeper of a model's forecasts; None, and once a warning, where they have no key."""
        if store is None:
            return None
        if stored_as(model) is not None:
            return cls(store, model)
        if type(model) not in _reported:
            _reported.add(type(model))
            warnings.warn(
                f"forecasts of {model.name} are not stored: it states no identity, and a "
                "fingerprint alone does not tell it from another model. Give it `identity`, a "
                "marketsim.models.ModelIdentity, build it by marketsim.model_from(...), or pass "
                "store=False",
                StoreWarning,
                stacklevel=4,
            )
        return None

    def read(self, plan: PlanKeys) -> tuple[Records, Flags]:
        """Records [bar, horizon, target, field], and whether each is there."""
        with stage("store read"):
            records, found = self.store.read(plan.series, plan.batch)
        return plan.by_bar(records), plan.by_bar(found)

    def keep(self, work: PlanWork, piece: Piece, days: Indices, records: Records) -> None:
        """Keep records [bar, horizon, target, field] of some bars; warns where that fails first."""
        if not self.works or work.keys is None:
            return
        try:
            with stage("store append"):
                self._append(work.keys, piece, days, records)
        except StoreWriteError as error:
            self.works = False
            warnings.warn(f"forecasts are not kept: {error}", StoreWarning, stacklevel=4)

    def _append(self, plan: PlanKeys, piece: Piece, days: Indices, records: Records) -> None:
        self.store.describe(plan.series.model, describe_model(self.model))
        targets = np.arange(piece.targets.start, piece.targets.stop)
        steps = np.arange(piece.steps.start, piece.steps.stop)
        keys = plan.some(targets[:, None, None], steps[None, :, None], days[None, None, :])
        flat = np.ascontiguousarray(records.swapaxes(0, 2)).reshape(len(keys), -1)
        self.store.append(plan.series, keys, flat)


@dataclass(frozen=True)
class Piece:
    """Bars without a gap that are forecast together, of one target or of all.

    Attributes:
        days: positions in the plan.
        targets: positions in `marketsim.bars.TARGETS`.
        steps: positions among the plan's horizons.
        horizon: steps that the model forecasts: the last of these horizons.
    """

    days: slice
    targets: slice
    steps: slice
    horizon: int

    @property
    def each(self) -> int:
        """How many forecasts of each bar it is: horizons times targets."""
        steps = self.steps.stop - self.steps.start
        return int(steps * (self.targets.stop - self.targets.start))

    @property
    def forecasts(self) -> int:
        """How many forecasts it is."""
        return int(self.days.stop - self.days.start) * self.each


class Call(NamedTuple):
    """A piece, what a model is given for it, and from how many rows on it forecasts."""

    piece: Piece
    inputs: ModelInputs
    start: int

    def series(self, traits: ModelTraits) -> npt.NDArray[np.float64]:
        """The values [time], or [target, time] for a model of all targets together."""
        return self.inputs.values if traits.joint else self.inputs.values[0]


def make_missing(
    work: Sequence[PlanWork], model: Model, keeper: Keeper | None, bar: ProgressBar
) -> None:
    """Make what is missing, put it into the cubes, and keep each batch as it is made.

    Horizon 1 is requested by itself, so that it is the same bits whichever others are wanted.

    Raises:
        ArgumentError: a forecast that is not finite, or not what the model's traits say.
    """
    traits = traits_of(model)
    calls = calls_of(work, traits)

    def place(i: int, piece: Piece, days: Indices, records: Records) -> None:
        _require_finite(work[i], model, days, records)
        steps, targets = (np.arange(part.start, part.stop) for part in (piece.steps, piece.targets))
        work[i].cube.records[np.ix_(days, steps, targets)] = records
        if keeper:
            keeper.keep(work[i], piece, days, records)

    if traits.batched:
        for horizon in sorted({call.piece.horizon for _, call in calls}):
            mine = [one for one in calls if one[1].piece.horizon == horizon]
            with stage("model"):
                _make_batches(work, mine, model, horizon, place, bar)
        return
    for i, call in calls:
        with stage("model"):
            made = _make_one(work[i], model, traits, call)
        days = np.arange(call.piece.days.start, call.piece.days.stop)
        place(i, call.piece, days, _records(work[i], model, made, call.piece, len(days)))
        bar.advance(call.piece.forecasts)


Place = Callable[[int, Piece, Indices, Records], None]


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
            mine = batch.series == which
            place(i, piece, batch.days[mine] + piece.days.start, encoded[steps][mine])
            done += int(mine.sum()) * piece.each
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
    """Cost of the forecasts that are missing from the store; the model is not run."""
    assert isinstance(model, Model)
    traits = traits_of(model)
    calls = list(_calls(ReturnTable.of(bars, traits.kind), traits, plan, found))
    return model.cost([call.series(traits) for call in calls], [call.start for call in calls])


def calls_of(work: Sequence[PlanWork], traits: ModelTraits) -> list[tuple[int, Call]]:
    """The calls that make what is missing, each with the index of its plan."""
    return [
        (i, call)
        for i, one in enumerate(work)
        for call in _calls(one.table, traits, one.plan, one.found)
    ]


def _calls(
    table: ReturnTable, traits: ModelTraits, plan: ForecastPlan, found: Flags
) -> Iterator[Call]:
    """The calls that make what is missing, each given the rows that its keys cover."""
    if found.all():
        return
    longest = BATCH_DRAWN if traits.draws else BATCH_DAYS
    for piece in _pieces(found, plan, traits, len(found) if traits.batched else longest):
        inputs = table.inputs(traits, piece.targets)
        # The move of bar t is row t - 1 of the inputs; the forecast of bar t sees t - 1 of them.
        first, stop = plan.first + piece.days.start - 1, plan.first + piece.days.stop - 2
        begin = 0 if traits.rows is None else max(0, first - traits.rows)
        yield Call(piece, inputs.part(begin, stop), first - begin)


def _pieces(found: Flags, plan: ForecastPlan, traits: ModelTraits, longest: int) -> Iterator[Piece]:
    """Runs of missing bars, none longer than `longest`; horizon 1 by itself."""
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
    """Records [forecast, horizon, target, width] of forecasts [forecast, (target,) horizon]."""
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
    """The error of a forecast for a bar of a plan that is not finite."""
    return ArgumentError(
        f"{model.name} returned a forecast that is not finite for row {work.plan.first + day} "
        f"of {work.table.symbol}"
    )
