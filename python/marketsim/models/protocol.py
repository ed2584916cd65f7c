"""What a forecasting model is to the rest of marketsim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.models.distribution import Distribution

if TYPE_CHECKING:
    from marketsim.models.neural.cost import Cost
    from marketsim.models.neural.device import Execution
    from marketsim.models.neural.estimate import Expectation

# [batch, time], [batch, variate, time], or a list of 1-D arrays of any lengths.
Contexts: TypeAlias = "npt.ArrayLike | list[npt.NDArray[np.float64]]"


@runtime_checkable
class Model(Protocol):
    """A model forecasts the values after a context from that context alone.

    Attributes:
        name: what people call it.
        fingerprint: hex digest of all that decides its forecasts: weights, configuration,
            preprocessing, precision, code version. Stored forecasts are reached only through it.
        context_length: how many last values a forecast depends on; None for all of them.
        levels: the quantile levels that it states itself, ascending in (0, 1).

    A model whose forecasts are all `StudentTMixture`s has an attribute `components`, int, of how
    many distributions each is made. Their parameters are kept then, and `levels`, at least one, are
    those at which forecasts are shown and judged. The same holds of `SampleDistribution`s and an
    attribute `samples`, of how many draws each is made. Of other models the quantiles at `levels`
    are kept.

    A model may also state its `identity`, a `ModelIdentity`, from which its fingerprint follows.
    One that draws samples is a `SeededModel` instead.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides its forecasts."""
        ...

    @property
    def context_length(self) -> int | None:
        """How many last values a forecast depends on; None for all."""
        ...

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels that it states itself."""
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
    """A model that draws samples: it is told the seed of each forecast.

    The seeds derive from what is forecast from what, so a forecast does not depend on the order or
    the company in which it is made.

    Attributes:
        seeded: True.
    """

    @property
    def seeded(self) -> bool:
        """True."""
        ...

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


@runtime_checkable
class BatchedModel(Protocol):
    """A model that makes batches of its own: it is asked for many series at once.

    It may also state `joint`, bool: whether it forecasts the targets of a day together, from the
    past of them all.
    """

    def predict_each_of(
        self,
        series: Sequence[npt.ArrayLike],
        starts: Sequence[int],
        *,
        horizon: int = 1,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Distribution]:
        """`Model.predict_each` of each series.

        `on_progress` is told how many forecasts have been made since it was last told.
        """
        ...


@runtime_checkable
class BarModel(Protocol):
    """A model that forecasts bars as a whole, from all of their columns and their timestamps.

    What it needs is not in the returns of a target, so it refuses `Model.predict`, and no
    walk-forward run can use it.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def predict_bars(
        self, bars: Any, timestamps: Any = None, future_timestamps: Any = None, *, horizon: int
    ) -> Any:
        """Forecast the `horizon` bars after each series."""
        ...


def no_returns(model: BarModel) -> ArgumentError:
    """The error of asking a `BarModel` for the returns of a target."""
    return ArgumentError(
        f"{model.name} forecasts bars as a whole, from all of their columns and their timestamps, "
        "and not the returns of one column from those alone, as walk_forward and forecasts ask "
        "for: use model.predict_bars(...)"
    )


@runtime_checkable
class CostedModel(Protocol):
    """A model that knows what forecasts will cost before it makes any."""

    @property
    def execution(self) -> Execution:
        """Device, precision and compilation."""
        ...

    def cost(self, series: Sequence[npt.ArrayLike], starts: Sequence[int]) -> Cost:
        """What `BatchedModel.predict_each_of` will do for one step ahead; the model is not run."""
        ...

    def expect(self, cost: Cost) -> Expectation:
        """The time and memory that forecasts of that cost will take, at the speed of now."""
        ...
