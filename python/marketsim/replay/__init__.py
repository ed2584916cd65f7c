"""Bar-by-bar replay of strategies: orders, fills, one account; compiled.

The module is the function too: `ms.replay(bars, entries, exits)` is `replay` of this module.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from marketsim.replay.account import Account
from marketsim.replay.entry import replay, replay_strategy, replay_targets
from marketsim.replay.grid import replay_grid
from marketsim.replay.portfolio import PortfolioResult, replay_portfolio
from marketsim.replay.result import ReplayResult
from marketsim.replay.symbols import replay_symbols
from marketsim.replay.symbols_result import SymbolsResult

if TYPE_CHECKING:
    from marketsim.replay.walk import replay_walk_forward

__all__ = [
    "Account",
    "PortfolioResult",
    "ReplayResult",
    "SymbolsResult",
    "replay",
    "replay_grid",
    "replay_portfolio",
    "replay_strategy",
    "replay_symbols",
    "replay_targets",
    "replay_walk_forward",
]


def __getattr__(name: str) -> Any:
    # The strategies of walk-forward runs bring the models with them: only for who uses them.
    if name == "replay_walk_forward":
        from marketsim.replay.walk import replay_walk_forward

        return replay_walk_forward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _CallableModule(ModuleType):
    """Lets `ms.replay(...)` work once the import of a submodule has bound that name here."""

    def __call__(self, *args: Any, **kwargs: Any) -> ReplayResult:
        return replay(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
