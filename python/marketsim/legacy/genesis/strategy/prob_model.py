"""`core.strategy.prob_model`: two logistic models, for buying and selling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from marketsim import _core
from marketsim.errors import ArgumentError
from marketsim.legacy.genesis.candles import Array
from marketsim.legacy.genesis.columns import Columns
from marketsim.legacy.genesis.names import FEATURES, REGIMES
from marketsim.legacy.genesis.strategy.model_registry import ModelRegistry

_registry = ModelRegistry()


def _logistic(z: float) -> float:
    return 0.0 if z < -709.782712893384 else 1.0 / (1.0 + math.exp(-z))


def predict_proba(
    features: Mapping[str, float],
    *,
    schema: Iterable[str] = ("ema", "rsi"),
    buy_w: Iterable[float] | None = None,
    buy_b: float = 0.0,
    sell_w: Iterable[float] | None = None,
    sell_b: float = 0.0,
    calib_buy: tuple[float, float] = (1.0, 0.0),
    calib_sell: tuple[float, float] = (1.0, 0.0),
) -> dict[str, float]:
    """Probabilities of buy, sell and hold, which add up to 1.

    A feature that is missing counts as 0, as does a weight.
    """
    x = [float(features.get(name, 0.0)) for name in schema]
    buy = _logistic(calib_buy[0] * _dot(buy_w, x, buy_b) + calib_buy[1])
    sell = _logistic(calib_sell[0] * _dot(sell_w, x, sell_b) + calib_sell[1])
    hold = max(0.0, 1.0 - (buy + sell))
    total = buy + sell + hold
    if total <= 0:
        return {"buy": 0.0, "sell": 0.0, "hold": 1.0}
    return {"buy": buy / total, "sell": sell / total, "hold": hold / total}


def _dot(weights: Iterable[float] | None, x: list[float], bias: float) -> float:
    total = 0.0  # from left to right: `sum` compensates from Python 3.12 on
    for weight, value in zip([] if weights is None else weights, x, strict=False):
        total += weight * value
    return total + bias


def calibration(model: Mapping[str, Any], side: str, regime: str | None) -> tuple[float, float]:
    """Slope and shift of a side: those of the regime where the model has them."""
    by_regime = (model.get("calibration_by_regime") or {}).get(side, {}) if regime else {}
    own = by_regime.get(regime) or (model.get(side) or {}).get("calib", {})
    return own.get("a", 1.0), own.get("b", 0.0)


def predict_proba_for(
    symbol: str,
    timeframe: str,
    features: Mapping[str, float],
    *,
    model_meta: Mapping[str, Any] | None = None,
    regime: str | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Probabilities by the model of a symbol and timeframe, and which calibration they used."""
    model = model_of(symbol, timeframe) if model_meta is None else model_meta
    schema = tuple(model.get("schema", ()))
    buy, sell = model.get("buy") or {}, model.get("sell") or {}
    calib_buy, calib_sell = (calibration(model, side, regime) for side in ("buy", "sell"))
    probas = predict_proba(
        features,
        schema=schema,
        buy_w=buy.get("w"),
        buy_b=buy.get("b", 0.0),
        sell_w=sell.get("w"),
        sell_b=sell.get("b", 0.0),
        calib_buy=calib_buy,
        calib_sell=calib_sell,
    )
    return probas, model_report(model, regime)


def model_report(model: Mapping[str, Any], regime: str | None) -> dict[str, Any]:
    """The old meta of a forecast."""
    sides = {side: calibration(model, side, regime) for side in ("buy", "sell")}
    return {
        "versions": {
            "prob_model_version": model.get("version", "v1"),
            "calibration_version": model.get("calibration_version", "v1"),
            "regime_aware_calibration": bool(regime and model.get("calibration_by_regime")),
        },
        "schema": list(model.get("schema", ())),
        "calibration_used": {
            "regime": regime or "none",
            "buy_calib": {"a": sides["buy"][0], "b": sides["buy"][1]},
            "sell_calib": {"a": sides["sell"][0], "b": sides["sell"][1]},
        },
    }


def model_of(symbol: str, timeframe: str) -> dict[str, Any]:
    """The model as it is on disk now; {} where there is none."""
    return _registry.get_meta(symbol, timeframe) or {}


def probabilities(columns: Columns, model: Mapping[str, Any]) -> Array:
    """The same for every bar of a series: [buy sell hold, bar]."""
    sides = []
    for side in ("buy", "sell"):
        part = model.get(side) or {}
        weights = [] if part.get("w") is None else [float(w) for w in part["w"]]
        names = list(model.get("schema", ()))[: len(weights)]
        at = [FEATURES.index(name) if name in FEATURES else -1 for name in names]
        by_regime = [calibration(model, side, regime) for regime in REGIMES]
        slope, shift = zip(*by_regime, strict=True)
        bias = float(part.get("b", 0.0))
        if not np.isfinite([*weights, bias, *slope, *shift]).all():
            raise ArgumentError(
                f"model: weights, bias and calibration of {side}: expected finite numbers, "
                "got NaN or infinity"
            )
        sides.append(_core.GenesisSide(at, weights[: len(at)], bias, list(slope), list(shift)))
    out: Array = _core.genesis_probabilities(columns.features, columns.regime, *sides)
    return out


class ProbModel:
    """The model of a symbol and timeframe."""

    def __init__(self, symbol: str, timeframe: str) -> None:
        self.symbol = symbol
        self.timeframe = timeframe

    def predict_proba(self, features: Mapping[str, float]) -> dict[str, float]:
        """Probabilities."""
        return self.predict_meta(features)[0]

    def predict_meta(
        self, features: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Probabilities and meta."""
        return predict_proba_for(self.symbol, self.timeframe, features)
