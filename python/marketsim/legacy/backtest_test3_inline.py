"""Public import path of `marketsim.legacy.stock.backtest_test3_inline`, and the old program.

python -m marketsim.legacy.backtest_test3_inline SYMBOL --output-json FILE
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from marketsim.legacy.stock.program import main

    main()
else:
    from marketsim.legacy.stock import backtest_test3_inline
    from marketsim.legacy.stock.backtest_test3_inline import *  # noqa: F403 - for type checkers

    sys.modules[__name__] = backtest_test3_inline
