"""Fracast-0: a small pretrained model whose weights come with the package fracast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, MissingDependencyError, UnknownNameError
from marketsim.models.contexts import check_horizon, read_contexts, read_series, rows_of
from marketsim.models.distribution import QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity, content_hash
from marketsim.models.protocol import Contexts
from marketsim.models.shown import ShownModel
from marketsim.models.traits import ModelTraits
from marketsim.timing import stage

Array = npt.NDArray[np.float64]

_FILES = {"fp32": ("model.safetensors",), "w8": ("model.int8.safetensors", "w8_manifest.json")}
_LEAST = 8  # values that the package asks for


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread: faster for so small a network, and the same bits everywhere."""
    torch: Any = import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class FracastModel(ShownModel):
    """Fracast-0: 85,001 parameters, trained weights in the package `fracast`.

    Nothing is downloaded: `ms.load_model("fracast")` works offline. It forecasts each series from
    its last 2,048 values, up to 48 steps ahead, by nine quantiles, which are put in order where
    they cross. Each context is read by itself, in float32 on the CPU.

    Args:
        weights: "fp32", or "w8", the same rounded to 8 bits.

    Raises:
        UnknownNameError: other weights.
        MissingDependencyError: the package is not installed.

    Source: https://github.com/ztxtech/fracast-0 (Apache-2.0).
    """

    name = "fracast"
    # Part of the fingerprint: raise it with every change that may change a forecast.
    version = 1
    context_length = 2048
    levels = tuple(i / 10 for i in range(1, 10))

    def __init__(self, *, weights: str = "fp32") -> None:
        if weights not in _FILES:
            raise UnknownNameError("weights of fracast", str(weights), tuple(_FILES))
        self.weights = weights
        try:
            self._package = metadata.version("fracast")
        except metadata.PackageNotFoundError as error:
            raise MissingDependencyError(
                "fracast is not installed: pip install '.[fracast]' in the checkout"
            ) from error

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(self.levels, rows=self.context_length, horizons=48, dtype="float32")

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identity: everything that a forecast depends on besides its context."""
        folder = Path(str(import_module("fracast").__file__)).parent / "weights"
        files = [folder / name for name in ("config.json", *_FILES[self.weights])]
        libraries = {name: metadata.version(name) for name in ("numpy", "torch")}
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            weights=content_hash(files),
            preprocessing="scaled to 0 .. 1 by its least and largest value, as by the package",
            libraries=libraries | {"fracast": self._package},
            dtype="float32",
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        return self.identity.fingerprint

    @cached_property
    def network(self) -> Any:
        """The package's model, loaded on first use."""
        with stage("load"):
            found: Any = import_module("fracast")
            return found.FracastModel.from_pretrained(weights=self.weights)

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Raises:
            ArgumentError: fewer than 8 observed values, or more than 48 steps.
        """
        rows, masks, shape = read_contexts(contexts, mask)
        if masks is not None:
            rows = [np.where(m, row, np.nan) for row, m in zip(rows, masks, strict=True)]
        made = self._made([np.asarray(row) for row in rows], horizon)
        return QuantileDistribution(self.levels, made.reshape(*shape, *made.shape[1:]))

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model`."""
        array = read_series(series, start)
        ends = range(start, array.shape[-1] + 1)
        made = self._made([row[:end] for end in ends for row in rows_of(array)], horizon)
        shape = (len(ends), *array.shape[:-1])
        return QuantileDistribution(self.levels, made.reshape(*shape, *made.shape[1:]))

    def _made(self, contexts: list[Array], horizon: int) -> Array:
        """Compute quantiles [context, step, level]."""
        steps, most = check_horizon(horizon), self.traits.horizons
        if most is not None and steps > most:
            raise ArgumentError(
                f"{self.name} forecasts at most {most} steps ahead (trait horizons): got {steps}"
            )
        found = np.empty((len(contexts), steps, len(self.levels)))
        network = self.network
        with stage("network"), _one_thread():
            # One by one: the last digits of a batch's results depend on how many rows it has.
            for made, context in zip(found, contexts, strict=True):
                last = context[-self.context_length :]
                known = int(np.isfinite(last).sum())
                if known < _LEAST or np.isinf(last).any():
                    raise ArgumentError(
                        f"{self.name} needs at least {_LEAST} observed, finite values of a "
                        f"context: got {known} of {last.size}"
                    )
                made[:] = network.forecast(last, horizon=steps)
        return np.sort(found, axis=-1)
