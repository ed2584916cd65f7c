"""The forecasts of simulations: by the model through the store, or by a user's function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from marketsim.bars import TARGETS
from marketsim.forecasts import ForecastCube, run_plan, target_index
from marketsim.legacy.contexts import Series, plan_for, return_table
from marketsim.legacy.pipelines import load_toto_pipeline, prediction_store
from marketsim.legacy.price_frame import KEYS, Prices
from marketsim.legacy.toto_aggregation import aggregate_columns
from marketsim.models import Distribution

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Predict = Callable[..., Any]

BAND = (0.4, 0.6)


class Forecasts(NamedTuple):
    """Forecasts of one price.

    Attributes:
        points: float32 [simulation, forecast], oldest day first.
        bands: float32 [simulation, forecast], the 60 % quantile less the 40 % quantile.
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


def forecasts_by_model(
    data: Data, groups: Sequence[Mapping[str, Indices]]
) -> list[dict[str, Forecasts]]:
    """The exact forecasts of the model that is set, each made once; kept in the prediction store.

    Args:
        data: the data of all simulations.
        groups: for each price the moves to forecast, int64 [simulation, forecast]; groups differ in
            the number of forecasts.
    """
    cubes = _cubes(data, groups)
    first = cubes[KEYS[0]]
    if first is not None and all(cube is first for cube in cubes.values()):
        lookup = _Lookup.of_all(data, first)
    else:
        lookup = {key: _Lookup.of(data, key, cube) for key, cube in cubes.items()}
    return [{key: lookup[key].pick(ends) for key, ends in group.items()} for group in groups]


def _cubes(data: Data, groups: Sequence[Mapping[str, Indices]]) -> dict[str, ForecastCube | None]:
    """The forecasts of each price for all simulations; of complete data one run serves all four."""
    spans = {key: _span([group[key] for group in groups]) for key in KEYS}
    if spans[KEYS[0]] is None:  # too few rows: nobody is asked
        return dict.fromkeys(KEYS)
    model, store = load_toto_pipeline().model, prediction_store()
    assert model is not None  # it has just been loaded
    rows = data.series[KEYS[0]].rows
    complete = all(np.array_equal(data.series[key].rows, rows) for key in KEYS)
    simulations = sum(len(group[KEYS[0]]) for group in groups)
    width = max(group[KEYS[0]].shape[1] for group in groups)
    cubes: dict[str, ForecastCube | None] = {}
    for key, ends in spans.items():
        if complete and cubes:
            cubes[key] = cubes[KEYS[0]]
        elif ends is not None:
            cubes[key] = run_plan(
                return_table(data.prices, data.series[key], data.symbol),
                model,
                plan_for(ends, simulations, width),
                store=store,
                targets=TARGETS if complete else (key.lower(),),
            )
    return cubes


def _span(asked: Sequence[Indices]) -> tuple[int, int] | None:
    """(first, last) move asked for; None where there is none."""
    found = [ends for ends in asked if ends.size]
    if not found:
        return None
    return min(int(ends.min()) for ends in found), max(int(ends.max()) for ends in found)


class _Lookup(NamedTuple):
    """The forecasts of one price by the number of the move that is forecast."""

    first: int
    points: Floats
    bands: Floats

    @classmethod
    def of(cls, data: Data, key: str, cube: ForecastCube | None) -> _Lookup:
        if cube is None:
            return cls(0, np.zeros(0, np.float32), np.zeros(0, np.float32))
        records = cube.records[:, target_index(key.lower())]
        made: Distribution = cube.schema.decode(records)
        return cls(cube.first - 1, *summarised(made, data.params))

    @classmethod
    def of_all(cls, data: Data, cube: ForecastCube) -> dict[str, _Lookup]:
        points, bands = summarised(cube.distribution, data.params)
        columns = {key: target_index(key.lower()) for key in KEYS}
        return {key: cls(cube.first - 1, points[:, i], bands[:, i]) for key, i in columns.items()}

    def pick(self, ends: Indices) -> Forecasts:
        if not ends.size:
            return no_forecasts(len(ends))
        return Forecasts(self.points[ends - self.first], self.bands[ends - self.first])


def no_forecasts(simulations: int) -> Forecasts:
    """What stands where there are too few rows to forecast from: one forecast of no move."""
    zero = np.zeros((simulations, 1), dtype=np.float32)
    return Forecasts(zero, zero)


def summarised(made: Distribution, params: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """(point forecasts, bands) of the shape of a distribution."""
    points = made.aggregate(str(params["aggregate"]))
    ends = made.quantile(BAND)
    bands = np.maximum(ends[..., 1] - ends[..., 0], 0.0)
    return points.astype(np.float32), bands.astype(np.float32)


def forecasts_by_function(
    data: Data, groups: Sequence[Mapping[str, Indices]], predict: Predict
) -> list[dict[str, Forecasts]]:
    """Forecasts by a function with the signature of `cached_predict`, called once a context."""
    sampling = {name: data.params[name] for name in ("num_samples", "samples_per_batch")}
    moves = {key: series.moves.astype(np.float32) for key, series in data.series.items()}
    asked = dict.fromkeys(
        (key, end) for group in groups for key in KEYS for end in group[key].reshape(-1).tolist()
    )
    made = [
        # A copy each: a function may do as it likes with its context.
        predict(torch.from_numpy(moves[key][:end].copy()), 1, **sampling, symbol=data.symbol)[0]
        for key, end in asked
    ]
    known = dict(zip(asked, zip(*_read(made, data.params), strict=True), strict=True))

    def picked(key: str, ends: Indices) -> Forecasts:
        if not ends.size:
            return no_forecasts(len(ends))
        found = np.array([[known[key, end] for end in row] for row in ends.tolist()])
        return Forecasts(found[..., 0].astype(np.float32), found[..., 1].astype(np.float32))

    return [{key: picked(key, ends) for key, ends in group.items()} for group in groups]


def _read(made: Sequence[Any], params: Mapping[str, Any]) -> tuple[Array, Array]:
    """(point forecasts, bands), float64 [forecast], of what `cached_predict` returns for contexts.

    Forecasts with equally many samples are read together; none depends on the others.
    """
    points, bands = np.empty(len(made)), np.empty(len(made))
    sampled: dict[int, list[tuple[int, Floats]]] = defaultdict(list)
    for i, one in enumerate(made):
        exact = getattr(one, "distribution", None)
        if exact is None:
            samples = samples_of(one)
            sampled[len(samples)].append((i, samples))
        else:
            point, band = summarised(exact, params)
            points[i], bands[i] = point.reshape(-1)[0], band.reshape(-1)[0]
    for group in sampled.values():
        at = [i for i, _ in group]
        rows = np.stack([samples for _, samples in group])
        below, above = (np.percentile(rows, 100 * level, axis=1) for level in BAND)
        points[at] = aggregate_columns(rows.astype(np.float64).T, str(params["aggregate"]))
        bands[at] = np.maximum(above.astype(np.float64) - below.astype(np.float64), 0.0)
    return points, bands


def samples_of(made: Any) -> Floats:
    """The samples of a forecast, float32 [sample]: a tensor's, an array's, or by `.numpy()`."""
    if isinstance(made, torch.Tensor):
        made = made.detach().cpu()
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
