"""Public import path of `marketsim.legacy.stock.toto_aggregation`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import toto_aggregation
from marketsim.legacy.stock.toto_aggregation import *  # noqa: F403 - for type checkers

sys.modules[__name__] = toto_aggregation
