"""Walk-forward backtests of forecast-driven strategies: exact, fast, without look-ahead.

    import marketsim as ms

    result = ms.walk_forward(ms.demo_bars(), "ewma", simulations=70)
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
        forecasts,
        indicators,
        kernels,
        metrics,
        models,
        replay,
        search,
        strategies,
        walkforward,
    )
    from marketsim.bars import Bars, BarsFolder, Market, demo_bars, read_bars, read_folder
    from marketsim.errors import MarketsimError
    from marketsim.forecasts import ForecastStore, MemoryStore, PredictionStore
    from marketsim.kernels.offsets import best_offsets
    from marketsim.kernels.profit import profit
    from marketsim.kernels.sums import profit_sums
    from marketsim.kernels.types import Offsets, ProfitSums
    from marketsim.models import (
        Distribution,
        Model,
        ModelIdentity,
        ModelTraits,
        QuantileDistribution,
        StudentTMixture,
        load_model,
        model_from,
        model_from_frame,
    )
    from marketsim.strategies import (
        DecisionView,
        Hold,
        LimitOrders,
        Strategy,
        TakeProfit,
        register_strategy,
        strategy_names,
    )
    from marketsim.walkforward import (
        Costs,
        Prepared,
        UniverseResult,
        VolumeCap,
        WalkForwardResult,
        prepare,
        walk_forward,
        walk_forward_universe,
    )

    __version__: str

_SUBMODULES = (
    "bars",
    "forecasts",
    "indicators",
    "kernels",
    "metrics",
    "model_from",
    "model_from_frame",
    "models",
    "replay",
    "search",
    "strategies",
    "walkforward",
)
_HOMES = {
    "Bars": "bars",
    "BarsFolder": "bars",
    "Market": "bars",
    "demo_bars": "bars",
    "read_bars": "bars",
    "read_folder": "bars",
    "MarketsimError": "errors",
    "ForecastStore": "forecasts",
    "MemoryStore": "forecasts",
    "PredictionStore": "forecasts",
    "Offsets": "kernels.types",
    "best_offsets": "kernels.offsets",
    "profit": "kernels.profit",
    "ProfitSums": "kernels.types",
    "profit_sums": "kernels.sums",
    "Distribution": "models",
    "Model": "models",
    "ModelIdentity": "models",
    "ModelTraits": "models",
    "QuantileDistribution": "models",
    "StudentTMixture": "models",
    "load_model": "models",
    "model_from": "models",
    "model_from_frame": "models",
    "DecisionView": "strategies",
    "Hold": "strategies",
    "LimitOrders": "strategies",
    "Strategy": "strategies",
    "TakeProfit": "strategies",
    "register_strategy": "strategies",
    "strategy_names": "strategies",
    "Costs": "walkforward",
    "Prepared": "walkforward",
    "UniverseResult": "walkforward",
    "VolumeCap": "walkforward",
    "WalkForwardResult": "walkforward",
    "prepare": "walkforward",
    "walk_forward": "walkforward",
    "walk_forward_universe": "walkforward",
}

__all__ = [
    "Bars",
    "BarsFolder",
    "Costs",
    "DecisionView",
    "Distribution",
    "ForecastStore",
    "Hold",
    "LimitOrders",
    "Market",
    "MarketsimError",
    "MemoryStore",
    "Model",
    "ModelIdentity",
    "ModelTraits",
    "Offsets",
    "PredictionStore",
    "Prepared",
    "ProfitSums",
    "QuantileDistribution",
    "Strategy",
    "StudentTMixture",
    "TakeProfit",
    "UniverseResult",
    "VolumeCap",
    "WalkForwardResult",
    "__version__",
    "bars",
    "best_offsets",
    "demo_bars",
    "forecasts",
    "indicators",
    "kernels",
    "load_model",
    "metrics",
    "model_from",
    "model_from_frame",
    "models",
    "prepare",
    "profit",
    "profit_sums",
    "read_bars",
    "read_folder",
    "register_strategy",
    "replay",
    "search",
    "strategies",
    "strategy_names",
    "walk_forward",
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
        raise AttributeError(f"module 'marketsim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
