"""The forecasts of simulations: by the model through the store, or by a user's function."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from marketsim import _core
from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError
from marketsim.forecasts import ForecastCube, run_plan, target_index
from marketsim.legacy.stock.pipelines import load_toto_pipeline, prediction_store
from marketsim.legacy.stock.price_frame import (
    KEYS,
    Prices,
    Series,
    all_moves,
    plan_for,
    return_table,
)
from marketsim.legacy.stock.toto_aggregation import aggregate_columns, native_spec
from marketsim.legacy.stock.toto_wrapper import TotoForecast
from marketsim.models import Distribution

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Predict = Callable[..., Any]

BAND = (0.4, 0.6)
_COLUMNS = [target_index(key.lower()) for key in KEYS]


class Forecasts(NamedTuple):
    """Forecasts of the four prices, in the order `KEYS`.

    Attributes:
        points: float32 [price, simulation, forecast], oldest day first.
        bands: float32 [price, simulation, forecast], the 60 % quantile less the 40 % quantile.
    """

    points: Floats
    bands: Floats


@dataclass(frozen=True)
class Data:
    """What simulations forecast from.

    Attributes:
        prices, symbol: the data.
        series: the moves of each price.
        params: num_samples, samples_per_batch and aggregate, see `resolve_toto_params`.
    """

    prices: Prices
    symbol: str
    series: Mapping[str, Series]
    params: Mapping[str, Any]


def forecasts_by_model(data: Data, groups: Sequence[Indices]) -> list[Forecasts]:
    """The exact forecasts of the model that is set, each made once; kept in the prediction store.

    Args:
        data: the data of all simulations.
        groups: the moves to forecast, int64 [price, simulation, forecast]; groups differ in the
            number of forecasts.
    """
    cubes = _cubes(data, groups)
    if not cubes:  # too few rows: nobody is asked
        return [no_forecasts(group.shape[1]) for group in groups]
    known = _Known.of(data, cubes)
    return [known.pick(ends) for ends in groups]


def _cubes(data: Data, groups: Sequence[Indices]) -> list[ForecastCube]:
    """The forecasts of each price for all simulations; of complete data one run serves all four.

    None where no simulation asks for any.
    """
    asked = [ends for ends in groups if ends.size]
    if not asked:
        return []
    model, store = load_toto_pipeline().model, prediction_store()
    assert model is not None  # it has just been loaded
    complete = Series.have_same_rows(data.series)
    simulations = sum(ends.shape[1] for ends in asked)
    width = max(ends.shape[2] for ends in asked)
    cubes: list[ForecastCube] = []
    for i, key in enumerate(KEYS[:1] if complete else KEYS):
        first = min(int(ends[i].min()) for ends in asked)
        last = max(int(ends[i].max()) for ends in asked)
        made = run_plan(
            return_table(data.prices, data.series[key], data.symbol),
            model,
            plan_for((first, last), simulations, width),
            store=store,
            targets=TARGETS if complete else (key.lower(),),
        )
        cubes.append(made)
    return cubes * len(KEYS) if complete else cubes


class _Known(NamedTuple):
    """Forecasts of all prices one after the other; that of move i of a price is at start + i.

    Attributes:
        starts: int64 [price].
        points, bands: float32 [forecast].
    """

    starts: Indices
    points: Floats
    bands: Floats

    @classmethod
    def of(cls, data: Data, cubes: Sequence[ForecastCube]) -> _Known:
        """The forecasts of each price by its cube."""
        if all(cube is cubes[0] for cube in cubes):
            points, bands = summarised(cubes[0].distribution, data.params)
            made = [(points[:, column], bands[:, column]) for column in _COLUMNS]
        else:
            made = [
                summarised(cube.schema.decode(cube.records[:, 0, column]), data.params)
                for cube, column in zip(cubes, _COLUMNS, strict=True)
            ]
        before = [0, *itertools.accumulate(len(cube) for cube in cubes[:-1])]
        starts = np.array(
            [start - cube.first + 1 for start, cube in zip(before, cubes, strict=True)]
        )
        return cls(starts, *(np.concatenate(parts) for parts in zip(*made, strict=True)))

    def pick(self, ends: Indices) -> Forecasts:
        """Those of moves [price, simulation, forecast]."""
        if not ends.size:
            return no_forecasts(ends.shape[1])
        at = ends + self.starts[:, None, None]
        return Forecasts(self.points[at], self.bands[at])


def no_forecasts(simulations: int) -> Forecasts:
    """What stands where there are too few rows to forecast from: one forecast of no move."""
    zero = np.zeros((len(KEYS), simulations, 1), dtype=np.float32)
    return Forecasts(zero, zero)


def summarised(made: Distribution, params: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """(point forecasts, bands) of the shape of a distribution."""
    points = made.aggregate(native_spec(str(params["aggregate"])))
    ends = made.quantile(BAND)
    bands = np.maximum(ends[..., 1] - ends[..., 0], 0.0)
    return points.astype(np.float32), bands.astype(np.float32)


def forecasts_by_frames(
    data: Data, groups: Sequence[Indices], forecast: Callable[..., Any]
) -> list[Forecasts]:
    """Forecasts by a function like `_compute_toto_forecast`, called once a simulation and price.

    It is handed the frame of the old backtest: moves of its price in the column y, by day.

    Raises:
        ArgumentError: it gives another number of forecasts than there are days.
    """
    moves = all_moves(data.prices, data.series)
    made = []
    for ends in groups:
        points: Floats = np.zeros(ends.shape, dtype=np.float32)
        bands: Floats = np.zeros(ends.shape, dtype=np.float32)
        if not ends.size:
            points, bands = no_forecasts(ends.shape[1])
        for price, key in enumerate(KEYS):
            for i in range(ends.shape[1] if ends.size else 0):
                end = int(ends[price, i, -1]) + 1
                last = float(data.prices[key][data.series[key].rows[end - 1] + 1])
                frame = pd.DataFrame({"y": moves[price][:end].astype(np.float64)})
                found = forecast(data.symbol, key, frame, last, dict(data.params))
                for to, values in ((points, found[0]), (bands, found[1])):
                    row = np.asarray(values, dtype=np.float32).reshape(-1)
                    if row.size != ends.shape[2]:
                        raise ArgumentError(
                            f"the function in the place of _compute_toto_forecast must give "
                            f"{ends.shape[2]} forecasts and bands of {key}: got {row.size}"
                        )
                    to[price, i] = row
        made.append(Forecasts(points, bands))
    return made


def forecasts_by_function(
    data: Data,
    groups: Sequence[Indices],
    predict: Predict,
    aggregate: Callable[..., Any] | None = None,
) -> list[Forecasts]:
    """Forecasts by a function with the signature of `cached_predict`, called once a context.

    `aggregate`, where there is one, makes a point forecast of samples in the place of ours.
    """
    sampling = {name: data.params[name] for name in ("num_samples", "samples_per_batch")}
    moves = all_moves(data.prices, data.series)
    at: dict[tuple[int, int], int] = {}  # (price, context's end): number of its forecast
    numbers = [
        [
            at.setdefault((price, end), len(at))
            for price, of_price in enumerate(ends.reshape(len(KEYS), -1).tolist())
            for end in of_price
        ]
        for ends in groups
    ]
    made = [
        # A copy each: a function may do as it likes with its context.
        predict(torch.from_numpy(moves[price][:end].copy()), 1, **sampling, symbol=data.symbol)[0]
        for price, end in at
    ]
    points, bands = _read(made, data.params)
    if aggregate is not None:
        spec = data.params["aggregate"]
        each = [np.atleast_1d(aggregate(samples_of(one), spec))[0] for one in made]
        points = np.array(each, dtype=np.float64)
    all_points: Floats = points.astype(np.float32)
    all_bands: Floats = bands.astype(np.float32)

    def picked(ends: Indices, which: list[int]) -> Forecasts:
        if not ends.size:
            return no_forecasts(ends.shape[1])
        return Forecasts(
            all_points[which].reshape(ends.shape), all_bands[which].reshape(ends.shape)
        )

    return [picked(ends, which) for ends, which in zip(groups, numbers, strict=True)]


def _read(made: Sequence[Any], params: Mapping[str, Any]) -> tuple[Array, Array]:
    """(point forecasts, bands), float64 [forecast], of what `cached_predict` returns for contexts.

    Forecasts with equally many samples are read together; none depends on the others.
    """
    points, bands = np.empty(len(made)), np.empty(len(made))
    for at, rows in _sampled(made):
        ordered = np.sort(rows, axis=1)
        below, above = (quantile_of_sorted(ordered, level) for level in BAND)
        points[at] = aggregate_columns(
            rows.astype(np.float64).T, str(params["aggregate"]), ordered.astype(np.float64).T
        )
        bands[at] = np.maximum(above.astype(np.float64) - below.astype(np.float64), 0.0)
    for i, one in enumerate(made):
        if (exact := exact_of(one)) is not None:
            point, band = summarised(exact, params)
            points[i], bands[i] = point.reshape(-1)[0], band.reshape(-1)[0]
    return points, bands


def exact_of(made: Any) -> Distribution | None:
    """The distribution that a forecast of ours carries beside its samples."""
    return made.distribution if isinstance(made, TotoForecast) else None


def _sampled(made: Sequence[Any]) -> list[tuple[list[int], Floats]]:
    """(which forecasts, their samples [forecast, sample]) of those with equally many samples."""
    tensors = _core.rows_of_tensors(made)
    if tensors is not None and tensors.size:
        return [(list(range(len(made))), tensors)]
    found: dict[int, list[tuple[int, Floats]]] = defaultdict(list)
    for i, one in enumerate(made):
        if exact_of(one) is None:
            samples = samples_of(one)
            found[len(samples)].append((i, samples))
    return [
        ([i for i, _ in group], np.array([samples for _, samples in group]))
        for group in found.values()
    ]


def quantile_of_sorted(rows: Floats, level: float) -> Floats:
    """A quantile of each row [row, sample] by linear interpolation, as float32; NaN beside a NaN.

    It is what np.percentile gives for one level, in a tenth of its time.
    """
    last = rows.shape[1] - 1
    at = last * level
    low = int(at)
    part = at - low
    before, after = rows[:, low], rows[:, min(low + 1, last)]
    with np.errstate(all="ignore"):
        step = after - before
        found: Floats = after - step * (1 - part) if part >= 0.5 else before + step * part
    found[np.isnan(rows[:, -1])] = np.nan  # missing ones are sorted last
    return found


def samples_of(made: Any) -> Floats:
    """The samples of a forecast, float32 [sample]: a tensor's, an array's, or by `.numpy()`."""
    if isinstance(made, torch.Tensor):
        array = made.float().numpy(force=True)  # NumPy has no bfloat16
    else:
        array = made.numpy() if callable(getattr(made, "numpy", None)) else made
    samples = np.asarray(array, dtype=np.float32).reshape(-1)
    return samples if samples.size else np.zeros(1, dtype=np.float32)


def forecast_price_frame(
    symbol: str,
    context: npt.NDArray[np.float64],
    last_price: float,
    params: Mapping[str, Any],
    predict: Predict,
    horizon: int,
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Forecasts of the last `horizon` values of a series, each from those before it.

    Returns:
        (points float32 [forecast], bands float32 [forecast], the last price moved by the last
        forecast).
    """
    made = []
    for back in range(min(horizon, len(context) - 1), 0, -1):
        part = torch.tensor(context[:-back], dtype=torch.float32)
        sampling = {name: params[name] for name in ("num_samples", "samples_per_batch")}
        made.append(predict(part, 1, **sampling, symbol=symbol)[0])
    points, bands = (part.astype(np.float32) for part in _read(made, params))
    if not made:
        points = bands = np.zeros(1, dtype=np.float32)
    moved = float(last_price * (1.0 + float(points[-1])))
    return torch.from_numpy(points.copy()), torch.from_numpy(bands.copy()), moved
