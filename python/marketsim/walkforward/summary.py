"""The table one would want to paste."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.kernels import rules
from marketsim.kernels.sums import window_sums
from marketsim.metrics import Skill, performance, windowed_performance
from marketsim.strategies import Strategy
from marketsim.text import aligned
from marketsim.walkforward.benchmark import Benchmark
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.settings import Settings

# Column of `Summary.strategies`, its head in the printed table, and its format.
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("total_return", "return", "percent"),
    ("annual_return", "annual", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("sharpe_error", "±se", "ratio"),
    ("max_drawdown", "max dd", "depth"),
    ("exposure", "in mkt", "share"),
    ("max_leverage", "max pos", "position"),
    ("trades", "trades", "count"),
    ("hit_rate", "hit", "share"),
    ("mean_return_bps", "bp/day", "ratio"),
    ("in_sample_bps", "in-sample", "ratio"),
    ("ambiguous_share", "ambig.", "tenth"),
    ("ambiguous_profit_share", "its P/L", "tenth"),
    ("optimistic_gap", "opt-aware", "percent"),
    ("mae_ratio", "MAE", "factor"),
    ("pinball_ratio", "pinball", "factor"),
    ("coverage", "cover", "share"),
)
# Further columns of `Summary.strategies`, which the printed table has no room for.
MORE_COLUMNS = (
    "volatility", "sortino", "calmar", "longest_drawdown", "recovery", "value_at_risk",
    "conditional_value_at_risk", "skew", "excess_kurtosis", "best", "worst", "mean_leverage",
    "turnover", "profit_factor", "average_win", "average_loss", "fees", "ruin_bar",
)  # fmt: skip
# Columns of `Summary.strategies` that compare with a benchmark; NaN without one.
BENCHMARK_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("alpha", "alpha", "percent"),
    ("beta", "beta", "factor"),
    ("correlation", "corr.", "ratio"),
    ("tracking_error", "tracking err.", "depth"),
    ("information_ratio", "info ratio", "ratio"),
)
SKILL_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("mae_bps", "MAE bp", "ratio"),
    ("mae_random_walk_bps", "random walk", "ratio"),
    ("mae_ratio", "MAE/walk", "factor"),
    ("mae_p_value", "p", "ratio"),
    ("pinball_ratio", "pinball/clim.", "factor"),
    ("pinball_p_value", "p", "ratio"),
    ("crps_ratio", "CRPS/clim.", "factor"),
    ("coverage", "cover", "share"),
    ("coverage_low", "from", "share"),
    ("coverage_high", "to", "share"),
    ("direction", "direction", "share"),
)
NOTES = (
    "return, annual, max dd: compounded. bp/day: arithmetic mean net return. Sharpe: annualised, "
    "with its standard error; – below 20 sessions, which are not annualised.",
    "in mkt: share of the bars with a position. max pos: largest absolute position, a long and a "
    "short added, as a multiple of the equity.",
    "in-sample: mean net, bp/day, of the fitted offsets on the days they were fitted on; all else "
    "is out of sample.",
    "ambig.: days whose bar leaves open what was filled first, and their share of the absolute "
    "profit. opt-aware: net of the same orders under the optimistic policy less open_aware.",
    "MAE, pinball: of the forecasts it decides by, relative to no change (MAE; the random walk) "
    "and to the quantiles of the last 250 days (pinball, CRPS; the climatology); below 1 is "
    "better. p: of equal accuracy (Diebold-Mariano). cover: actual values between their 10 % and "
    "90 % quantiles.",
)


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Performance and forecast skill of a run; `print` gives a table.

    Attributes:
        strategies: one row a strategy, then the naive baselines; columns as `COLUMNS`, and `kind`:
            "strategy" or "baseline". Fractions, not percent.
        skill: one row a target; columns as `SKILL_COLUMNS`.
        heading: what was run.
        notes: what happened that a reader must know, such as a ruin.
        benchmark: the name of what `BENCHMARK_COLUMNS` compare with; None for nothing.
    """

    strategies: pd.DataFrame
    skill: pd.DataFrame
    heading: str
    notes: tuple[str, ...] = ()
    benchmark: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Summary):
            return NotImplemented
        same = self.strategies.equals(other.strategies) and self.skill.equals(other.skill)
        mine = (self.heading, self.notes, self.benchmark)
        return same and mine == (other.heading, other.notes, other.benchmark)

    def __hash__(self) -> int:
        return hash((self.heading, self.notes))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The tables for a notebook."""
        parts = [f"<p>{escape(self.heading)}</p>"]
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        for head, rows in self._tables():
            cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
            body = "".join(
                f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
            )
            parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>")
        return "".join([*parts, *(f"<p><small>{escape(note)}</small></p>" for note in NOTES)])

    def __str__(self) -> str:
        head, rows = self.strategy_cells()
        split = int((self.strategies["kind"] == "strategy").sum())
        lines = [self.heading, *self.notes, "", *aligned(head, rows, split), ""]
        for table in self._tables()[1:]:
            lines += [*aligned(*table), ""]
        return "\n".join([*lines, *NOTES])

    def strategy_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and finished text of the strategies' table."""
        return _cells("strategy", self.strategies, COLUMNS)

    def _tables(self) -> list[tuple[list[str], list[list[str]]]]:
        compared = [] if self.benchmark is None else [self.benchmark_cells()]
        return [self.strategy_cells(), *compared, self.skill_cells()]

    def benchmark_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and finished text of the comparison with the benchmark."""
        return _cells(f"against {self.benchmark}", self.strategies, BENCHMARK_COLUMNS)

    def skill_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and finished text of the forecast skill's table."""
        return _cells("forecast of", self.skill, SKILL_COLUMNS)


