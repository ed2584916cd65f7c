"""Report data of a walk-forward result."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import TARGETS
from marketsim.kernels.profit import profit
from marketsim.metrics import bands_cells, bands_note, rolling_sharpe
from marketsim.report.data import Candles, Fan, Heatmap, Markers, ReportData, Table, Trades
from marketsim.report.timeaxis import date_text
from marketsim.strategies import LimitOrders
from marketsim.walkforward.compare import COMPARISON_NOTE, Comparison
from marketsim.walkforward.inputs import MarketDays, prices_from_moves
from marketsim.walkforward.limits import limit_problem, policy_of
from marketsim.walkforward.outcome import StrategyDays
from marketsim.walkforward.report_tables import (
    cost_table,
    coverage_levels,
    coverage_table,
    drawdown_table,
    fill_table,
    monthly_table,
    pit_histograms,
    simulation_histograms,
    simulation_table,
)
from marketsim.walkforward.shown import ShownResult
from marketsim.walkforward.summary import NOTES, Summary

Floats = npt.NDArray[np.float64]

_FAN_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_HEATMAP_STEPS = 41
ROLLING_SESSIONS = 63
DECILES = tuple(i / 10 for i in range(1, 10))
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
    with ThreadPoolExecutor(1) as pool:  # the bootstrap runs beside the rest, without the GIL
        bands = pool.submit(result.bands)
        found = _data_without_bands(result, summary)
        first, *others = found.tables
        tables = [first, _bands_table(result, bands.result()), *others]
    return replace(found, tables=tables)


def _data_without_bands(result: ShownResult, summary: Summary) -> ReportData:
    head, rows = summary.strategy_cells()
    skill_head, skill_rows = summary.skill_cells()
    own = {name: o for name, o in result.outcomes.items() if name not in result.baselines}
    outcomes = {**own, **result.baselines}  # the baselines last, as in the table
    windows, baselines = result.windows, frozenset(result.baselines)
    dates = result.dates.tz_localize(None).to_numpy()
    selected = _best_strategy(result)
    simulations = result.simulations
    trades = result.trades
    levels = coverage_levels()
    first, last = date_text(dates[0]), date_text(dates[-1])
    rolling_label, rolling = _rolling(result, outcomes)
    return ReportData(
        title=f"{result.bars.symbol}: walk-forward backtest",
        subtitle=(
            f"Model {result.model.name}, {len(dates):,} bars of {result.settings.market.frequency} "
            f"from {first} to {last}, {len(windows.as_of):,} simulations of {windows.window} bars"
        ),
        notes=[*_notes(result), *NOTES],
        tables=[
            Table(
                "Strategies, and naive baselines below",
                head,
                rows,
                note="Out of sample, after costs; only the in-sample column is not.",
                emphasis=baselines,
            ),
            *_compared(summary),
            cost_table(outcomes, baselines),
            fill_table(own),
            simulation_table(simulations),
            Table(
                "Forecast skill",
                skill_head,
                skill_rows,
                note=f"{_MOVES[result.cube.schema.targets]}, in basis points; below 1 beats no "
                "skill. walk: no change, the random walk. clim.: the quantiles of the last 250 "
                "moves. p: of equal accuracy (Diebold-Mariano).",
            ),
            coverage_table(result.actual, result.cube.quantile(levels)),
        ],
        dates=dates,
        equity={name: _equity(outcome) for name, outcome in outcomes.items()},
        baselines=baselines,
        candles=_candles(result, selected, trades),
        fans=[_fan(result, name) for name in ("close", "high", "low", "open")],
        heatmap=_heatmap(result),
        provenance=_provenance(result),
        trades=[_trades(result, name, trades) for name in own],
        rolling=rolling,
        rolling_label=rolling_label,
        by_strategy={
            name: [
                monthly_table(name, result.returns[name]),
                drawdown_table(name, outcome.net, dates),
            ]
            for name, outcome in own.items()
        },
        selected=selected,
        histograms=[
            simulation_histograms(simulations),
            pit_histograms(result.actual, result.cube.quantile(DECILES)),
        ],
    )


def _provenance(result: ShownResult) -> dict[str, str]:
    """Return data, model and code versions, every setting, and what is assumed."""
    market = result.settings.market
    assumed = []
    if market.assumed:
        assumed.append(f"asset class {market.asset_class}: {market.why}")
    if market.periods_assumed:
        assumed.append(f"{market.periods_per_year:g} periods a year: {market.periods_why}")
    if market.how_to_state:
        assumed.append(market.how_to_state)
    settings = {
        name.replace("_", " "): _plain(value)
        for name, value in result.described_settings().items()
        if name != "market"
    }
    of_market = {
        f"market: {name.replace('_', ' ')}": _plain(value)
        for name, value in market.to_dict().items()
    }
    own = result.provenance()
    return {**own, "assumed": "; ".join(assumed) or "nothing", **settings, **of_market}


def _plain(value: object) -> str:
    """Format a setting: a mapping as its pairs, None as "none"."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(v)}" for name, v in value.items())
    return "none" if value is None or value == "" else str(value)


