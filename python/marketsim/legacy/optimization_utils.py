"""Public import path of `marketsim.legacy.stock.optimization_utils`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import optimization_utils
from marketsim.legacy.stock.optimization_utils import *  # noqa: F403 - for type checkers

sys.modules[__name__] = optimization_utils
