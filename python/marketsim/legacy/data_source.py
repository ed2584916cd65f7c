"""Public import path of `marketsim.legacy.stock.data_source`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import data_source
from marketsim.legacy.stock.data_source import *  # noqa: F403 - for type checkers

sys.modules[__name__] = data_source
