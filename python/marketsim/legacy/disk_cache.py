"""Public import path of `marketsim.legacy.stock.disk_cache`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock.disk_cache import *  # noqa: F403 - for type checkers

sys.modules[__name__] = sys.modules["marketsim.legacy.stock.disk_cache"]
