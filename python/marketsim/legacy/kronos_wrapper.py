"""Public import path of `marketsim.legacy.stock.kronos_wrapper`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import kronos_wrapper
from marketsim.legacy.stock.kronos_wrapper import *  # noqa: F403 - for type checkers

sys.modules[__name__] = kronos_wrapper
