"""The old backtest functions: their names, signatures and numbers, on marketsim's kernels.

    import marketsim.legacy

    marketsim.legacy.install()  # from here on the old import paths lead here
    from backtest_test3_inline import backtest_forecasts

What is the same, what differs, and every environment variable: docs/migration.md.
"""

from __future__ import annotations

from marketsim.legacy.install import install

__all__ = ["install"]
