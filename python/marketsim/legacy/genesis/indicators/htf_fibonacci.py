"""`core.indicators.htf_fibonacci`: levels of the daily bars and of the bars' own timeframe."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.errors import BarsFileNotFoundError
from marketsim.indicators import swings
from marketsim.legacy.genesis.candles import (
    Array,
    from_dict,
    from_rows,
    nanoseconds,
    read_frame,
)
from marketsim.legacy.genesis.indicators.fibonacci import (
    FibonacciConfig,
    calculate_fibonacci_levels,
    detect_swing_points,
)
from marketsim.legacy.genesis.names import HIGHER_RATIOS, LOWER_RATIOS, WITH_LEVELS
from marketsim.legacy.genesis.quirks import current_quirks
from marketsim.legacy.genesis.root import candles_file

if TYPE_CHECKING:
    import pandas as pd

MAX_AGE_HOURS = 168
_HOUR = 3_600_000_000_000
_COLUMNS = {0.382: "htf_fib_0382", 0.5: "htf_fib_05", 0.618: "htf_fib_0618", 0.786: "htf_fib_0786"}


def load_candles_data(symbol: str, timeframe: str) -> pd.DataFrame:
    """The bars of a file under `data`, ascending.

    Raises:
        BarsFileNotFoundError: there is none, in either place.
    """
    import pandas as pd

    path, places = candles_file(symbol, timeframe)
    if path is None:
        tried = ", ".join(str(place) for place in places)
        raise BarsFileNotFoundError(f"Candle data not found for {symbol} {timeframe}: {tried}")
    frame = pd.read_parquet(path)
    if "timestamp" in frame.columns:
        frame["timestamp"] = pd.to_datetime(frame["timestamp"])
        frame = frame.sort_values("timestamp", kind="stable").reset_index(drop=True)
    return frame


@dataclass(frozen=True)
class DailyLevels:
    """Levels as of each daily bar: arrays [day], levels [ratio, day].

    `since` is when a day's row holds from, in nanoseconds; `stamp` its own timestamp.
    """

    stamp: npt.NDArray[np.int64]
    since: npt.NDArray[np.int64]
    levels: Array
    high: Array
    low: Array
    age: npt.NDArray[np.int64]

    def rows_at(self, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """The newest row that holds at each time; -1 before the first."""
        return np.searchsorted(self.since, stamps, side="right") - 1


def daily_levels(high: Array, low: Array, close: Array, stamps: Any, how: str) -> DailyLevels:
    """Levels of daily bars; `how` as GenesisQuirks.htf."""
    stamp = nanoseconds(stamps)
    if stamp is None:
        stamp = np.empty(0, np.int64)
    if how == "original":
        top, bottom, newest = _whole_file(high, low, close, FibonacciConfig())
        since = stamp
    else:
        found = swings(high, low, close, depth=6)
        top, bottom = found.high, found.low
        newest = np.maximum(found.high_row, found.low_row).astype(np.int64)
        # A day's bar is over when the next begins; the last lasts as long as the one before it.
        step = np.diff(stamp, append=stamp[-1:] + (stamp[-1:] - stamp[-2:-1]))
        since = stamp + (step if len(step) > 1 else 24 * _HOUR)
    wide = top - bottom
    levels = np.stack([top - (wide * ratio) for ratio in HIGHER_RATIOS])
    return DailyLevels(stamp, since, levels, top, bottom, np.arange(len(high)) - newest)


def _whole_file(
    high: Array, low: Array, close: Array, config: FibonacciConfig
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Newest swing prices by row, of swings that the whole file shows, and the newest row."""
    highs, lows, high_prices, low_prices = detect_swing_points(high, low, close, config)
    rows = np.arange(len(high))
    top, top_row = _known(rows, highs, high_prices, np.maximum.accumulate(high))
    bottom, bottom_row = _known(rows, lows, low_prices, np.minimum.accumulate(low))
    return top, bottom, np.maximum(top_row, bottom_row)


def _known(
    rows: npt.NDArray[np.int64], swing_rows: list[int], prices: list[float], without: Array
) -> tuple[Array, npt.NDArray[np.int64]]:
    if not swing_rows:
        return without, rows
    at = np.searchsorted(swing_rows, rows, side="right") - 1
    price = np.where(at >= 0, np.asarray(prices)[at], without)
    return price, np.where(at >= 0, np.asarray(swing_rows)[at], rows)


