"""Public import path of `marketsim.legacy.stock.backtest_test3_inline`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import backtest_test3_inline
from marketsim.legacy.stock.backtest_test3_inline import *  # noqa: F403 - for type checkers

sys.modules[__name__] = backtest_test3_inline
