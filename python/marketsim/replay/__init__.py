"""Bar-by-bar replay of strategies: orders, fills, one account; compiled.

The module is the function too: `ms.replay(bars, entries, exits)` is `replay` of this module.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from marketsim.replay.entry import Account, replay, replay_strategy, replay_targets
from marketsim.replay.grid import replay_grid
from marketsim.replay.portfolio import PortfolioResult, replay_portfolio
from marketsim.replay.result import ReplayResult

__all__ = [
    "Account",
    "PortfolioResult",
    "ReplayResult",
    "replay",
    "replay_grid",
    "replay_portfolio",
    "replay_strategy",
    "replay_targets",
]


class _CallableModule(ModuleType):
    """Lets `ms.replay(...)` work once the import of a submodule has bound that name here."""

    def __call__(self, *args: Any, **kwargs: Any) -> ReplayResult:
        return replay(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
