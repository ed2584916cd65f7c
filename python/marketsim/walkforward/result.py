"""What a walk-forward run found: tidy frames, a summary, a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS, Bars
from marketsim.build_info import versions
from marketsim.forecasts import ForecastCube, ForecastPlan
from marketsim.kernels import rules
from marketsim.metrics import Skill, forecast_skill
from marketsim.strategies import Orders, Strategy
from marketsim.timing import stage
from marketsim.walkforward.evaluate import StrategyDays
from marketsim.walkforward.inputs import MarketDays, ModelCard, naive_forecasts
from marketsim.walkforward.settings import Settings
from marketsim.walkforward.summary import Summary, measure_windows, plain, summarize
from marketsim.walkforward.windows import Windows


@dataclass(frozen=True)
class WalkForwardResult:
    """Result of `walk_forward` for one symbol.

    Attributes:
        bars: what it was run on.
        model: name, fingerprint and quantile levels of the model that forecast.
        settings: how it was run.
        windows: which days the simulations are made of.
        plans: which forecasts were made; several where days between them are not needed.
        cube: the forecasts of the evaluated days, `windows.days`, in this order.
        strategies: the strategies that ran.
        orders: what each ordered for the last of `windows.stretches`; fitted strategies from the
            first day that offsets are fitted on.
        outcomes: their outcome on each evaluated day, by name.
        measure_baselines: runs the naive strategies; see `baselines`.
    """

    bars: Bars
    model: ModelCard
    settings: Settings
    windows: Windows
    plans: tuple[ForecastPlan, ...]
    cube: ForecastCube
    strategies: tuple[Strategy, ...]
    orders: Mapping[str, Orders]
    outcomes: Mapping[str, StrategyDays]
    measure_baselines: Callable[[], Mapping[str, StrategyDays]]

    @cached_property
    def baselines(self) -> Mapping[str, StrategyDays]:
        """Outcomes of naive strategies on the same days.

        Buy and hold, the sign of yesterday's return, and the random walk's forecast of no move,
        which never trades.
        """
        return self.measure_baselines()

    @cached_property
    def _index(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.bars.frame.index)

    @cached_property
    def dates(self) -> pd.DatetimeIndex:
        """The evaluated days: those of a simulation, each once, in the time zone of the bars."""
        return self._index[self.windows.days]

    @cached_property
    def market(self) -> MarketDays:
        """What came on the evaluated days."""
        return MarketDays.at(self.bars, self.windows.days)

    @cached_property
    def actual(self) -> npt.NDArray[np.float64]:
        """One-bar returns that came [day, target]."""
        rows = self.windows.days
        prices = [getattr(self.bars, target) for target in TARGETS]
        return np.stack([price[rows] / price[rows - 1] - 1.0 for price in prices], axis=1)

    @cached_property
    def persistence(self) -> ForecastCube:
        """The forecasts of the persistence model for the evaluated days, to compare with."""
        return naive_forecasts(self.bars, self.windows)

    @cached_property
    def days(self) -> pd.DataFrame:
        """One row a day and strategy.

        Columns: date, strategy, position, high_offset, low_offset, sell_limit, buy_limit (prices;
        NaN without an order), long_entered, long_exited, short_entered, short_exited, open_filled,
        ambiguous, gross, fee, net (fractions of the capital), net_optimistic, net_pessimistic (the
        same orders under these fill policies), in_sample (mean net a day of the offsets on the days
        they were fitted on; NaN where none are).
        """
        outcomes = list(self.outcomes.values())

        def stacked(name: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(outcome, name) for outcome in outcomes])

        flags = stacked("flags")
        previous = np.tile(self.market.previous_close, len(outcomes))
        columns: dict[str, Any] = {
            "date": self.dates.append([self.dates] * (len(outcomes) - 1)),
            "strategy": _categories(
                list(self.outcomes), np.repeat(np.arange(len(outcomes)), len(self.dates))
            ),
            "position": stacked("position"),
            "high_offset": stacked("high_offset"),
            "low_offset": stacked("low_offset"),
            "sell_limit": previous * (1.0 + stacked("high_level")),
            "buy_limit": previous * (1.0 + stacked("low_level")),
        }
        for name, bit in FLAG_COLUMNS.items():
            columns[name] = flags & bit > 0
        for name in ("gross", "fee", "net", "net_optimistic", "net_pessimistic", "in_sample"):
            columns[name] = stacked(name)
        return pd.DataFrame(columns)

    @cached_property
    def forecasts(self) -> pd.DataFrame:
        """One row a day and target: date, target, mean, std, point, q<level> columns, actual.

        All are one-bar returns of the target's own column; `point` is the aggregate that the
        strategies decided by.
        """
        count, width = len(self.dates), len(TARGETS)
        distribution = self.cube.distribution
        quantiles = distribution.quantile(self.model.levels)
        columns: dict[str, Any] = {
            "date": self.dates.repeat(width),
            "target": _categories(list(TARGETS), np.tile(np.arange(width), count)),
            "mean": distribution.mean.reshape(-1),
            "std": distribution.std.reshape(-1),
            "point": self.cube.point(self.settings.aggregate).reshape(-1),
        }
        for i, level in enumerate(self.model.levels):
            columns[f"q{level:g}"] = quantiles[..., i].reshape(-1)
        columns["actual"] = self.actual.reshape(-1)
        return pd.DataFrame(columns)

    @cached_property
    def simulations(self) -> pd.DataFrame:
        """One row a simulation and strategy, with the metrics of its validation window.

        Columns: simulation, as_of, start, end, strategy, then those of
        `marketsim.metrics.WindowPerformance` (returns compound; windows below 20 sessions are
        not annualised: their Sharpe, volatility and annual return are NaN) and
        trades, fees, ambiguous (days), optimistic_gap (return under the optimistic fill policy less
        that under the pessimistic one, added up), in_sample (mean net a day on the days that the
        offsets were fitted on).
        """
        starts = np.searchsorted(self.windows.days, self.windows.starts)
        with stage("metrics"):
            measured = measure_windows(
                list(self.outcomes.values()),
                starts,
                self.windows.window,
                self.settings.periods_per_year,
            )
        index, names = self._index, list(self.outcomes)
        width = len(names)
        count = len(self.windows.as_of)
        columns: dict[str, Any] = {
            "simulation": np.repeat(np.arange(count), width),
            "as_of": index[self.windows.as_of].repeat(width),
            "start": index[self.windows.starts].repeat(width),
            "end": index[self.windows.as_of].repeat(width),
            "strategy": _categories(names, np.tile(np.arange(width), count)),
        }
        columns |= {name: values.reshape(-1) for name, values in measured.items()}
        return pd.DataFrame(columns)

    @cached_property
    def skill(self) -> Skill:
        """Forecast skill of each target on the evaluated days."""
        return forecast_skill(
            self.actual,
            self.cube.point(self.settings.aggregate),
            self.cube.distribution,
            self.model.levels,
            self.persistence.distribution,
        )

    def summary(self) -> Summary:
        """Performance over all evaluated days, each once, with baselines and forecast skill."""
        with stage("metrics"):
            return summarize(
                self.outcomes,
                self.baselines,
                self.skill,
                strategies=self.strategies,
                periods_per_year=self.settings.periods_per_year,
                heading=self._heading(),
            )

    def to_dict(self) -> dict[str, Any]:
        """The summary, the settings and where they come from, as values that JSON knows."""
        summary = self.summary()
        return {
            "symbol": self.bars.symbol,
            "strategies": plain(summary.strategies.reset_index()),
            "skill": plain(summary.skill.reset_index()),
            "settings": self.described_settings(),
            "provenance": self.provenance(),
        }

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one offline HTML file, whole or not at all; returns its path.

        Raises:
            ArgumentError: the name does not end in .html or .htm, so that a slip never replaces a
                file of data; or the folder does not exist, or the path cannot be one.
        """
        from marketsim.report.html import write_report
        from marketsim.walkforward.reporting import report_data

        return write_report(report_data(self), path)

    def described_settings(self) -> dict[str, Any]:
        """The settings in words and numbers with units."""
        windows, settings = self.windows, self.settings
        return {
            "model": self.model.name,
            "simulations": len(windows.as_of),
            "window_days": windows.window,
            "evaluated_days": len(self.dates),
            "offset_window_days": windows.offset_window,
            "purge_days": windows.purge,
            "embargo_days": windows.embargo,
            "first_day": self.dates[0].isoformat(),
            "last_day": self.dates[-1].isoformat(),
            "aggregate": settings.aggregate,
            "fill_policy": settings.fill,
            "asset_class": settings.asset_class,
            "shorts_possible": not settings.long_only,
            "fee_bps": settings.costs.fee_bps,
            "half_spread_bps": settings.costs.half_spread_bps,
            "periods_per_year": settings.periods_per_year,
            "offset_bounds": [list(bound) for bound in settings.offset_bounds],
            "returns": "compounded, fractions of the capital",
        }

    def provenance(self) -> dict[str, str]:
        """What the figures come from: data, model and code."""
        return {
            "data_sha256": self.bars.fingerprint,
            "data_rows": str(len(self.bars)),
            "data_repairs": "; ".join(self.bars.repairs) or "none",
            "model": self.model.name,
            "model_fingerprint": self.model.fingerprint,
            **versions(),
        }

    def _heading(self) -> str:
        windows, settings = self.windows, self.settings
        return (
            f"{self.bars.symbol}  {self.dates[0]:%Y-%m-%d} to {self.dates[-1]:%Y-%m-%d}, "
            f"{len(self.dates)} days in {len(windows.as_of)} simulations of {windows.window}; "
            f"model {self.model.name}, fill {settings.fill}, "
            f"costs {settings.costs.rate * 1e4:g} bp, {settings.periods_per_year:g} periods a year"
        )


FLAG_COLUMNS = {
    "long_entered": rules.LONG_ENTERED,
    "long_exited": rules.LONG_EXITED,
    "short_entered": rules.SHORT_ENTERED,
    "short_exited": rules.SHORT_EXITED,
    "open_filled": rules.OPEN_FILLED,
    "ambiguous": rules.AMBIGUOUS,
}


def _categories(names: list[str], codes: npt.NDArray[Any]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))
