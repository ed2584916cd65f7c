"""Makes the forecasts of a plan, each once: from the store, or by the model in batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars, bar_returns
from marketsim.errors import ArgumentError
from marketsim.forecasts.cube import ForecastCube, encode, schema_of
from marketsim.forecasts.keys import context_digests, record_keys
from marketsim.forecasts.plan import ForecastPlan
from marketsim.forecasts.store import ForecastStore, SeriesId
from marketsim.models import Model
from marketsim.progress import ProgressBar

# Forecasts of one call to a model: enough to amortise its start, few enough for a lively bar.
BATCH_DAYS = 1024


def run_plan(
    bars: Bars,
    model: Model,
    plan: ForecastPlan,
    *,
    store: ForecastStore,
    progress: bool = True,
) -> ForecastCube:
    """Forecast every target on every day of the plan.

    The model is handed the one-bar returns of one target before the day, nothing else. The result
    is the same whether a forecast comes from the store or from the model.

    Raises:
        ArgumentError: the model returned a forecast that is not finite.
    """
    returns = bar_returns(bars)  # [target, row]: the return of bar row + 1
    stamps = bars.timestamps.astype(np.int64)
    days = np.arange(plan.first, plan.stop)
    levels = model.levels
    series = SeriesId(model.fingerprint, bars.symbol)
    records = np.empty((len(days), len(TARGETS), 2 + len(levels)), dtype=np.float32)
    with ProgressBar(plan.forecasts, f"forecasting {bars.symbol}", enabled=progress) as bar:
        for i, target in enumerate(TARGETS):
            contexts = context_digests(stamps[1:], returns[i], days - 1, model.context_length)
            keys = record_keys(schema_of(levels), *series, target, 1, stamps[days - 1], contexts)
            records[:, i], found = store.read(series, keys, records.shape[2])
            bar.advance(int(found.sum()))
            for start, stop in _batches(~found):
                made = _forecast(model, returns[i], int(days[start]), int(days[stop - 1]), levels)
                records[start:stop, i] = made
                store.append(series, keys[start:stop], made)
                bar.advance(stop - start)
    return ForecastCube(plan.first, levels, records)


def _forecast(
    model: Model,
    returns: npt.NDArray[np.float64],
    first_day: int,
    last_day: int,
    levels: tuple[float, ...],
) -> npt.NDArray[np.float32]:
    """Records of the days first_day .. last_day; the return of day t has index t - 1."""
    records = encode(model.predict_each(returns[: last_day - 1], first_day - 1), levels)
    finite = np.isfinite(records).all(axis=1)
    if not finite.all():
        day = first_day + int(np.flatnonzero(~finite)[0])
        raise ArgumentError(f"{model.name} returned a forecast that is not finite for row {day}")
    return records


def _batches(missing: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of missing days as [start, stop), none longer than BATCH_DAYS."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [
        (at, min(at + BATCH_DAYS, int(stop)))
        for start, stop in edges.reshape(-1, 2)
        for at in range(int(start), int(stop), BATCH_DAYS)
    ]
