"""Indicators written for reading: what the compiled kernels must give, bit for bit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

NAN = math.nan
Numbers = Sequence[float]


def mean(window: Numbers) -> float:
    total = 0.0
    for x in window:
        total += x
    return total / len(window)


def deviation(window: Numbers, ddof: float = 0.0) -> float:
    middle, total = mean(window), 0.0
    for x in window:
        total += (x - middle) * (x - middle)
    return math.sqrt(total / (len(window) - ddof))


def rolling(values: Numbers, n: int, of: Callable[[Numbers], float]) -> list[float]:
    return [of(values[t + 1 - n : t + 1]) if t + 1 >= n else NAN for t in range(len(values))]


def sma(values: Numbers, n: int) -> list[float]:
    return rolling(values, n, mean)


def wma(values: Numbers, n: int) -> list[float]:
    def of(window: Numbers) -> float:
        total = 0.0
        for i, x in enumerate(window):
            total += x * (i + 1.0)
        return total / (n * (n + 1.0) / 2.0)

    return rolling(values, n, of)


def averaged(
    values: Numbers, n: int, seed: str, move: Callable[[float, float], float]
) -> list[float]:
    if seed == "mean":
        if len(values) < n:
            return [NAN] * len(values)
        out = [NAN] * (n - 1) + [mean(values[:n])]
    else:
        out = list(values[:1])
    for x in values[len(out) :]:
        out.append(move(out[-1], x))
    return out


def ema(values: Numbers, n: int, seed: str = "mean") -> list[float]:
    k = 2.0 / (n + 1.0)
    return averaged(values, n, seed, lambda before, x: x * k + before * (1.0 - k))


def true_range(high: Numbers, low: Numbers, close: Numbers) -> list[float]:
    before = [close[0], *close[:-1]]
    return [
        max(top - bottom, abs(top - last), abs(bottom - last))
        for top, bottom, last in zip(high, low, before, strict=True)
    ]


def atr(high: Numbers, low: Numbers, close: Numbers, n: int, seed: str = "mean") -> list[float]:
    wide, rate = true_range(high, low, close), 1.0 / n

    def move(before: float, x: float) -> float:
        return before + rate * (x - before)

    if seed == "first":
        return averaged(wide, n, seed, move)
    return [NAN, *averaged(wide[1:], n, seed, move)]


def rsi(close: Numbers, n: int) -> list[float]:
    moves = [y - x for x, y in itertools.pairwise(close)]

    def average(parts: Numbers) -> list[float]:
        return averaged(parts, n, "mean", lambda before, x: (before * (n - 1.0) + x) / n)

    gains = average([m if m > 0 else 0.0 for m in moves])
    losses = average([-m if m < 0 else 0.0 for m in moves])
    out = [NAN]
    for gain, loss in zip(gains, losses, strict=True):
        if gain != gain:
            out.append(NAN)
        else:
            out.append(100.0 if loss == 0 else 100.0 - 100.0 / (1.0 + gain / loss))
    return out


def adx(high: Numbers, low: Numbers, close: Numbers, n: int) -> tuple[list[float], ...]:
    wide = true_range(high, low, close)
    plus, minus = [0.0], [0.0]
    for t in range(1, len(high)):
        up, down = high[t] - high[t - 1], low[t - 1] - low[t]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    sums = [0.0, 0.0, 0.0]
    out: tuple[list[float], ...] = ([], [], [])
    directions: list[float] = []
    value = NAN
    for t in range(len(high)):
        moves = (wide[t], plus[t], minus[t])
        if t:
            for i in range(3):
                sums[i] = sums[i] + moves[i] if t < n else sums[i] - sums[i] / n + moves[i]
        if t < n:
            row = (NAN, NAN, NAN)
        else:
            a, b = (100.0 * (s / sums[0]) if sums[0] > 0 else 0.0 for s in sums[1:])
            total = a + b
            direction = 0.0 if total == 0 else 100.0 * abs(a - b) / total
            directions.append(direction)
            if len(directions) == n:
                value = mean(directions)
            elif len(directions) > n and total != 0:
                value = (value * (n - 1.0) + direction) / n
            row = (value, a, b)
        for column, x in zip(out, row, strict=True):
            column.append(x)
    return out


def bollinger(close: Numbers, n: int, multiple: float) -> tuple[list[float], ...]:
    middle, spread = sma(close, n), rolling(close, n, deviation)
    upper = [m + multiple * d for m, d in zip(middle, spread, strict=True)]
    lower = [m - multiple * d for m, d in zip(middle, spread, strict=True)]
    return middle, upper, lower, spread


def quantile(values: Numbers, n: int, level: float) -> list[float]:
    def of(window: Numbers) -> float:
        ordered, at = sorted(window), level * (n - 1)
        below = int(at)
        if below + 1 >= n:
            return ordered[-1]
        part = at - below
        return (
            ordered[below]
            if not part
            else ordered[below] + (ordered[below + 1] - ordered[below]) * part
        )

    return rolling(values, n, of)


def obv(close: Numbers, volume: Numbers) -> list[float]:
    out = [volume[0]]
    for t in range(1, len(close)):
        step = (
            volume[t] if close[t] > close[t - 1] else -volume[t] if close[t] < close[t - 1] else 0.0
        )
        out.append(out[-1] + step)
    return out


def stochastic(high: Numbers, low: Numbers, close: Numbers, n: int, slow: int) -> list[float]:
    raw = []
    for t in range(n - 1, len(close)):
        top, bottom = max(high[t + 1 - n : t + 1]), min(low[t + 1 - n : t + 1])
        raw.append(0.0 if top == bottom else 100.0 * (close[t] - bottom) / (top - bottom))
    return [NAN] * min(n - 1, len(close)) + sma(raw, slow)
