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


def equal(window: Numbers) -> bool:
    return all(x == window[0] for x in window)


def deviation(window: Numbers, ddof: float = 0.0) -> float:
    middle, total = mean(window), 0.0
    for x in window:
        total += (x - middle) * (x - middle)
    if equal(window):  # whose mean is rounded
        total = 0.0
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
    wide = true_range(high, low, close)
    return wilder(wide, n, seed) if seed == "first" else [NAN, *wilder(wide[1:], n)]


def wilder(values: Numbers, n: int, seed: str = "mean") -> list[float]:
    k = 1.0 / n
    if seed == "first":
        return averaged(values, n, seed, lambda before, x: before + k * (x - before))
    return averaged(values, n, seed, lambda before, x: x * k + before * (1.0 - k))


def rsi(close: Numbers, n: int, convention: str = "wilder") -> list[float]:
    moves = [y - x for x, y in itertools.pairwise(close)]
    gains, losses = [m if m > 0 else 0.0 for m in moves], [-m if m < 0 else 0.0 for m in moves]
    if convention == "neutral":

        def average(parts: Numbers) -> list[float]:
            return averaged(parts, n, "mean", lambda before, x: (before * (n - 1.0) + x) / n)
    else:

        def average(parts: Numbers) -> list[float]:
            return wilder(parts, n)

    early = 50.0 if convention == "neutral" else NAN
    out = [early]
    for gain, loss in zip(average(gains), average(losses), strict=True):
        if gain != gain:
            out.append(early)
        elif loss == 0:
            out.append(0.0 if convention == "talib" and gain == 0 else 100.0)
        elif convention == "neutral":
            out.append(100.0 - 100.0 / (1.0 + gain / loss))
        else:
            out.append(100.0 * (gain / (gain + loss)))
    return out


def adx(
    high: Numbers, low: Numbers, close: Numbers, n: int, convention: str = "wilder"
) -> tuple[list[float], ...]:
    first_bar = convention == "first_bar"
    wide = true_range(high, low, close)
    plus, minus = [0.0], [0.0]
    for t in range(1, len(high)):
        up, down = high[t] - high[t - 1], low[t - 1] - low[t]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    skipped = 0 if first_bar else 1  # bars before the first that counts
    summed = n if first_bar else n - 1
    sums = [0.0, 0.0, 0.0]
    out: tuple[list[float], ...] = ([], [], [])
    directions: list[float] = []
    value = early = 0.0 if first_bar else NAN
    for t in range(len(high)):
        added = t + 1 - skipped
        for i, move in enumerate((wide[t], plus[t], minus[t])):
            if added < 1:
                continue
            part = sums[i] / n if first_bar else sums[i] * (1.0 / n)
            sums[i] = sums[i] + move if added <= summed else sums[i] - part + move
        if added < n:
            row = (early, early, early)
        else:
            a, b = (100.0 * (s / sums[0]) if sums[0] > 0 else 0.0 for s in sums[1:])
            total = a + b
            direction = 0.0 if total == 0 else 100.0 * abs(a - b) / total
            directions.append(direction)
            if len(directions) == n:
                value = mean(directions)
            elif len(directions) > n and first_bar:
                value = (value * (n - 1.0) + direction) / n
            elif len(directions) > n and total != 0:
                value = direction * (1.0 / n) + value * (1.0 - 1.0 / n)
            row = (value if len(directions) >= n else early, a, b)
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


def zscore(values: Numbers, n: int, ddof: float = 0.0) -> list[float]:
    def of(window: Numbers) -> float:
        spread = deviation(window, ddof)
        return NAN if spread == 0 else (window[-1] - mean(window)) / spread

    return rolling(values, n, of)


def bollinger_shares(close: Numbers, n: int, multiple: float) -> tuple[list[float], list[float]]:
    """Width and position."""
    middle, upper, lower, _ = bollinger(close, n, multiple)
    width, position = [], []
    for m, top, bottom, x in zip(middle, upper, lower, close, strict=True):
        band = top - bottom
        width.append(NAN if m != m else 0.0 if m == 0 else band / m)
        inside = 0.5 if band == 0 else (x - bottom) / band
        position.append(NAN if m != m else min(max(inside, 0.0), 1.0))
    return width, position


def correlation(x: Numbers, y: Numbers, n: int) -> list[float]:
    out = []
    for t in range(len(x)):
        if t + 1 < n:
            out.append(NAN)
            continue
        a, b = x[t + 1 - n : t + 1], y[t + 1 - n : t + 1]
        a_mean, b_mean, ab, aa, bb = mean(a), mean(b), 0.0, 0.0, 0.0
        for u, v in zip(a, b, strict=True):
            ab += (u - a_mean) * (v - b_mean)
            aa += (u - a_mean) * (u - a_mean)
            bb += (v - b_mean) * (v - b_mean)
        scale = math.sqrt(aa) * math.sqrt(bb)
        still = scale == 0 or equal(a) or equal(b)
        out.append(NAN if still else min(max(ab / scale, -1.0), 1.0))
    return out


