"""Public import path of `marketsim.legacy.stock.prediction_cache`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import prediction_cache
from marketsim.legacy.stock.prediction_cache import *  # noqa: F403 - for type checkers

sys.modules[__name__] = prediction_cache
