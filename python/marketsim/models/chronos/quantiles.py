"""Chronos models that forecast quantiles: Chronos-Bolt and Chronos-2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.chronos.config import ChronosConfig
from marketsim.models.chronos.model import Array, ChronosModel, Progress, given_values
from marketsim.models.chronos.pipeline import BuiltPipeline
from marketsim.models.contexts import check_horizon, read_series
from marketsim.models.distribution import QuantileDistribution
from marketsim.models.neural.batching import Batch, BatchRunner, Indices, Row, bucket
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution
from marketsim.models.neural.model import VARIATES
from marketsim.models.protocol import BatchForecasts, Contexts
from marketsim.models.traits import ModelTraits, joint_columns
from marketsim.timing import stage


class ChronosQuantileModel(ChronosModel):
    """A Chronos-Bolt or Chronos-2 pipeline: forecasts are the quantiles at its own levels.

    Quantiles that cross are put in order. Means and standard deviations are those of the
    distribution between the quantiles; the pipeline itself would call its median the mean. Beyond
    the steps that it forecasts at once the pipeline goes on in its own way, and says so.

    Results do not depend, but for the rounding of float32, on what else is in a batch.

    Args:
        checkpoint: its files, or a pipeline.
        execution: device and precision.
        context_length: how many last values a forecast sees; None for as many as it can.
        variates: "independent", or "joint" to forecast a symbol's targets from the past of all,
            which Chronos-2 can.
    """

    version = 1

    def __init__(
        self,
        checkpoint: Checkpoint | BuiltPipeline,
        execution: Execution,
        *,
        context_length: int | None = None,
        variates: str = "independent",
    ) -> None:
        super().__init__(checkpoint, execution, context_length=context_length)
        if variates not in VARIATES:
            raise UnknownNameError("variates", str(variates), VARIATES)
        if variates == "joint" and not self.config.joint:
            raise ArgumentError(
                f"{self.name} forecasts each series by itself: variates='joint' is for Chronos-2"
            )
        self.joint = variates == "joint"
        self.levels = tuple(sorted(self.config.levels))

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return replace(
            super().traits, columns=joint_columns(self.joint), joint=self.joint, batched=True
        )

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {"joint": self.joint}

    @cached_property
    def batches(self) -> BatchRunner:
        """Batch runner; counts how often memory was insufficient."""
        return BatchRunner(self.execution.max_tokens(self.config.bytes_per_token))

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Chronos-2 sees the variates of [batch, variate, time] together; other models, and all other
        forms, take each series by itself.

        Raises:
            ArgumentError: a context without an observed value, infinite values, or shapes that
                differ.
        """
        steps = check_horizon(horizon)
        rows, shape = self.context_rows(contexts, mask, together=self.config.joint)
        made = self._forecast(rows, steps)
        return QuantileDistribution(self.levels, made.reshape(*shape, steps, len(self.levels)))

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model`."""
        return self.predict_each_of([series], [start], horizon=horizon)[0]

    def predict_each_of(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        *,
        horizon: int = 1,
        on_progress: Progress | None = None,
    ) -> list[QuantileDistribution]:
        """`predict_each` of several series, which share batches."""
        steps = check_horizon(horizon)
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        parts = [
            np.empty((array.shape[-1] - start + 1, *array.shape[:-1], steps, len(self.levels)))
            for array, start in zip(arrays, starts, strict=True)
        ]

        def place(which: Indices, days: Indices, variates: Indices, made: Array) -> None:
            for i, day, variate, one in zip(which, days, variates, made, strict=True):
                into = parts[i][day]
                if arrays[i].ndim == 1:
                    into[...] = one[0]
                else:
                    into[variate : variate + len(one)] = one

        self._each(arrays, starts, steps, place, on_progress)
        return [QuantileDistribution(self.levels, part) for part in parts]

    def predict_batches(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        take: Callable[[BatchForecasts], None],
        *,
        horizon: int = 1,
        on_progress: Progress | None = None,
    ) -> None:
        """`predict_each_of`, each batch handed to `take` as soon as it is made.

        Series are all [time], or all [variate, time] for a model that sees variates together.

        Raises:
            ArgumentError: [variate, time] for a model that takes each series by itself.
        """
        steps = check_horizon(horizon)
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        flat = all(array.ndim == 1 for array in arrays)
        if not flat and not self.config.joint:
            raise ArgumentError(f"{self.name} takes each series by itself: give them as [time]")

        def place(which: Indices, days: Indices, variates: Indices, made: Array) -> None:
            values = made[:, 0] if flat else made
            take(BatchForecasts(which, days, QuantileDistribution(self.levels, values)))

        self._each(arrays, starts, steps, place, on_progress)

    def _each(
        self,
        arrays: Sequence[Array],
        starts: Sequence[int],
        steps: int,
        place: Callable[[Indices, Indices, Indices, Array], None],
        on_progress: Progress | None,
    ) -> None:
        """Pass on each batch: series, day and first variate of each row, and its quantiles."""
        together = self.config.joint
        # Series with other numbers of variates are other batches, and other shapes of results.
        for shape in sorted({array.shape[:-1] for array in arrays}):
            rows: list[Row] = []
            of: list[tuple[int, int, int]] = []
            for i, array in enumerate(arrays):
                if array.shape[:-1] != shape:
                    continue
                more = self.series_rows(array, starts[i], len(rows), together=together)
                groups = len(more) // (array.shape[-1] - starts[i] + 1)
                of += [(i, *divmod(at, groups)) for at in range(len(more))]
                rows += more
            places = np.array(of, dtype=np.int64).reshape(-1, 3)

            def work(slots: Indices, made: Array, places: Indices = places) -> None:
                which, days, variates = places[slots].T
                place(which, days, variates, made)

            self._run(rows, steps, work, on_progress)

    def _forecast(self, rows: list[Row], steps: int) -> Array:
        """Compute quantiles [row, variate, step, level] of rows with equal numbers of variates."""
        if not rows:
            return np.empty((0, 1, steps, len(self.levels)))
        made = np.empty((len(rows), rows[0].variates, steps, len(self.levels)))

        def take(slots: Indices, quantiles: Array) -> None:
            made[slots] = quantiles

        self._run(rows, steps, take, None)
        return made

    def _run(
        self,
        rows: list[Row],
        steps: int,
        take: Callable[[Indices, Array], None],
        on_progress: Progress | None,
    ) -> None:
        """Pass on the slots of each batch of rows, and its quantiles."""
        order = np.argsort(self.config.levels)
        patch = self.config.patch if self.config.aligned else 1
        widened = [_widened(row, self.config) for row in rows]

        def work(batch: Batch) -> Array:
            return self._quantiles(np.stack([given_values(row) for row in batch.rows]), steps)

        for batch, quantiles in self.batches.run(widened, patch, work, equal=True):
            slots = np.concatenate([row.slots for row in batch.rows])
            # quantiles: [row, variate, level, step]
            take(slots, np.sort(quantiles[:, :, order], axis=2).swapaxes(2, 3))
            if on_progress is not None:
                on_progress(len(slots))

    def _quantiles(self, values: npt.NDArray[np.float32], steps: int) -> Array:
        """Run the pipeline on contexts [row, variate, time]: [row, variate, level, step]."""
        pipeline = self.pipeline
        import torch

        contexts = torch.from_numpy(values)
        with stage("encode"), torch.inference_mode():  # its results are on the CPU
            if self.config.joint:
                parts = pipeline.predict(contexts, prediction_length=steps)
                found = torch.stack(list(parts))
            else:
                found = pipeline.predict(contexts[:, 0], prediction_length=steps)[:, None]
        return np.asarray(found.numpy(), dtype=np.float64)


def _widened(row: Row, config: ChronosConfig) -> Row:
    """Pad a row at its start with as many missing values as its length requires.

    What is computed from it then does not depend on which others stand in its batch.
    """
    size = row.values.shape[-1]
    if not config.aligned:
        return row
    width = min(bucket(-(-size // config.patch)) * config.patch, config.context_length)
    room = ((0, 0), (max(0, width - size), 0))
    return Row(np.pad(row.values, room), np.pad(row.observed, room), row.ends, row.slots)