def macd(
    close: Numbers, fast: int, slow: int, signal: int, seed: str
) -> tuple[list[float], list[float], list[float]]:
    late = min(slow - fast, len(close)) if seed == "mean" else 0
    quick = [NAN] * late + ema(close[late:], fast, seed)
    line = [a - b for a, b in zip(quick, ema(close, slow, seed), strict=True)]
    known = min(slow - 1, len(close)) if seed == "mean" else 0
    signals = [NAN] * known + ema(line[known:], signal, seed)
    if seed == "mean":  # all three begin together
        line = [NAN if s != s else x for x, s in zip(line, signals, strict=True)]
    return line, signals, [x - s for x, s in zip(line, signals, strict=True)]


def donchian(high: Numbers, low: Numbers, n: int) -> tuple[list[float], ...]:
    upper, lower = rolling(high, n, max), rolling(low, n, min)
    return upper, lower, [(a + b) / 2.0 for a, b in zip(upper, lower, strict=True)]


def keltner(
    high: Numbers, low: Numbers, close: Numbers, n: int, m: int, multiple: float, seed: str
) -> tuple[list[float], ...]:
    middle = ema(close, n, seed)
    reach = [multiple * x for x in atr(high, low, close, m, seed)]
    upper = [x + r for x, r in zip(middle, reach, strict=True)]
    return middle, upper, [x - r for x, r in zip(middle, reach, strict=True)]


def volatility_ratio(
    high: Numbers, low: Numbers, close: Numbers, short: int, long: int, seed: str
) -> list[float]:
    pairs = zip(atr(high, low, close, short, seed), atr(high, low, close, long, seed), strict=True)
    return [NAN if a != a or b != b else 1.0 if b <= 0 else a / b for a, b in pairs]


def vwap(
    high: Numbers, low: Numbers, close: Numbers, volume: Numbers, session: Numbers
) -> list[float]:
    out, value, total = [], 0.0, 0.0
    for t in range(len(close)):
        if t == 0 or session[t] != session[t - 1]:
            value = total = 0.0
        value += (high[t] + low[t] + close[t]) / 3.0 * volume[t]
        total += volume[t]
        out.append(NAN if total == 0 else value / total)
    return out


def close_volatility(close: Numbers, n: int) -> list[float]:
    returns = [math.log(b / a) for a, b in itertools.pairwise(close)]
    return [NAN, *rolling(returns, n, lambda w: deviation(w, 1.0))]


def parkinson_volatility(high: Numbers, low: Numbers, n: int) -> list[float]:
    squares = [math.log(a / b) * math.log(a / b) for a, b in zip(high, low, strict=True)]
    return rolling(squares, n, lambda w: math.sqrt(mean(w) / (4.0 * math.log(2.0))))


def garman_klass_volatility(
    opened: Numbers, high: Numbers, low: Numbers, close: Numbers, n: int
) -> list[float]:
    parts = []
    for o, h, l, c in zip(opened, high, low, close, strict=True):  # noqa: E741
        wide, body = math.log(h / l), math.log(c / o)
        parts.append(0.5 * wide * wide - (2.0 * math.log(2.0) - 1.0) * body * body)
    # The mean of a bar's estimates can be below 0 where bodies are wide: no root then.
    return rolling(parts, n, lambda w: math.sqrt(mean(w)) if mean(w) >= 0 else NAN)


def yang_zhang_volatility(
    opened: Numbers, high: Numbers, low: Numbers, close: Numbers, n: int
) -> list[float]:
    def variance(window: Numbers) -> float:
        middle, total = mean(window), 0.0
        for x in window:
            total += (x - middle) * (x - middle)
        return 0.0 if equal(window) else total / (n - 1.0)

    nights, days, inside = [], [], []
    for t in range(1, len(close)):
        up, down = math.log(high[t] / opened[t]), math.log(low[t] / opened[t])
        body = math.log(close[t] / opened[t])
        nights.append(math.log(opened[t] / close[t - 1]))
        days.append(body)
        inside.append(up * (up - body) + down * (down - body))
    k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    out = [NAN]
    for t in range(len(nights)):
        part = slice(t + 1 - n, t + 1)
        if t + 1 < n:
            out.append(NAN)
            continue
        night, day = variance(nights[part]), variance(days[part])
        out.append(math.sqrt(night + k * day + (1.0 - k) * mean(inside[part])))
    return out
