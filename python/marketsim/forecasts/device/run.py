"""Make the forecasts of a plan on a device and keep them there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.forecasts.device.cube import DeviceCube, to_device_together
from marketsim.forecasts.device.schema import mixture_records_on_device
from marketsim.forecasts.plan import ForecastPlan, ReturnTable
from marketsim.forecasts.run import (
    Call,
    Keeper,
    Piece,
    PlanWork,
    calls_of,
    look_up,
    not_finite,
    plans_bar,
    run_plans,
)
from marketsim.forecasts.schema import mixture_parts
from marketsim.forecasts.store.base import ForecastStore
from marketsim.kernels.cuda.arrays import upload
from marketsim.kernels.cuda.place import Place, find_place
from marketsim.models import Model, StudentTMixture
from marketsim.models.traits import traits_of
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.model import NeuralModel
    from marketsim.models.neural.results import DeviceBatch


def run_plans_on(
    wanted: Sequence[tuple[Bars | ReturnTable, ForecastPlan]],
    model: Model,
    device: str,
    *,
    store: ForecastStore | None,
    progress: bool = True,
    targets: Collection[str] = TARGETS,
) -> list[DeviceCube]:
    """`run_plans` whose cubes are on a device; their records are the same bits.

    What the store holds is uploaded in one copy. What a model makes on that very device stays
    there, and only the copies for the store come to the host, while the next batch is on its way;
    that is so of Toto 1.0. The forecasts of all other models, and of models on another device, are
    made as `run_plans` makes them and uploaded together.

    Args:
        wanted, model, store, progress, targets: as in `run_plans`.
        device: "cpu", "cuda" or "cuda:<index>".

    Raises:
        ArgumentError, StoreMissError: as `run_plans`.
        UnknownNameError, CudaUnavailableError, CudaError: as `ForecastCube.to`.
    """
    place = find_place(device, {}, work=1)
    one_step = all(plan.horizons == (1,) for _, plan in wanted)
    if place is None or not one_step or not stays(model, place):
        made = run_plans(wanted, model, store=store, progress=progress, targets=targets)
        return to_device_together(made, place)
    keeper, traits = Keeper.of(store, model), traits_of(model)
    with plans_bar(wanted, progress) as bar:
        work = [look_up(one, model, keeper, targets, bar) for one in wanted]
        cubes = to_device_together([one.cube for one in work], place)
        calls = calls_of(work, traits)
        if calls:
            on_device = _whole(cubes, work[0].cube.schema.width)
            sink = _Sink(place, model, work, calls, on_device, keeper)
            with stage("model"):
                try:
                    cast("NeuralModel", model).parameters_each_of(
                        [call.series(traits) for _, call in calls],
                        [call.start for _, call in calls],
                        sink.take,
                        on_progress=bar.advance,
                    )
                finally:  # what was copied for the last batch is kept, also if this is interrupted
                    sink.finish()
    return cubes


def stays(model: Model, place: Place) -> bool:
    """Whether the forecasts that a model makes are on that device, and can stay there."""
    if not traits_of(model).stays_on_device:
        return False
    own = cast("NeuralModel", model).execution.torch_device
    if own.type != place.device.type:
        return False
    return own.type == "cpu" or (place.platform.place(own.index).device == place.device)


def _whole(cubes: Sequence[DeviceCube], width: int) -> torch.Tensor:
    """The records [row, width] of cubes that were uploaded together, in their order."""
    rows = sum(cube.records.shape[0] for cube in cubes) * len(TARGETS)
    return cubes[0].records.as_strided((rows, width), (width, 1), 0)


class _OnTheWay(NamedTuple):
    """Records of a batch that are being copied to the host.

    Attributes:
        ready: waits until they are there.
        rows: which of all records they are.
        records: None where no store wants them.
        sound: whether each is a forecast.
        parameters: what they were made of, on the device.
    """

    ready: Callable[[], None]
    rows: npt.NDArray[np.int64]
    records: torch.Tensor | None
    sound: torch.Tensor
    parameters: torch.Tensor


@dataclass
class _Sink:
    """Puts a model's batches where they belong, on the device and, for a store, on the host.

    Attributes:
        place, model: where, and whose.
        work: what is made; its cubes take the host's copies.
        calls: the model's calls, each with the index of its `work`.
        on_device: all records on the device, [row, field].
        keeper: stores each batch; None where none is stored.
    """

    place: Place
    model: Model
    work: Sequence[PlanWork]
    calls: Sequence[tuple[int, Call]]
    on_device: torch.Tensor
    keeper: Keeper | None
    _before: _OnTheWay | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        days = [len(one.cube) for one in self.work]
        self._first = np.concatenate([[0], np.cumsum(days)]).astype(np.int64)
        # Of each call: the first row that it fills, of days times targets, and how many a day.
        self._starts = np.array(
            [
                (self._first[i] + call.piece.days.start) * len(TARGETS) + call.piece.targets.start
                for i, call in self.calls
            ]
        )

    def take(self, batch: DeviceBatch) -> None:
        """Records of a batch; what was copied for the one before is read."""
        variates = batch.parameters.shape[1]
        first = self._starts[batch.series] + batch.days * len(TARGETS)
        rows = (first[:, None] + np.arange(variates)).reshape(-1)
        width = self.on_device.shape[1]
        records, sound = mixture_records_on_device(batch.parameters.reshape(-1, width))
        (index,) = upload(self.place, [rows])
        self.on_device.index_copy_(0, index, records)
        kept = self.keeper is not None
        copies = [self._copied(values) for values in ((sound, records) if kept else (sound,))]
        way = _OnTheWay(
            self.place.mark(), rows, copies[1] if kept else None, copies[0], batch.parameters
        )
        self.finish()
        self._before = way

    def _copied(self, values: torch.Tensor) -> torch.Tensor:
        staged = self.place.staging(values.shape, values.dtype)
        return staged.copy_(values, non_blocking=True)

    def finish(self) -> None:
        """Read what was copied for the last batch.

        Raises:
            ArgumentError: the model returned a forecast that is none.
        """
        way, self._before = self._before, None
        if way is None:
            return
        way.ready()
        if not bool(way.sound.all()):
            raise self._wrong(way)
        if way.records is not None:
            self._spread(way.rows, way.records.numpy())

    def _spread(self, rows: npt.NDArray[np.int64], records: npt.NDArray[np.float32]) -> None:
        """Copy records to the cubes of the host."""
        days, targets = np.divmod(rows, len(TARGETS))
        which = np.searchsorted(self._first, days, side="right") - 1
        for i in np.unique(which):
            mine = which == i
            at = days[mine] - self._first[i]
            work = self.work[i]
            work.cube.records[at, 0, targets[mine]] = records[mine]
            for target in np.unique(targets[mine]):
                some = targets[mine] == target
                piece = Piece(slice(0), slice(target, target + 1), slice(0, 1), 1)
                if self.keeper:
                    self.keeper.keep(work, piece, at[some], records[mine][some][:, None, None])

    def _wrong(self, way: _OnTheWay) -> Exception:
        """The error that the same record raises on the host."""
        width = self.on_device.shape[1]
        values: Any = way.parameters.reshape(-1, 1, width).cpu().numpy()
        StudentTMixture(*mixture_parts(values))  # raises for what is no mixture
        row = int(way.rows[np.flatnonzero(~way.sound.numpy())[0]]) // len(TARGETS)
        i = int(np.searchsorted(self._first, row, side="right")) - 1
        return not_finite(self.work[i], self.model, row - int(self._first[i]))
