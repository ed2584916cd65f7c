"""One run over a whole series in compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.errors import GenesisBarError
from marketsim.indicators import atr
from marketsim.legacy.genesis.backtest.records import BAR, TRADE
from marketsim.legacy.genesis.candles import Array, Candles
from marketsim.legacy.genesis.columns import Columns, columns_of
from marketsim.legacy.genesis.indicators.htf_fibonacci import (
    MAX_AGE_HOURS,
    DailyLevels,
    levels_from_file,
)
from marketsim.legacy.genesis.names import FEATURES, HIGHER_RATIOS, WITH_LEVELS
from marketsim.legacy.genesis.quirks import GenesisQuirks
from marketsim.legacy.genesis.strategy.prob_model import probabilities

_ATR_ROW = FEATURES.index("atr_14")
_EXIT_ROWS = 14


@dataclass(frozen=True)
class Prepared:
    """Everything of a run that no setting of the decision changes.

    Attributes:
        candles: the bars.
        columns: features and contexts.
        probas: probabilities [buy sell hold, bar].
        daily: levels of the daily bars, None where there are none.
        daily_row: row of them by bar.
        arrays: the compiled run's inputs by name.
    """

    candles: Candles
    columns: Columns
    probas: Array
    daily: DailyLevels | None
    daily_row: npt.NDArray[np.intp]
    arrays: Mapping[str, Any]


@dataclass(frozen=True)
class Ran:
    """What a run leaves: rows [bar] and trades as structured arrays, and totals."""

    rows: npt.NDArray[Any]
    trades: npt.NDArray[Any]
    outcome: _core.GenesisOutcome


def prepare(
    candles: Candles,
    symbol: str,
    timeframe: str,
    model: Mapping[str, Any],
    quirks: GenesisQuirks,
) -> Prepared:
    """Features, probabilities and daily levels of a series."""
    columns = columns_of(candles, timeframe)
    probas = probabilities(columns, model)
    bars = len(candles)
    daily = levels_from_file(symbol, "1D", quirks.htf) if timeframe in WITH_LEVELS else None
    row = np.full(bars, -1)
    if daily is not None and len(daily.stamp) and candles.time is not None:
        row = daily.rows_at(candles.time)
    has = np.isfinite(columns.features[_ATR_ROW]).astype(np.int8)
    higher = _higher(daily, row, candles.time, bars)
    arrays = {
        "high": candles.high,
        "low": candles.low,
        "close": candles.close,
        "p_buy": probas[0],
        "p_sell": probas[1],
        "atr": columns.features[_ATR_ROW],
        "percentiles": columns.percentiles,
        "exit_atr": exit_atr(candles, quirks.exit_atr),
        "regime": columns.regime,
        **higher,
        "higher_ok": higher["higher_ok"] & has,
        "lower_ok": columns.lower_ok,
        "lower_levels": columns.lower_levels,
    }
    return Prepared(candles, columns, probas, daily, row, arrays)


def _higher(
    daily: DailyLevels | None,
    row: npt.NDArray[np.intp],
    time: npt.NDArray[np.int64] | None,
    bars: int,
) -> dict[str, Any]:
    if daily is None or not len(daily.stamp) or time is None:
        return {
            "higher_ok": np.zeros(bars, np.int8),
            "higher_levels": np.full((len(HIGHER_RATIOS), bars), np.nan),
            "higher_high": np.full(bars, np.nan),
            "higher_low": np.full(bars, np.nan),
        }
    at = np.maximum(row, 0)
    age = (time - daily.stamp[at]) / 1e9 / 3600.0
    known = (row >= 0) & (age <= MAX_AGE_HOURS) & ~np.isnan(daily.levels[2][at])
    return {
        "higher_ok": known.astype(np.int8),
        "higher_levels": np.ascontiguousarray(daily.levels[:, at]),
        "higher_high": daily.high[at],
        "higher_low": daily.low[at],
    }


def exit_atr(candles: Candles, how: str) -> Array:
    """The average range that exits use: of the last 14 rows of the data, or up to each bar."""
    bars = len(candles)
    if bars < 2:
        return np.full(bars, 100.0)
    ranges = (candles.high, candles.low, candles.close)
    if how == "bar":
        out: Array = atr(*ranges, _EXIT_ROWS, seed="first", lookback=_EXIT_ROWS)
        return np.maximum(out, np.finfo(float).tiny)  # 0 is an error in the original alone
    high, low, close = (array[-_EXIT_ROWS:] for array in ranges)
    return np.full(bars, float(atr(high, low, close, _EXIT_ROWS, seed="first")[-1]))


def run_prepared(
    prepared: Prepared, settings: _core.GenesisSettings, *, on_error: str = "raise"
) -> Ran:
    """Decide, exit and enter at every close.

    Raises:
        GenesisBarError: a bar fails, and on_error is "raise".
    """
    settings.skip_errors = on_error == "skip"
    rows, trades, outcome = _core.genesis_run(**prepared.arrays, settings=settings)
    if outcome.failed and on_error != "skip":
        raise GenesisBarError(_why(prepared.candles, outcome.failed_bar))
    return Ran(rows.view(BAR)[:, 0], trades.view(TRADE)[:, 0] if len(trades) else _NONE, outcome)


_NONE = np.empty(0, TRADE)


def _why(candles: Candles, bar: int) -> str:
    time = ""
    if candles.time is not None:
        time = f" ({np.datetime64(int(candles.time[bar]), 'ns').astype('datetime64[s]')})"
    return (
        f"bar {bar}{time}: the exits divide a distance by the average range of the last 14 rows of "
        'the data, which is 0: pass exit_atr="bar", bars that end otherwise, or on_error="skip"'
    )
