"""Old import paths, and the modules that take their places."""

from __future__ import annotations

_INDICATORS = "marketsim.legacy.genesis.indicators"
_STRATEGY = "marketsim.legacy.genesis.strategy"
_BACKTEST = "marketsim.legacy.genesis.backtest"
_OPTIMIZER = "marketsim.legacy.genesis.optimizer"
_AVERAGES = ("ema", "rsi", "atr", "adx", "bollinger", "macd")

MODULES = {
    **{f"core.indicators.{name}": f"{_INDICATORS}.averages" for name in _AVERAGES},
    "core.indicators.volume": f"{_INDICATORS}.volume",
    "core.indicators.derived_features": f"{_INDICATORS}.derived",
    **{
        f"core.indicators.{name}": f"{_INDICATORS}.{name}"
        for name in ("fibonacci", "htf_fibonacci", "exit_fibonacci")
    },
    **{
        f"core.strategy.{name}": f"{_STRATEGY}.{name}"
        for name in (
            "champion_loader",
            "confidence",
            "decision",
            "evaluate",
            "features_asof",
            "model_registry",
            "prob_model",
            "regime_unified",
        )
    },
    "core.strategy.regime": f"{_STRATEGY}.regime_unified",
    **{
        f"core.backtest.{name}": f"{_BACKTEST}.{name}"
        for name in (
            "engine",
            "exit_strategies",
            "htf_exit_engine",
            "metrics",
            "position_tracker",
            "trade_logger",
            "walk_forward",
        )
    },
    **{
        f"core.optimizer.{name}": f"{_OPTIMIZER}.{name}"
        for name in ("champion", "constraints", "param_transforms", "runner", "scoring")
    },
    "core.utils.optuna_helpers": f"{_OPTIMIZER}.signatures",
    "scripts.optimizer": f"{_OPTIMIZER}.summary",
    "scripts.run_backtest": "marketsim.legacy.genesis.run_backtest",
}
PACKAGES = (
    "core",
    "core.indicators",
    "core.strategy",
    "core.backtest",
    "core.optimizer",
    "core.utils",
    "scripts",
)
