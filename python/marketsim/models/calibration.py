"""Recalibrate a model: location, width and shape of its forecasts, learnt from past errors."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.contexts import check_horizon, check_values, read_contexts, read_series
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity, stored_as
from marketsim.models.load import load_model
from marketsim.models.protocol import Contexts, Model
from marketsim.models.shown import ShownModel
from marketsim.models.traits import OWN, ModelTraits, traits_of

Array = npt.NDArray[np.float64]

Method: TypeAlias = Literal["conformal"]
METHODS: tuple[Method, ...] = ("conformal",)
FIRST = 10  # values before the first forecast that is learnt from
_LEAST = 20  # outcomes before anything is changed
_INNER = (0.1, 0.5, 0.9)  # whose distances are location and width of a forecast


def calibrated(
    model: str | os.PathLike[str] | Model, method: Method = "conformal", *, window: int = 250
) -> CalibratedModel:
    """Recalibrate a model: its quantiles follow the coverage of its past forecasts.

    Each outcome is set in relation to the forecast made for it: its distance from the median, in
    widths of the central 80 % interval. The quantiles of the last `window` of these, per target and
    step, replace the shape of the next forecast; its median and width stay the model's. So an
    interval that was too narrow, too wide or off centre has the coverage that it says, after some
    dozens of bars, whatever the outcomes' distribution is (split conformal prediction on a rolling
    window). The first 20 forecasts are the model's own.

    Only outcomes before a bar change its forecast. All forecasts that are learnt from are made
    again by the model, from the same context: it costs as much as `window` more bars.

    Args:
        model: what `load_model` takes, or a model that forecasts each target from its own past or
            all four targets together, without drawing samples from seeds.
        method: "conformal".
        window: how many last outcomes are learnt from, at least 50.

    Raises:
        UnknownNameError: another method.
        ArgumentError: a window below 50, or a model that cannot be asked about its past: of whole
            bars, of dated tables, or drawing samples from seeds.

    Example:
        >>> calibrated("ewma").name
        'calibrated ewma'

    Sources: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, Distribution-free predictive inference
    for regression (2018); Gibbs and Candès, Adaptive conformal inference under distribution shift
    (2021), for judging it under drift.
    """
    if method not in METHODS:
        raise UnknownNameError("method", str(method), METHODS)
    if not is_whole(window) or not 50 <= window <= 100_000:
        raise ArgumentError(f"window must be a whole number in 50 .. 100,000: got {window!r}")
    return CalibratedModel(load_given(model), int(window))


def load_given(model: Any) -> Model:
    """Return a model; load it if a name or folder is given."""
    return load_model(model) if isinstance(model, (str, os.PathLike)) else model


class LearningModel(ShownModel, ABC):
    """Base of models that combine others and learn from their past errors on the same context.

    Attributes:
        models: those that are asked.
        window: how many last outcomes are learnt from.
    """

    name: str
    version: int

    def __init__(self, models: Sequence[Model], window: int, levels: tuple[float, ...]) -> None:
        self.models, self.window, self.levels = tuple(models), window, levels
        stated = [traits_of(model) for model in self.models]
        for model, one in zip(self.models, stated, strict=True):
            reason = (
                "forecasts whole bars" if one.bars
                else "sees when bars were" if one.timestamps
                else "draws samples from seeds" if one.seeded else ""
            )  # fmt: skip
            if reason:
                raise ArgumentError(
                    f"{model.name} {reason}: {type(self).__name__} takes models that forecast "
                    "moves from moves, by quantiles or a mixture"
                )
        joint = any(one.joint for one in stated)
        kinds = [kind for kind in stated[0].targets if all(kind in one.targets for one in stated)]
        if not kinds:
            raise ArgumentError(
                "models must share a kind of targets: got "
                + ", ".join(
                    f"{model.name} {one.targets}"
                    for model, one in zip(self.models, stated, strict=True)
                )
            )
        rows = [one.rows for one in stated]
        known = [row for row in rows if row is not None]
        self.context_length = None if len(known) < len(rows) else max(FIRST, *known) + window
        most = [one.horizons for one in stated if one.horizons is not None]
        self.traits = ModelTraits(
            levels, rows=self.context_length, joint=joint, targets=tuple(kinds),
            columns=next((one.columns for one in stated if one.joint), OWN),
            horizons=min(most) if most else None,
        )  # fmt: skip

    @abstractmethod
    def _combined(
        self, made: list[Array], outcomes: Array, begin: int, start: int, late: int
    ) -> Array:
        """Combine quantiles [end, level] of one target and step for every end in start .. T.

        Args:
            made: of each model, quantiles [end, level] for every end in begin .. T.
            outcomes: [end], what came of each of these; NaN where it is not known.
            begin, start: the first end of `made`, and of what is returned.
            late: bars from the next one to that which is forecast: the outcome of end u is known
                to the ends from u + late + 1 on.
        """

    @abstractmethod
    def _levels_asked(self) -> tuple[float, ...]:
        """Quantile levels that are requested from the models."""

    @cached_property
    def identity(self) -> ModelIdentity | None:
        """Identity; None if a model has none."""
        parts = [stored_as(model) for model in self.models]
        if any(part is None for part in parts):
            return None
        return ModelIdentity(
            name=self.name,
            code=f"marketsim.models.{type(self).__name__} {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            configuration={"models": parts, "window": self.window} | self._options(),
        )

    def _options(self) -> dict[str, Any]:
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`; without one, a digest of this object only."""
        return self.identity.fingerprint if self.identity else os.urandom(32).hex()

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> QuantileDistribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Raises:
            ArgumentError: values that are missing, or shapes that the models do not take.
        """
        rows, masks, shape = read_contexts(contexts, mask)
        if masks is not None and not all(one.all() for one in masks):
            raise ArgumentError(f"{self.name} needs every value of a context: mask excludes some")
        size = shape[1] if len(shape) == 2 else 0
        if size:
            series = [np.stack(rows[at : at + size]) for at in range(0, len(rows), size)]
        else:
            series = list(rows)
        made = [self.predict_each(one, one.shape[-1], horizon=horizon).quantiles for one in series]
        return QuantileDistribution(self.levels, np.concatenate(made))

    def predict_each(
        self, series: npt.ArrayLike, start: int, *, horizon: int = 1
    ) -> QuantileDistribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model`."""
        steps = check_horizon(horizon)
        array = read_series(series, start)
        values = np.atleast_2d(array)
        for i, row in enumerate(values):
            if np.isnan(check_values(row, i)).any():
                raise ArgumentError(f"{self.name} needs every value of a series: got NaN in {i}")
        # The same forecasts are learnt from whichever end is asked for first.
        begin = max(min(FIRST, start), start - self.window)
        if self.context_length is not None:
            array = array[..., max(0, start - self.context_length) :]
            begin -= values.shape[1] - array.shape[-1]
            start -= values.shape[1] - array.shape[-1]
            values = np.atleast_2d(array)
        asked = self._levels_asked()
        made = [self._quantiles(model, array, begin, steps, asked) for model in self.models]
        found = np.empty((values.shape[1] - start + 1, len(values), steps, len(self.levels)))
        for i, row in enumerate(values):
            for step in range(steps):
                outcomes = np.full(values.shape[1] - begin + 1, np.nan)
                outcomes[: max(0, row.size - begin - step)] = row[begin + step :]
                each = [part[:, i, step] for part in made]
                found[:, i, step] = self._combined(each, outcomes, begin, start, step)
        return QuantileDistribution(self.levels, found if array.ndim == 2 else found[:, 0])

    @staticmethod
    def _quantiles(
        model: Model, array: Array, begin: int, steps: int, levels: tuple[float, ...]
    ) -> Array:
        """[end, variate, horizon, level] of one model for every end in begin .. T."""
        ask: Callable[..., Distribution] = model.predict_each
        made = np.asarray(ask(array, begin, horizon=steps).quantile(levels), dtype=np.float64)
        return made if array.ndim == 2 else made[:, None]


