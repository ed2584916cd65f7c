"""Make the forecasts of plans on a device and leave them there."""

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
    Made,
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
from marketsim.progress import Progress
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.model import NeuralModel
    from marketsim.models.neural.results import DeviceBatch


def run_plans_on(
    planned: Sequence[tuple[Bars | ReturnTable, ForecastPlan]],
    model: Model,
    device: str,
    *,
    store: ForecastStore | None,
    progress: Progress = True,
    targets: Collection[str] = TARGETS,
) -> list[DeviceCube]:
    """Make forecasts as `run_plans` does, with bit-identical cubes on a device.

    Stored forecasts are uploaded in one copy. Forecasts made on that device (Toto 1.0) stay there;
    copies for the store go to the host while the next batch runs. Other models, and models on
    another device, run as in `run_plans`, and their forecasts are uploaded together.

    Args:
        planned, model, store, progress, targets: as in `run_plans`.
        device: "cpu", "cuda" or "cuda:<index>".

    Raises:
        ArgumentError, StoreMissError: as `run_plans`.
        UnknownNameError, CudaUnavailableError, CudaError: as `ForecastCube.to`.
    """
    place = find_place(device, {}, work=1)
    one_step = all(plan.horizons == (1,) for _, plan in planned)
    if place is None or not one_step or not stays(model, place):
        made = run_plans(planned, model, store=store, progress=progress, targets=targets)
        return to_device_together(made, place)
    keeper, traits = Keeper.of(store, model), traits_of(model)
    with plans_bar(planned, progress) as bar:
        work = [look_up(one, model, keeper, targets, bar) for one in planned]
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
                finally:  # store the last batch even after an interruption
                    sink.finish()
    return cubes


def stays(model: Model, place: Place) -> bool:
    """Whether a model makes its forecasts on that device and can leave them there."""
    if not traits_of(model).stays_on_device:
        return False
    own = cast("NeuralModel", model).execution.torch_device
    if own.type != place.device.type:
        return False
    return own.type == "cpu" or (place.platform.place(own.index).device == place.device)


def _whole(cubes: Sequence[DeviceCube], width: int) -> torch.Tensor:
    """Return the records [row, width] of cubes that were uploaded together, in order."""
    rows = sum(cube.records.shape[0] for cube in cubes) * len(TARGETS)
    return cubes[0].records.as_strided((rows, width), (width, 1), 0)


class _Transfer(NamedTuple):
    """Asynchronous copy of a batch's records to the host.

    Attributes:
        ready: function that waits for the copy.
        rows: rows of the records among all records.
        records: the records; None without a store.
        sound: whether each record is a valid forecast.
        parameters: parameters of the records, on the device.
    """

    ready: Callable[[], None]
    rows: npt.NDArray[np.int64]
    records: torch.Tensor | None
    sound: torch.Tensor
    parameters: torch.Tensor


@dataclass
class _Sink:
    """Receiver of a model's batches: writes them on the device and, for a store, on the host.

    Attributes:
        place: the device.
        model: the model.
        work: plans in progress; their cubes take the host copies.
        calls: calls of the model, each with the index of its `work`.
        on_device: all records on the device, [row, field].
        keeper: keeper that stores each batch; None without a store.
    """

    place: Place
    model: Model
    work: Sequence[PlanWork]
    calls: Sequence[tuple[int, Call]]
    on_device: torch.Tensor
    keeper: Keeper | None
    _pending: _Transfer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        days = [len(one.cube) for one in self.work]
        self._first = np.concatenate([[0], np.cumsum(days)]).astype(np.int64)
        # First row of each call; rows are bars times targets.
        self._starts = np.array(
            [
                (self._first[i] + call.piece.days.start) * len(TARGETS) + call.piece.targets.start
                for i, call in self.calls
            ]
        )

    def take(self, batch: DeviceBatch) -> None:
        """Write a batch's records on the device, start its copy, and finish the previous one."""
        variates = batch.parameters.shape[1]
        first = self._starts[batch.series] + batch.days * len(TARGETS)
        rows = (first[:, None] + np.arange(variates)).reshape(-1)
        width = self.on_device.shape[1]
        records, sound = mixture_records_on_device(batch.parameters.reshape(-1, width))
        (index,) = upload(self.place, [rows])
        self.on_device.index_copy_(0, index, records)
        kept = self.keeper is not None
        copies = [self._copied(values) for values in ((sound, records) if kept else (sound,))]
        transfer = _Transfer(
            self.place.mark(), rows, copies[1] if kept else None, copies[0], batch.parameters
        )
        self.finish()
        self._pending = transfer

    def _copied(self, values: torch.Tensor) -> torch.Tensor:
        staged = self.place.staging(values.shape, values.dtype)
        return staged.copy_(values, non_blocking=True)

    def finish(self) -> None:
        """Wait for the copy of the last batch, check and store its records.

        Raises:
            ArgumentError: the model returned an invalid forecast.
        """
        transfer, self._pending = self._pending, None
        if transfer is None:
            return
        transfer.ready()
        if not bool(transfer.sound.all()):
            raise self._wrong(transfer)
        if transfer.records is not None:
            self._spread(transfer.rows, transfer.records.numpy())

    def _spread(self, rows: npt.NDArray[np.int64], records: npt.NDArray[np.float32]) -> None:
        """Copy records to the host cubes and store them."""
        days, targets = np.divmod(rows, len(TARGETS))
        which = np.searchsorted(self._first, days, side="right") - 1
        for i in np.unique(which):
            part = which == i
            at = days[part] - self._first[i]
            work = self.work[i]
            work.cube.records[at, 0, targets[part]] = records[part]
            for target in np.unique(targets[part]):
                some = targets[part] == target
                piece = Piece(slice(0), slice(target, target + 1), slice(0, 1), 1)
                if self.keeper:
                    kept = Made(piece, at[some], records[part][some][:, None, None])
                    self.keeper.keep(work, [kept])

    def _wrong(self, transfer: _Transfer) -> Exception:
        """Return the error that the same record raises on the host."""
        width = self.on_device.shape[1]
        values: Any = transfer.parameters.reshape(-1, 1, width).cpu().numpy()
        StudentTMixture(*mixture_parts(values))  # raises for an invalid mixture
        row = int(transfer.rows[np.flatnonzero(~transfer.sound.numpy())[0]]) // len(TARGETS)
        i = int(np.searchsorted(self._first, row, side="right")) - 1
        return not_finite(self.work[i], self.model, row - int(self._first[i]))
