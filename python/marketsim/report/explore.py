"""Data of the interactive figures: every bar, for zoom and pan (`templates/explore.js`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marketsim.report.data import Candles, Fan, ReportData, Trades
from marketsim.report.detail import Detail
from marketsim.report.packing import Packer, Spec
from marketsim.report.sampling import drawable
from marketsim.report.scales import is_logarithmic
from marketsim.report.series import NAME_LENGTH, series_styles, shown_names
from marketsim.report.text import clip

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")
_RATIO = 5e-5  # step of forecasts, relative to the price
_DIGITS = 6  # decimals of prices that are stored exactly


def explore_data(data: ReportData, detail: Detail) -> dict[str, object] | None:
    """Pack curves, candles, fans and trades on one axis of bars; None without bars or dates.

    Beyond `detail.points` bars, each point stands for several: curves show its last value, candles
    the prices of all its bars.
    """
    bars = len(data.dates)
    if not bars or np.isnat(data.dates).any():
        return None
    stride = -(-bars // detail.points)
    ends = np.minimum(np.arange(stride - 1, bars + stride - 1, stride), bars - 1)
    pack = Packer()
    seconds = data.dates.astype("datetime64[s]").astype(np.int64)[ends]
    first = int(seconds[0])
    if int(seconds[-1]) - first >= 2**31 or int(seconds.min()) < first:
        return None  # more than 68 years of seconds fit no 32 bits
    found: dict[str, object] = {
        "stride": stride,
        "first": first,
        "time": pack.whole(seconds - first),
        "curves": _curves(data, ends, detail, pack),
        "log": _is_log(data),
        "rolling": clip(data.rolling_label, NAME_LENGTH),
        "candles": None,
        "fans": [],
        "trades": [],
    }
    candles = data.candles
    if candles is not None and np.array_equal(candles.dates, data.dates):
        found["candles"] = _candles(candles, stride, ends, pack)
        close = _positive(candles.close)[ends]
        before = np.concatenate((close[:1], close[:-1]))
        found["fans"] = [
            _fan(fan, ends, before, candles, pack)
            for fan in data.fans
            if np.array_equal(fan.dates, data.dates)
        ]
        found["trades"] = [_trades(t, close, stride, detail, pack) for t in data.trades]
    return found | {"block": pack.block()}


def _curves(data: ReportData, ends: Ints, detail: Detail, pack: Packer) -> list[dict[str, object]]:
    names = shown_names(list(data.equity), data.baselines, detail.curves)
    styles = series_styles(names, data.baselines)
    log = _is_log(data)
    found: list[dict[str, object]] = []
    for name in names:
        curve = drawable(data.equity[name])[ends]
        rolling = data.rolling.get(name)
        found.append(
            {
                "name": clip(name, NAME_LENGTH),
                "style": styles[name],
                "equity": pack.numbers(np.log(curve) if log else curve),
                "rolling": None if rolling is None else pack.numbers(rolling[ends], 0.01),
            }
        )
    return found


def _is_log(data: ReportData) -> bool:
    curves = [drawable(curve) for curve in data.equity.values()]
    return is_logarithmic(np.concatenate([[1.0], *curves]))


def _candles(candles: Candles, stride: int, ends: Ints, pack: Packer) -> dict[str, object]:
    starts = np.concatenate(([0], ends[:-1] + 1))
    columns = {name: drawable(getattr(candles, name)) for name in _PRICES}
    columns["open"], columns["close"] = columns["open"][starts], columns["close"][ends]
    if stride > 1:
        columns["high"] = np.fmax.reduceat(columns["high"], starts)
        columns["low"] = np.fmin.reduceat(columns["low"], starts)
    found: dict[str, object] = {name: _price(columns[name], pack) for name in _PRICES}
    styles = series_styles(candles.lines, frozenset())
    found["lines"] = [
        {
            "name": clip(name, NAME_LENGTH),
            "style": styles[name],
            "values": pack.numbers(drawable(values)[ends], width=3),
        }
        for name, values in candles.lines.items()
    ]
    return found


def _price(values: Floats, pack: Packer) -> Spec:
    """Pack prices: exactly if they have few decimals, else to about seven digits."""
    known = values[np.isfinite(values)]
    for digits in range(_DIGITS + 1):
        scaled = known * 10.0**digits
        if not known.size or np.abs(scaled).max() >= 2**30 or len(known) < len(values):
            break
        if (np.abs(scaled - np.rint(scaled)) < 1e-6).all():
            return pack.whole(np.rint(scaled)) | {"by": 10**digits}
    if known.size and known.min() > 0.0:
        return pack.numbers(np.log(values), width=3) | {"log": 1}
    return pack.numbers(values, width=4)


def _fan(fan: Fan, ends: Ints, before: Floats, candles: Candles, pack: Packer) -> dict[str, object]:
    """Pack quantiles as log ratios to the close of the point before: they change little."""
    quantiles = _positive(fan.quantiles)[ends]
    same = fan.target in _PRICES and np.array_equal(fan.actual, getattr(candles, fan.target))
    return {
        "target": clip(fan.target, NAME_LENGTH),
        "levels": [float(level) for level in fan.levels],
        "quantiles": [pack.numbers(np.log(q / before), _RATIO) for q in quantiles.T],
        "actual": fan.target
        if same
        else pack.numbers(np.log(_positive(fan.actual)[ends] / before), _RATIO / 10),
    }


def _positive(values: npt.ArrayLike) -> Floats:
    array = drawable(values)
    return np.where(array > 1e-100, array, np.nan)


def _trades(
    trades: Trades, close: Floats, stride: int, detail: Detail, pack: Packer
) -> dict[str, object]:
    last = slice(max(0, len(trades.entry) - detail.trades), None)
    kinds = list(dict.fromkeys([*trades.entry_kind[last], *trades.exit_kind[last]]))
    code = {kind: i for i, kind in enumerate(kinds)}
    entry, exit_ = np.asarray(trades.entry)[last], np.asarray(trades.exit)[last]
    points = len(close)

    def place(bars: Ints) -> Ints:
        # Positions outside the axis (-1, or its length) stay outside it.
        return np.where(bars < 0, -1, np.minimum(bars // stride, points))

    def price(bars: Ints, prices: Floats) -> Spec:
        near = close[np.clip(place(bars), 0, points - 1)]
        return pack.numbers(np.log(_positive(prices)[last] / near), _RATIO / 10, width=3)

    def coded(names: Sequence[str]) -> Spec:
        return pack.whole([code[name] for name in names], width=1)

    return {
        "strategy": clip(trades.strategy, NAME_LENGTH),
        "total": len(trades.entry),
        "side": pack.whole((np.asarray(trades.side)[last] > 0).astype(np.int64), width=1),
        "entry": pack.whole(place(entry)),
        "exit": pack.whole(place(exit_)),
        "bars": pack.whole(exit_ - entry),
        "entryPrice": price(entry, trades.entry_price),
        "exitPrice": price(exit_, trades.exit_price),
        "net": pack.numbers(drawable(trades.net)[last], 1e-5, width=3),
        "kinds": [clip(kind, 20) for kind in kinds],
        "entryKind": coded(trades.entry_kind[last]),
        "exitKind": coded(trades.exit_kind[last]),
    }
