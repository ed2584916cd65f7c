"""Chronos models that draw samples, token by token: the first Chronos (T5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.arguments import as_number, is_whole
from marketsim.errors import ArgumentError
from marketsim.models.chronos.model import Array, ChronosModel, given_values
from marketsim.models.chronos.pipeline import BuiltPipeline, own_randomness
from marketsim.models.contexts import check_horizon, read_series
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.neural.batching import Row
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution
from marketsim.models.protocol import Contexts
from marketsim.models.samples import SampleDistribution
from marketsim.models.traits import ModelTraits
from marketsim.timing import stage

Seeds = npt.NDArray[np.uint64]
# The levels at which the pipeline itself reports its samples.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class ChronosSampleModel(ChronosModel):
    """A Chronos pipeline that draws paths of tokens; a `SeededModel`.

    Each context is sampled by itself, from the seed of its forecast: the library draws the tokens
    of a whole batch from one generator, so a shared batch would make each forecast depend on the
    others. Forecasts are equal to the last bit to those of the pipeline called with that context
    alone after `torch.manual_seed(seed)`.

    Where no seeds are given, a forecast's seed follows from its context.

    Args:
        checkpoint: its files, or a pipeline.
        execution: device and precision.
        context_length: how many last values a forecast sees; None for as many as it can.
        num_samples, temperature, top_k, top_p: how many paths are drawn and how; None for what the
            model's configuration says.
    """

    version = 1
    levels = LEVELS

    def __init__(
        self,
        checkpoint: Checkpoint | BuiltPipeline,
        execution: Execution,
        *,
        context_length: int | None = None,
        num_samples: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        super().__init__(checkpoint, execution, context_length=context_length)
        given = {
            "num_samples": num_samples,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
        }
        chosen = {key: value for key, value in given.items() if value is not None}
        self.sampling = _checked({**self.config.sampling, **chosen})
        self.samples = int(self.sampling["num_samples"])

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return replace(super().traits, draws=self.samples, seeded=True)

    def options(self) -> dict[str, Any]:
        """Options that change a forecast, for the fingerprint."""
        return dict(self.sampling)

    @property
    def identity(self) -> ModelIdentity:
        """Everything that a forecast depends on besides its context and its seed."""
        return replace(
            super().identity,
            sampling=f"generate, {self.samples} paths, one context at a time",
            seeding="torch's generator of the device, seeded for each context and variate",
        )

    def predict(
        self,
        contexts: Contexts,
        *,
        horizon: int = 1,
        mask: npt.ArrayLike | None = None,
        seeds: npt.ArrayLike | None = None,
    ) -> SampleDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Args:
            contexts, horizon, mask: see there. Each series is taken by itself.
            seeds: whole numbers [batch], or for [batch, variate, time] one for all variates of each
                entry, from which one for each variate is derived.
        """
        steps = check_horizon(horizon)
        rows, shape = self.context_rows(contexts, mask, together=False)
        variates = shape[1] if len(shape) > 1 else 1
        made = self._draw(rows, _seeds(seeds, rows, shape[0], variates), steps)
        return SampleDistribution(made.reshape(self.samples, *shape, steps))

    def predict_each(
        self,
        series: npt.ArrayLike,
        start: int,
        *,
        horizon: int = 1,
        seeds: npt.ArrayLike | None = None,
    ) -> SampleDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `SeededModel`."""
        steps = check_horizon(horizon)
        array = read_series(series, start)
        rows = self.series_rows(array, start, 0, together=False)
        days = array.shape[-1] - start + 1
        made = self._draw(rows, _seeds(seeds, rows, days, len(rows) // days), steps)
        return SampleDistribution(made.reshape(self.samples, days, *array.shape[:-1], steps))

    def _draw(self, rows: list[Row], seeds: list[int], steps: int) -> Array:
        """Draw paths [sample, row, step], each row from its own seed."""
        pipeline = self.pipeline
        import torch

        made = np.empty((self.samples, len(rows), steps))
        device = next(pipeline.inner_model.parameters()).device
        with torch.inference_mode(), own_randomness(device) as start_from:
            for row, seed in zip(rows, seeds, strict=True):
                start_from(seed)
                context = torch.from_numpy(given_values(row))
                with stage("encode"):  # its results are on the CPU
                    paths = pipeline.predict(context, prediction_length=steps, **self.sampling)
                made[:, row.slots[0]] = paths[0].numpy()
        return made


def _seeds(given: npt.ArrayLike | None, rows: list[Row], count: int, variates: int) -> list[int]:
    """Return the seed of each row; rows are [forecast, variate]."""
    if given is None:
        return [_number(given_values(row).tobytes()) for row in rows]
    seeds = np.asarray(given)
    if seeds.shape != (count,) or seeds.dtype.kind not in "iu" or (seeds < 0).any():
        raise ArgumentError(
            f"seeds must be {count} whole numbers of at least 0, one for each forecast: "
            f"got {given!r}"
        )
    first = [int(seed) for seed in seeds]
    if variates == 1:
        return first
    return [_number(f"{seed} {variate}".encode()) for seed in first for variate in range(variates)]


def _number(content: bytes) -> int:
    return int.from_bytes(blake3(content).digest(8), "little")


def _checked(sampling: dict[str, Any]) -> dict[str, Any]:
    """Check the settings and return them.

    Raises:
        ArgumentError: one of them is out of its range.
    """
    for key in ("num_samples", "top_k"):
        if not is_whole(sampling[key]) or sampling[key] < 1:
            raise ArgumentError(
                f"{key} must be a whole number of at least 1: got {sampling[key]!r}"
            )
    for key in ("temperature", "top_p"):
        value = as_number(key, sampling[key], "a number above 0")
        if not 0.0 < value < np.inf or (key == "top_p" and value > 1.0):
            most = " and at most 1" if key == "top_p" else ""
            raise ArgumentError(f"{key} must be a number above 0{most}: got {sampling[key]!r}")
    return sampling