def _rolling(
    result: ShownResult, outcomes: Mapping[str, StrategyDays]
) -> tuple[str, dict[str, Floats]]:
    """Return the Sharpe ratio of a rolling window by strategy, and its name; none if too short."""
    market, bars = result.settings.market, len(result.dates)
    sessions = ROLLING_SESSIONS * (market.bars_per_session or 1.0)
    window = max(20, round(min(sessions, bars / 4)))
    if bars < 2 * window:
        return "", {}
    rows = np.stack([outcome.net for outcome in outcomes.values()])
    ratios = rolling_sharpe(rows, window, periods_per_year=market.periods_per_year)
    label = f"Sharpe ratio, last {window:,} bars"
    return label, dict(zip(outcomes, ratios, strict=True))


def _trades(result: ShownResult, name: str, trades: pd.DataFrame) -> Trades:
    own = trades[trades["strategy"] == name]
    index = result.dates

    def at(times: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
        # Evaluated bars; -1 before the first, their number after the last.
        stamps = pd.DatetimeIndex(times)
        places = index.searchsorted(stamps, side="right") - 1
        return np.where(stamps > index[-1], len(index), places).astype(np.int64)

    return Trades(
        strategy=name,
        side=own["side"].to_numpy(np.int64),
        entry=at(own["entry_time"]),
        exit=at(own["exit_time"]),
        entry_price=own["entry_price"].to_numpy(np.float64),
        exit_price=own["exit_price"].to_numpy(np.float64),
        net=own["net_return"].to_numpy(np.float64),
        entry_kind=own["entry_kind"].astype(str).tolist(),
        exit_kind=own["exit_kind"].astype(str).tolist(),
    )


def _bands_table(result: ShownResult, frame: pd.DataFrame) -> Table:
    """Return the table of headline figures with their bands."""
    note = f"In brackets the {bands_note(frame)}."
    return Table(
        "Confidence bands", *bands_cells(frame), note=note, emphasis=frozenset(result.baselines)
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
        f"Limit orders are filled by the policy {settings.fill}; a decision for a bar reads the "
        "bars before it and acts on that bar.",
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


def _candles(result: ShownResult, name: str, trades: pd.DataFrame) -> Candles:
    rows = result.windows.days
    return Candles(
        dates=result.dates.tz_localize(None).to_numpy(),
        open=result.bars.open[rows],
        high=result.bars.high[rows],
        low=result.bars.low[rows],
        close=result.bars.close[rows],
        strategy=name,
        markers=_markers(result, name, trades),
    )


def _markers(result: ShownResult, name: str, trades: pd.DataFrame) -> list[Markers]:
    """Return the fills, each at the bar of its price."""
    own = trades[trades["strategy"] == name]
    markers = []
    for side, word in ((1, "long"), (-1, "short")):
        part = own[own["side"] == side]
        for end in ("entry", "exit"):
            at = result.dates.get_indexer(pd.DatetimeIndex(part[f"{end}_time"]))
            prices = part[f"{end}_price"].to_numpy()[at >= 0]
            markers.append(Markers(f"{word} {end}", at[at >= 0], prices))
    return markers


def _fan(result: ShownResult, name: str) -> Fan:
    rows = result.windows.days
    moves = result.cube.quantile(_FAN_LEVELS)[:, TARGETS.index(name)]
    return Fan(
        target=name,
        dates=result.dates.tz_localize(None).to_numpy(),
        levels=_FAN_LEVELS,
        quantiles=prices_from_moves(result.cube, result.bars, rows - 1, name, moves),
        actual=getattr(result.bars, name)[rows],
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
