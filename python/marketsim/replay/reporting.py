"""A replay as the data of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import Bars
from marketsim.build_info import versions
from marketsim.errors import ArgumentError
from marketsim.metrics import (
    Performance,
    TradeStatistics,
    bands_cells,
    bands_note,
    performance,
)
from marketsim.metrics import Trades as RoundTrips
from marketsim.report.data import Candles, Markers, ReportData, Table, Trades
from marketsim.report.formats import percent

Floats = npt.NDArray[np.float64]

_COLUMNS = (
    ("total_return", "return", "percent"),
    ("annual_return", "annual", "percent"),
    ("volatility", "volatility", "percent"),
    ("sharpe", "Sharpe", "number"),
    ("sharpe_error", "\u00b1se", "number"),
    ("sortino", "Sortino", "number"),
    ("calmar", "Calmar", "number"),
    ("max_drawdown", "max dd", "percent"),
    ("exposure", "in mkt", "percent"),
    ("max_leverage", "max pos", "number"),
    ("turnover", "turnover", "number"),
)


class _Result(Protocol):
    """What a report shows of a replay; `ReplayResult` describes each."""

    @property
    def bars(self) -> Bars: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def features(self) -> dict[str, Floats]: ...
    @property
    def equity(self) -> pd.Series[float]: ...
    @property
    def fills(self) -> pd.DataFrame: ...
    @property
    def buy_and_hold(self) -> Floats: ...
    @property
    def performance(self) -> Performance: ...
    @property
    def round_trips(self) -> RoundTrips: ...
    @property
    def statistics(self) -> TradeStatistics: ...
    def notes(self) -> list[str]:
        """What a reader of the figures has to know."""
        ...

    def bands(self) -> pd.DataFrame:
        """How sure the headline figures are."""
        ...


def report_data(
    result: _Result, indicators: Mapping[str, npt.ArrayLike] | None, home: str = ""
) -> ReportData:
    """Everything that the report of a replay shows; `home` is the page it belongs to."""
    index = result.bars.frame.index
    held: Floats = np.cumprod(1.0 + result.buy_and_hold, dtype=np.float64)
    equity: Floats = np.array(result.equity, dtype=np.float64) / result.settings["cash"]
    return ReportData(
        title=f"{result.bars.symbol}: replay",
        subtitle=f"{len(result.bars):,} bars from {index[0]} to {index[-1]}",
        notes=result.notes(),
        tables=[
            performance_table(result),
            bands_table("strategy", result.bands()),
            trade_table(result.statistics, result.round_trips),
        ],
        dates=_dates(result),
        equity={
            "strategy": equity,
            "buy_and_hold": held,
        },
        baselines=frozenset({"buy_and_hold"}),
        candles=_candles(result, indicators),
        fans=[],
        heatmap=None,
        provenance={**versions(), **{k: str(v) for k, v in result.settings.items()}},
        trades=[_trades(result)],
        selected="the strategy",
        home=home,
    )


def _trades(result: _Result) -> Trades:
    """The round trips, each from the bar of its first fill to the bar of its last."""
    trips, fills = result.round_trips, result.fills
    bar = result.bars.frame.index.get_indexer(pd.DatetimeIndex(fills["time"]))
    of = fills["trade"].to_numpy(np.int64)
    entry, exit_ = trips.entry_bar.copy(), trips.exit_bar.copy()
    if len(of):
        first = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
        last = np.r_[first[1:], len(of)] - 1
        entry[of[first]], exit_[of[last]] = bar[first], bar[last]
    return Trades(
        strategy="the strategy",
        side=trips.side,
        entry=entry,
        exit=exit_,
        entry_price=trips.entry_price,
        exit_price=trips.exit_price,
        net=trips.net_return,
        entry_kind=trips.entry_kind.tolist(),
        exit_kind=trips.exit_kind.tolist(),
    )


def performance_table(result: _Result) -> Table:
    """The strategy, and buying and holding the same bars."""
    holding = performance(
        result.buy_and_hold,
        periods_per_year=result.settings["periods_per_year"],
        sessions_per_year=result.settings["sessions_per_year"],
        position=np.ones(len(result.bars)),
    )
    return figures_table(
        {"strategy": result.performance, "buy_and_hold": holding},
        "After costs; buy and hold pays none.",
    )


def figures_table(of: Mapping[str, Performance], note: str) -> Table:
    """The figures of performance, one row a name; "buy_and_hold" is the baseline."""
    return Table(
        "Performance, and buy and hold below",
        ("strategy", *(head for _, head, _ in _COLUMNS)),
        [[name, *_cells(found)] for name, found in of.items()],
        note=note,
        emphasis=frozenset({"buy_and_hold"}),
    )


def bands_table(name: str, frame: pd.DataFrame) -> Table:
    """The headline figures of `bands()`, each with its band."""
    head, [row] = bands_cells(frame)
    note = f"In brackets the {bands_note(frame)}."
    return Table("Confidence bands", head, [[name, *row[1:]]], note=note)


def _cells(of: Performance) -> list[str]:
    texts = {"percent": percent, "number": number}
    return [texts[kind](float(getattr(of, name))) for name, _, kind in _COLUMNS]


def number(value: float) -> str:
    """Two decimals; a dash for what is no number."""
    return f"{value:,.2f}" if np.isfinite(value) else "\u2013"


def trade_table(found: TradeStatistics, trips: RoundTrips) -> Table:
    """The figures of the round trips, and how they were left."""
    rows = [["trades", f"{found.trades:,}"], ["win rate", percent(found.win_rate)]]
    rows += [
        [name.replace("_", " "), number(getattr(found, name))]
        for name in (
            "profit_factor", "average_win", "average_loss", "expectancy", "best", "worst",
            "average_bars", "longest_losing_streak", "costs",
        )
    ]  # fmt: skip
    exits = np.unique(trips.exit_kind, return_counts=True)
    rows += [[f"left by {kind}", f"{count:,}"] for kind, count in zip(*exits, strict=True)]
    return Table("Round trips", ("figure", "value"), rows, note="Profits and costs in cash.")


def _dates(result: _Result) -> npt.NDArray[np.datetime64]:
    index = result.bars.frame.index
    assert hasattr(index, "tz_localize")
    return index.tz_localize(None).to_numpy()  # type: ignore[no-any-return]


def _candles(result: _Result, indicators: Mapping[str, npt.ArrayLike] | None) -> Candles:
    bars, count = result.bars, len(result.bars)
    lines = {}
    if indicators is None:
        low, high = bars.low.min() / 2.0, bars.high.max() * 2.0
        for name, values in result.features.items():
            known = values[np.isfinite(values)]
            if known.size and low <= known.min() and known.max() <= high:
                lines[name] = values
    else:
        for name, given in indicators.items():
            array = np.asarray(given, dtype=np.float64)
            if array.shape != (count,):
                raise ArgumentError(
                    f"indicator {name!r} must have one number a bar ({count}): got {array.shape}"
                )
            lines[name] = array
    return Candles(
        dates=_dates(result),
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        strategy="the strategy",
        markers=_markers(result),
        lines=lines,
    )


def _markers(result: _Result) -> list[Markers]:
    """The fills: an entry has the side of its trade, an exit the other one."""
    fills, trips = result.fills, result.round_trips
    bar = result.bars.frame.index.get_indexer(pd.DatetimeIndex(fills["time"]))
    side = trips.side[fills["trade"].to_numpy(np.int64)] if len(fills) else np.zeros(0, np.int64)
    enters = np.sign(fills["quantity"].to_numpy()) == side
    price = fills["price"].to_numpy()
    return [
        Markers(f"{word} {end}", bar[keep].astype(np.int64), price[keep])
        for sign, word in ((1, "long"), (-1, "short"))
        for end, which in (("entry", enters), ("exit", ~enters))
        for keep in [(side == sign) & which & (bar >= 0)]
    ]
