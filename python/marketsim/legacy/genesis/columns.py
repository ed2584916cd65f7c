"""Everything that a run's bars decide before any setting does: features, contexts, regimes.

`columns_of` computes it for a whole series in a few calls of the compiled indicators, and keeps it
under a key of every byte it follows from, so that a change of any bar is a miss.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim import _core
from marketsim.indicators import adx, atr, bollinger, ema, rsi, swings
from marketsim.legacy.genesis.candles import Array, Candles
from marketsim.legacy.genesis.names import LEAST_ROWS, LOWER_RATIOS, PERIODS, WINDOW, WITH_LEVELS

Codes = npt.NDArray[np.int8]
_Indicator = Callable[..., Array]
ATR_ROWS = max(PERIODS)
CODE_VERSION = 1  # raise where the same bars give other bits


@dataclass(frozen=True)
class SwingColumns:
    """The newest swing high and low as of each bar, and how many of each there are."""

    high: Array
    low: Array
    highs: Array
    lows: Array

    def levels(self, ratios: tuple[float, ...]) -> Array:
        """Prices [ratio, bar] between the two."""
        wide = self.high - self.low
        return np.stack([self.high - wide * ratio for ratio in ratios])


@dataclass(frozen=True)
class Columns:
    """What one bar's pipeline sees, for every bar; arrays [bar] unless stated.

    Attributes:
        features: float64 [feature, bar], NaN where there are too few rows.
        percentiles: float64 [rows and share, bar] of the average range.
        regime: index into REGIMES.
        lower: swings of the same timeframe, None where the timeframe has no levels.
        lower_ok: whether they give levels.
        lower_levels: prices [ratio, bar].
    """

    features: Array
    percentiles: Array
    regime: Codes
    lower: SwingColumns | None
    lower_ok: Codes
    lower_levels: Array


def columns_of(
    candles: Candles,
    timeframe: str | None,
    *,
    lookback: int | None = WINDOW,
    lag: int = 1,
    keep: bool = True,
) -> Columns:
    """Columns of a series.

    Args:
        candles: the bars.
        timeframe: decides the slope's average, and whether there are levels.
        lookback: rows that each bar sees, its own included; None: all before it.
        lag: rows between a bar and its as-of row; with lookback None: 0.
        keep: look into the store, and keep the result there.
    """
    if not keep:
        return _compute(candles, timeframe, lookback, lag)
    key = _key(candles, timeframe, lookback, lag)
    found = _kept.get(key)
    if found is not None:
        _kept.move_to_end(key)
        return found
    made = _compute(candles, timeframe, lookback, lag)
    for array in (made.features, made.percentiles, made.regime, made.lower_ok, made.lower_levels):
        array.setflags(write=False)
    _kept[key] = made
    while len(_kept) > _ROOM:
        _kept.popitem(last=False)
    return made


_kept: OrderedDict[bytes, Columns] = OrderedDict()
_ROOM = 4


def forget_columns() -> None:
    """Empty the store; only time changes."""
    _kept.clear()


def _key(candles: Candles, timeframe: str | None, lookback: int | None, lag: int) -> bytes:
    digest = blake3(repr((CODE_VERSION, timeframe, lookback, lag, len(candles))).encode())
    for array in (candles.high, candles.low, candles.close):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _compute(candles: Candles, timeframe: str | None, lookback: int | None, lag: int) -> Columns:
    bars = len(candles)
    high, low, close = candles.high, candles.low, candles.close
    span, back = (50, 20) if timeframe == "30m" else (20, 5)
    of = _Source(bars, lookback, lag)
    three = of.swings(high, low, close, 3)
    position = bollinger(close, 20, 2.0, root="power").position if bars >= 20 else _none(bars)
    rows = np.arange(1.0 - lag, bars + 1.0 - lag)
    if lookback is not None:
        np.minimum(rows, float(lookback - lag), out=rows)
    strength, strength_before = of.both(lambda **k: rsi(close, 14, convention="neutral", **k), 1)
    average, average_before = of.both(lambda **k: ema(close, span, seed="first", **k), back)
    wide = of.lagged(lambda **k: atr(high, low, close, 14, seed="first", **k), ATR_ROWS)
    features, percentiles = _core.genesis_features(
        of.shifted(close, 0),
        strength,
        strength_before,
        average,
        average_before,
        of.one(lambda **k: adx(high, low, close, 14, convention="first_bar", **k).adx),
        three.high,
        three.low,
        wide,
        of.lagged(lambda **k: atr(high, low, close, 50, seed="first", **k), 3),
        of.shifted(position, 0),
        rows,
    )
    lower, ok, levels = None, np.zeros(bars, np.int8), np.full((len(LOWER_RATIOS), bars), np.nan)
    if timeframe in WITH_LEVELS:
        lower = of.swings(high, low, close, 6)
        levels = lower.levels(LOWER_RATIOS)
        ok = ((lower.high != lower.low) & (rows >= LEAST_ROWS)).astype(np.int8)
    return Columns(features, percentiles, regimes(close, lookback), lower, ok, levels)


def regimes(close: Array, lookback: int | None = WINDOW) -> Codes:
    """Regime of each bar, its own close included: index into REGIMES."""
    average = ema(close, 50, seed="first", lookback=lookback)
    with np.errstate(divide="ignore", invalid="ignore"):
        trend = (close - average) / average
    out = np.full(len(close), 2, np.int8)
    out[trend > 0.02] = 1
    out[trend < -0.02] = 0
    out[average == 0] = 3
    out[: min(49, len(close))] = 3
    return out


def _none(bars: int) -> Array:
    return np.full(bars, np.nan)


class _Source:
    """Indicators as of each bar's as-of row, with or without a window."""

    def __init__(self, bars: int, lookback: int | None, lag: int) -> None:
        self._bars, self._lookback, self._lag = bars, lookback, lag

    def shifted(self, values: Array, more: int) -> Array:
        """Values of the as-of row, or of `more` rows before it."""
        rows = self._lag + more
        if rows == 0:
            return np.ascontiguousarray(values)
        out = _none(self._bars)
        out[rows:] = values[: max(self._bars - rows, 0)]
        return out

    def one(self, indicator: _Indicator) -> Array:
        """An indicator at the as-of row."""
        if self._lookback is None:
            return self.shifted(indicator(), 0)
        return indicator(lookback=self._lookback, lag=self._lag)

    def both(self, indicator: _Indicator, more: int) -> tuple[Array, Array]:
        """The same there and `more` rows before, as the as-of row's window has it."""
        if self._lookback is None:
            values = indicator()
            return self.shifted(values, 0), self.shifted(values, more)
        lags = np.array([self._lag, self._lag + more])
        now, before = indicator(lookback=self._lookback, lag=lags)
        return now, before

    def lagged(self, indicator: _Indicator, count: int) -> Array:
        """The same for so many rows: [lag, bar], or [bar] without a window."""
        if self._lookback is None:
            return self.shifted(indicator(), 0)
        lags = np.arange(self._lag, self._lag + count)
        return indicator(lookback=self._lookback, lag=lags)

    def swings(self, high: Array, low: Array, close: Array, depth: int) -> SwingColumns:
        rows = None if self._lookback is None else self._lookback - self._lag
        found = swings(high, low, close, depth=depth, lookback=rows)
        return SwingColumns(
            *(self.shifted(x, 0) for x in (found.high, found.low, found.highs, found.lows))
        )
