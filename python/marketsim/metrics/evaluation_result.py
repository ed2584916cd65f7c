"""Judge forecasts: is a model better than no change, calibrated, and better than another one?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.forecasts.order import ordering_note
from marketsim.metrics.comparison import (
    InformationCoefficient,
    diebold_mariano,
    information_coefficient,
)
from marketsim.metrics.overfitting import ConfidenceSet, model_confidence_set
from marketsim.metrics.probability import share_interval
from marketsim.metrics.scores import CLIMATOLOGY_WINDOW, pinball_loss
from marketsim.metrics.skill import Skill, forecast_skill
from marketsim.models import QuantileDistribution
from marketsim.text import aligned, json_rows

Floats = npt.NDArray[np.float64]

LEVELS = tuple(i / 10 for i in range(1, 10))
"""Quantile levels that models are judged at: the deciles, which every model here states."""
LOSSES = ("pinball", "absolute")
_ALL = "all"
SHOWN = (
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
        crossed: by model, on how many bars its forecasts crossed and were put in order.
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
    crossed: Mapping[str, int] = field(default_factory=dict)

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
        bars = self.forecasts // (len(TARGETS) * len(self.horizons))
        found += [ordering_note(name, count, bars) + "." for name, count in self.crossed.items()]
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
        rows = self.shown()
        head = ["model", "target", "h", *(name for name, _ in SHOWN)]
        cells = [[row["model"], row["target"], str(row["horizon"]), *cells_of(row)] for row in rows]
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

    def shown(self) -> list[dict[str, Any]]:
        """Rows of the printed table, in its order: targets, horizons, models."""
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


def cells_of(row: Mapping[str, Any]) -> list[str]:
    """Format the figures of a row of the printed table, in the order of `SHOWN`."""
    found = []
    for _, name in SHOWN:
        value = float(row[name])
        if math.isnan(value):
            found.append("–")
        elif name.startswith(("coverage", "direction")):
            found.append(f"{100 * value:.0f}%")
        else:
            found.append(f"{value:.2f}" if name.endswith("p_value") else f"{value:.3f}")
    return found
