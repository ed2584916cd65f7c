"""Judge forecasts: is a model better than no change, calibrated, and better than another one?"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
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
from marketsim.metrics.comparison import (
    InformationCoefficient,
    diebold_mariano,
    information_coefficient,
)
from marketsim.metrics.overfitting import ConfidenceSet, model_confidence_set
from marketsim.metrics.probability import share_interval
from marketsim.metrics.scores import CLIMATOLOGY_WINDOW, climatology, pinball_loss
from marketsim.metrics.skill import Skill, forecast_skill
from marketsim.models import Model, QuantileDistribution, load_model
from marketsim.models.calibration import LearningModel
from marketsim.text import json_rows

Floats = npt.NDArray[np.float64]
AnyModel: TypeAlias = "str | os.PathLike[str] | Model"

LEVELS = tuple(i / 10 for i in range(1, 10))
"""Quantile levels that models are judged at: the deciles, which every model here states."""
EVALUATED = 1_000
"""How many of the newest bars are judged where nobody says."""
LOSSES = ("pinball", "absolute")
_VOLATILITY_BARS = 22
_ALL = "all"
_SHOWN = (
    ("MAE/walk", "mae_ratio"), ("p", "mae_p_value"), ("pinball/clim.", "pinball_ratio"),
    ("p", "pinball_p_value"), ("CRPS/clim.", "crps_ratio"), ("cover", "coverage"),
    ("from", "coverage_low"), ("to", "coverage_high"), ("PIT p", "pit_p_value"),
    ("direction", "direction"),
)  # fmt: skip
_NOTES = (
    "MAE/walk: mean absolute error relative to no change. pinball/clim., CRPS/clim.: quantile loss "
    f"at the deciles, and its integral, relative to the quantiles of the last {CLIMATOLOGY_WINDOW} "
    "moves. Below 1 is better; p: of equal accuracy (Diebold and Mariano). cover: outcomes between "
    "the 10 % and 90 % quantiles, with a 95 % interval. PIT p: of a calibrated distribution.",
)


class Judged(NamedTuple):
    """One model's forecasts of one symbol, some steps ahead, and what came.

    Attributes:
        rows: [bar], rows of the bars that were forecast.
        dates: [bar], their dates in the time zone of the bars.
        actual, point: [bar, target], moves.
        quantiles: [bar, target, level], at `LEVELS`.
        usual: [bar, target, level], the climatology's.
        walk: [bar, target], the move that no change means.
        scale: [target], mean absolute move of no change before the first bar.
        kind: "own" returns of each column, or log moves against the "close" before.
    """

    rows: npt.NDArray[np.int64]
    dates: pd.DatetimeIndex
    actual: Floats
    point: Floats
    quantiles: Floats
    usual: Floats
    walk: Floats
    scale: Floats
    kind: str

    def skill(self, horizon: int, chosen: npt.NDArray[np.bool_] | None = None) -> Skill:
        """Figures of all bars, or of the chosen ones."""
        at = slice(None) if chosen is None else chosen
        return forecast_skill(
            self.actual[at], self.point[at], QuantileDistribution(LEVELS, self.quantiles[at]),
            LEVELS, self.usual[at], random_walk=self.walk[at], scale=self.scale, horizon=horizon,
        )  # fmt: skip

    def loss(self, name: str) -> Floats:
        """[bar, target]: pinball loss, or absolute error of the point forecast."""
        if name == "absolute":
            return np.abs(self.actual - self.point)
        return pinball_loss(self.actual, self.quantiles, LEVELS)


def evaluate_forecasts(
    bars: Any,
    models: AnyModel | Iterable[AnyModel],
    *,
    horizons: Sequence[int] = (1,),
    start: Any = None,
    end: Any = None,
    aggregate: str = "trimmed_mean_10",
    cutoffs: Mapping[str, Any] | None = None,
    targets: str | None = None,
    store: StoreLike = None,
    progress: bool = True,
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
    for model in chosen:
        began = time.perf_counter()
        tables = [(ReturnTable.for_model(one, model, targets), plan) for one, plan in wanted]
        cubes = run_plans(tables, model, store=kept, progress=progress)
        seconds[model.name] = time.perf_counter() - began
        for (one, _), cube in zip(wanted, cubes, strict=True):
            for step in steps:
                judged[model.name, one.symbol, step] = _judge(
                    one, cube.ordered()[0], step, aggregate
                )
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


@dataclass(frozen=True, eq=False, repr=False)
class ForecastEvaluation:
    """Result of `evaluate_forecasts`.

    Attributes:
        judged: forecasts and outcomes by (model, symbol, horizon).
        models, symbols, horizons: in the order given.
        cutoffs: the last date of training data by model, as stated.
        unknown_cutoffs: models with weights of which none was stated.
        seconds: wall time of each model's forecasts, with those that the store had.
        forecasts: how many each model made: bars x horizons x targets.
        span: which bars were judged, in words.
        volatility: [row] by symbol, what regimes are made of.
    """

    judged: Mapping[tuple[str, str, int], Judged]
    models: tuple[str, ...]
    symbols: tuple[str, ...]
    horizons: tuple[int, ...]
    cutoffs: Mapping[str, pd.Timestamp]
    unknown_cutoffs: tuple[str, ...]
    seconds: Mapping[str, float]
    forecasts: int
    span: str
    volatility: Mapping[str, Floats] = field(default_factory=dict)

    def table(self, regimes: bool = False) -> pd.DataFrame:
        """Figures, a row a model, symbol, horizon and target.

        Of several symbols, rows of symbol "all" have the mean of the symbols' ratios, the shares
        of all bars, and p-values of the mean loss a date (each symbol's losses divided by its
        benchmark's mean).

        Args:
            regimes: rows for parts of the bars, too: thirds by the volatility of the 22 bars
                before, years, and before and after a model's cutoff.

        Returns:
            model, symbol, horizon, target, regime ("all", "low volatility", ..., "2018", "may have
            been seen", "after the cutoff") and the fields of `marketsim.metrics.Skill`.
        """
        frames = []
        for (model, symbol, step), one in self.judged.items():
            parts: dict[str, npt.NDArray[np.bool_] | None] = {_ALL: None}
            parts |= self._cutoff_parts(model, one)
            if regimes:
                parts |= self._regimes(symbol, one)
            for regime, chosen in parts.items():
                if chosen is not None and chosen.sum() < 2:
                    continue
                frames.append(_skill_rows(model, symbol, step, regime, one.skill(step, chosen)))
        if len(self.symbols) > 1:
            frames += [self._pooled(model, step) for model in self.models for step in self.horizons]
        return pd.concat(frames, ignore_index=True)

    def _cutoff_parts(self, model: str, one: Judged) -> dict[str, npt.NDArray[np.bool_]]:
        if model not in self.cutoffs:
            return {}
        date = self.cutoffs[model]
        known = one.dates.tz_localize(None) <= date.tz_localize(None)
        seen = np.asarray(known, dtype=np.bool_)
        return {"may have been seen": seen, "after the cutoff": ~seen}

    def _regimes(self, symbol: str, one: Judged) -> dict[str, npt.NDArray[np.bool_]]:
        measured = self.volatility[symbol][one.rows]
        low, high = np.nanquantile(measured, (1 / 3, 2 / 3))
        years = one.dates.year.to_numpy()
        parts = {
            "low volatility": measured <= low,
            "middle volatility": (measured > low) & (measured <= high),
            "high volatility": measured > high,
        }
        return parts | {str(year): years == year for year in np.unique(years).tolist()}

    def _pooled(self, model: str, step: int) -> pd.DataFrame:
        """All symbols together; see `table`."""
        each = [self.judged[model, symbol, step] for symbol in self.symbols]
        skills = [one.skill(step) for one in each]
        found = {
            name: np.mean([getattr(s, name) for s in skills], axis=0) for name in Skill._fields
        }
        bars = np.sum([s.bars for s in skills], axis=0)
        hits = np.sum([s.coverage * s.bars for s in skills], axis=0)
        low, high = share_interval(hits, bars)
        found |= {"coverage": hits / bars, "coverage_low": low, "coverage_high": high, "bars": bars}
        for name in ("pit_p_value", "direction_low", "direction_high"):
            found[name] = np.full(len(bars), math.nan)
        for name, own, naive in (
            ("mae_p_value", lambda j: j.loss("absolute"), lambda j: np.abs(j.actual - j.walk)),
            ("pinball_p_value", lambda j: j.loss("pinball"),
             lambda j: pinball_loss(j.actual, j.usual, LEVELS)),
        ):  # fmt: skip
            found[name] = _pooled_p_values(each, own, naive, step)
        skill = Skill(**{name: np.asarray(found[name], dtype=np.float64) for name in Skill._fields})
        return _skill_rows(model, _ALL, step, _ALL, skill)

    def compare(
        self, target: str = "close", *, horizon: int | None = None, loss: str = "pinball",
        symbol: str | None = None, confidence_set: bool = False,
    ) -> pd.DataFrame:  # fmt: skip
        """Models beside one another on the same bars, the best first.

        Args:
            target: open, high, low or close.
            horizon: steps ahead; None for the first.
            loss: "pinball" (whole distribution), or "absolute" (point forecast).
            symbol: None for all, each date's losses averaged over symbols after division by the
                mean loss of the climatology (pinball) or of no change (absolute).
            confidence_set: whether each is in the model confidence set at 95 % (needs `arch`).

        Returns:
            A row a model: loss (mean), ratio (to the best), p_value (Diebold and Mariano, of being
            as good as the best; NaN for it) and, if asked for, in_set and set_p_value.

        Raises:
            UnknownNameError: no such target, horizon, loss or symbol.
            ArgumentError: models that forecast different kinds of moves.
            MissingDependencyError: `arch` is not installed.
        """
        step = self.horizons[0] if horizon is None else horizon
        for what, value, known in (
            ("target", target, TARGETS), ("loss", loss, LOSSES),
            ("horizon", str(step), [str(h) for h in self.horizons]),
            ("symbol", symbol or self.symbols[0], self.symbols),
        ):  # fmt: skip
            if value not in known:
                raise UnknownNameError(what, value, known)
        kinds = {self.judged[m, s, step].kind for m in self.models for s in self.symbols}
        if len(kinds) > 1:
            raise ArgumentError(
                "models forecast different kinds of moves (own returns, and moves against the "
                "close before): evaluate those of one kind together, see targets="
            )
        at = TARGETS.index(target)
        symbols = self.symbols if symbol is None else (symbol,)
        columns = {m: self._losses(m, symbols, step, at, loss) for m in self.models}
        losses = pd.DataFrame(columns).dropna()
        means = losses.mean().sort_values(kind="stable")
        best = means.index[0]
        p_values = [
            math.nan if name == best
            else diebold_mariano(losses[name], losses[best], horizon=step).p_value
            for name in means.index
        ]  # fmt: skip
        found = pd.DataFrame(
            {"model": means.index, "loss": means.to_numpy(),
             "ratio": means.to_numpy() / means[best], "p_value": p_values}
        )  # fmt: skip
        if confidence_set:
            chosen: ConfidenceSet = model_confidence_set(losses[list(means.index)].to_numpy().T)
            found["in_set"], found["set_p_value"] = chosen.included, chosen.p_values
        return found

    def _losses(
        self, model: str, symbols: Sequence[str], step: int, at: int, loss: str
    ) -> pd.Series[float]:
        each = []
        for symbol in symbols:
            one = self.judged[model, symbol, step]
            values = one.loss(loss)[:, at]
            if len(symbols) > 1:
                naive = (
                    np.abs(one.actual - one.walk) if loss == "absolute"
                    else pinball_loss(one.actual, one.usual, LEVELS)
                )  # fmt: skip
                values = values / naive[:, at].mean()
            each.append(pd.Series(values, index=one.dates.tz_convert("UTC")))
        return pd.concat(each, axis=1).mean(axis=1)

    @property
    def calibration(self) -> pd.DataFrame:
        """How often outcomes lie at or below each quantile, against what it says.

        Returns:
            A row a model, symbol, horizon, target and level: share, and its 95 % interval low to
            high; a calibrated quantile's level lies within it.
        """
        rows = []
        for (model, symbol, step), one in self.judged.items():
            below = one.actual[:, :, None] <= one.quantiles
            hits, count = below.sum(axis=0), len(below)
            low, high = share_interval(hits, count)
            for i, target in enumerate(TARGETS):
                for j, level in enumerate(LEVELS):
                    rows.append(
                        (model, symbol, step, target, level, hits[i, j] / count, low[i, j],
                         high[i, j])
                    )  # fmt: skip
        names = ["model", "symbol", "horizon", "target", "level", "share", "low", "high"]
        return pd.DataFrame(rows, columns=names)

    def rank_correlation(
        self, target: str = "close", horizon: int | None = None
    ) -> dict[str, InformationCoefficient]:
        """Of several symbols: rank correlation of forecasts and outcomes on each date, by model.

        Raises:
            ArgumentError: fewer than three symbols.
            UnknownNameError: no such target.
        """
        if len(self.symbols) < 3:
            raise ArgumentError(f"ranks need at least three symbols: got {len(self.symbols)}")
        if target not in TARGETS:
            raise UnknownNameError("target", target, TARGETS)
        step = self.horizons[0] if horizon is None else horizon
        at = TARGETS.index(target)
        found = {}
        for model in self.models:
            columns = []
            for name in ("point", "actual"):
                each = [
                    pd.Series(getattr(self.judged[model, s, step], name)[:, at],
                              index=self.judged[model, s, step].dates.tz_convert("UTC"))
                    for s in self.symbols
                ]  # fmt: skip
                columns.append(pd.concat(each, axis=1).to_numpy(dtype=np.float64))
            found[model] = information_coefficient(*columns)
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the figures, in sentences."""
        found = list(_NOTES)
        if self.unknown_cutoffs:
            found.append(
                f"{', '.join(self.unknown_cutoffs)}: the end of the training data is not known, so "
                "these bars may have been seen in training; cutoffs={name: date} judges them apart."
            )
        return tuple(found)

    def heading(self) -> str:
        """One line: symbols, bars, what may have been seen in training."""
        names = self.symbols[0] if len(self.symbols) == 1 else f"{len(self.symbols)} symbols"
        first = min(one.dates[0] for one in self.judged.values())
        last = max(one.dates[-1] for one in self.judged.values())
        text = f"{names}  {first:%Y-%m-%d} to {last:%Y-%m-%d}, {self.span}"
        if self.unknown_cutoffs:
            text += f"; training data of {', '.join(self.unknown_cutoffs)}: unknown end"
        return text

    def __str__(self) -> str:
        from marketsim.text import aligned

        rows = self._shown()
        head = ["model", "target", "h", *(name for name, _ in _SHOWN)]
        cells = [[row["model"], row["target"], str(row["horizon"]), *_cells(row)] for row in rows]
        cost = [
            f"{name}: {self.seconds[name] / self.forecasts * 1e6:,.1f} us a forecast"
            for name in self.models
        ]
        return "\n".join(
            [self.heading(), "", *aligned(head, cells), "", *self.notes,
             f"Cost of {self.forecasts:,} forecasts, those that the store had included: "
             f"{'; '.join(cost)}."]
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"ForecastEvaluation({', '.join(self.models)}; {self.heading()}; print it)"

    def _shown(self) -> list[dict[str, Any]]:
        frame = self.table()
        symbol = _ALL if len(self.symbols) > 1 else self.symbols[0]
        chosen = frame[(frame["symbol"] == symbol) & (frame["regime"] == _ALL)]
        order = {name: i for i, name in enumerate(self.models)}
        places = [TARGETS.index(t) * 1_000_000 + h * 1000 + order[m] for t, h, m in zip(
            chosen["target"], chosen["horizon"], chosen["model"], strict=True)]  # fmt: skip
        ranked = chosen.assign(_place=places).sort_values("_place").drop(columns="_place")
        return [{str(k): v for k, v in row.items()} for row in ranked.to_dict("records")]

    def to_dict(self) -> dict[str, Any]:
        """All figures as values that JSON knows; None for what is not defined."""
        rows = self.table(regimes=True).to_dict("records")
        return {
            "heading": self.heading(),
            "notes": list(self.notes),
            "rows": json_rows(rows),
            "calibration": json_rows(self.calibration.to_dict("records")),
            "microseconds": {
                name: spent / self.forecasts * 1e6 for name, spent in self.seconds.items()
            },
        }


def _skill_rows(model: str, symbol: str, step: int, regime: str, skill: Skill) -> pd.DataFrame:
    return pd.DataFrame(
        {"model": model, "symbol": symbol, "horizon": step, "target": TARGETS, "regime": regime}
        | skill._asdict()
    )


def _pooled_p_values(each: Sequence[Judged], own: Any, naive: Any, step: int) -> Floats:
    found = []
    for i in range(len(TARGETS)):
        pairs = []
        for one in each:
            benchmark = naive(one)[:, i]
            scale = benchmark.mean() or math.nan
            index = one.dates.tz_convert("UTC")
            pairs.append(pd.Series((own(one)[:, i] - benchmark) / scale, index=index))
        difference = pd.concat(pairs, axis=1).mean(axis=1).to_numpy(dtype=np.float64)
        found.append(diebold_mariano(difference, np.zeros_like(difference), horizon=step).p_value)
    return np.array(found)


def _cells(row: Mapping[str, Any]) -> list[str]:
    found = []
    for _, name in _SHOWN:
        value = float(row[name])
        if math.isnan(value):
            found.append("–")
        elif name.startswith(("coverage", "direction")):
            found.append(f"{100 * value:.0f}%")
        else:
            found.append(f"{value:.2f}" if name.endswith("p_value") else f"{value:.3f}")
    return found