def measure_windows(
    outcomes: Sequence[StrategyDays],
    starts: npt.NDArray[np.int64],
    length: int,
    settings: Settings,
) -> dict[str, npt.NDArray[np.float64]]:
    """Figures of each window of `length` days that begins at a day of `starts`.

    Returns:
        Arrays [window, strategy] by name: the fields of `WindowPerformance`, then trades, fees,
        ambiguous, optimistic_gap, ambiguous_profit_share (of the absolute profit), in_sample.
    """
    net = np.array([outcome.net for outcome in outcomes])
    active = np.array([outcome.active for outcome in outcomes])
    market = settings.market
    measured = windowed_performance(
        net, active, starts, length, market.periods_per_year,
        sessions_per_year=market.sessions_per_year, risk_free=settings.risk_free,
    )._asdict()  # fmt: skip
    sums, unfitted = _summed(outcomes, net, starts, length)
    measured |= sums
    measured["in_sample"] = np.where(unfitted, np.nan, measured["in_sample"])
    return measured


def _summed(
    outcomes: Sequence[StrategyDays],
    net: npt.NDArray[np.float64],
    starts: npt.NDArray[np.int64],
    length: int,
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]:
    """(sums over windows by name, which strategies fit no offsets)."""
    ambiguous = np.array([outcome.flags & rules.AMBIGUOUS > 0 for outcome in outcomes])
    gap = np.array([outcome.net_optimistic - outcome.net_open_aware for outcome in outcomes])
    in_sample = np.array([outcome.in_sample for outcome in outcomes])
    fields = {
        "trades": np.array([outcome.entries for outcome in outcomes]).astype(np.float64),
        "fees": np.array([outcome.fee for outcome in outcomes]),
        "ambiguous": ambiguous.astype(np.float64),
        "optimistic_gap": gap,
        "_ambiguous": np.where(ambiguous, np.abs(net), 0.0),
        "_absolute": np.abs(net),
        "in_sample": in_sample / length,
    }
    sums = window_sums(np.array(list(fields.values())), np.asarray(starts, np.int64), length)
    found = {name: sums[:, :, i] for i, name in enumerate(fields)}
    part, total = found.pop("_ambiguous"), found.pop("_absolute")
    found["ambiguous_profit_share"] = part / np.where(total > 0.0, total, np.nan)
    return found, np.asarray(np.isnan(in_sample).all(axis=1))


