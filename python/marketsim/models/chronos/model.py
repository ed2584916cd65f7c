"""Pipelines of chronos-forecasting as models of marketsim."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError
from marketsim.models.chronos.config import ChronosConfig
from marketsim.models.chronos.pipeline import (
    BuiltPipeline,
    libraries,
    open_pipeline,
    package_version,
    weights_digest,
)
from marketsim.models.contexts import check_values, read_contexts
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.neural.batching import Row, as_variates, window_row
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution
from marketsim.models.protocol import Contexts
from marketsim.models.shown import ShownModel
from marketsim.models.traits import ModelTraits
from marketsim.timing import stage

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Progress = Callable[[int], None]


class ChronosModel(ShownModel, ABC):
    """A model of a chronos-forecasting pipeline: contexts in, forecasts out.

    Each context goes through the network by itself: the encoders look forwards and backwards, so a
    pass over a longer context serves no shorter one.

    Attributes:
        name: the hub id, the folder's name, or the name that was given.
        context_length: how many last values a forecast depends on.
        levels: the quantile levels that forecasts are reported at.
        checkpoint: its files, or the pipeline that was handed over.
        execution: device and precision.
    """

    # Part of the fingerprint: raise it with every change that may change a forecast.
    version: int
    levels: tuple[float, ...]

    def __init__(
        self,
        checkpoint: Checkpoint | BuiltPipeline,
        execution: Execution,
        *,
        context_length: int | None = None,
    ) -> None:
        if execution.compile or execution.quantize:
            raise ArgumentError(
                f"{checkpoint.name} runs in a pipeline of chronos-forecasting: leave compile and "
                "quantize at their defaults"
            )
        if isinstance(checkpoint, Checkpoint):
            package_version()
        self.name = checkpoint.name
        self.checkpoint = checkpoint
        self.execution = execution
        self.config = ChronosConfig.of(checkpoint.config, checkpoint.name)
        longest = self.config.context_length
        if context_length is not None and (
            not is_whole(context_length) or not 1 <= context_length <= longest
        ):
            raise ArgumentError(
                f"context_length of {self.name} must be a whole number in 1 .. {longest}, or None "
                f"for that: got {context_length!r}"
            )
        self.context_length = longest if context_length is None else int(context_length)

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(
            levels=self.levels,
            rows=self.context_length,
            device=self.execution.device,
            dtype=self.execution.dtype,
        )

    def __getstate__(self) -> dict[str, Any]:
        """What pickles: the files and options; a copy opens the pipeline itself on first use."""
        return {k: v for k, v in vars(self).items() if k not in ("pipeline", "batches")}

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return {}

    @property
    def identity(self) -> ModelIdentity:
        """Identity: everything that a forecast depends on besides its context."""
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            weights=weights_digest(self.checkpoint),
            configuration=self.options(),
            preprocessing="float32; NaN where not observed",
            libraries=libraries(self.execution),
            kernel=self.execution.kernel,
            dtype=self.execution.dtype,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        with stage("load"):  # reads the weights, too
            return self.identity.fingerprint

    @cached_property
    def pipeline(self) -> Any:
        """Pipeline, opened on first use."""
        if isinstance(self.checkpoint, BuiltPipeline):
            return self.checkpoint.pipeline
        with stage("load", settle=self.execution.settle):
            return open_pipeline(self.checkpoint, self.execution)

    def context_rows(
        self, contexts: Contexts, mask: npt.ArrayLike | None, *, together: bool
    ) -> tuple[list[Row], tuple[int, ...]]:
        """Make one row per context or variate; also return the batch shape."""
        flat, masks, shape = read_contexts(contexts, mask)
        if masks is None:
            masks = [np.ones(row.shape, dtype=np.bool_) for row in flat]
        variates = shape[1] if together and len(shape) > 1 else 1
        rows = []
        groups = zip(as_variates(flat, variates), as_variates(masks, variates), strict=True)
        for slot, (values, observed) in enumerate(groups):
            size = values.shape[-1]
            rows.append(window_row(values, observed, size, slot, self.context_length))
        return rows, shape

    def series_rows(
        self, series: Array, start: int, first_slot: int, *, together: bool
    ) -> list[Row]:
        """One row for each t in start .. T of series[..., :t], or for each variate of each."""
        variates = np.atleast_2d(series)
        for i, variate in enumerate(variates):
            check_values(variate[:start], i)
            check_values(variate, i)
        parts = [variates] if together else [variate[None] for variate in variates]
        rows: list[Row] = []
        for end in range(start, variates.shape[-1] + 1):
            for part in parts:
                slot = first_slot + len(rows)
                rows.append(window_row(part, ~np.isnan(part), end, slot, self.context_length))
        return rows


def given_values(row: Row) -> Values:
    """Return the values [variate, time] of a row for a pipeline: NaN where not observed."""
    return np.where(row.observed, row.values, np.float32(np.nan))
