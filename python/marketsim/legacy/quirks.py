"""Public import path of `marketsim.legacy.stock.quirks`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import quirks
from marketsim.legacy.stock.quirks import *  # noqa: F403 - for type checkers

sys.modules[__name__] = quirks