def whole_figures(
    outcomes: Sequence[StrategyDays],
    settings: Settings,
    benchmark: npt.NDArray[np.float64] | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Figures over all days, each once: arrays [strategy] by name.

    Those of `marketsim.metrics.Performance`, then trades, fees, ambiguous, ambiguous_share (of the
    days), ambiguous_profit_share (of the absolute profit), optimistic_gap, in_sample.
    """
    net = np.array([outcome.net for outcome in outcomes])
    market, days = settings.market, net.shape[1]
    measured = performance(
        net,
        periods_per_year=market.periods_per_year,
        sessions_per_year=market.sessions_per_year,
        active=np.array([outcome.active for outcome in outcomes]),
        position=np.array([outcome.exposure for outcome in outcomes]),
        traded=np.array([outcome.traded for outcome in outcomes]),
        benchmark=benchmark,
        risk_free=settings.risk_free,
    )._asdict()
    sums, unfitted = _summed(outcomes, net, np.zeros(1, dtype=np.int64), days)
    measured |= {name: values[0] for name, values in sums.items()}
    measured["in_sample"] = np.where(unfitted, np.nan, measured["in_sample"])
    measured["ambiguous_share"] = measured["ambiguous"] / days
    return measured


def summarize(
    outcomes: Mapping[str, StrategyDays],
    baselines: Mapping[str, StrategyDays],
    skill: Skill,
    *,
    strategies: Sequence[Strategy],
    settings: Settings,
    heading: str,
    notes: tuple[str, ...] = (),
    missing_years: float = 0.0,
    benchmark: Benchmark | None = None,
) -> Summary:
    """Summary of outcomes over all their days, each day counted once.

    Args:
        outcomes: of the strategies and baselines, by name.
        baselines: those of `outcomes`, and more, that are no strategies.
        skill: of the forecasts.
        strategies: which made the outcomes.
        settings: of the run.
        heading: the line above the table.
        notes: what a reader must know.
        missing_years: how long the holes within the days are; an annual return is over them too.
        benchmark: to measure the strategies against; None for none.

    """
    kept = {name: outcome for name, outcome in outcomes.items() if name not in baselines}
    everything = {**kept, **baselines}
    against = None if benchmark is None else benchmark.returns
    columns: dict[str, Any] = whole_figures(list(everything.values()), settings, against)
    if missing_years:
        years = (
            next(iter(everything.values())).net.size / settings.market.periods_per_year
            + missing_years
        )
        known = np.isfinite(columns["annual_return"])
        annual = (1.0 + columns["total_return"]) ** (1.0 / years) - 1.0
        columns["annual_return"] = np.where(known, annual, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            calmar = columns["annual_return"] / columns["max_drawdown"]
        columns["calmar"] = np.where(np.isfinite(columns["calmar"]), calmar, columns["calmar"])
    targets = {strategy.name: strategy.targets for strategy in strategies}
    judged = np.array(
        [_skill_of(targets.get(name, ()) if name in kept else (), skill) for name in everything]
    )
    columns["mean_return_bps"] = columns["mean_return"] * 1e4
    columns["in_sample_bps"] = columns["in_sample"] * 1e4
    for i, name in enumerate(("mae_ratio", "pinball_ratio", "coverage")):
        columns[name] = judged[:, i]
    shown: dict[str, Any] = {name: columns[name] for name, _, _ in COLUMNS}
    more = (*MORE_COLUMNS, *(name for name, _, _ in BENCHMARK_COLUMNS))
    shown |= {name: columns[name] for name in more}
    shown["kind"] = ["strategy"] * len(kept) + ["baseline"] * len(baselines)
    frame = pd.DataFrame(shown, index=pd.Index(list(everything), name="strategy"))
    against_name = None if benchmark is None else benchmark.name
    return Summary(frame, _skill_frame(skill), heading, notes, against_name)


def _skill_of(targets: Sequence[str], skill: Skill) -> tuple[float, float, float]:
    """(MAE and pinball loss relative to no skill, coverage) of some targets together."""
    if not targets:
        return math.nan, math.nan, math.nan
    at = [TARGETS.index(target) for target in targets]
    mae = _ratio(skill.mae[at].sum(), skill.mae_random_walk[at].sum())
    pinball = _ratio(skill.pinball[at].sum(), skill.pinball_climatology[at].sum())
    return mae, pinball, float(skill.coverage[at].mean())


def _ratio(value: float, naive: float) -> float:
    return float(value / naive) if naive > 0.0 else math.nan


def _skill_frame(skill: Skill) -> pd.DataFrame:
    in_bps = {"mae_bps": skill.mae * 1e4, "mae_random_walk_bps": skill.mae_random_walk * 1e4}
    columns = {name: in_bps.get(name, getattr(skill, name, None)) for name, _, _ in SKILL_COLUMNS}
    return pd.DataFrame(columns, index=pd.Index(TARGETS, name="target"))


def format_value(value: float, kind: str) -> str:
    """A figure as text: a percentage with sign or without, a ratio or a count."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    return _FORMATS[kind].format(value)


_FORMATS = {
    "percent": "{:+.2%}",
    "tenth": "{:.1%}",
    "depth": "{:.2%}",
    "share": "{:.0%}",
    "ratio": "{:.2f}",
    "factor": "{:.3f}",
    "count": "{:.0f}",
    "position": "{:.3g}",
}


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dictionaries of values that JSON knows; NaN becomes None."""
    rows = frame.astype(object).where(frame.notna() & ~frame.isin([math.inf, -math.inf]), None)
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _cells(
    corner: str, frame: pd.DataFrame, columns: Sequence[tuple[str, str, str]]
) -> tuple[list[str], list[list[str]]]:
    texts = [
        [format_value(value, kind) for value in frame[column].tolist()]
        for column, _, kind in columns
    ]
    rows = [[str(name), *cells] for name, *cells in zip(frame.index, *texts, strict=True)]
    return [corner, *(head for _, head, _ in columns)], rows
