"""The table one would want to paste."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.kernels import rules
from marketsim.metrics import Skill, windowed_performance
from marketsim.strategies import Strategy
from marketsim.walkforward.evaluate import StrategyDays

# Column of `Summary.strategies`, its head in the printed table, and its format.
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("total_return", "return", "percent"),
    ("annual_return", "annual", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("sharpe_error", "±se", "ratio"),
    ("max_drawdown", "max dd", "depth"),
    ("trades", "trades", "count"),
    ("hit_rate", "hit", "share"),
    ("mean_return_bps", "bp/day", "ratio"),
    ("in_sample_bps", "in-sample", "ratio"),
    ("ambiguous_share", "ambig.", "tenth"),
    ("ambiguous_profit_share", "its P/L", "tenth"),
    ("optimistic_gap", "opt-pess", "percent"),
    ("mae_ratio", "MAE", "factor"),
    ("pinball_ratio", "pinball", "factor"),
    ("coverage", "cover", "share"),
)
SKILL_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("mae_bps", "MAE bp", "ratio"),
    ("mae_persistence_bps", "persistence", "ratio"),
    ("mae_random_walk_bps", "random walk", "ratio"),
    ("mae_ratio", "MAE/pers.", "factor"),
    ("pinball_ratio", "pinball/pers.", "factor"),
    ("coverage", "cover", "share"),
)
NOTES = (
    "return, annual, max dd: compounded. bp/day: arithmetic mean net return. Sharpe: annualised, "
    "with its standard error.",
    "in-sample: mean net, bp/day, of the fitted offsets on the days they were fitted on; all else "
    "is out of sample.",
    "ambig.: days whose bar touches entry and exit in unknown order, and their share of all gains "
    "and losses. opt-pess: net of the same orders read optimistically less pessimistically.",
    "MAE, pinball: of the forecasts it decides by, relative to persistence; below 1 is better. "
    "cover: actual values between their 10 % and 90 % quantiles.",
)


@dataclass(frozen=True)
class Summary:
    """Performance and forecast skill of a run; `print` gives a table.

    Attributes:
        strategies: one row a strategy, then the naive baselines; columns as `COLUMNS`, and `kind`:
            "strategy" or "baseline". Fractions, not percent.
        skill: one row a target; columns as `SKILL_COLUMNS`.
        heading: what was run.
    """

    strategies: pd.DataFrame
    skill: pd.DataFrame
    heading: str

    def __str__(self) -> str:
        head, rows = self.strategy_cells()
        split = int((self.strategies["kind"] == "strategy").sum())
        lines = [self.heading, "", *aligned(head, rows, split), ""]
        lines += [*aligned(*self.skill_cells()), ""]
        return "\n".join([*lines, *NOTES])

    def strategy_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and finished text of the strategies' table."""
        return _cells("strategy", self.strategies, COLUMNS)

    def skill_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and finished text of the forecast skill's table."""
        return _cells("forecast of", self.skill, SKILL_COLUMNS)


def measure_windows(
    outcomes: Sequence[StrategyDays],
    starts: npt.NDArray[np.int64],
    length: int,
    periods_per_year: float,
) -> dict[str, npt.NDArray[np.float64]]:
    """Figures of each window of `length` days that begins at a day of `starts`.

    Returns:
        Arrays [window, strategy] by name: the fields of `Performance`, then trades, fees,
        ambiguous, optimistic_gap, ambiguous_profit (net of the ambiguous days, added), in_sample.
    """
    from marketsim.kernels.loops import window_sums

    net = np.stack([outcome.net for outcome in outcomes])
    active = np.stack([outcome.active for outcome in outcomes])
    measured = windowed_performance(net, active, starts, length, periods_per_year)._asdict()
    ambiguous = np.stack([outcome.flags & rules.AMBIGUOUS > 0 for outcome in outcomes])
    gap = np.stack([outcome.net_optimistic - outcome.net_pessimistic for outcome in outcomes])
    in_sample = np.stack([outcome.in_sample for outcome in outcomes])
    fields = {
        "trades": np.stack([outcome.entries for outcome in outcomes]).astype(np.float64),
        "fees": np.stack([outcome.fee for outcome in outcomes]),
        "ambiguous": ambiguous.astype(np.float64),
        "optimistic_gap": gap,
        "ambiguous_profit": np.where(ambiguous, net, 0.0),
        "in_sample": in_sample / length,
    }
    sums = window_sums(np.stack(list(fields.values())), starts, length)
    measured |= {name: sums[:, :, i] for i, name in enumerate(fields)}
    unfitted = np.isnan(in_sample).all(axis=1)
    measured["in_sample"] = np.where(unfitted, np.nan, measured["in_sample"])
    return measured


