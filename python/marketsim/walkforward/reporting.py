"""Report data of a walk-forward result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.kernels.profit import profit
from marketsim.report.data import Candles, Fan, Heatmap, Markers, ReportData, Table
from marketsim.strategies import LimitOrders
from marketsim.walkforward.compare import COMPARISON_NOTE, Comparison
from marketsim.walkforward.inputs import MarketDays, prices_from_moves
from marketsim.walkforward.limits import limit_problem, policy_of
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.shown import ShownResult
from marketsim.walkforward.summary import NOTES, Summary

Floats = npt.NDArray[np.float64]

SHOWN_DAYS = 180  # bars of candles and forecasts; more cannot be told apart on a page
_FAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_HEATMAP_STEPS = 41
_MOVES = {
    "close": "Log moves against the close of the bar before",
    "own": "One-bar returns of each column",
}


def comparison_data(title: str, subtitle: str, comparison: Comparison) -> ReportData:
    """Return the report data of a comparison: its table and every equity curve."""
    head, rows = comparison.cells()
    table = Table(
        "Strategies by run", ["strategy, run", *head[2:]],
        [[f"{row[0]} ({row[1]})", *row[2:]] for row in rows], note=COMPARISON_NOTE,
    )  # fmt: skip
    days = pd.DatetimeIndex(sorted(set().union(*(c.index for c in comparison.equity))))
    curves = {
        str(curve.name): np.asarray(curve.reindex(days).ffill(), dtype=np.float64)
        for curve in comparison.equity
    }
    return ReportData(
        title, subtitle, [], [table], days.to_numpy(), curves, frozenset(), None, [], None, {}
    )


def report_data(result: ShownResult) -> ReportData:
    """Collect the tables, figures and provenance of one symbol's report."""
    summary = result.summary()
    head, rows = summary.strategy_cells()
    skill_head, skill_rows = summary.skill_cells()
    own = {name: o for name, o in result.outcomes.items() if name not in result.baselines}
    outcomes = {**own, **result.baselines}  # the baselines last, as in the table
    windows = result.windows
    return ReportData(
        title=f"{result.bars.symbol}: walk-forward backtest",
        subtitle=(
            f"Model {result.model.name}, {len(result.dates)} days from "
            f"{result.dates[0]:%Y-%m-%d} to {result.dates[-1]:%Y-%m-%d}, "
            f"{len(windows.as_of)} simulations of {windows.window} days"
        ),
        notes=[*_notes(result), *NOTES],
        tables=[
            Table(
                "Strategies, and naive baselines below",
                head,
                rows,
                note="Out of sample, after costs; only the in-sample column is not.",
                emphasis=frozenset(result.baselines),
            ),
            _bands_table(result),
            *_compared(summary),
            Table(
                "Forecast skill",
                skill_head,
                skill_rows,
                note=f"{_MOVES[result.cube.schema.targets]}, in basis points; below 1 beats no "
                "skill.",
            ),
        ],
        dates=result.dates.tz_localize(None).to_numpy(),
        equity={name: _equity(outcome) for name, outcome in outcomes.items()},
        baselines=frozenset(result.baselines),
        candles=_candles(result),
        fans=[_fan(result, name) for name in ("close", "high", "low", "open")],
        heatmap=_heatmap(result),
        provenance={
            **result.provenance(),
            **{name.replace("_", " "): str(v) for name, v in result.described_settings().items()},
        },
    )


def _bands_table(result: ShownResult) -> Table:
    """Return the table of headline figures with their 90 % bands."""
    frame = result.bands()
    kinds = {"sharpe": "{:.2f}"}
    rows = []
    for name in frame.index.unique("strategy"):
        cells = [str(name)]
        for figure, (value, low, high) in frame.loc[name].iterrows():
            text = kinds.get(str(figure), "{:.1%}").format
            known = np.isfinite([value, low, high]).all()
            cells.append(f"{text(value)} ({text(low)} to {text(high)})" if known else "-")
        rows.append(cells)
    figures = [str(name).replace("_", " ") for name in frame.index.unique("figure")]
    return Table(
        "Confidence bands",
        ["strategy", *figures],
        rows,
        note="In brackets the 90 % bands of a stationary bootstrap of the days.",
        emphasis=frozenset(result.baselines),
    )


def _compared(summary: Summary) -> list[Table]:
    if summary.benchmark is None:
        return []
    head, rows = summary.benchmark_cells()
    note = "A year, in excess of the risk-free rate; corr.: of the returns in excess of it."
    return [Table(f"Against {summary.benchmark}", head, rows, note=note)]


def _equity(outcome: StrategyDays) -> Floats:
    return np.asarray(np.cumprod(1.0 + outcome.net), dtype=np.float64)