def compute_htf_fibonacci_levels(
    htf_candles: pd.DataFrame, config: FibonacciConfig | None = None
) -> pd.DataFrame:
    """Levels as of each higher bar, from swings that the whole frame shows."""
    import pandas as pd

    config = config or FibonacciConfig()
    high, low, close = (htf_candles[x].to_numpy(dtype=float) for x in ("high", "low", "close"))
    top, bottom, newest = _whole_file(high, low, close, config)
    columns: dict[str, Any] = {"timestamp": htf_candles["timestamp"].to_numpy()}
    for ratio, name in _COLUMNS.items():
        known = ratio in config.levels
        columns[name] = top - ((top - bottom) * ratio) if known else [None] * len(high)
    columns |= {"htf_swing_high": top, "htf_swing_low": bottom}
    columns["htf_swing_age_bars"] = np.arange(len(high)) - newest
    return pd.DataFrame(columns)


def compute_htf_fibonacci_mapping(
    htf_candles: pd.DataFrame,
    ltf_candles: pd.DataFrame,
    config: FibonacciConfig | None = None,
) -> pd.DataFrame:
    """The same, joined to the timestamps of lower bars."""
    import pandas as pd

    levels = compute_htf_fibonacci_levels(htf_candles, config)
    merged = pd.merge_asof(
        ltf_candles[["timestamp"]].sort_values("timestamp"),
        levels.sort_values("timestamp"),
        on="timestamp",
        direction="backward",
    )
    first = levels["timestamp"].iloc[0]
    age = (merged["timestamp"] - first).dt.total_seconds() / 3600
    merged["htf_data_age_hours"] = age.where(merged["htf_fib_0618"].notna())
    return merged


_kept: dict[tuple[bytes, str], DailyLevels] = {}


def levels_from_file(symbol: str, timeframe: str, how: str) -> DailyLevels | None:
    """Levels of the file of daily bars, keyed by its bytes; None where there is no file."""
    path, _ = candles_file(symbol, timeframe)
    if path is None:
        return None
    content = path.read_bytes()
    key = (blake3(content).digest(), how)
    found = _kept.get(key)
    if found is None:
        frame = read_frame(io.BytesIO(content), ("timestamp", "high", "low", "close"), path)
        frame = frame.sort_values("timestamp", kind="stable")
        high, low, close = (frame[x].to_numpy(dtype=float) for x in ("high", "low", "close"))
        found = daily_levels(high, low, close, frame["timestamp"].to_numpy(), how)
        if len(_kept) >= 8:
            _kept.pop(next(iter(_kept)))
        _kept[key] = found
    return found


def higher_context(
    levels: DailyLevels, row: int, now: int | None, timeframe: str
) -> dict[str, Any]:
    """The old dictionary for one row of the daily levels."""
    import pandas as pd

    if row < 0:
        return {"available": False, "reason": "HTF_NO_HISTORY"}
    if math.isnan(levels.levels[2, row]):
        return {"available": False, "reason": "NO_HTF_DATA"}
    stamp = int(levels.stamp[row])
    reference = int(pd.Timestamp.now().value) if now is None else now
    age = max((reference - stamp) / 1e9 / 3600.0, 0.0)
    if age > MAX_AGE_HOURS:
        return {"available": False, "reason": "HTF_DATA_STALE"}
    prices = levels.levels[:, row].tolist()
    return {
        "available": True,
        "levels": dict(zip(HIGHER_RATIOS, prices, strict=True)),
        "swing_high": float(levels.high[row]),
        "swing_low": float(levels.low[row]),
        "swing_age_bars": int(levels.age[row]),
        "data_age_hours": age,
        "htf_timeframe": timeframe,
        "last_update": pd.Timestamp(stamp),
    }


