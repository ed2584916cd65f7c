"""A project folder of the old layout, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from genesis_golden import frame_of, inputs, manifest, recorded

from marketsim.legacy.genesis.candles import Candles
from marketsim.legacy.genesis.names import FEATURES


def write_candles(root: Path, symbol: str, timeframe: str, candles: Candles) -> None:
    path = root / "data" / "curated" / "v1" / "candles" / f"{symbol}_{timeframe}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame_of(candles).to_parquet(path, index=False)


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def write_champion(root: Path, symbol: str, timeframe: str, config: dict[str, Any]) -> None:
    path = root / "config" / "strategy" / "champions" / f"{symbol}_{timeframe}.json"
    write_json(path, {"created_at": "test", "parameters": config})


def write_model(root: Path, symbol: str, timeframe: str, model: dict[str, Any]) -> None:
    write_json(root / "config" / "models" / f"{symbol}_{timeframe}.json", model)


def recorded_project(root: Path, name: str) -> dict[str, Any]:
    """The files that a recorded run needs; returns its entry of the manifest."""
    info = manifest()["runs"][name]
    _, text = recorded(name)
    symbol, timeframe = info["symbol"], info["timeframe"]
    write_candles(root, symbol, timeframe, inputs(info["input"]))
    if info["daily"] is not None:
        write_candles(root, symbol, "1D", inputs(info["daily"]))
    write_champion(root, symbol, timeframe, text["config_seen_by_decide"])
    write_model(root, symbol, timeframe, text["model"])
    return info


def random_candles(rows: int, seed: int, *, step: str = "h") -> Candles:
    """A series with flat stretches, equal closes, five decimals, or no volume."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, rng.choice([1e-4, 3e-3, 2e-2]), rows)
    if seed % 4 == 1:
        moves[rng.random(rows) < 0.3] = 0.0
    close = np.round(rng.choice([1.1, 100.0, 9000.0]) * np.exp(np.cumsum(moves)), 5)
    spread = rng.uniform(0, 0.004, (2, rows)) * (rng.random(rows) > 0.1)
    if seed % 4 == 2:
        start = rng.integers(0, rows - 20)
        close[start : start + 20] = close[start]
        spread[:, start : start + 20] = 0.0
    before = np.concatenate([close[:1], close[:-1]])
    high = np.round(np.maximum(close, before) * (1 + spread[0]), 5)
    low = np.round(np.minimum(close, before) * (1 - spread[1]), 5)
    volume = np.zeros(rows) if seed % 4 == 3 else rng.uniform(1, 100, rows)
    unit = 86_400 if step == "D" else 3_600
    time = np.datetime64("2020-03-01", "ns").astype(np.int64) + np.arange(rows) * unit * 10**9
    return Candles(before, high, low, close, volume, time)


def random_model(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    names = list(rng.permutation(FEATURES))[: int(rng.integers(3, 15))]

    def side() -> dict[str, Any]:
        return {
            "w": rng.normal(0, 1.0, len(names)).tolist(),
            "b": float(rng.normal(0, 0.3)),
            "calib": {"a": float(rng.uniform(0.5, 2)), "b": float(rng.normal(0, 0.2))},
        }

    return {"version": "test", "schema": names, "buy": side(), "sell": side()}


def random_config(seed: int) -> dict[str, Any]:
    """Settings that use every gate now and then."""
    rng = np.random.default_rng(seed)

    def table() -> dict[str, float]:
        return {r: float(rng.uniform(0.3, 0.55)) for r in ("bear", "bull", "ranging", "balanced")}

    def some(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    thresholds: dict[str, Any] = {
        "entry_conf_overall": float(rng.uniform(0.3, 0.5)),
        "regime_proba": table(),
        "min_edge": some(0.0, 0.0, 0.02),
    }
    if rng.random() < 0.6:
        thresholds["signal_adaptation"] = {
            "atr_period": some(14, 28, 56, 20),
            "zones": {
                zone: {"entry_conf_overall": float(rng.uniform(0.3, 0.5)), "regime_proba": table()}
                for zone in ("low", "mid", "high")
            },
        }
    return {
        "thresholds": thresholds,
        "ev": {"R_default": some(1.0, 1.8)},
        "gates": {"hysteresis_steps": some(0, 2, 3), "cooldown_bars": some(0, 0, 2)},
        "risk": {"risk_map": [[0.5, 0.03], [0.3, 0.01], [0.4, 0.02]]},
        "exit": {"exit_conf_threshold": float(rng.uniform(0.2, 0.5)), "stop_loss_pct": 0.01},
        "multi_timeframe": {
            "use_htf_block": some(True, True, False),
            "allow_ltf_override": some(True, False),
            "ltf_override_threshold": float(rng.uniform(0.4, 0.6)),
            "ltf_override_adaptive": {
                "enabled": some(True, False),
                "window": some(5, 40),
                "min_history": 3,
                "percentile": 0.6,
                "min_floor": some(None, 0.4),
                "max_ceiling": some(None, 0.7),
                "regime_multipliers": {"bull": 1.1},
            },
        },
        "htf_fib": {
            "entry": {
                "enabled": some(True, False),
                "tolerance_atr": float(rng.uniform(0.1, 5)),
                "missing_policy": some("pass", "block"),
                "long_min_level": some(None, 0.382, 0.5),
                "short_max_level": some(None, 0.618, 0.5),
                "long_target_levels": some(None, [0.5, 0.618], [0.9]),
                "short_target_levels": some(None, [0.382]),
            }
        },
        "ltf_fib": {
            "entry": {
                "enabled": some(True, True, False),
                "tolerance_atr": float(rng.uniform(0.1, 3)),
                "long_max_level": some(None, 0.618, 0.786),
                "short_min_level": some(None, 0.382),
                "override_confidence": {"enabled": some(True, False), "min": 0.45, "max": 0.55},
            }
        },
    }
