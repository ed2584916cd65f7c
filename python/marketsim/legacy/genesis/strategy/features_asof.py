"""`core.strategy.features_asof`: the features of one row, from the rows up to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.candles import from_dict, from_rows
from marketsim.legacy.genesis.columns import Columns, columns_of
from marketsim.legacy.genesis.indicators.htf_fibonacci import (
    get_htf_fibonacci_context,
    lower_context,
)
from marketsim.legacy.genesis.names import FEATURES, LEAST_ROWS, PERIODS, WITH_LEVELS

# Old code counts the entries and clears them. Nothing is ever looked up: a key says too little.
_feature_cache: OrderedDict[str, tuple[dict[str, float], dict[str, Any]]] = OrderedDict()
_MAX_CACHE_SIZE = 500
_VERSIONS = {
    "features_v15_highvol_optimized": True,
    "features_v16_fibonacci": True,
    "features_v17_fibonacci_combinations": True,
    "htf_fibonacci_symmetric_chamoun": True,
}
Result = tuple[dict[str, float], dict[str, Any]]


def _compute_candles_hash(candles: Mapping[str, Any], asof_bar: int) -> str:
    """The old cache's key. Nothing is looked up by it: different data can have the same."""
    close = candles.get("close")
    if close is not None and len(close) > asof_bar:
        return f"{asof_bar}:{float(close[asof_bar]):.4f}"
    return str(asof_bar)


def extract_features_backtest(
    candles: Mapping[str, Any],
    asof_bar: int,
    *,
    timeframe: str | None = None,
    symbol: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Result:
    """Features of row `asof_bar` from rows 0 to `asof_bar`, and meta.

    Raises:
        ArgumentError: no such row, or lengths differ.
    """
    total = _rows(candles)
    if not isinstance(asof_bar, int | np.integer):
        raise ArgumentError(f"asof_bar must be a whole number, got {asof_bar!r}")
    if asof_bar < 0:
        raise ArgumentError(f"asof_bar must be >= 0, got {asof_bar}")
    if asof_bar >= total:
        raise ArgumentError(f"asof_bar={asof_bar} >= total_bars={total}")
    return _extract(candles, asof_bar, timeframe, symbol)


def extract_features_live(
    candles: Mapping[str, Any],
    *,
    timeframe: str | None = None,
    symbol: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Result:
    """Features of the row before the last, which is still open.

    Raises:
        ArgumentError: fewer than two rows, or lengths differ.
    """
    total = _rows(candles)
    if total < 2:
        raise ArgumentError(f"Need at least 2 bars for live mode: got {total}")
    return _extract(candles, total - 2, timeframe, symbol)


def extract_features(
    candles: Mapping[str, Any] | Sequence[Sequence[Any]],
    *,
    config: Mapping[str, Any] | None = None,
    now_index: int | None = None,
    timeframe: str | None = None,
    symbol: str | None = None,
) -> Result:
    """The old entry point: live without `now_index`, else as of the row before it."""
    given = candles if isinstance(candles, Mapping) else from_rows(candles)
    if now_index is None:
        return extract_features_live(given, timeframe=timeframe, symbol=symbol)
    last = _rows(given) - 1
    return _extract(given, min(max(now_index - 1, 0), last), timeframe, symbol)


def _rows(candles: Any) -> int:
    if not isinstance(candles, Mapping) or "close" not in candles:
        raise ArgumentError(f"candles: expected a table with close, got {candles!r:.80}")
    return len(candles["close"])


def _extract(
    given: Mapping[str, Any], row: int, timeframe: str | None, symbol: str | None
) -> Result:
    candles = from_dict(given)
    if row < LEAST_ROWS - 1:
        reason = f"INSUFFICIENT_DATA: asof_bar={row} < min_lookback={LEAST_ROWS - 1}"
        return {}, {
            "versions": {},
            "reasons": [reason],
            "asof_bar": row,
            "uses_bars": [0, row],
        }
    columns = columns_of(candles.upto(row), timeframe, lookback=None, lag=0, keep=False)
    higher: dict[str, Any] = {}
    lower: dict[str, Any] = {}
    if timeframe in WITH_LEVELS:
        stamps = given.get("timestamp")
        known = {} if stamps is None else {"timestamp": stamps}
        higher = get_htf_fibonacci_context(known, timeframe=timeframe, symbol=symbol or "tBTCUSD")
        lower = lower_context_at(columns, row, timeframe, _last(stamps))
    features = features_at(columns, row)
    meta = meta_at(columns, row, row, len(candles), higher, lower)
    _feature_cache[_compute_candles_hash(given, row)] = (dict(features), dict(meta))
    while len(_feature_cache) > _MAX_CACHE_SIZE:
        _feature_cache.popitem(last=False)
    return features, meta


def _last(stamps: Any) -> Any:
    return None if stamps is None or not len(stamps) else stamps[-1]


def features_at(columns: Columns, bar: int) -> dict[str, float]:
    """The old dictionary of features."""
    return dict(zip(FEATURES, columns.features[:, bar].tolist(), strict=True))


def percentiles_at(columns: Columns, bar: int) -> dict[str, dict[str, float]]:
    """The old dictionary of percentiles of the average range."""
    values = columns.percentiles[:, bar].tolist()
    pairs = zip(PERIODS, values[::2], values[1::2], strict=True)
    return {str(rows): {"p40": p40, "p80": p80} for rows, p40, p80 in pairs if p40 == p40}


def lower_context_at(columns: Columns, bar: int, timeframe: str, stamp: Any) -> dict[str, Any]:
    """The old dictionary of the timeframe's own levels."""
    swings = columns.lower
    assert swings is not None
    counts = (max(int(swings.highs[bar]), 1), max(int(swings.lows[bar]), 1))
    return lower_context(
        columns.lower_levels[:, bar].tolist(),
        float(swings.high[bar]),
        float(swings.low[bar]),
        counts,
        timeframe,
        stamp,
    )


def meta_at(
    columns: Columns,
    bar: int,
    row: int,
    total: int,
    higher: dict[str, Any],
    lower: dict[str, Any],
) -> dict[str, Any]:
    """The old meta of features: of column `bar`, whose as-of row is `row` of `total`."""
    return {
        "versions": dict(_VERSIONS),
        "reasons": [],
        "feature_count": len(FEATURES),
        "asof_bar": row,
        "uses_bars": [0, row],
        "total_bars_available": total,
        "htf_fibonacci": higher,
        "ltf_fibonacci": lower,
        "current_atr": float(columns.features[FEATURES.index("atr_14"), bar]),
        "atr_percentiles": percentiles_at(columns, bar),
    }


def extract_features_batch(candles: Mapping[str, Any], *, timeframe: str | None = None) -> Columns:
    """Features of every row from all rows up to it, in one call; see `Columns`."""
    return columns_of(from_dict(candles), timeframe, lookback=None, lag=0)
