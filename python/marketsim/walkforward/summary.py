"""Summary of a walk-forward run: figures of strategies and forecasts, and their tables."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels import rules
from marketsim.kernels.sums import window_sums
from marketsim.metrics import (
    Skill,
    bands_cells,
    bands_note,
    performance,
    windowed_performance,
)
from marketsim.strategies import Strategy
from marketsim.text import aligned, printable, sparkline
from marketsim.walkforward.benchmark import Benchmark
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.settings import Settings

# (column of `Summary.strategies`, heading in the printed table, format).
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
    ("mean_return_bps", "bp/bar", "ratio"),
    ("in_sample_bps", "in-sample", "ratio"),
    ("ambiguous_share", "ambig.", "tenth"),
    ("ambiguous_profit_share", "its P/L", "tenth"),
    ("optimistic_gap", "opt-aware", "percent"),
    ("mae_ratio", "MAE", "factor"),
    ("pinball_ratio", "pinball", "factor"),
    ("coverage", "cover", "share"),
)
# Columns of `Summary.strategies` that the printed table leaves out.
MORE_COLUMNS = {
    "volatility": "depth", "sortino": "ratio", "calmar": "ratio", "longest_drawdown": "count",
    "recovery": "ratio", "value_at_risk": "depth", "conditional_value_at_risk": "depth",
    "skew": "ratio", "excess_kurtosis": "ratio", "best": "percent", "worst": "percent",
    "mean_leverage": "position", "turnover": "ratio", "profit_factor": "ratio",
    "average_win": "percent", "average_loss": "percent", "fees": "depth", "ruin_bar": "count",
}  # fmt: skip
# Benchmark columns of `Summary.strategies`; NaN without a benchmark.
BENCHMARK_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("alpha", "alpha", "percent"),
    ("beta", "beta", "factor"),
    ("correlation", "corr.", "ratio"),
    ("tracking_error", "tracking err.", "depth"),
    ("information_ratio", "info ratio", "ratio"),
)
# Columns of the printed table: with the name and the equity they fit into 80 characters.
SHORT_COLUMNS = ("total_return", "annual_return", "sharpe", "max_drawdown", "trades", "hit_rate")
SHORT_SKILL = (
    "mae_bps", "mae_ratio", "mae_p_value", "pinball_ratio", "pinball_p_value", "coverage",
    "direction",
)  # fmt: skip
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
# Notes below the tables, each with the columns that it explains.
_NOTES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("total_return", "annual_return", "max_drawdown"),
        "return, annual, max dd: compounded.",
    ),
    (("mean_return_bps",), "bp/bar: arithmetic mean net return of a bar."),
    (
        ("sharpe",),
        "Sharpe: annualised, with its standard error; – below 20 sessions, which are not "
        "annualised.",
    ),
    (
        ("exposure", "max_leverage"),
        "in mkt: share of the bars with a position. max pos: largest absolute position, a long and "
        "a short added, as a multiple of the equity.",
    ),
    (
        ("in_sample_bps",),
        "in-sample: mean net, bp/bar, of the fitted offsets on their fit windows; all other "
        "figures are out of sample.",
    ),
    (
        ("ambiguous_share", "ambiguous_profit_share", "optimistic_gap"),
        "ambig.: bars that leave the order of fills open, and their share of the absolute profit. "
        "opt-aware: net of the same orders under the optimistic policy less open_aware.",
    ),
    (
        ("mae_ratio", "pinball_ratio", "coverage"),
        "MAE, pinball: of the forecasts that the strategy uses, relative to no change (MAE; the "
        "random walk) and to the quantiles of the last 250 bars (pinball, CRPS; the climatology); "
        "below 1 is better. p: of equal accuracy (Diebold-Mariano). cover: actual values between "
        "the 10 % and 90 % quantiles.",
    ),
)
# Headings of the bands of the headline figures.
_BAND_HEADS = {
    "total_return": "return %", "annual_return": "annual %", "sharpe": "Sharpe",
    "max_drawdown": "max dd %", "hit_rate": "hit %",
}  # fmt: skip
NOTES = tuple(note for _, note in _NOTES)
_WIDTH = 80


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Performance and forecast skill of a run; `print` shows tables of 80 characters.

    Attributes:
        strategies: one row per strategy, then the naive baselines; columns as in `COLUMNS`, and
            `kind`: "strategy" or "baseline". Fractions, not percent.
        skill: one row per target; columns as in `SKILL_COLUMNS`.
        heading: symbol, period, model, costs and market in one line.
        notes: warnings for the reader, such as a ruin.
        benchmark: name of the benchmark of `BENCHMARK_COLUMNS`; None without one.
        equity: equity of each row of `strategies` at evenly spaced bars, from 1 at the start.
        bands: bootstrap bands of the figures, see `marketsim.metrics.bands_frame`; None where they
            were not asked for.
    """

    strategies: pd.DataFrame
    skill: pd.DataFrame
    heading: str
    notes: tuple[str, ...] = ()
    benchmark: str | None = None
    equity: tuple[tuple[float, ...], ...] = ()
    bands: pd.DataFrame | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Summary):
            return NotImplemented
        same = self.strategies.equals(other.strategies) and self.skill.equals(other.skill)
        own = (self.heading, self.notes, self.benchmark)
        return same and own == (other.heading, other.notes, other.benchmark)

    def __hash__(self) -> int:
        return hash((self.heading, self.notes))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Render the tables for a notebook."""
        parts = [f"<p>{escape(self.heading)}</p>"]
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        short = self._headline_cells()
        for head, rows in (short, *self._other_tables(wide=False)):
            cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
            body = "".join(
                f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
            )
            parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>")
        return "".join([*parts, *(f"<p><small>{escape(note)}</small></p>" for note in NOTES)])

    def __str__(self) -> str:
        return self.text()

    def text(self, columns: Sequence[str] | None = None, *, wide: bool = False) -> str:
        """Return the tables as text.

        Args:
            columns: columns of `strategies` to show; None: the seven headline columns, which fit
                into 80 characters.
            wide: show every column of `COLUMNS` and of `skill`, and break no line.

        Raises:
            UnknownNameError: `strategies` has no such column.
            ArgumentError: both `columns` and `wide`, or no column.

        Example:
            >>> summary.text(["total_return", "sortino", "calmar"])  # doctest: +SKIP
        """
        if columns is not None and wide:
            raise ArgumentError("columns and wide exclude each other: got both")
        if columns is not None and not list(columns):
            raise ArgumentError("columns must name at least one column: got none")
        short = columns is None and not wide
        names = [name for name, _, _ in COLUMNS] if wide else list(SHORT_COLUMNS)
        if columns is not None:
            names = named_columns(columns)
        head, rows = self._headline_cells() if short else self._named_cells(names)
        split = int((self.strategies["kind"] == "strategy").sum())
        others = self._other_tables(wide=wide)
        tables = [aligned(head, rows, split), *(aligned(*table) for table in others)]
        above = [self.heading, *self.notes, *(self._ambiguity() if short else [])]
        shown = {*names, "coverage"}  # one note is for the forecasts' table too
        below = [note for explained, note in _NOTES if shown.intersection(explained)]
        if self.bands is not None:
            below.append(f"Low to high: {bands_note(self.bands)}.")
        if short:
            below.append("More columns: --wide, --columns; in Python summary.text(wide=True).")
        if not wide:
            above, below = _wrapped(above), _wrapped(below)
        lines = [line for table in tables for line in ("", *table)]
        return "\n".join([*above, *lines, "", *below])

    def _named_cells(self, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
        """Return heads and formatted text of columns of `strategies`."""
        heads = _column_heads()
        return _cells("strategy", self.strategies, [(name, *heads[name]) for name in names])

    def _headline_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the seven headline columns: the Sharpe ratio with its error, equity if it fits."""
        head, rows = self._named_cells(SHORT_COLUMNS)
        at = 1 + SHORT_COLUMNS.index("sharpe")
        head[at] = "Sharpe ±se"
        for row, error in zip(rows, self.strategies["sharpe_error"].tolist(), strict=True):
            row[at] += "" if math.isnan(error) else f" ±{error:.2f}"
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        others = sum(widths[1:]) + 2 * len(widths[1:])
        names = max(8, min(widths[0], _WIDTH - others))
        room = min(12, _WIDTH - others - names - 2)
        for row in rows:
            row[0] = printable(row[0], names)
        if room >= 6 and self.equity:
            head.append("equity")
            for row, curve in zip(rows, self.equity, strict=True):
                row.append(sparkline(curve, room))
        return head, rows

    def _other_tables(self, *, wide: bool) -> list[tuple[list[str], list[list[str]]]]:
        """Return the comparison with the benchmark, if there is one, and the forecast skill."""
        skill = SKILL_COLUMNS if wide else [c for c in SKILL_COLUMNS if c[0] in SHORT_SKILL]
        compared = [] if self.benchmark is None else [self.benchmark_cells()]
        bands = [] if self.bands is None else [self._band_cells(wide=wide)]
        return [*bands, *compared, _cells("forecast of", self.skill, skill)]

    def _band_cells(self, *, wide: bool) -> tuple[list[str], list[list[str]]]:
        """Return the bands; in the narrow table of the headline figures alone."""
        assert self.bands is not None
        if wide:
            return bands_cells(self.bands)
        head, rows = bands_cells(self.bands, _BAND_HEADS)
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(1, len(head))]
        names = max(8, _WIDTH - sum(widths) - 2 * len(widths))
        return head, [[printable(row[0], names), *row[1:]] for row in rows]

    def _ambiguity(self) -> Iterator[str]:
        """Yield a note on ambiguous bars, whose columns the short table leaves out."""
        shares = self.strategies["ambiguous_profit_share"].fillna(0.0).to_list()
        most = max(shares, default=0.0)
        if most > 0.0:
            row = shares.index(most)
            name, gap = self.strategies.index[row], self.strategies["optimistic_gap"].iloc[row]
            yield (
                f"bars that leave the order of fills open: up to {most:.1%} of the absolute "
                f"profit ({name}); the optimistic policy would add {gap:+.2%}"
            )

    def strategy_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and formatted cells of the strategies' table."""
        return _cells("strategy", self.strategies, COLUMNS)

    def benchmark_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and formatted cells of the benchmark table."""
        return _cells(f"against {self.benchmark}", self.strategies, BENCHMARK_COLUMNS)

    def skill_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and formatted cells of the forecast skill table."""
        return _cells("forecast of", self.skill, SKILL_COLUMNS)


