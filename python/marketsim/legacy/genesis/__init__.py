"""The second old system: its names, numbers and switches, on marketsim's kernels.

    import marketsim.legacy

    marketsim.legacy.install("genesis")        # from here on the old import paths lead here
    from core.backtest.engine import BacktestEngine

What is the same, what differs, every switch: docs/migration_genesis.md.
"""

from __future__ import annotations

from marketsim.legacy.genesis.quirks import GenesisQuirks, current_quirks, use_quirks
from marketsim.legacy.genesis.root import project_root, use_root

__all__ = ["GenesisQuirks", "current_quirks", "project_root", "use_quirks", "use_root"]
