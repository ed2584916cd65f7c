"""The old indicators against recorded values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genesis_golden import FOLDER, inputs, manifest, needs_golden, same, units

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.indicators import averages, derived, volume
from marketsim.legacy.genesis.indicators.exit_fibonacci import validate_swing_for_exit
from marketsim.legacy.genesis.indicators.fibonacci import (
    FibonacciConfig,
    calculate_fibonacci_features,
    calculate_fibonacci_levels,
    detect_swing_points,
)
from marketsim.legacy.genesis.indicators.htf_fibonacci import (
    compute_htf_fibonacci_levels,
    get_ltf_fibonacci_context,
)

pytestmark = needs_golden


def all_of(case: dict[str, Any]) -> dict[str, Any]:
    high, low, close, size = (case[x] for x in ("high", "low", "close", "volume"))
    short, long = (
        averages.calculate_atr(high, low, close, 14),
        averages.calculate_atr(high, low, close, 50),
    )
    ema20, bands = averages.calculate_ema(close, 20), averages.bollinger_bands(close)
    return {
        "ema20": ema20,
        "rsi14": averages.calculate_rsi(close),
        "atr14": short,
        "atr50": long,
        "adx14": averages.calculate_adx(high, low, close),
        "bb": bands,
        "squeeze20": averages.bb_squeeze(bands["width"]),
        "vol_shift": derived.calculate_volatility_shift(short, long),
        "macd": averages.calculate_macd(close),
        "vol_sma5": volume.calculate_volume_sma(size, 5),
        "vol_ema5": volume.calculate_volume_ema(size, 5),
        "vol_change20": volume.volume_change(size),
        "vol_spike20": volume.volume_spike(size),
        "vol_trend": volume.volume_trend(size),
        "obv": volume.obv(close, size),
        "vpd14": volume.volume_price_divergence(close, size),
        "mom_disp_z": derived.calculate_momentum_displacement_z(close, short),
        "price_stretch_z": derived.calculate_price_stretch_z(close, ema20, short),
        "volume_anomaly_z": derived.calculate_volume_anomaly_z(size),
        "regime_persistence": derived.calculate_regime_persistence(ema20),
    }


def test_every_indicator() -> None:
    for k, case in enumerate(units()["indicators"]):
        for name, found in all_of(case).items():
            assert same(found, case[name], 1e-12), (k, case["kind"], case["n"], name)


def test_swings_levels_features_and_context() -> None:
    import pandas as pd

    for k, case in enumerate(units()["swings"]):
        config = FibonacciConfig(**case["cfg"])
        series = [pd.Series(case[x], dtype=float) for x in ("high", "low", "close")]
        found = detect_swing_points(*series, config)
        assert same(list(found), case["swings"]), k
        levels = calculate_fibonacci_levels(found[2], found[3], config.levels)
        assert same(levels, case["levels"]), k
        atr = averages.calculate_atr(case["high"], case["low"], case["close"], 14)[-1]
        assert same(atr, case["atr"]), k
        features = calculate_fibonacci_features(
            case["close"][-1], levels, atr, config, found[2][-1], found[3][-1]
        )
        assert same(features, case["features"], 1e-15), k
        context = get_ltf_fibonacci_context(
            {x: case[x] for x in ("high", "low", "close")}, timeframe="1h"
        )
        assert same(context, case["ltf_context"]), k


def test_whole_series() -> None:
    with np.load(FOLDER / "indicators.npz", allow_pickle=False) as golden:
        for name in manifest()["indicators"]:
            bars = inputs(name)
            high, low, close = bars.high, bars.low, bars.close
            bands, macd = averages.bollinger_bands(close), averages.calculate_macd(close)
            short, long = (averages.calculate_atr(high, low, close, n) for n in (14, 50))
            found = {
                "atr_14": short,
                "atr_50": long,
                "ema_20": averages.calculate_ema(close, 20),
                "ema_50": averages.calculate_ema(close, 50),
                "rsi_14": averages.calculate_rsi(close),
                "adx_14": averages.calculate_adx(high, low, close),
                **{f"bb_{key}": value for key, value in bands.items()},
                "vol_shift": derived.calculate_volatility_shift(short, long),
                "macd_signal": macd["signal"],
                "macd_histogram": macd["histogram"],
            }
            for depth in (3, 6):
                rows = detect_swing_points(high, low, close, FibonacciConfig(atr_depth=depth))
                found[f"swings_depth{depth}_high_idx"] = rows[0]
                found[f"swings_depth{depth}_low_idx"] = rows[1]
            for key, values in found.items():
                np.testing.assert_array_equal(values, golden[f"{name}/{key}"], key)


def test_daily_levels() -> None:
    import pandas as pd

    for k, case in enumerate(units()["htf_levels"]):
        frame = pd.DataFrame({x: case[x] for x in ("high", "low", "close")})
        frame["timestamp"] = pd.date_range("2020-01-01", periods=len(frame), freq="D")
        table = compute_htf_fibonacci_levels(frame)
        for name, values in case["table"].items():
            if name != "timestamp":
                assert same(table[name].tolist(), values), (k, name)
    with np.load(FOLDER / "indicators.npz", allow_pickle=False) as golden:
        for key in golden.files:
            name, _, column = key.partition("/")
            if column.startswith("htf_"):
                bars = inputs(name)
                frame = pd.DataFrame({x: getattr(bars, x) for x in ("high", "low", "close")})
                frame["timestamp"] = pd.to_datetime(bars.time)
                np.testing.assert_array_equal(
                    compute_htf_fibonacci_levels(frame)[column], golden[key], key
                )


def test_validate_swing() -> None:
    for case in units()["validate_swing"]:
        assert same(list(validate_swing_for_exit(*case["args"])), case["out"])


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match="period must be > 0: got 0"):
        averages.calculate_ema([1.0], 0)
    with pytest.raises(ArgumentError, match="same length"):
        averages.calculate_atr([1.0, 2.0], [1.0], [1.0], 3)
    assert averages.calculate_rsi([]) == []
