"""`core.strategy.evaluate`: the pipeline of one bar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketsim.legacy.genesis.quirks import current_quirks
from marketsim.legacy.genesis.strategy.champion_loader import ChampionLoader
from marketsim.legacy.genesis.strategy.confidence import compute_confidence
from marketsim.legacy.genesis.strategy.decision import decide
from marketsim.legacy.genesis.strategy.features_asof import extract_features
from marketsim.legacy.genesis.strategy.prob_model import predict_proba_for
from marketsim.legacy.genesis.strategy.regime_unified import detect_regime_unified

champion_loader = ChampionLoader()


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any] | None) -> dict[str, Any]:
    """`over` on top of `base`, dictionary by dictionary."""
    merged = dict(base)
    for key, value in (over or {}).items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = deep_merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def merge_configs(champion: Mapping[str, Any], configs: Mapping[str, Any]) -> dict[str, Any]:
    """Settings on top of a champion's, as the variant does: whole sections (D), or deep (E)."""
    if current_quirks().variant == "E":
        return deep_merge(champion, configs)
    return {**champion, **configs}


def evaluate_pipeline(
    candles: Mapping[str, Any],
    *,
    policy: Mapping[str, Any] | None = None,
    configs: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Features, probabilities, confidence, regime and action of the last candle, and meta.

    The last candle counts as open: features are as of the one before, regime and price are its own.
    """
    policy = dict(policy or {})
    symbol, timeframe = policy.get("symbol", "tBTCUSD"), policy.get("timeframe", "1m")
    champion = champion_loader.load(symbol, timeframe)
    merged = merge_configs(champion.config, configs or {})
    features, features_meta = extract_features(candles, timeframe=timeframe, symbol=symbol)
    regime = detect_regime_unified(candles)
    probas, proba_meta = predict_proba_for(symbol, timeframe, features, regime=regime)
    confidence, confidence_meta = compute_confidence(probas, config=merged.get("quality"))
    close = candles.get("close")
    last = None if close is None or not len(close) else float(close[-1])
    seen = {
        **(state or {}),
        "current_atr": features.get("atr_14"),
        "atr_percentiles": features_meta.get("atr_percentiles"),
        "htf_fib": features_meta.get("htf_fibonacci"),
        "ltf_fib": features_meta.get("ltf_fibonacci"),
        "last_close": last,
    }
    action, decision = decide(
        policy,
        probas=probas,
        confidence=confidence,
        regime=regime,
        state=seen,
        risk_ctx=merged.get("risk"),
        cfg=merged,
    )
    result = {
        "features": features,
        "probas": probas,
        "confidence": confidence,
        "regime": regime,
        "action": action,
    }
    meta = {
        "features": features_meta,
        "proba": proba_meta,
        "confidence": confidence_meta,
        "regime": {"regime": regime, "steps": 0, "candidate": regime},
        "decision": decision,
        "champion": {"source": (merged.get("meta") or {}).get("champion_source", champion.source)},
    }
    return result, meta
