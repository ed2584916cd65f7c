"""Chronos models that state quantiles: Chronos-Bolt and Chronos-2."""

from __future__ import annotations

from collections.abc import Sequence
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
from marketsim.models.neural.batching import Batch, BatchRunner, Row, bucket
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution
from marketsim.models.neural.model import VARIATES
from marketsim.models.protocol import Contexts
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

    def options(self) -> dict[str, Any]:
        """The options that change a forecast, for the fingerprint."""
        return {"joint": self.joint}

    @cached_property
    def batches(self) -> BatchRunner:
        """How rows are put together, and how often memory did not suffice."""
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
        """`predict_each` of several series, which share batches; see `BatchedModel`."""
        steps = check_horizon(horizon)
        arrays = [read_series(one, start) for one, start in zip(series, starts, strict=True)]
        parts: list[tuple[int, Array]] = []
        # Series with other numbers of variates are other batches, and other shapes of results.
        for variates in sorted({array.shape[:-1] for array in arrays}):
            mine = [i for i, array in enumerate(arrays) if array.shape[:-1] == variates]
            rows: list[Row] = []
            counts = []
            for i in mine:
                more = self.series_rows(arrays[i], starts[i], len(rows), together=self.config.joint)
                rows += more
                counts.append(arrays[i].shape[-1] - starts[i] + 1)
            made = self._forecast(rows, steps, on_progress)
            made = made.reshape(-1, *variates, steps, len(self.levels))
            parts += zip(mine, np.split(made, np.cumsum(counts)[:-1]), strict=True)
        return [QuantileDistribution(self.levels, part) for _, part in sorted(parts, key=_first)]

    def _forecast(self, rows: list[Row], steps: int, on_progress: Progress | None = None) -> Array:
        """Quantiles [row, variate, step, level] of rows that all have as many variates."""
        if not rows:
            return np.empty((0, 1, steps, len(self.levels)))
        order = np.argsort(self.config.levels)
        patch = self.config.patch if self.config.aligned else 1
        widened = [_widened(row, self.config) for row in rows]
        made = np.empty((len(rows), rows[0].variates, steps, len(self.levels)))

        def work(batch: Batch) -> Array:
            return self._quantiles(np.stack([given_values(row) for row in batch.rows]), steps)

        for batch, quantiles in self.batches.run(widened, patch, work, equal=True):
            slots = np.concatenate([row.slots for row in batch.rows])
            # quantiles: [row, variate, level, step]
            made[slots] = np.sort(quantiles[:, :, order], axis=2).swapaxes(2, 3)
            if on_progress is not None:
                on_progress(len(slots))
        return made

    def _quantiles(self, values: npt.NDArray[np.float32], steps: int) -> Array:
        """What the pipeline says [row, variate, level, step] of contexts [row, variate, time]."""
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
    """A row with missing values at its start, as many as its own length asks for.

    What is computed from it then does not depend on which others stand in its batch.
    """
    size = row.values.shape[-1]
    if not config.aligned:
        return row
    width = min(bucket(-(-size // config.patch)) * config.patch, config.context_length)
    room = ((0, 0), (max(0, width - size), 0))
    return Row(np.pad(row.values, room), np.pad(row.observed, room), row.ends, row.slots)


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]