class CalibratedModel(LearningModel):
    """See `calibrated`, which builds it."""

    # Part of the fingerprint: raise it with every change that may change a forecast.
    version = 1

    def __init__(self, model: Model, window: int) -> None:
        self.name = f"calibrated {model.name}"
        super().__init__([model], window, tuple(model.levels))

    def _levels_asked(self) -> tuple[float, ...]:
        return (*self.levels, *_INNER)

    def _combined(
        self, made: list[Array], outcomes: Array, begin: int, start: int, late: int
    ) -> Array:
        own, (low, middle, high) = made[0][:, : -len(_INNER)], made[0][:, -len(_INNER) :].T
        width = high - low
        scale = np.where(width > 0.0, width, 1.0)
        errors = np.where(width > 0.0, (outcomes - middle) / scale, 0.0)
        found = own[start - begin :].copy()
        for first, stop, shape in self._shapes(errors, begin, start, late):
            at = slice(first - begin, stop - begin)
            moved = middle[at, None] + scale[at, None] * shape
            sure = width[at, None] <= 0.0  # nothing to scale: the model's own
            found[first - start : stop - start] = np.where(sure, own[at], moved)
        return found

    def _shapes(
        self, errors: Array, begin: int, start: int, late: int
    ) -> Iterator[tuple[int, int, Array]]:
        """(first end, one past the last, quantiles of the errors that each of them learns from).

        The end t learns from the forecasts made at the ends max(FIRST, t - window) .. t - late - 1,
        whose outcomes it knows.
        """
        last = begin + len(errors) - 1
        full = FIRST + self.window  # from here on the number of errors is the same
        for end in range(max(start, FIRST + late + _LEAST), min(full, last + 1)):
            known = np.ascontiguousarray(errors[None, FIRST - begin : end - late - begin])
            count = known.shape[1]
            yield end, end + 1, _core.rolling_quantiles(known, count, count, self._ranks(count))[0]
        first = max(start, full)
        count = self.window - late
        if first <= last and count >= _LEAST:
            known = np.ascontiguousarray(errors[None, : last - late - begin])
            ranks = self._ranks(count)
            shape = _core.rolling_quantiles(known, first - late - begin, count, ranks)[0]
            yield first, last + 1, shape

    def _ranks(self, count: int) -> Array:
        """Return levels of order statistics that cover a new value as often as the stated ones.

        The k-th of n values has a new one below it with probability k / (n + 1).
        """
        levels = np.asarray(self.levels)
        return np.clip((levels * (count + 1) - 1.0) / (count - 1.0), 0.0, 1.0)