def _notes(result: ShownResult) -> list[str]:
    settings = result.settings
    return [
        f"Limit orders are filled by the policy {settings.fill}; a decision for a day reads the "
        "days before it and acts on that day.",
        f"Costs of every fill: {settings.costs.text()} of the value traded. The last position is "
        "sold at the end.",
        f"Market: {settings.market.sentence()}.",
        *(f"{text[:1].upper()}{text[1:]}." for text in settings.stated()),
        *(f"{note[:1].upper()}{note[1:]}." for note in result.summary().notes),
        *(f"Changed on reading: {repair}." for repair in result.bars.repairs),
    ]


def _best_strategy(result: ShownResult) -> str:
    """Return the limit strategy with the highest final equity; without one, any strategy's."""
    limits = [s.name for s in result.strategies if not np.isnan(_levels(result, s.name)).all()]
    return _highest(result, limits or list(result.outcomes))


def _highest(result: ShownResult, names: list[str]) -> str:
    return max(names, key=lambda name: _equity(result.outcomes[name])[-1])


def _levels(result: ShownResult, name: str) -> Floats:
    outcome = result.outcomes[name]
    return np.stack([outcome.high_level, outcome.low_level])


def _candles(result: ShownResult) -> Candles:
    name = _best_strategy(result)
    shown = slice(max(0, len(result.dates) - SHOWN_DAYS), None)
    rows = result.windows.days
    return Candles(
        dates=result.dates.tz_localize(None).to_numpy()[shown],
        open=result.bars.open[rows][shown],
        high=result.bars.high[rows][shown],
        low=result.bars.low[rows][shown],
        close=result.bars.close[rows][shown],
        strategy=name,
        markers=_markers(result, name, shown),
    )


def _markers(result: ShownResult, name: str, shown: slice) -> list[Markers]:
    """Return the fills of the shown bars, each at the bar of its price."""
    trades = result.trades
    own = trades[trades["strategy"] == name]
    dates = result.dates[shown]
    markers = []
    for side, word in ((1, "long"), (-1, "short")):
        part = own[own["side"] == side]
        for end in ("entry", "exit"):
            at = dates.get_indexer(pd.DatetimeIndex(part[f"{end}_time"]))
            prices = part[f"{end}_price"].to_numpy()[at >= 0]
            markers.append(Markers(f"{word} {end}", at[at >= 0], prices))
    return markers


def _fan(result: ShownResult, name: str) -> Fan:
    shown = slice(max(0, len(result.dates) - SHOWN_DAYS), None)
    rows = result.windows.days
    prices = getattr(result.bars, name)
    moves = result.cube.quantile(_FAN_LEVELS)[:, TARGETS.index(name)]
    return Fan(
        target=name,
        dates=result.dates.tz_localize(None).to_numpy()[shown],
        levels=_FAN_LEVELS,
        quantiles=prices_from_moves(result.cube, result.bars, rows - 1, name, moves)[shown],
        actual=prices[rows][shown],
    )


def _heatmap(result: ShownResult) -> Heatmap | None:
    """Compute in-sample profit by offset over the last bar's fit window; None without a fit."""
    fitted = [strategy.name for strategy in result.strategies if strategy.fitted]
    if not fitted:
        return None
    name = _highest(result, fitted)
    windows, settings = result.windows, result.settings
    orders = result.orders[name]
    assert isinstance(orders, LimitOrders)  # checked against `fitted` during the run
    start = windows.stop_day - 1 - windows.purge - windows.offset_window
    stop = start + windows.offset_window
    days = MarketDays.of(result.bars, start, stop)
    problem = limit_problem(orders, settings.long_only)
    first_ordered = windows.stretches[-1].first_fit
    part = slice(start - first_ordered, stop - first_ordered)
    (high_min, high_max), (low_min, low_max) = settings.offset_bounds
    high = np.linspace(high_min, high_max, _HEATMAP_STEPS)
    low = np.linspace(low_min, low_max, _HEATMAP_STEPS)
    columns, rows = (grid.reshape(-1) for grid in np.meshgrid(high, low))
    total = np.zeros(columns.size)
    for side in problem.sides:
        total += profit(
            days.close, days.high, days.low, problem.high[part], problem.low[part], side[part],
            high_offset=columns, low_offset=rows, costs=settings.costs.rates, open=days.open,
            fill=policy_of(orders, settings.fill),
        ).sum(axis=1, dtype=np.float64)  # fmt: skip
    outcome = result.outcomes[name]
    dates = result.bars.frame.index
    return Heatmap(
        strategy=name,
        span=f"{dates[start]:%Y-%m-%d} to {dates[stop - 1]:%Y-%m-%d}",
        high=high,
        low=low,
        profit=total.reshape(_HEATMAP_STEPS, _HEATMAP_STEPS),
        best=(
            float(outcome.high_offset[-1]),
            float(outcome.low_offset[-1]),
            float(outcome.in_sample[-1] * windows.offset_window),
        ),
    )
