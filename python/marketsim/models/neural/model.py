"""Models with weights: from contexts to batches, and from outputs to forecasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import UnknownNameError
from marketsim.models.contexts import (
    check_context_length,
    check_horizon,
    check_values,
    read_contexts,
    read_series,
)
from marketsim.models.distribution import Distribution
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.neural.batching import (
    Batch,
    BatchRunner,
    Indices,
    Row,
    RowGroup,
    aligned_rows,
    as_variates,
    bucket,
    known_values,
    variates_of,
    window_row,
)
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.cost import Cost, NetworkSizes, batch_cost
from marketsim.models.neural.device import Execution, compiled
from marketsim.models.neural.estimate import Expectation, expect
from marketsim.models.neural.results import DeviceBatch, Pending, staying
from marketsim.models.protocol import BatchForecasts, Contexts
from marketsim.models.shown import ShownModel
from marketsim.models.traits import ModelTraits, joint_columns
from marketsim.timing import stage

if TYPE_CHECKING:
    import torch

    from marketsim.models.neural.blocks import Rotation

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]
Progress = Callable[[int], None]
# Whether the targets of a symbol are series by themselves, as the old code has them, or of one.
VARIATES = ("independent", "joint")
# What a model has only once it has run: it is left out of a pickle, and made again on use.
_LOADED = ("network", "batches", "_call")


class NeuralModel(ShownModel, ABC):
    """Base of models with a causal network over patches.

    Weights are read when the first forecast is made: a run that finds all it needs in a store loads
    none.

    Attributes:
        name: the hub id, or the folder's name.
        context_length: how many last values a forecast depends on; None for all.
        levels: the quantile levels that forecasts are reported at.
        checkpoint: its files.
        execution: device, precision and compilation.
        joint: whether the four targets of a symbol are forecast together, as variates of one
            series, instead of each by itself.
    """

    # Part of the fingerprint: raise it with every change that may change a forecast.
    version: int
    levels: tuple[float, ...]
    # What happens to a context before the network; part of the fingerprint.
    preprocessing = "last value known in place of NaN, 0 before the first; float32"
    # Whether `parameters_each_of` can leave forecasts on the device.
    stays_on_device = False

    def __init__(
        self,
        checkpoint: Checkpoint,
        execution: Execution,
        *,
        context_length: int | None,
        variates: str,
    ) -> None:
        if variates not in VARIATES:
            raise UnknownNameError("variates", str(variates), VARIATES)
        self.name = checkpoint.name
        self.checkpoint = checkpoint
        self.context_length = check_context_length(context_length)
        self.execution = execution.check()
        self.joint = variates == "joint"

    @property
    def components(self) -> int:
        """Number of Student-t components of a forecast; 0 for quantiles."""
        return 0

    @property
    @abstractmethod
    def patch(self) -> int:
        """Number of steps per patch."""

    @property
    def reach(self) -> int:
        """Number of steps that one pass forecasts."""
        return self.patch

    @property
    @abstractmethod
    def sizes(self) -> NetworkSizes:
        """Sizes of the network, from which costs are computed."""

    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""

    @abstractmethod
    def _load(self) -> Any:
        """Load the network with its weights, on the CPU in float32."""

    @abstractmethod
    def sample_network(self, layers: int) -> Any:
        """Build a network with random weights and `layers` layers along time, for timing."""

    @abstractmethod
    def rotation(self, numbers: Indices, centre: float = 0.0) -> Rotation:
        """Return rotary factors of patch numbers on the model's device."""

    @abstractmethod
    def bytes_per_token(self) -> int:
        """Upper bound of the memory per patch in a forward pass, in bytes."""

    @abstractmethod
    def _shareable(self, values: Values, observed: Flags, ends: Indices) -> Flags:
        """Whether values[:, :end] may share a pass with longer contexts, for each end."""

    @abstractmethod
    def _launch(self, batch: Batch, steps: int) -> Pending:
        """Start the forecasts of up to `reach` steps of a batch."""

    @abstractmethod
    def _launch_long(self, batch: Batch, horizon: int) -> Pending:
        """Start the forecasts of more steps; all rows have one end and one length."""

    @abstractmethod
    def _distribution(self, parameters: Array) -> Distribution:
        """Make forecasts of shape [...] from their parameters [..., width]."""

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(
            levels=self.levels,
            rows=self.context_length,
            columns=joint_columns(self.joint),
            joint=self.joint,
            components=self.components,
            batched=True,
            costed=True,
            device=self.execution.device,
            dtype=self.execution.dtype,
            compiled=self.execution.compile,
            stays_on_device=self.stays_on_device,
        )

    @property
    def identity(self) -> ModelIdentity:
        """Identity: everything that a forecast depends on besides its context."""
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            weights=self.checkpoint.digest,
            configuration={"joint": self.joint, **self._options()},
            preprocessing=self.preprocessing,
            libraries=self.execution.libraries,
            kernel=self.execution.kernel,
            dtype=self.execution.dtype,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        with stage("load"):  # reads the weights, too
            return self.identity.fingerprint

    @cached_property
    def network(self) -> Any:
        """Network, loaded on first use."""
        with stage("load", settle=self.execution.settle):
            return self.execution.prepare(self._load())

    @cached_property
    def batches(self) -> BatchRunner:
        """Batch runner; counts how often memory was insufficient."""
        most = self.execution.max_tokens(self.bytes_per_token())
        return BatchRunner(most, bucketed=self.execution.compile)

    def __getstate__(self) -> dict[str, Any]:
        """What pickles: the files and options; a copy reads the weights itself on first use."""
        return {name: value for name, value in vars(self).items() if name not in _LOADED}

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> Distribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        [batch, variate, time] are series that the model sees together, each row of a list or of
        [batch, time] one that it sees alone.

        Raises:
            ArgumentError: a context without an observed value, infinite values, or shapes that
                differ.
        """
        steps = check_horizon(horizon)
        rows, shape = self._context_rows(contexts, mask)
        made = self._forecast(rows, shape[0], shape[1] if len(shape) > 1 else 1, steps)
        return self._distribution(made if len(shape) > 1 else made[:, 0])

    def predict_each(self, series: npt.ArrayLike, start: int, *, horizon: int = 1) -> Distribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model.predict_each`.

        All days whose numbers differ by whole patches take one pass. A day for which that would not
        give what `predict` gives is forecast by itself.
        """
        return self.predict_each_of([series], [start], horizon=horizon)[0]

    def predict_each_of(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        *,
        horizon: int = 1,
        on_progress: Progress | None = None,
    ) -> list[Distribution]:
        """`predict_each` of several series, whose passes share batches.

        Args:
            series: each [time] or [variate, time]; variates of one are seen together.
            starts: the first t of each.
            horizon: how many steps.
            on_progress: called with 0 first, then with the number of forecasts of each batch.
        """
        steps = check_horizon(horizon)
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        parts: list[Distribution | None] = [None] * len(arrays)
        for group in self._grouped(arrays, starts, steps):
            slots = group.slots
            made = self._forecast(group.rows, slots[-1], group.variates, steps, on_progress)
            for i, first, stop in zip(group.series, slots, slots[1:], strict=False):
                part = made[first:stop]
                parts[i] = self._distribution(part if arrays[i].ndim > 1 else part[:, 0])
        return [part for part in parts if part is not None]

    def predict_batches(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        take: Callable[[BatchForecasts], None],
        *,
        horizon: int = 1,
        on_progress: Progress | None = None,
    ) -> None:
        """`predict_each_of`, each batch handed to `take` as soon as it is made."""
        steps = check_horizon(horizon)
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        for group in self._grouped(arrays, starts, steps):
            flat = arrays[group.series[0]].ndim == 1

            def hand_over(
                slots: Indices, pending: Pending, group: RowGroup = group, flat: bool = flat
            ) -> None:
                made = pending()
                which, days = group.places(slots)
                take(BatchForecasts(which, days, self._distribution(made[:, 0] if flat else made)))

            self._run(group.rows, steps, hand_over, on_progress)

    def parameters_each_of(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        take: Callable[[DeviceBatch], None],
        *,
        on_progress: Progress | None = None,
    ) -> None:
        """Compute what `predict_each_of` makes one step ahead; results stay on the device.

        `take` gets each batch, in torch's inference mode, once the next one has been started.

        Raises:
            ArgumentError: the model's forecasts are made on the host (`stays_on_device` is False).
        """
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        for group in self._grouped(arrays, starts, 1):

            def hand_over(slots: Indices, pending: Pending, group: RowGroup = group) -> None:
                take(DeviceBatch(*group.places(slots), staying(pending, self.name)))

            self._run(group.rows, 1, hand_over, on_progress)

    def cost(self, series: Sequence[npt.ArrayLike], starts: Sequence[int]) -> Cost:
        """Compute the cost of `predict_each_of` for one step; reads no weights.

        Rows and batches are planned by the same code, from the same values.
        """
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        total, bucketed = Cost(), self.execution.compile
        for group in self._grouped(arrays, starts, 1):
            for batch in self.batches.plan(group.rows, self.patch):
                total += batch_cost(self.sizes, batch, self.patch, steps=1, bucketed=bucketed)
        return total

    def expect(self, cost: Cost) -> Expectation:
        """Estimate time and memory of forecasts of a cost, at the current speed of this machine."""
        return expect(self, cost)

    def _grouped(
        self, arrays: Sequence[Array], starts: Sequence[int], steps: int
    ) -> Iterator[RowGroup]:
        """Group the rows of series with equal numbers of variates, which can share batches."""
        for variates in sorted({variates_of(array) for array in arrays}):
            mine = [i for i, array in enumerate(arrays) if variates_of(array) == variates]
            rows: list[Row] = []
            slots = [0]
            for i in mine:
                rows += self._series_rows(arrays[i], starts[i], steps, slots[-1])
                slots.append(slots[-1] + arrays[i].shape[-1] - starts[i] + 1)
            yield RowGroup(variates, mine, rows, slots)

    def _context_rows(
        self, contexts: Contexts, mask: npt.ArrayLike | None
    ) -> tuple[list[Row], tuple[int, ...]]:
        """Make a row for each context; return (context,) or (context, variate) as batch shape."""
        flat, masks, shape = read_contexts(contexts, mask)
        if masks is None:
            masks = [np.ones(row.shape, dtype=np.bool_) for row in flat]
        variates = shape[1] if len(shape) > 1 else 1
        rows = []
        groups = zip(as_variates(flat, variates), as_variates(masks, variates), strict=True)
        for slot, (values, observed) in enumerate(groups):
            size = values.shape[-1]
            rows.append(window_row(values, observed, size, slot, self.context_length))
        return rows, shape

    def _series_rows(self, series: Array, start: int, horizon: int, first_slot: int) -> list[Row]:
        """Make the rows for series[..., :t] for all t in start .. T."""
        values = np.atleast_2d(series)
        observed = ~np.isnan(values)
        for i, variate in enumerate(values):
            check_values(variate[:start], i)
            check_values(variate, i)
        ends = np.arange(start, values.shape[-1] + 1)
        slots = first_slot + np.arange(len(ends))
        shared = np.zeros(len(ends), dtype=np.bool_)
        if horizon <= self.reach:
            shared = np.asarray(self._shareable(*known_values(values, observed), ends))
            if self.context_length is not None:
                shared &= ends <= self.context_length
        rows = aligned_rows(values, observed, ends[shared], slots[shared], self.patch)
        for end, slot in zip(ends[~shared].tolist(), slots[~shared].tolist(), strict=True):
            rows.append(window_row(values, observed, end, slot, self.context_length))
        return rows

    def _forecast(
        self,
        rows: list[Row],
        count: int,
        variates: int,
        horizon: int,
        on_progress: Progress | None = None,
    ) -> Array:
        """Compute parameters [count, variate, horizon, width] of the rows' forecasts."""
        made = np.empty((count, variates, horizon, self._width))

        def take(slots: Indices, pending: Pending) -> None:
            made[slots] = pending()

        self._run(rows, horizon, take, on_progress)
        return made

    def _run(
        self,
        rows: list[Row],
        horizon: int,
        take: Callable[[Indices, Pending], None],
        on_progress: Progress | None,
    ) -> None:
        """Yield the outputs of each batch of rows, and their slots."""
        with stage("load"):
            import torch

            if rows:
                _ = self.network
        if on_progress is not None:
            on_progress(0)
        before: tuple[Batch, Pending] | None = None

        def collect(batch: Batch, pending: Pending) -> None:
            slots = np.concatenate([row.slots for row in batch.rows])
            with stage("head"):
                take(slots, pending)
            if on_progress is not None:
                on_progress(len(slots))

        def launch(batch: Batch) -> Pending:
            if horizon <= self.reach:
                with stage("prepare"):
                    return self._launch(batch, horizon)
            with stage("encode", settle=self.execution.settle):
                return self._launch_long(batch, horizon)

        equal = horizon > self.reach
        with torch.inference_mode():
            # One batch behind: while a GPU works on a batch, the next one is prepared.
            try:
                for after in self.batches.run(rows, self.patch, launch, equal=equal):
                    done, before = before, after
                    if done is not None:
                        collect(*done)
            finally:  # an interruption costs the batch that is being made, not the one before
                if before is not None:
                    collect(*before)

    @property
    @abstractmethod
    def _width(self) -> int:
        """Number of parameters of a forecast."""

    @cached_property
    def _call(self) -> Any:
        """Network as a function, compiled if requested: once for each shape of a batch."""
        execution = self.execution
        network = compiled(self.network, execution) if execution.compile else self.network

        def call(*arguments: Any) -> Any:
            with stage("encode", settle=execution.settle):
                return network(*arguments)

        return call

    def _places(self, places: Indices) -> torch.Tensor:
        """Copy patch numbers to the device, padded by repetition to a bucketed shape."""
        if self.execution.compile:
            places = np.concatenate([places, np.zeros(bucket(len(places)) - len(places), np.int64)])
        return self.to_device(places)

    def to_device(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """An array on the model's device; the copy to a GPU does not hold up the CPU."""
        import torch

        tensor = torch.from_numpy(array)
        if self.execution.device == "cpu":
            return tensor
        return tensor.pin_memory().to(self.execution.torch_device, non_blocking=True)