def get_htf_fibonacci_context(
    ltf_candles: Mapping[str, Any] | Sequence[Sequence[Any]],
    timeframe: str | None = None,
    symbol: str = "tBTCUSD",
    htf_timeframe: str = "1D",
    config: FibonacciConfig | None = None,
) -> dict[str, Any]:
    """The daily levels at the last candle's timestamp, or why there are none."""
    if timeframe not in WITH_LEVELS:
        return {"available": False, "reason": "HTF_NOT_APPLICABLE"}
    if config is None:
        levels = levels_from_file(symbol, htf_timeframe, current_quirks().htf)
        if levels is None:
            _, places = candles_file(symbol, htf_timeframe)
            tried = ", ".join(str(place) for place in places)
            error = f"Candle data not found for {symbol} {htf_timeframe}: {tried}"
            return {"available": False, "reason": "HTF_DATA_NOT_FOUND", "error": error}
    else:
        levels = _with_config(symbol, htf_timeframe, config)
    if not len(levels.stamp):
        return {"available": False, "reason": "NO_HTF_SWINGS"}
    if isinstance(ltf_candles, Mapping):
        stamps = ltf_candles.get("timestamp")
    else:
        stamps = [row[0] for row in ltf_candles]
    given = nanoseconds(stamps[-1:] if stamps is not None else None)
    now = None if given is None else int(given[-1])
    row = len(levels.stamp) - 1 if now is None else int(levels.rows_at(np.array([now]))[0])
    return higher_context(levels, row, now, htf_timeframe)


def _with_config(symbol: str, timeframe: str, config: FibonacciConfig) -> DailyLevels:
    frame = load_candles_data(symbol, timeframe)
    table = compute_htf_fibonacci_levels(frame, replace(config, levels=list(HIGHER_RATIOS)))
    stamp = nanoseconds(table["timestamp"].to_numpy())
    assert stamp is not None
    levels = np.stack([table[name].to_numpy(dtype=float) for name in _COLUMNS.values()])
    high, low = table["htf_swing_high"].to_numpy(), table["htf_swing_low"].to_numpy()
    return DailyLevels(stamp, stamp, levels, high, low, table["htf_swing_age_bars"].to_numpy())


def get_1d_fibonacci_context(ltf_candles: Any, **options: Any) -> dict[str, Any]:
    """The daily levels."""
    return get_htf_fibonacci_context(ltf_candles, htf_timeframe="1D", **options)


def get_4h_fibonacci_context(ltf_candles: Any, **options: Any) -> dict[str, Any]:
    """The levels of four-hour bars."""
    return get_htf_fibonacci_context(ltf_candles, htf_timeframe="4h", **options)


def get_ltf_fibonacci_context(
    ltf_candles: Mapping[str, Any] | Sequence[Sequence[Any]],
    *,
    timeframe: str | None = None,
    config: FibonacciConfig | None = None,
) -> dict[str, Any]:
    """Levels 0 to 1 of the candles' own swings, or why there are none."""
    base = config or FibonacciConfig()
    try:
        if isinstance(ltf_candles, Mapping):
            given = {key: ltf_candles.get(key, []) for key in ("high", "low", "close")}
            stamps = ltf_candles.get("timestamp")
        else:
            given = dict(from_rows(ltf_candles))
            stamps = [row[0] for row in ltf_candles]
        full = {"open": given["close"], "volume": given["close"], **given}
        candles = from_dict(full)
    except (TypeError, ValueError, IndexError) as error:
        return {"available": False, "reason": "LTF_INVALID_INPUT", "error": str(error)}
    if not len(candles):
        return {"available": False, "reason": "LTF_NO_DATA"}
    rule = FibonacciConfig(
        levels=list(LOWER_RATIOS),
        atr_depth=base.atr_depth,
        max_swings=base.max_swings,
        max_lookback=base.max_lookback,
    )
    _, _, highs, lows = detect_swing_points(candles.high, candles.low, candles.close, rule)
    if not highs or not lows:
        return {"available": False, "reason": "LTF_NO_SWINGS"}
    prices = calculate_fibonacci_levels(highs, lows, LOWER_RATIOS)
    stamp = None if stamps is None or not len(stamps) else stamps[-1]
    return lower_context(prices, highs[-1], lows[-1], (len(highs), len(lows)), timeframe, stamp)


def lower_context(
    prices: Sequence[float],
    high: float,
    low: float,
    counts: tuple[int, int],
    timeframe: str | None,
    stamp: Any,
) -> dict[str, Any]:
    """The old dictionary of a bar's own levels."""
    if high - low == 0:
        return {"available": False, "reason": "LTF_INVALID_SWING"}
    return {
        "available": True,
        "levels": dict(zip(LOWER_RATIOS, prices, strict=True)),
        "swing_high": high,
        "swing_low": low,
        "swing_range": high - low,
        "trend": "bullish" if high > low else "bearish",
        "timeframe": timeframe,
        "timestamp": stamp,
        "num_swing_highs": counts[0],
        "num_swing_lows": counts[1],
    }
