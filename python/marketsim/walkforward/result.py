"""Result of a walk-forward run: tidy frames, a summary, a report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_flag
from marketsim.bars import TARGETS, Bars, Gap
from marketsim.bars.clock import DAY
from marketsim.bars.exchange import missing_sessions_note
from marketsim.bars.gaps import LONGEST_CLOSURE
from marketsim.build_info import versions
from marketsim.errors import UnknownNameError
from marketsim.forecasts import ForecastCube, ForecastPlan
from marketsim.forecasts.order import ordering_note
from marketsim.kernels import rules
from marketsim.metrics import (
    CLIMATOLOGY_WINDOW,
    Evidence,
    Skill,
    bands_dict,
    bands_frame,
    climatology,
    forecast_skill,
)
from marketsim.strategies import Orders, Strategy
from marketsim.text import json_rows
from marketsim.timing import stage
from marketsim.walkforward.benchmark import Benchmark
from marketsim.walkforward.inputs import MarketDays, ModelCard
from marketsim.walkforward.outcome import StrategyDays, ruin_bar
from marketsim.walkforward.returns import daily_returns
from marketsim.walkforward.run import BASELINE_STRATEGIES, Run, StrategyRun
from marketsim.walkforward.settings import Settings
from marketsim.walkforward.summary import (
    Summary,
    measure_windows,
    summarize,
    whole_figures,
)
from marketsim.walkforward.trades import TRADE_COLUMNS, round_trips
from marketsim.walkforward.windows import Windows

if TYPE_CHECKING:
    from marketsim.report.plot import Backend


FigureName = Literal["equity", "drawdown", "monthly", "rolling_sharpe", "forecast", "calibration"]


@dataclass(frozen=True, eq=False, repr=False)
class WalkForwardResult:
    """Result of `walk_forward` for one symbol.

    Frames are returned as copies: writing into one changes no other.

    Attributes:
        model: name, fingerprint and quantile levels of the model.
        plans: plans of the forecasts; several where bars between them are not needed.
        run: inputs, windows and settings of the run.
        runs: orders and outcome of each strategy, by name.
        evidence: evidence of the search that chose the strategy; set by
            `marketsim.search.with_ledger` and `best_result`.
        benchmark: benchmark of the strategies; None without one.
    """

    model: ModelCard
    plans: tuple[ForecastPlan, ...]
    run: Run
    runs: Mapping[str, StrategyRun]
    evidence: Evidence | None = None
    benchmark: Benchmark | None = None

    def __repr__(self) -> str:
        return f"WalkForwardResult({self._heading()}; print(result.summary()) for the figures)"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    def bars(self) -> Bars:
        """Bars of the run."""
        return self.run.inputs.bars

    @property
    def settings(self) -> Settings:
        """Settings of the run: fill policy, costs, market."""
        return self.run.settings

    @property
    def windows(self) -> Windows:
        """Windows of the simulations."""
        return self.run.windows

    @cached_property
    def cube(self) -> ForecastCube:
        """Forecasts of the evaluated bars, in the order of `windows.days`."""
        return self.run.inputs.forecasts.evaluated(self.windows)

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Strategies of the run."""
        return tuple(run.strategy for run in self.runs.values())

    @cached_property
    def orders(self) -> Mapping[str, Orders]:
        """Orders of each strategy for the last of `windows.stretches`.

        Those of fitted strategies begin at the first bar of the fit.
        """
        return {name: run.last for name, run in self.runs.items()}

    @cached_property
    def outcomes(self) -> Mapping[str, StrategyDays]:
        """Outcome of each strategy on the evaluated bars as one path, by name."""
        return {name: run.outcome for name, run in self.runs.items()}

    @cached_property
    def baseline_runs(self) -> Mapping[str, StrategyRun]:
        """Runs of the naive baselines on the same bars.

        Buy and hold, the sign of the previous bar's return, and the random walk, which never
        trades.
        """
        return {s.name: self.run.of(s) for s in BASELINE_STRATEGIES}

    @cached_property
    def baselines(self) -> Mapping[str, StrategyDays]:
        """Outcomes of the naive baselines, by name."""
        return {name: run.outcome for name, run in self.baseline_runs.items()}

    @cached_property
    def _index(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.bars.frame.index)

    @cached_property
    def dates(self) -> pd.DatetimeIndex:
        """Timestamps of the evaluated bars, each once, in the time zone of the bars."""
        return self._index[self.windows.days]

    @cached_property
    def market(self) -> MarketDays:
        """Market moves of the evaluated bars."""
        return self.run.inputs.market(self.windows.days)

    @property
    def targets(self) -> str:
        """Kind of forecast: "close" (moves against the previous close) or "own" (own returns)."""
        return self.cube.schema.targets

    def _moves(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the actual moves [row, target] of these rows, of the forecast's kind."""
        first, last = int(rows[0]), int(rows[-1])
        part = [
            np.ascontiguousarray(getattr(self.bars, target)[first - 1 : last + 1])
            for target in TARGETS
        ]
        if self.targets == "close":
            return np.asarray(_core.close_moves(*part).T[rows - first])
        return np.stack([price[1:] / price[:-1] - 1.0 for price in part], axis=1)[rows - first]

    @cached_property
    def actual(self) -> npt.NDArray[np.float64]:
        """Actual moves [bar, target], of the forecast's kind; see `targets`."""
        return self._moves(self.windows.days)

    @cached_property
    def unchanged(self) -> npt.NDArray[np.float64]:
        """Moves [bar, target] if no column changes its own price: the random walk's forecast."""
        rows = self.windows.days - 1
        if self.targets == "own":
            return np.zeros((len(rows), len(TARGETS)))
        prices = np.stack([getattr(self.bars, target)[rows] for target in TARGETS], axis=1)
        return np.asarray(np.log(prices / self.bars.close[rows, None]))

    @cached_property
    def climatology(self) -> npt.NDArray[np.float64]:
        """Quantiles [bar, target, level] of the last 250 moves before each bar."""
        rows = self.windows.days
        first = max(1, int(rows[0]) - CLIMATOLOGY_WINDOW)
        found = climatology(
            self._moves(np.arange(first, rows[-1] + 1)), self.model.levels,
            start=int(rows[0]) - first, window=CLIMATOLOGY_WINDOW,
        )  # fmt: skip
        evaluated: npt.NDArray[np.float64] = found[rows - rows[0]]
        return evaluated

    @property
    def days(self) -> pd.DataFrame:
        """Positions, fills and returns: one row per bar and strategy.

        Columns: date, strategy, position, high_offset, low_offset, sell_limit, buy_limit (prices;
        NaN without an order), long_entered, long_exited, short_entered, short_exited, open_filled,
        stopped, ambiguous, exposure (sum of absolute positions), traded (value bought and sold),
        gross, fee, carry (borrow and financing, a part of fee), net, net_optimistic, net_open_aware
        (net of the same orders under these fill policies), all fractions of the equity, and
        in_sample (mean net a bar of the offsets on their fit window; NaN without a fit).
        """
        return self._days.copy(deep=False)

    @cached_property
    def _days(self) -> pd.DataFrame:
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
        for name in FIGURE_COLUMNS:
            columns[name] = stacked(name)
        return pd.DataFrame(columns)

    @property
    def forecasts(self) -> pd.DataFrame:
        """Forecasts: one row per bar and target.

        Columns: date, target, mean, std, point, one q<level> per quantile level, actual. All are
        log moves against the previous close, or with targets="own" one-bar returns of the target's
        own column; `point` is the aggregate that strategies used.
        """
        return self._forecasts.copy(deep=False)

    @cached_property
    def _forecasts(self) -> pd.DataFrame:
        count, width = len(self.dates), len(TARGETS)
        distribution = self.cube.distribution
        quantiles = self.cube.quantile(self.model.levels)
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

    @property
    def simulations(self) -> pd.DataFrame:
        """Metrics of the validation windows: one row per simulation and strategy.

        Each simulation is a run of its own: it starts flat and closes its position at its end, so
        its figures do not depend on the number of simulations.

        Columns: simulation, as_of, start, end, strategy, then the fields of
        `marketsim.metrics.Performance` (returns compound; nothing is annualised below 20 sessions)
        and trades, fees, ambiguous (number of bars), ambiguous_profit_share (of the absolute
        profit), optimistic_gap (sum of net under the optimistic fill policy less net under
        open_aware), in_sample (mean net a bar on the fit windows of the offsets).
        """
        return self._simulations.copy(deep=False)

    @cached_property
    def _simulations(self) -> pd.DataFrame:
        windows = self.windows
        starts = np.arange(len(windows.as_of)) * windows.window
        outcomes = [self.run.simulated(run) for run in self.runs.values()]
        with stage("metrics"):
            measured = measure_windows(outcomes, starts, windows.window, self.settings)
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
        """Forecast skill of each target on the evaluated bars."""
        return forecast_skill(
            self.actual,
            self.cube.point(self.settings.aggregate),
            self.cube.distribution,
            self.model.levels,
            self.climatology,
            random_walk=self.unchanged,
        )

    @cached_property
    def figures(self) -> dict[str, npt.NDArray[np.float64]]:
        """Figures of the summary as arrays [strategy] by name, computed without frames."""
        with stage("metrics"):
            return whole_figures(list(self.outcomes.values()), self.settings, self._against)

    @property
    def _against(self) -> npt.NDArray[np.float64] | None:
        return None if self.benchmark is None else self.benchmark.returns

    @property
    def returns(self) -> pd.DataFrame:
        """Net returns by calendar day: a column per strategy, then baselines and benchmark.

        Fractions of the equity; the index holds local dates of the bars, without a time zone.
        Intraday bars compound to their day; longer bars are one row each. Each column is a Series
        that performance packages accept.
        """
        return self._returns.copy(deep=False)

    @cached_property
    def _returns(self) -> pd.DataFrame:
        outcomes = {**self.outcomes, **self._other_baselines}
        returns = {name: outcome.net for name, outcome in outcomes.items()}
        if self.benchmark is not None:
            returns[self.benchmark.name] = self.benchmark.returns
        return daily_returns(returns, self.dates)

    @property
    def equity(self) -> pd.DataFrame:
        """Equity at the end of each day of `returns`, compounded from 1."""
        return (1.0 + self._returns).cumprod()

    @property
    def _other_baselines(self) -> dict[str, StrategyDays]:
        return {n: outcome for n, outcome in self.baselines.items() if n not in self.outcomes}

    @property
    def trades(self) -> pd.DataFrame:
        """Round trips: one row per trade of a strategy.

        Columns: strategy, side (1 long, -1 short), size, entry_time, exit_time (of the bar that the
        price is from), entry_price, exit_price, entry_kind, exit_kind (close, open, limit, stop,
        end), gross, costs, net (fractions of the equity, summed over its bars), net_return
        (compounded), mae, mfe (worst and best price against the entry), bars, ambiguous.
        """
        return self._trades.copy(deep=False)

    @cached_property
    def _trades(self) -> pd.DataFrame:
        names = list(self.runs)
        parts = [round_trips(self.run, run) for run in self.runs.values()]
        codes = np.repeat(np.arange(len(parts)), [len(part["side"]) for part in parts])
        columns: dict[str, Any] = {"strategy": _categories(names, codes)}
        columns |= {name: np.concatenate([part[name] for part in parts]) for name in TRADE_COLUMNS}
        for name in ("entry_time", "exit_time"):
            stamps = pd.DatetimeIndex(columns[name]).tz_localize("UTC")
            columns[name] = stamps.tz_convert(self._index.tz)
        return pd.DataFrame(columns)

    def summary(self, *, bands: bool = False) -> Summary:
        """Summarise performance over all evaluated bars, with baselines and forecast skill.

        Args:
            bands: show the bootstrap bands of the figures too, see `bands`: some 0.1 s more.
        """
        as_flag("bands", bands)
        with stage("metrics"):
            return summarize(
                self.outcomes,
                self.baselines,
                self.skill,
                strategies=self.strategies,
                settings=self.settings,
                heading=self._heading(),
                notes=tuple(self._notes()),
                missing_years=sum(length for _, length in self._holes()),
                benchmark=self.benchmark,
                bands=self.bands() if bands else None,
            )

    def bands(
        self, *, confidence: float = 0.9, repetitions: int | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """Bootstrap bands of the headline figures; see `marketsim.metrics.bands_frame`."""
        kept = {n: of for n, of in self.outcomes.items() if n not in self.baselines}
        outcomes = {**kept, **self.baselines}
        market = self.settings.market
        missing = sum(length for _, length in self._holes())
        return bands_frame(
            {name: np.asarray(days.net, dtype=np.float64) for name, days in outcomes.items()},
            periods_per_year=market.periods_per_year,
            sessions_per_year=market.sessions_per_year,
            active={name: np.asarray(days.active) for name, days in outcomes.items()},
            years=len(self.dates) / market.periods_per_year + missing if missing else None,
            confidence=confidence,
            repetitions=repetitions,
            seed=seed,
        )

    def to_dict(self, *, bands: bool = False) -> dict[str, Any]:
        """Return the summary, settings and provenance as values that JSON can represent.

        Args:
            bands: add the bootstrap bands of the figures, see `bands`.
        """
        summary = self.summary(bands=bands)
        return {
            "symbol": self.bars.symbol,
            "strategies": json_rows(summary.strategies.reset_index().to_dict("records")),
            "skill": json_rows(summary.skill.reset_index().to_dict("records")),
            "notes": list(summary.notes),
            **({} if summary.bands is None else {"bands": bands_dict(summary.bands)}),
            **({} if self.evidence is None else {"search": self.evidence.to_dict()}),
            "settings": self.described_settings(),
            "provenance": self.provenance(),
        }

    def report(self, path: str | os.PathLike[str], *, home: str = "") -> Path:
        """Write the report as one offline HTML file, atomically; returns its path.

        Args:
            path: path of the page.
            home: file name of the index page beside it that the page links to; empty for none.

        Raises:
            ArgumentError: the name does not end in .html or .htm, which keeps a typing error from
                replacing a data file; the folder does not exist; or the path is invalid.
        """
        from marketsim.report.html import write_report
        from marketsim.walkforward.reporting import report_data

        return write_report(replace(report_data(self), home=home), path)

    def figure(
        self,
        name: FigureName = "equity",
        *,
        strategy: str | None = None,
        target: str = "close",
        backend: Backend = "auto",
    ) -> Any:
        """Draw a named figure for a notebook.

        Args:
            name: "equity" (with drawdown), "drawdown", "monthly" (returns of one strategy),
                "rolling_sharpe", "forecast" (quantiles and actual values) or "calibration" (share
                of actual values below each quantile).
            strategy: strategy to show; None: all, or the first if the figure shows one.
            target: target of "forecast": open, high, low or close.
            backend: "plotly", "matplotlib", or "auto" for the first that is installed.

        Returns:
            A `plotly.graph_objects.Figure` or a `matplotlib.figure.Figure`.

        Raises:
            UnknownNameError: unknown figure, strategy, target or backend.
            ArgumentError: too few days for a rolling Sharpe ratio.
            MissingDependencyError: neither package is installed; the extra is `plots`.

        Example:
            >>> result.figure("monthly", strategy="simple")  # doctest: +SKIP
        """
        from marketsim.report.plot import draw
        from marketsim.walkforward.plots import plot_of

        return draw(plot_of(self, name, strategy, target), backend)

    def plot(self, *, strategy: str | None = None, backend: Backend = "auto") -> Any:
        """Draw equity and drawdown; see `figure`."""
        return self.figure("equity", strategy=strategy, backend=backend)

    def to_quantstats(self, strategy: str) -> pd.Series[float]:
        """Return the daily net returns of a strategy in the form that `quantstats` accepts.

        Fractions; index of dates without a time zone; the strategy's name.

        Raises:
            UnknownNameError: unknown strategy.

        Example:
            >>> quantstats.reports.html(result.to_quantstats("maxdiff"))  # doctest: +SKIP
        """
        if strategy not in self._returns.columns:
            known = [str(name) for name in self._returns.columns]
            raise UnknownNameError("strategy", strategy, known)
        return self._returns[strategy].copy()

    def described_settings(self) -> dict[str, Any]:
        """Return the settings as plain values with units in their names."""
        windows, settings = self.windows, self.settings
        return {
            "model": self.model.name,
            "simulations": len(windows.as_of),
            "window_days": windows.window,
            "evaluated_days": len(self.dates),
            "bars": len(self.bars),
            "offset_window_days": windows.offset_window,
            "purge_days": windows.purge,
            "embargo_days": windows.embargo,
            "first_day": self.dates[0].isoformat(),
            "last_day": self.dates[-1].isoformat(),
            "targets": self.targets,
            "aggregate": settings.aggregate,
            "fill_policy": settings.fill,
            "asset_class": settings.asset_class,
            "shorts_possible": not settings.long_only,
            "fee_bps": settings.costs.fee_bps,
            "half_spread_bps": settings.costs.half_spread_bps,
            "costs": asdict(settings.costs),
            "market": settings.market.to_dict(),
            "periods_per_year": settings.periods_per_year,
            "execution": settings.execution,
            "risk_free": settings.risk_free,
            "benchmark": None if self.benchmark is None else self.benchmark.name,
            "volume_cap": None if settings.volume_cap is None else asdict(settings.volume_cap),
            "offset_bounds": [list(bound) for bound in settings.offset_bounds],
            "returns": "compounded, fractions of the capital",
        }

    def provenance(self) -> dict[str, str]:
        """Return the provenance of the figures: data, model and code versions."""
        return {
            "data_sha256": self.bars.fingerprint,
            "data_rows": str(len(self.bars)),
            "data_repairs": "; ".join(self.bars.repairs) or "none",
            "model": self.model.name,
            "model_fingerprint": self.model.fingerprint,
            **versions(),
        }

    def _holes(self) -> list[tuple[Gap, float]]:
        """Return gaps of more than 14 days within the evaluated bars, each with its years."""
        first, last = int(self.windows.days[0]), int(self.windows.days[-1])
        times = self.bars.timestamps.view(np.int64)
        found = [
            (gap, int(times[gap.row] - times[gap.row - 1]))
            for gap in self.bars.gaps
            if first <= gap.row <= last
        ]
        year = 365.25 * DAY
        return [(gap, length / year) for gap, length in found if length > LONGEST_CLOSURE]

    def _notes(self) -> Iterator[str]:
        """Yield warnings that belong beside the table, such as a ruin."""
        for gap, _ in self._holes():
            yield f"{gap}: the annual return counts these days as elapsed time"
        missing = missing_sessions_note(self.bars)
        if missing:
            yield missing
        if self.evidence is not None:
            yield self.evidence.sentence()
        crossed = self.run.inputs.forecasts.crossed
        if crossed:
            made = sum(len(cube) for cube in self.run.inputs.forecasts.cubes)
            yield ordering_note(self.model.name, crossed, made)
        value = self.market.value
        idle = 0 if value is None else int((value == 0.0).sum())
        if idle:
            count = len(self.dates)
            yield f"{idle:,} of {count:,} evaluated bars have no volume: nothing fills there"
        for name, outcome in {**self.outcomes, **self._other_baselines}.items():
            bar = ruin_bar(outcome.net)
            if bar is not None:
                yield (
                    f"{name} was ruined on {self.dates[bar]:%Y-%m-%d}, bar {bar + 1:,} of "
                    f"{len(self.dates):,}: its account ends there, later bars count as 0"
                )

    def _heading(self) -> str:
        windows, settings = self.windows, self.settings
        days, bars = len(self.dates), len(self.bars)
        more = "" if days >= windows.possible_days(bars) else ' (all: simulations="all")'
        period = self.bars.period(int(windows.days[0]), int(windows.days[-1]) + 1)
        return (
            f"{self.bars.symbol}  {period}, "
            f"{days:,} of {bars:,} bars evaluated{more} in {len(windows.as_of):,} simulations of "
            f"{windows.window}; model {self.model.name}"
            f"{' of own returns' if self.targets == 'own' else ''}, fill {settings.fill}; costs: "
            f"{settings.costs.text()}; {settings.market.sentence()}"
            + "".join(f"; {text}" for text in settings.stated())
        )


FLAG_COLUMNS = {
    "long_entered": rules.LONG_ENTERED,
    "long_exited": rules.LONG_EXITED,
    "short_entered": rules.SHORT_ENTERED,
    "short_exited": rules.SHORT_EXITED,
    "open_filled": rules.OPEN_FILLED,
    "stopped": rules.STOPPED,
    "ambiguous": rules.AMBIGUOUS,
}
FIGURE_COLUMNS = (
    "exposure", "traded", "gross", "fee", "carry", "net", "net_optimistic", "net_open_aware",
    "in_sample",
)  # fmt: skip


def _categories(names: list[str], codes: npt.NDArray[Any]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))
