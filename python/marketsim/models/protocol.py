"""The protocols of forecasting models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.distribution import Distribution
from marketsim.models.inputs import ModelInputs

# [batch, time], [batch, variate, time], or a list of 1-D arrays of any lengths.
Contexts: TypeAlias = "npt.ArrayLike | list[npt.NDArray[np.float64]]"


@runtime_checkable
class Model(Protocol):
    """Interface of a model: it forecasts the values after a context from that context alone.

    Attributes:
        name: display name.
        fingerprint: hex digest of all that decides its forecasts: weights, configuration,
            preprocessing, precision, code version. Stored forecasts are reached only through it.
        context_length: how many last values a forecast depends on; None for all of them.
        levels: the quantile levels that it states itself, ascending in (0, 1).

    What else a model reads and gives stands in its `traits`, a `marketsim.models.ModelTraits`; a
    class without them forecasts each target from its own past, and its quantiles at `levels` are
    kept. Forecasts are stored only of a model that states an `identity`, a `ModelIdentity`, from
    which its fingerprint follows.
    """

    @property
    def name(self) -> str:
        """Display name."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides its forecasts."""
        ...

    @property
    def context_length(self) -> int | None:
        """Number of last values that a forecast depends on; None for all."""
        ...

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels of the model's own output."""
        ...

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> Distribution:
        """Forecast the `horizon` values after each context.

        A result does not depend on what else is in the batch.

        Args:
            contexts: [batch, time], [batch, variate, time], or a list of 1-D arrays of any lengths.
            horizon: how many steps.
            mask: True where a value is observed; shaped as the contexts. NaN is unobserved, too.

        Returns:
            Shapes [batch, horizon] or [batch, variate, horizon].
        """
        ...

    def predict_each(self, series: npt.ArrayLike, start: int, *, horizon: int = 1) -> Distribution:
        """Forecast the values after series[..., :t] for every t in start .. T, from those alone.

        Equal to `predict` on each of these contexts.

        Args:
            series: [time] or [variate, time].
            start: the first t, 1 <= start <= T.
            horizon: how many steps.

        Returns:
            Shapes [T - start + 1, horizon] or [T - start + 1, variate, horizon].
        """
        ...


class SeededModel(Protocol):
    """A model whose trait `seeded` is True: it draws samples, each forecast from its own seed.

    The seeds derive from what is forecast from what, so a forecast does not depend on the order in
    which it is made or on what is made with it.
    """

    def predict_each(
        self,
        series: npt.ArrayLike,
        start: int,
        *,
        horizon: int = 1,
        seeds: npt.NDArray[np.uint64],
    ) -> Distribution:
        """As `Model.predict_each`; forecast i draws from seeds[i], uint64 [T - start + 1]."""
        ...


class InputsModel(Protocol):
    """A model whose trait `timestamps` is True: it is given `ModelInputs` instead of an array."""

    def predict_inputs(self, inputs: ModelInputs, start: int, *, horizon: int = 1) -> Distribution:
        """Forecast what follows the first t rows for every t in start .. len(inputs).

        Returns:
            Shapes [len(inputs) - start + 1, horizon], or [..., target, horizon] if `joint`.
        """
        ...


class BatchForecasts(NamedTuple):
    """Forecasts of one batch of several series.

    Attributes:
        series: int64 [forecast], index of the requested series.
        days: int64 [forecast], index of each forecast within its series.
        distribution: shape [forecast, horizon] or, of series [variate, time], [forecast, variate,
            horizon].
    """

    series: npt.NDArray[np.int64]
    days: npt.NDArray[np.int64]
    distribution: Distribution


class BatchedModel(Protocol):
    """A model whose trait `batched` is True: it puts the forecasts of many series into batches."""

    def predict_batches(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        take: Callable[[BatchForecasts], None],
        *,
        horizon: int = 1,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """`Model.predict_each` of each series, handed to `take` batch by batch.

        What is made is handed over also where the work is interrupted. `on_progress` is called
        with how many forecasts have been made since the last call.
        """
        ...


class BarModel(Protocol):
    """A model whose trait `bars` is True: it forecasts bars as a whole from their columns.

    What it needs is not in the moves of a target, so it refuses `Model.predict`. A run uses its
    `InputsModel.predict_inputs`, if its forecasts are draws of whole bars (traits `timestamps`,
    `joint` and `draws`).
    """

    @property
    def name(self) -> str:
        """Display name."""
        ...

    def predict_bars(
        self, bars: Any, timestamps: Any = None, future_timestamps: Any = None, *, horizon: int
    ) -> Any:
        """Forecast the `horizon` bars after each series."""
        ...


def no_returns(name: str) -> ArgumentError:
    """Return the error for requesting moves of one target from a model of whole bars."""
    return ArgumentError(
        f"{name} forecasts bars as a whole, from all of their columns and their timestamps, and "
        "not one series from its own past: use walk_forward, forecasts, "
        "model.predict_inputs(...) or model.predict_bars(...)"
    )
