"""Features, regimes, probabilities and decisions of one bar against recorded values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genesis_golden import FOLDER, inputs, manifest, needs_golden, same, units

from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.columns import columns_of
from marketsim.legacy.genesis.strategy import decision
from marketsim.legacy.genesis.strategy.confidence import compute_confidence
from marketsim.legacy.genesis.strategy.features_asof import (
    extract_features,
    extract_features_backtest,
    extract_features_batch,
    extract_features_live,
)
from marketsim.legacy.genesis.strategy.prob_model import predict_proba_for
from marketsim.legacy.genesis.strategy.regime_unified import (
    classify_regime,
    detect_regime_unified,
)

WITH_EXP = ("fib_prox", "fib0618_prox", "fib05")


def series(rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    high, low = close * (1 + rng.uniform(0, 0.01, rows)), close * (1 - rng.uniform(0, 0.01, rows))
    return {
        "open": np.roll(close, 1),
        "high": high,
        "low": low,
        "close": close,
        "volume": rng.uniform(1, 2, rows),
    }


def check_features(found: dict[str, float], expected: dict[str, float], where: Any) -> None:
    assert found.keys() == expected.keys(), where
    for name, value in found.items():
        tolerance = 1e-15 if name.startswith(WITH_EXP) else 0.0
        assert same(value, expected[name], tolerance), (where, name)


@needs_golden
def test_features_of_a_row() -> None:
    for k, case in enumerate(units()["asof"]):
        candles = {x: case[x] for x in ("open", "high", "low", "close", "volume")}
        features, meta = extract_features_backtest(
            candles, case["asof"], timeframe=case["timeframe"]
        )
        check_features(features, case["features"], k)
        for key, value in case["meta"].items():
            assert same(meta[key], value), (k, key)


@needs_golden
def test_features_of_many_rows_at_once() -> None:
    with np.load(FOLDER / "indicators.npz", allow_pickle=False) as golden:
        for name in manifest()["indicators"]:
            bars = inputs(name)
            candles = {x: getattr(bars, x) for x in ("open", "high", "low", "close", "volume")}
            rows = golden[f"{name}/asof_rows"]
            found = extract_features_batch(candles, timeframe="3h").features[:, rows].T
            np.testing.assert_allclose(found, golden[f"{name}/asof_features"], rtol=1e-15, atol=0)


def test_one_row_is_the_row_of_the_batch() -> None:
    candles = series(300)
    many = extract_features_batch(candles, timeframe="1h")
    for row in (50, 51, 120, 299):
        one, _ = extract_features_backtest(candles, row, timeframe="1h")
        assert list(one.values()) == many.features[:, row].tolist()
    window = {key: value[60:260] for key, value in candles.items()}
    live, meta = extract_features_live(window, timeframe="1h")
    bars = columns_of(_bars(candles), "1h")
    assert list(live.values()) == bars.features[:, 259].tolist()
    assert meta["asof_bar"] == 198 and meta["uses_bars"] == [0, 198]


def _bars(candles: dict[str, Any]) -> Any:
    from marketsim.legacy.genesis.candles import from_dict

    return from_dict(candles)


def test_rows_after_the_row_do_not_matter() -> None:
    candles = series(260)
    changed = {key: value.copy() for key, value in candles.items()}
    for values in changed.values():
        values[201:] *= 3.0
    assert extract_features_backtest(candles, 200, timeframe="1h") == extract_features_backtest(
        changed, 200, timeframe="1h"
    )


def test_old_entry_point_and_refusals() -> None:
    candles = series(120)
    rows = list(zip(range(120), *candles.values(), strict=True))
    assert extract_features(rows, now_index=101) == extract_features_backtest(candles, 100)
    assert extract_features(candles)[1]["asof_bar"] == 118
    assert extract_features(candles, now_index=500)[1]["asof_bar"] == 119
    features, meta = extract_features_backtest(candles, 49)
    assert features == {} and meta["reasons"][0].startswith("INSUFFICIENT_DATA")
    with pytest.raises(ValueError, match="asof_bar=120 >= total_bars=120"):
        extract_features_backtest(candles, 120)
    with pytest.raises(ValueError, match="asof_bar must be >= 0"):
        extract_features_backtest(candles, -1)
    with pytest.raises(ArgumentError, match="same length"):
        extract_features_backtest({**candles, "low": candles["low"][:-1]}, 60)
    with pytest.raises(ArgumentError, match="at least 2 bars"):
        extract_features_live({key: value[:1] for key, value in candles.items()})


def test_a_dictionary_of_features_is_the_callers_own() -> None:
    candles = series(120)
    first, _ = extract_features_backtest(candles, 100)
    first["atr_14"] = -1.0
    assert extract_features_backtest(candles, 100)[0]["atr_14"] > 0


@needs_golden
def test_regimes() -> None:
    for case in units()["regime_unified"]:
        assert detect_regime_unified({"close": case["close"]}) == case["regime"]
    state = None
    for case in units()["regime_adx_sequence"]:
        regime, state = classify_regime(
            case["in"], prev_state=state, config={"gates": {"hysteresis_steps": 3}}
        )
        assert (regime, same(state, case["state"])) == (case["regime"], True)


@needs_golden
def test_probabilities() -> None:
    for k, case in enumerate(units()["proba"]):
        probas, meta = predict_proba_for(
            "t", "1h", case["features"], model_meta=case["model"], regime=case["regime"]
        )
        assert same(probas, case["probas"]) and same(meta, case["meta"]), k
        confidence, _ = compute_confidence(probas, data_quality=case["data_quality"])
        assert same(confidence, case["confidence"]), k


@needs_golden
def test_decisions_with_their_state() -> None:
    steps = 0
    for k, case in enumerate(units()["decide"]):
        for step in case["steps"]:
            action, meta = decision.decide(
                step["policy"],
                probas=step["probas"],
                confidence=step["confidence"],
                regime=step["regime"],
                state=step["state_in"],
                risk_ctx=step["risk_ctx"],
                cfg=case["cfg"],
            )
            out = meta["state_out"]
            assert (action, meta["reasons"], meta.get("size")) == (
                step["action"],
                step["reasons"],
                step["size"],
            ), k
            for key, value in step["state_out"].items():
                assert same(out.get(key), value), (k, key)
            for key, name in (
                ("htf_reason", "htf_fib_entry_debug"),
                ("ltf_reason", "ltf_fib_entry_debug"),
            ):
                assert (out.get(name) or {}).get("reason") == step[key], k
            assert same(out.get("ltf_override_debug"), step["override_debug"]), k
            steps += 1
    assert steps > 100


@needs_golden
def test_percentiles() -> None:
    for case in units()["percentile"]:
        assert decision.percentile(case["values"], case["q"]) == case["out"]
    with pytest.raises(ArgumentError, match="must not be empty"):
        decision.percentile([], 0.5)
