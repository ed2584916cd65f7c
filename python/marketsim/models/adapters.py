"""Adapters that turn a function or a table of forecasts into a model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError, ForecastTableError
from marketsim.models.code import code_digest
from marketsim.models.contexts import check_horizon, read_contexts, read_series
from marketsim.models.distribution import Distribution, QuantileDistribution
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.inputs import ModelInputs
from marketsim.models.protocol import Contexts
from marketsim.models.samples import SampleDistribution
from marketsim.models.shown import ShownModel
from marketsim.models.traits import TARGET_COLUMNS, TARGET_KINDS, ModelTraits, joint_columns

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]


def model_from(
    function: Callable[..., npt.ArrayLike],
    *,
    levels: Sequence[float] | None = None,
    draws: int = 0,
    rows: int | None = None,
    joint: bool = False,
    horizons: int = 1,
    targets: Sequence[str] = TARGET_KINDS,
    name: str | None = None,
    version: str | None = None,
) -> FunctionModel:
    """Make a model of a function that forecasts from one context.

    The function is called as `function(past)`, or `function(past, horizon)` if `horizons` is above
    1. `past` is float64 [time], the moves of one target before the bar that is forecast, or
    [4, time], those of open, high, low and close, if `joint`. It returns quantiles [level] or
    samples [draw]; with several horizons [horizon, level]; of all targets [4, level] or
    [4, horizon, level].

    Forecasts are stored under a digest of the function's code and of the values that it names.
    Where that cannot be formed (it uses an object whose content is unknown, such as a network),
    give `version` and change it with whatever changes a forecast; else nothing is stored.

    Args:
        function: see above.
        levels: the quantile levels that it returns, ascending in (0, 1); or
        draws: how many samples it returns.
        rows: how many last moves it is given; None for all.
        joint: whether it forecasts the four targets of a bar together.
        horizons: the most steps ahead that it forecasts.
        targets: the kinds of moves that it can forecast, of "close" and "own".
        name: display name; the function's own name by default.
        version: what tells this function from an earlier one of that name.

    Raises:
        ArgumentError: neither levels nor draws, or both; a trait that is out of range. When it is
            run: a result of another shape than stated.

    Example:
        >>> import numpy as np
        >>> quantiles = lambda past: np.quantile(past[-50:], [0.1, 0.5, 0.9])
        >>> model = model_from(quantiles, levels=[0.1, 0.5, 0.9], name="last fifty")
        >>> model.predict([[0.01, -0.02, 0.03]]).quantile([0.5]).tolist()
        [[[0.01]]]
    """
    if (levels is None) == (not draws):
        raise ArgumentError(
            f"state either levels or draws of the function's forecasts: got levels={levels!r}, "
            f"draws={draws!r}"
        )
    stated = tuple(float(level) for level in levels) if levels is not None else _SAMPLE_LEVELS
    traits = ModelTraits(
        levels=stated, rows=rows, columns=joint_columns(joint), joint=joint, horizons=horizons,
        draws=draws, targets=tuple(targets),
    )  # fmt: skip
    return FunctionModel(function, traits, name or _name_of(function), version)


_SAMPLE_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


class FunctionModel(ShownModel):
    """A function as a model; see `model_from`, which builds it.

    Attributes:
        name: display name.
        traits: what it reads and gives.
        levels, context_length: as in the traits.
    """

    def __init__(
        self, function: Callable[..., Any], traits: ModelTraits, name: str, version: str | None
    ) -> None:
        self.function, self.traits, self.name, self.version = function, traits, name, version
        self.levels, self.context_length = traits.levels, traits.rows

    @cached_property
    def identity(self) -> ModelIdentity | None:
        """Identity; None if the function's dependencies are unknown."""
        code = code_digest(self.function)
        if code is None and self.version is None:
            return None
        traits = self.traits
        return ModelIdentity(
            name=self.name,
            code=f"function {code or ''} {self.version or ''}",
            context_length=traits.rows,
            levels=self.levels,
            configuration={"joint": traits.joint, "draws": traits.draws},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`; without one, a digest of this object only."""
        return self.identity.fingerprint if self.identity else os.urandom(32).hex()

    def predict(
        self, contexts: Contexts, *, horizon: int = 1, mask: npt.ArrayLike | None = None
    ) -> Distribution:
        """Forecast the `horizon` values after each context; see `Model.predict`.

        Values that `mask` excludes are NaN in what the function is given.
        """
        steps = self._steps(horizon)
        rows, masks, shape = read_contexts(contexts, mask)
        if masks is not None:
            rows = [np.where(m, row, np.nan) for row, m in zip(rows, masks, strict=True)]
        if self.traits.joint:
            if len(shape) != 2 or shape[1] != len(TARGET_COLUMNS):
                raise ArgumentError(
                    f"{self.name} forecasts all targets together: contexts must be "
                    f"[batch, 4, time], got a batch of shape {shape}"
                )
            pasts = [np.stack(rows[at : at + 4]) for at in range(0, len(rows), 4)]
        else:
            pasts = rows
        made = [self._made(past, steps) for past in pasts]
        return self._distribution(np.array(made), shape, steps)

    def predict_each(self, series: npt.ArrayLike, start: int, *, horizon: int = 1) -> Distribution:
        """Forecast what follows series[..., :t] for all t in start .. T; see `Model`."""
        steps = self._steps(horizon)
        array = read_series(series, start)
        ends = range(start, array.shape[-1] + 1)
        if self.traits.joint or array.ndim == 1:
            made = [self._made(array[..., :end], steps) for end in ends]
        else:
            made = [self._made(one[:end], steps) for end in ends for one in array]
        return self._distribution(np.array(made), (len(ends), *array.shape[:-1]), steps)

    def _steps(self, horizon: int) -> int:
        steps = check_horizon(horizon)
        most = self.traits.horizons
        if most is not None and steps > most:
            raise ArgumentError(
                f"{self.name} forecasts at most {most} steps ahead (trait horizons): got {steps}"
            )
        return steps

    def _made(self, past: Array, steps: int) -> Array:
        """Call the function on one context; returns [(target,) horizon, level or draw]."""
        traits = self.traits
        rows = traits.rows
        given = np.array(past if rows is None else past[..., -rows:])
        single = traits.horizons == 1
        made = self.function(given) if single else self.function(given, steps)
        found = np.asarray(made, dtype=np.float64)
        width = traits.draws or len(self.levels)
        expected = (*((4,) if traits.joint else ()), *(() if single else (steps,)), width)
        if found.shape != expected:
            last = "draw" if traits.draws else "level"
            names = [*(["target"] if traits.joint else []), *([] if single else ["horizon"]), last]
            raise ArgumentError(
                f"{self.name} must return [{', '.join(names)}], shape {expected}: got shape "
                f"{found.shape}; return that, or state other levels, draws, joint or horizons"
            )
        if not np.isfinite(found).all():
            raise ArgumentError(
                f"{self.name} returned a forecast that is not finite after {past.shape[-1]} rows"
            )
        return found if not single else found[..., None, :]

    def _distribution(self, made: Array, shape: tuple[int, ...], steps: int) -> Distribution:
        width = self.traits.draws or len(self.levels)
        values = made.reshape(*shape, steps, width)
        if self.traits.draws:
            return SampleDistribution(np.moveaxis(values, -1, 0))
        if (np.diff(values, axis=-1) < 0).any():
            raise ArgumentError(
                f"{self.name} returned quantiles that decrease from level to level: sort them"
            )
        return QuantileDistribution(self.levels, values)


def model_from_frame(
    forecasts: pd.DataFrame, *, name: str = "table", targets: str = "close"
) -> FrameModel:
    """Make a model of a table of forecasts, looked up by date.

    Args:
        forecasts: one row a forecast. Columns `date` (of the bar that is forecast), `known` (when
            the forecast was made), `target` (open, high, low or close), optionally `symbol` and
            `horizon` (1 where it is missing), and either quantiles `q0.1`, `q0.5`, ... or samples
            `s0`, `s1`, .... Dates without a time zone are in UTC. `date` is that of the last step:
            the bar `horizon` steps after the last one that was known.
        name: display name.
        targets: what the numbers are: "close" for log moves against the close before, "own" for
            each column's own one-bar returns.

    Raises:
        ForecastTableError: columns that are missing, duplicates, values that are not finite,
            quantiles that decrease, or a forecast that was known only after its bar. When it is
            run: bars for which the table holds no forecast.

    Example:
        >>> import pandas as pd
        >>> row = {"date": "2024-01-03", "known": "2024-01-02", "target": "close"}
        >>> quantiles = {"q0.1": -0.02, "q0.5": 0.0, "q0.9": 0.02}
        >>> model_from_frame(pd.DataFrame([row | quantiles])).levels
        (0.1, 0.5, 0.9)
    """
    return FrameModel(forecasts, name, targets)


class FrameModel(ShownModel):
    """A table of forecasts as a model; see `model_from_frame`, which builds it.

    Attributes:
        name: display name.
        traits: what it reads and gives.
        levels: the quantile levels of the table.
    """

    context_length = 1  # nothing of the past decides but the date

    def __init__(self, forecasts: pd.DataFrame, name: str, targets: str) -> None:
        self.name = name
        quantiles = {float(c[1:]): c for c in map(str, forecasts.columns) if _QUANTILE.fullmatch(c)}
        samples = [c for c in map(str, forecasts.columns) if re.fullmatch(r"s[0-9]+", c)]
        if bool(quantiles) == bool(samples):
            raise ForecastTableError(
                "forecasts need either quantile columns (q0.1, q0.5, ...) or sample columns (s0, "
                f"s1, ...): got {', '.join(map(str, forecasts.columns))}"
            )
        self.levels = tuple(sorted(quantiles)) if quantiles else _SAMPLE_LEVELS
        columns = [quantiles[level] for level in self.levels] if quantiles else samples
        self._values = np.ascontiguousarray(forecasts[columns].to_numpy(dtype=np.float64))
        self._place = _checked_places(forecasts, self._values, bool(quantiles))
        self.traits = ModelTraits(
            levels=self.levels, rows=1, timestamps=True, targets=(targets,),
            horizons=max(key[2] for key in self._place), draws=len(samples),
        )  # fmt: skip

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identity: the content of the table."""
        digest = blake3(self._values.tobytes())
        digest.update(repr(list(self._place)).encode())
        return ModelIdentity(
            name=self.name,
            code="marketsim.models.adapters.FrameModel 1",
            context_length=1,
            levels=self.levels,
            weights=digest.hexdigest(),
            configuration={"targets": list(self.traits.targets), "draws": self.traits.draws},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        return self.identity.fingerprint

    def predict(self, contexts: Contexts, **options: Any) -> Distribution:
        """Raise: a table is looked up by date, and contexts have no dates."""
        raise ArgumentError(
            f"{self.name} is a table of dated forecasts: use walk_forward, marketsim.forecasts or "
            "predict_inputs, which know the dates"
        )

    def predict_each(self, series: npt.ArrayLike, start: int, **options: Any) -> Distribution:
        """Raise; see `predict`."""
        return self.predict([], **options)

    def predict_inputs(self, inputs: ModelInputs, start: int, *, horizon: int = 1) -> Distribution:
        """Look up the forecasts made from the first t rows, for all t in start .. len(inputs).

        Returns:
            Shape [t, horizon].

        Raises:
            ForecastTableError: the table has none for one of these bars.
        """
        (target,) = inputs.columns
        keys = [
            (
                _symbol_in(self._place, inputs.symbol),
                int(inputs.coming[end + step - 1]),
                step,
                target,
            )
            if end + step - 1 < len(inputs.coming)
            else None
            for end in range(start, len(inputs) + 1)
            for step in range(1, horizon + 1)
        ]
        missing = [key for key in keys if key is None or key not in self._place]
        if missing:
            first = next((key for key in missing if key is not None), None)
            at = "a bar that does not exist yet"
            if first is not None and first[1] >= 0:
                at = f"{np.datetime64(first[1], 'ns')} ({target}, horizon {first[2]})"
            raise ForecastTableError(
                f"{self.name} holds no forecast for {len(missing)} of {len(keys)} bars of "
                f"{inputs.symbol}, the first for {at}: add them, start later, or check the time "
                f"zone of `date` (the table reaches from {self._span()})"
            )
        which = [self._place[key] for key in keys if key is not None]
        values = self._values[which].reshape(-1, horizon, self._values.shape[1])
        if self.traits.draws:
            return SampleDistribution(np.moveaxis(values, -1, 0))
        return QuantileDistribution(self.levels, values)

    def _span(self) -> str:
        dates = [key[1] for key in self._place]
        first, last = (np.datetime64(date, "ns") for date in (min(dates), max(dates)))
        return f"{first} to {last}"


Place = tuple[str, int, int, str]  # symbol, date, horizon, target
_QUANTILE = re.compile(r"q(0?\.[0-9]+)")


def _symbol_in(places: dict[Place, int], symbol: str) -> str:
    return symbol if next(iter(places))[0] else ""


def _checked_places(
    forecasts: pd.DataFrame, values: Array, are_quantiles: bool
) -> dict[Place, int]:
    """Return the table row of each forecast; raise if one is missing or known too late."""
    import pandas as pd

    missing = [c for c in ("date", "known", "target") if c not in forecasts.columns]
    if missing or not len(forecasts):
        raise ForecastTableError(
            f"forecasts lack {', '.join(missing) or 'rows'}: need the columns date (of the bar), "
            "known (when the forecast was made), target, and quantiles q0.1, ... or samples s0, ..."
        )
    date, known = (
        pd.to_datetime(forecasts[c], utc=True).astype("datetime64[ns, UTC]").astype("int64")
        for c in ("date", "known")
    )
    late = (known > date).to_numpy()
    if late.any():
        i = int(np.flatnonzero(late)[0])
        raise ForecastTableError(
            f"{int(late.sum())} forecasts were known only after their bar, the first for "
            f"{forecasts['date'].iloc[i]} (known {forecasts['known'].iloc[i]}): a backtest must "
            "not use them; leave them out, or correct `known`"
        )
    wrong = sorted(set(forecasts["target"]) - set(TARGET_COLUMNS))
    if wrong:
        raise ForecastTableError(
            f"target must be one of {', '.join(TARGET_COLUMNS)}: got {wrong[0]!r}"
        )
    if not np.isfinite(values).all():
        raise ForecastTableError("forecasts must be finite: leave out the rows that are not")
    if are_quantiles and (np.diff(values, axis=1) < 0).any():
        raise ForecastTableError("quantiles must not decrease from level to level: sort them")
    horizon = forecasts["horizon"] if "horizon" in forecasts else pd.Series(1, forecasts.index)
    if not all(is_whole(h) and h >= 1 for h in horizon.tolist()):
        raise ForecastTableError("horizon must be a whole number of at least 1")
    symbol = forecasts["symbol"] if "symbol" in forecasts else pd.Series("", forecasts.index)
    keys = list(
        zip(map(str, symbol), date.tolist(), horizon.tolist(), forecasts["target"], strict=True)
    )
    places = {key: i for i, key in enumerate(keys)}
    if len(places) < len(keys):
        twice = next(key for i, key in enumerate(keys) if places[key] != i)
        raise ForecastTableError(
            f"{len(keys) - len(places)} forecasts stand twice in the table, the first for "
            f"{np.datetime64(twice[1], 'ns')} ({twice[3]}): keep one of each"
        )
    return places
