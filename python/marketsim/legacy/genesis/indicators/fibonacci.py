"""`core.indicators.fibonacci`: swings of a whole series, levels, features of one price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.candles import Array

if TYPE_CHECKING:
    import pandas as pd

_SPACING = 10  # a pivot stays when it is more than so many rows after the last that stayed
_WEIGHTS = {0.382: 0.6, 0.5: 1.0, 0.618: 1.0, 0.786: 0.7}
Points = list[tuple[int, float]]


@dataclass
class FibonacciConfig:
    """What counts as a swing, and the levels between two."""

    levels: list[float] = field(default_factory=lambda: list(_WEIGHTS))
    weights: dict[float, float] = field(default_factory=lambda: dict(_WEIGHTS))
    atr_depth: float = 6.0
    max_swings: int = 8
    min_swings: int = 3
    max_lookback: int = 250
    swing_threshold_multiple: float = 1.1
    swing_threshold_min: float = 0.45
    swing_threshold_step: float = 0.2

    def __post_init__(self) -> None:
        self.swing_threshold_step = max(self.swing_threshold_step, 0.0)
        self.swing_threshold_min = min(self.swing_threshold_min, self.swing_threshold_multiple)


def calculate_atr(high: Any, low: Any, close: Any, period: int = 14) -> pd.Series[float]:
    """Average true range of pandas Series: exponential with 1/period, from the first range."""
    import pandas as pd

    before = close.shift(1)
    ranges = pd.concat([high - low, abs(high - before), abs(low - before)], axis=1).max(axis=1)
    out: pd.Series[float] = ranges.ewm(alpha=1 / period, adjust=False).mean()
    return out


def detect_swing_points(
    high: Any, low: Any, close: Any, config: FibonacciConfig
) -> tuple[list[int], list[int], list[float], list[float]]:
    """Swing highs and lows of a whole series: rows of both, then prices of both.

    A pivot is known only `atr_depth` rows after its own.

    Raises:
        ArgumentError: the lengths differ.
    """
    import pandas as pd

    tops, bottoms = np.asarray(high, float), np.asarray(low, float)
    lengths = [len(tops), len(bottoms), len(close)]
    if len(set(lengths)) != 1:
        raise ArgumentError(f"high, low and close must have one length: got {lengths}")
    high, low, close = (pd.Series(np.asarray(x, float)) for x in (high, low, close))
    ranges = calculate_atr(high, low, close).to_numpy()
    depth = max(1, int(config.atr_depth))
    peaks, troughs = _pivots(tops, depth), _pivots(-bottoms, depth)
    highs: Points = []
    lows: Points = []
    for multiple in _multiples(config):
        least = np.where(np.isnan(ranges), 0.0, ranges * multiple)
        wide = tops - bottoms >= least
        highs = _thin(peaks[wide[peaks]], tops, config)
        lows = _thin(troughs[wide[troughs]], bottoms, config)
        if highs and lows:
            break
    if not highs and len(tops):
        highs = [(int(tops.argmax()), float(tops.max()))]
    if not lows and len(bottoms):
        lows = [(int(bottoms.argmin()), float(bottoms.min()))]
    return (
        [row for row, _ in highs],
        [row for row, _ in lows],
        [price for _, price in highs],
        [price for _, price in lows],
    )


def _pivots(values: Array, depth: int) -> npt.NDArray[np.intp]:
    """Rows whose neighbours on either side are all below."""
    if len(values) <= 2 * depth:
        return np.empty(0, np.intp)
    around = np.lib.stride_tricks.sliding_window_view(values, 2 * depth + 1)
    middle = around[:, depth, None]
    sides = np.concatenate([around[:, :depth], around[:, depth + 1 :]], axis=1)
    return np.flatnonzero(~(sides >= middle).any(axis=1)) + depth


def _multiples(config: FibonacciConfig) -> list[float]:
    """The thresholds that are tried, in order."""
    now = max(config.swing_threshold_multiple, 0.0)
    least, step = max(config.swing_threshold_min, 0.0), config.swing_threshold_step
    out = []
    while now >= least - 1e-9:
        out.append(now)
        lower = max(least, now - step)
        if step == 0 or lower == now:
            break
        now = lower
    return out


def _thin(rows: npt.NDArray[np.intp], prices: Array, config: FibonacciConfig) -> Points:
    kept: Points = []
    for row in rows.tolist():
        if rows[-1] - row > config.max_lookback:
            continue
        if not kept or row - kept[-1][0] > _SPACING:
            kept.append((row, float(prices[row])))
    return kept[-config.max_swings :]


def calculate_fibonacci_levels(
    swing_highs: Sequence[float], swing_lows: Sequence[float], levels: Sequence[float]
) -> list[float]:
    """Prices between the newest swing high and low; [] where there is none."""
    if not len(swing_highs) or not len(swing_lows):
        return []
    high, low = swing_highs[-1], swing_lows[-1]
    return [high - ((high - low) * level) for level in levels]


def calculate_fibonacci_features(
    price: float,
    fib_levels: Sequence[float],
    atr: float,
    config: FibonacciConfig,
    swing_high: float | None = None,
    swing_low: float | None = None,
) -> dict[str, float]:
    """Distances of a price to levels in average ranges, and how near that is."""
    names = (
        "fib_dist_min_atr",
        "fib_dist_signed_atr",
        "fib_prox_score",
        "fib0618_prox_atr",
        "fib05_prox_atr",
        "swing_retrace_depth",
    )
    out = dict.fromkeys(names, 0.0)
    if not len(fib_levels) or atr <= 0:
        return out
    distances = [abs(price - level) for level in fib_levels]
    nearest = distances.index(min(distances))
    out["fib_dist_min_atr"] = distances[nearest] / atr
    out["fib_dist_signed_atr"] = (price - fib_levels[nearest]) / atr
    near = dict(zip(config.levels, (math.exp(-x / (0.6 * atr)) for x in distances), strict=False))
    score = weights = 0.0
    for level, closeness in near.items():
        weight = config.weights.get(level, 1.0)
        score += weight * closeness
        weights += weight
    out["fib_prox_score"] = score / weights if weights > 0 else 0.0
    out["fib0618_prox_atr"] = near.get(0.618, 0.0)
    out["fib05_prox_atr"] = near.get(0.5, 0.0)
    if swing_high is not None and swing_low is not None and swing_high > swing_low:
        depth = (swing_high - price) / (swing_high - swing_low)
        out["swing_retrace_depth"] = min(max(depth, 0.0), 1.0)
    return out
