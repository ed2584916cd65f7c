"""Walk-forward backtests of forecast-driven strategies: exact, fast, without look-ahead.

    import marketsim as ms

    result = ms.walk_forward(ms.demo_bars(), simulations=70)
    print(result.summary())
    result.report("demo.html")

Importing this module loads nothing heavy: names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketsim import (
        bars,
        features,
        forecasts,
        indicators,
        kernels,
        live,
        metrics,
        models,
        replay,
        search,
        strategies,
        walkforward,
    )
    from marketsim.bars import (
        Bars,
        BarsFolder,
        Market,
        demo_bars,
        read_bars,
        read_folder,
        read_many,
    )
    from marketsim.errors import (
        ArgumentError,
        BarsError,
        BarsFileNotFoundError,
        CheckpointError,
        CheckpointNotFoundError,
        CudaError,
        CudaMemoryError,
        CudaUnavailableError,
        FileFormatError,
        InvalidNameError,
        LegacyInstallError,
        LookaheadError,
        LookaheadWarning,
        MarketsimError,
        MissingDependencyError,
        MissingOpenWarning,
        ModelReleasedError,
        NoEffectError,
        NotEnoughBarsError,
        OrderError,
        ShortSeriesWarning,
        SourceError,
        StorageError,
        StoreError,
        StoreMissError,
        StoreNotFoundError,
        StoreReadOnlyError,
        StoreWarning,
        StoreWriteError,
        StrategyError,
        UnknownNameError,
        UnknownSymbolError,
        UnsupportedTypeError,
    )
    from marketsim.forecasts import ForecastStore, MemoryStore, PredictionStore
    from marketsim.kernels.offsets import best_offsets
    from marketsim.kernels.profit import profit
    from marketsim.kernels.sums import profit_sums
    from marketsim.kernels.types import Offsets, ProfitSums
    from marketsim.live import next_orders
    from marketsim.lookahead import LookaheadReport, check_lookahead
    from marketsim.metrics.evaluation import evaluate_forecasts
    from marketsim.metrics.evaluation_result import ForecastEvaluation
    from marketsim.models import (
        Distribution,
        Model,
        ModelIdentity,
        ModelTraits,
        QuantileDistribution,
        StudentTMixture,
        calibrated,
        ensemble,
        load_model,
        model_from,
        model_from_frame,
    )
    from marketsim.strategies import (
        BarStrategy,
        BarView,
        DecisionView,
        Hold,
        LimitOrders,
        Strategy,
        TakeProfit,
        register_strategy,
        strategy_names,
        unregister_strategy,
    )
    from marketsim.walkforward import (
        Costs,
        Prepared,
        UniverseResult,
        VolumeCap,
        WalkForwardResult,
        prepare,
        walk_forward,
        walk_forward_each,
        walk_forward_universe,
    )

    __version__: str

_SUBMODULES = (
    "bars",
    "features",
    "forecasts",
    "indicators",
    "kernels",
    "live",
    "metrics",
    "models",
    "replay",
    "search",
    "strategies",
    "walkforward",
)
_HOMES = {
    "LookaheadWarning": "errors",
    "MissingOpenWarning": "errors",
    "StrategyError": "errors",
    "OrderError": "errors",
    "NoEffectError": "errors",
    "SourceError": "errors",
    "StorageError": "errors",
    "LookaheadError": "errors",
    "LookaheadReport": "lookahead",
    "check_lookahead": "lookahead",
    "compare": "walkforward.compare",
    "Bars": "bars",
    "BarsFolder": "bars",
    "Market": "bars",
    "demo_bars": "bars",
    "read_bars": "bars",
    "read_folder": "bars",
    "read_many": "bars",
    "ArgumentError": "errors",
    "BarsError": "errors",
    "BarsFileNotFoundError": "errors",
    "CheckpointError": "errors",
    "CheckpointNotFoundError": "errors",
    "CudaError": "errors",
    "CudaMemoryError": "errors",
    "CudaUnavailableError": "errors",
    "FileFormatError": "errors",
    "InvalidNameError": "errors",
    "LegacyInstallError": "errors",
    "MarketsimError": "errors",
    "MissingDependencyError": "errors",
    "ModelReleasedError": "errors",
    "NotEnoughBarsError": "errors",
    "ShortSeriesWarning": "errors",
    "StoreError": "errors",
    "StoreMissError": "errors",
    "StoreNotFoundError": "errors",
    "StoreReadOnlyError": "errors",
    "StoreWarning": "errors",
    "StoreWriteError": "errors",
    "UnknownNameError": "errors",
    "UnknownSymbolError": "errors",
    "UnsupportedTypeError": "errors",
    "ForecastStore": "forecasts",
    "MemoryStore": "forecasts",
    "PredictionStore": "forecasts",
    "Offsets": "kernels.types",
    "best_offsets": "kernels.offsets",
    "profit": "kernels.profit",
    "ProfitSums": "kernels.types",
    "profit_sums": "kernels.sums",
    "next_orders": "live",
    "ForecastEvaluation": "metrics.evaluation_result",
    "evaluate_forecasts": "metrics.evaluation",
    "Distribution": "models",
    "Model": "models",
    "ModelIdentity": "models",
    "ModelTraits": "models",
    "QuantileDistribution": "models",
    "StudentTMixture": "models",
    "calibrated": "models",
    "ensemble": "models",
    "load_model": "models",
    "BarStrategy": "strategies",
    "BarView": "strategies",
    "model_from": "models",
    "model_from_frame": "models",
    "DecisionView": "strategies",
    "Hold": "strategies",
    "LimitOrders": "strategies",
    "Strategy": "strategies",
    "TakeProfit": "strategies",
    "register_strategy": "strategies",
    "strategy_names": "strategies",
    "unregister_strategy": "strategies",
    "Costs": "walkforward",
    "Prepared": "walkforward",
    "UniverseResult": "walkforward",
    "VolumeCap": "walkforward",
    "WalkForwardResult": "walkforward",
    "prepare": "walkforward",
    "walk_forward": "walkforward",
    "walk_forward_each": "walkforward",
    "walk_forward_universe": "walkforward",
}

__all__ = [
    "ArgumentError",
    "BarStrategy",
    "BarView",
    "Bars",
    "BarsError",
    "BarsFileNotFoundError",
    "BarsFolder",
    "CheckpointError",
    "CheckpointNotFoundError",
    "Costs",
    "CudaError",
    "CudaMemoryError",
    "CudaUnavailableError",
    "DecisionView",
    "Distribution",
    "FileFormatError",
    "ForecastEvaluation",
    "ForecastStore",
    "Hold",
    "InvalidNameError",
    "LegacyInstallError",
    "LimitOrders",
    "LookaheadError",
    "LookaheadReport",
    "LookaheadWarning",
    "Market",
    "MarketsimError",
    "MemoryStore",
    "MissingDependencyError",
    "MissingOpenWarning",
    "Model",
    "ModelIdentity",
    "ModelReleasedError",
    "ModelTraits",
    "NoEffectError",
    "NotEnoughBarsError",
    "Offsets",
    "OrderError",
    "PredictionStore",
    "Prepared",
    "ProfitSums",
    "QuantileDistribution",
    "ShortSeriesWarning",
    "SourceError",
    "StorageError",
    "StoreError",
    "StoreMissError",
    "StoreNotFoundError",
    "StoreReadOnlyError",
    "StoreWarning",
    "StoreWriteError",
    "Strategy",
    "StrategyError",
    "StudentTMixture",
    "TakeProfit",
    "UniverseResult",
    "UnknownNameError",
    "UnknownSymbolError",
    "UnsupportedTypeError",
    "VolumeCap",
    "WalkForwardResult",
    "__version__",
    "bars",
    "best_offsets",
    "calibrated",
    "check_lookahead",
    "compare",
    "demo_bars",
    "ensemble",
    "evaluate_forecasts",
    "features",
    "forecasts",
    "indicators",
    "kernels",
    "live",
    "load_model",
    "metrics",
    "model_from",
    "model_from_frame",
    "models",
    "next_orders",
    "prepare",
    "profit",
    "profit_sums",
    "read_bars",
    "read_folder",
    "read_many",
    "register_strategy",
    "replay",
    "search",
    "strategies",
    "strategy_names",
    "unregister_strategy",
    "walk_forward",
    "walk_forward_each",
    "walk_forward_universe",
    "walkforward",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"marketsim.{_HOMES[name]}"), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"marketsim.{name}")
    elif name == "__version__":
        from marketsim.build_info import version

        value = version()
    else:
        advice = "; read_folder reads a folder" if name == "read_bars_folder" else ""
        raise AttributeError(f"module 'marketsim' has no attribute {name!r}{advice}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