def summarize(
    outcomes: Mapping[str, StrategyDays],
    baselines: Mapping[str, StrategyDays],
    skill: Skill,
    *,
    strategies: Sequence[Strategy],
    periods_per_year: float,
    heading: str,
) -> Summary:
    """Summary of outcomes over all their days, each day counted once."""
    kept = {name: outcome for name, outcome in outcomes.items() if name not in baselines}
    everything = {**kept, **baselines}
    days = len(next(iter(everything.values())).net)
    start = np.zeros(1, dtype=np.int64)
    whole = measure_windows(list(everything.values()), start, days, periods_per_year)
    net = np.array([np.abs(outcome.net).sum() for outcome in everything.values()])
    targets = {strategy.name: strategy.targets for strategy in strategies}
    judged = np.array(
        [_skill_of(targets.get(name, ()) if name in kept else (), skill) for name in everything]
    )
    columns: dict[str, Any] = {name: values[0] for name, values in whole.items()}
    columns["mean_return_bps"] = columns["mean_return"] * 1e4
    columns["in_sample_bps"] = columns["in_sample"] * 1e4
    columns["ambiguous_share"] = columns["ambiguous"] / days
    with np.errstate(invalid="ignore"):
        columns["ambiguous_profit_share"] = columns["ambiguous_profit"] / net
    for i, name in enumerate(("mae_ratio", "pinball_ratio", "coverage")):
        columns[name] = judged[:, i]
    shown: dict[str, Any] = {name: columns[name] for name, _, _ in COLUMNS}
    shown["kind"] = ["strategy"] * len(kept) + ["baseline"] * len(baselines)
    frame = pd.DataFrame(shown, index=pd.Index(list(everything), name="strategy"))
    return Summary(frame, _skill_frame(skill), heading)


def _skill_of(targets: Sequence[str], skill: Skill) -> tuple[float, float, float]:
    """(MAE and pinball loss relative to persistence, coverage) of some targets together."""
    if not targets:
        return math.nan, math.nan, math.nan
    at = [TARGETS.index(target) for target in targets]
    mae = _ratio(skill.mae[at].sum(), skill.mae_persistence[at].sum())
    pinball = _ratio(skill.pinball[at].sum(), skill.pinball_persistence[at].sum())
    return mae, pinball, float(skill.coverage[at].mean())


def _ratio(value: float, naive: float) -> float:
    return float(value / naive) if naive > 0.0 else math.nan


def _skill_frame(skill: Skill) -> pd.DataFrame:
    ratios = [_skill_of([target], skill) for target in TARGETS]
    return pd.DataFrame(
        {
            "mae_bps": skill.mae * 1e4,
            "mae_persistence_bps": skill.mae_persistence * 1e4,
            "mae_random_walk_bps": skill.mae_random_walk * 1e4,
            "mae_ratio": [ratio[0] for ratio in ratios],
            "pinball_ratio": [ratio[1] for ratio in ratios],
            "coverage": skill.coverage,
        },
        index=pd.Index(TARGETS, name="target"),
    )


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


def aligned(head: list[str], rows: list[list[str]], split: int | None = None) -> list[str]:
    """Lines of a table: names to the left, numbers to the right, a rule before row `split`."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        name = cells[0].ljust(widths[0])
        numbers = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([name, *numbers]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    lines = [line(head), rule, *(line(row) for row in rows)]
    if split is not None and 0 < split < len(rows):
        lines.insert(2 + split, rule)
    return lines