def _column_heads() -> dict[str, tuple[str, str]]:
    """Return (heading, format) of each column of `Summary.strategies`, by name."""
    heads = {name: (head, kind) for name, head, kind in (*COLUMNS, *BENCHMARK_COLUMNS)}
    return heads | {name: (name.replace("_", " "), kind) for name, kind in MORE_COLUMNS.items()}


def named_columns(names: Iterable[str]) -> list[str]:
    """Return columns of `Summary.strategies` by their names or by the heads of the table.

    Raises:
        UnknownNameError: neither a name nor a head.
    """
    heads = _column_heads()
    by_head = {head: name for name, (head, _) in heads.items()}
    by_head |= {head.casefold(): name for head, name in by_head.items()}
    found = []
    for asked in names:
        name = asked if asked in heads else by_head.get(asked, by_head.get(asked.casefold()))
        if name is None:
            raise UnknownNameError("column", asked, heads)
        found.append(name)
    return found


def _wrapped(paragraphs: Sequence[str]) -> list[str]:
    """Wrap text to lines of at most 80 characters, at semicolons if the parts fit."""
    lines: list[str] = []
    for text in paragraphs:
        line = ""
        for part in [f"{part};" for part in text.split("; ")[:-1]] + [text.split("; ")[-1]]:
            joined = f"{line} {part}" if line else part
            if len(joined) <= _WIDTH:
                line = joined
                continue
            lines += [line] if line else []
            *full, line = textwrap.wrap(part, _WIDTH)
            lines += full
        lines.append(line)
    return lines


