"""Make the forecasts of models and collect what came of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from marketsim.arguments import check_whole
from marketsim.bars import TARGETS, Bars, bar_returns, close_moves
from marketsim.bars.several import list_bars
from marketsim.errors import ArgumentError, NotEnoughBarsError, UnknownNameError
from marketsim.forecasts import (
    ForecastCube,
    ForecastPlan,
    ReturnTable,
    StoreLike,
    open_store,
    run_plans,
)
from marketsim.forecasts.plan import LEAST_CONTEXT
from marketsim.metrics.evaluation_result import LEVELS, Floats, ForecastEvaluation, Judged
from marketsim.metrics.scores import CLIMATOLOGY_WINDOW, climatology
from marketsim.models import Model, load_model
from marketsim.models.calibration import LearningModel
from marketsim.models.traits import TargetKind
from marketsim.progress import Progress

AnyModel: TypeAlias = "str | os.PathLike[str] | Model"

EVALUATED = 1_000
"""How many of the newest bars are judged where nobody says."""
_VOLATILITY_BARS = 22


def evaluate_forecasts(
    bars: Any,
    models: AnyModel | Iterable[AnyModel],
    *,
    horizons: Sequence[int] = (1,),
    start: Any = None,
    end: Any = None,
    aggregate: str = "trimmed_mean_10",
    cutoffs: Mapping[str, Any] | None = None,
    targets: TargetKind | None = None,
    store: StoreLike = None,
    progress: Progress = True,
) -> ForecastEvaluation:
    """Evaluate the forecasts of models against no change, climatology and one another.

    Every forecast of a bar is made from the bars before it, as in a backtest, and kept in the
    store.

    Args:
        bars: one symbol as `read_bars` takes it, or several `Bars` as a list or by symbol.
        models: `Model` objects, or names for `load_model`.
        horizons: steps ahead, ascending. Horizon h of the forecasts made before bar t is of bar
            t + h - 1: its move from the bar before it.
        start, end: first and last date to judge, both included; None: the newest 1,000 bars.
        aggregate: point forecast, as in `walk_forward`.
        cutoffs: the last date of each model's training data, by its name: bars up to it are judged
            apart, since the model may have seen them.
        targets, store, progress: as in `walk_forward`.

    Returns:
        `ForecastEvaluation`; print it for a table.

    Raises:
        NotEnoughBarsError: no bar can be judged, or only one.
        BarsError, UnknownNameError, ArgumentError: as `walk_forward`.

    Example:
        >>> import marketsim as ms
        >>> found = ms.evaluate_forecasts(ms.demo_bars(), ["ewma", "range"], progress=False)
        >>> found.compare("high")  # doctest: +SKIP
    """
    steps = _horizons(horizons)
    given = list_bars(bars)
    chosen = _models(models)
    ends = _cutoffs(cutoffs, chosen)
    kept = open_store(store)
    wanted = [(one, _plan(one, steps, start, end)) for one in given]
    judged: dict[tuple[str, str, int], Judged] = {}
    seconds = {}
    crossed = {}
    for model in chosen:
        began = time.perf_counter()
        tables = [(ReturnTable.for_model(one, model, targets), plan) for one, plan in wanted]
        cubes = run_plans(tables, model, store=kept, progress=progress)
        seconds[model.name] = time.perf_counter() - began
        found = [cube.ordered() for cube in cubes]
        crossed[model.name] = sum(count for _, count in found)
        for (one, _), (cube, _) in zip(wanted, found, strict=True):
            for step in steps:
                judged[model.name, one.symbol, step] = _judge(one, cube, step, aggregate)
    evaluated = max(plan.days for _, plan in wanted)
    forecasts = sum(plan.forecasts for _, plan in wanted)
    return ForecastEvaluation(
        judged=judged,
        models=tuple(model.name for model in chosen),
        symbols=tuple(one.symbol for one in given),
        horizons=steps,
        cutoffs=ends,
        unknown_cutoffs=tuple(m.name for m in chosen if _has_weights(m) and m.name not in ends),
        seconds=seconds,
        forecasts=forecasts,
        span=f"{evaluated:,} of {max(len(one) for one in given):,} bars judged"
        + ("" if start is not None or len(given[0]) <= EVALUATED else " (start= says others)"),
        volatility={one.symbol: _volatility(one) for one in given},
        crossed={name: count for name, count in crossed.items() if count},
    )


def _horizons(horizons: Sequence[int]) -> tuple[int, ...]:
    steps = tuple(horizons)
    for step in steps:
        check_whole("horizons", step, 1)
    if not steps or list(steps) != sorted(set(steps)):
        raise ArgumentError(f"horizons must ascend, at least one: got {list(horizons)}")
    return steps


def _models(models: AnyModel | Iterable[AnyModel]) -> list[Model]:
    if isinstance(models, (str, os.PathLike)) or not isinstance(models, Iterable):
        models = [models]
    found = [load_model(m) if isinstance(m, (str, os.PathLike)) else m for m in models]
    names = [model.name for model in found]
    if not found or len(set(names)) < len(names):
        raise ArgumentError(
            f"models must be at least one, each of its own name: got {', '.join(names) or 'none'}"
        )
    return found


def _cutoffs(cutoffs: Mapping[str, Any] | None, models: Sequence[Model]) -> dict[str, pd.Timestamp]:
    names = [model.name for model in models]
    for name in cutoffs or {}:
        if name not in names:
            raise UnknownNameError("model of cutoffs", name, names)
    try:
        return {name: pd.Timestamp(date) for name, date in (cutoffs or {}).items()}
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"cutoffs must be dates such as '2024-05-31': {error}") from error


def _has_weights(model: Model) -> bool:
    if isinstance(model, LearningModel):
        return any(map(_has_weights, model.models))
    return not type(model).__module__.startswith("marketsim.models.statistical")


def _plan(bars: Bars, steps: tuple[int, ...], start: Any, end: Any) -> ForecastPlan:
    """The bars whose forecasts are judged: those whose last horizon has come."""
    least, stop = 1 + LEAST_CONTEXT, len(bars) - steps[-1] + 1
    first = max(stop - EVALUATED, least)
    if start is not None or end is not None:
        index = pd.DatetimeIndex(bars.frame.index)
        try:
            low, high = map(int, index.slice_locs(start, end))
        except (TypeError, ValueError, KeyError) as error:
            raise ArgumentError(
                f"start and end must be dates such as '2020-01-31': got {start!r}, {end!r}"
            ) from error
        first, stop = max(low, least), min(high, stop)
    if stop - first < 2:
        raise NotEnoughBarsError(
            f"{bars.symbol}: {max(stop - first, 0)} bars to judge: got {len(bars)} bars, of which "
            f"the first {least} are context and the last {steps[-1] - 1} not known {steps[-1]} "
            f"steps ahead; expected at least 2 (start={start!r}, end={end!r})"
        )
    return ForecastPlan(first, stop, stop - first, 1, steps)


def _judge(bars: Bars, cube: ForecastCube, step: int, aggregate: str) -> Judged:
    kind = cube.schema.targets
    moves = (bar_returns(bars) if kind == "own" else close_moves(bars)).T  # row i: of bar i + 1
    made = np.arange(cube.first, cube.first + len(cube))  # forecasts made before these bars
    rows = made + step - 1
    usual = climatology(moves, LEVELS, start=cube.first - 1, window=CLIMATOLOGY_WINDOW)
    prices = np.stack([getattr(bars, target) for target in TARGETS], axis=1)
    stay = np.zeros_like(prices) if kind == "own" else np.log(prices / bars.close[:, None])
    before = moves[: cube.first - 1] - stay[: cube.first - 1]
    return Judged(
        rows=rows,
        dates=pd.DatetimeIndex(bars.frame.index)[rows],
        actual=moves[rows - 1],
        point=cube.point(aggregate, step),
        quantiles=cube.quantile(LEVELS, step),
        usual=usual[: len(made)],
        walk=stay[made - 1],
        scale=np.abs(before).mean(axis=0),
        kind=kind,
    )


def _volatility(bars: Bars) -> Floats:
    """Standard deviation of the last 22 log moves of the close before each bar; NaN at first."""
    moves = np.log(bars.close[1:] / bars.close[:-1])
    found = np.full(len(bars), np.nan)
    known = pd.Series(moves).rolling(_VOLATILITY_BARS).std().to_numpy()
    found[2:] = known[:-1]
    return found