def measure_windows(
    outcomes: Sequence[StrategyDays],
    starts: npt.NDArray[np.int64],
    length: int,
    settings: Settings,
) -> dict[str, npt.NDArray[np.float64]]:
    """Measure each window of `length` bars that begins at one of `starts`.

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
    """Return (sums over windows by name, whether each strategy fits no offsets)."""
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
    """Measure all bars, each counted once: arrays [strategy] by name.

    The fields of `marketsim.metrics.Performance`, then trades, fees, ambiguous, ambiguous_share (of
    the bars), ambiguous_profit_share (of the absolute profit), optimistic_gap, in_sample.
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
    bands: pd.DataFrame | None = None,
) -> Summary:
    """Summarise outcomes over all their bars, each bar counted once.

    Args:
        outcomes: outcomes of the strategies and baselines, by name.
        baselines: outcomes of the baselines, also of those that are not in `outcomes`.
        skill: skill of the forecasts.
        strategies: strategies of the outcomes.
        settings: settings of the run.
        heading: line above the table.
        notes: warnings for the reader.
        missing_years: total length of the gaps within the bars, which annual returns count as
            elapsed time.
        benchmark: benchmark of the strategies; None without one.
        bands: bootstrap bands of the figures, to show beside them.
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
    curves = tuple(_sampled_equity(outcome.net) for outcome in everything.values())
    return Summary(frame, _skill_frame(skill), heading, notes, against_name, curves, bands)


def _sampled_equity(net: npt.NDArray[np.float64], count: int = 49) -> tuple[float, ...]:
    """Sample the compounded equity at `count` evenly spaced bars, start and last bar included."""
    equity = np.concatenate(([1.0], np.cumprod(1.0 + net)))
    at = np.unique(np.linspace(0, len(equity) - 1, count).round().astype(np.int64))
    return tuple(equity[at].tolist())


def _skill_of(targets: Sequence[str], skill: Skill) -> tuple[float, float, float]:
    """Return (MAE ratio, pinball ratio, coverage) of some targets together."""
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
    """Format a figure: a percentage with or without sign, a ratio or a count."""
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


def _cells(
    corner: str, frame: pd.DataFrame, columns: Sequence[tuple[str, str, str]]
) -> tuple[list[str], list[list[str]]]:
    texts = [
        [format_value(value, kind) for value in frame[column].tolist()]
        for column, _, kind in columns
    ]
    rows = [[str(name), *cells] for name, *cells in zip(frame.index, *texts, strict=True)]
    return [corner, *(head for _, head, _ in columns)], rows
