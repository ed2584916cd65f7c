"""Public import path of `marketsim.legacy.stock.toto_wrapper`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import toto_wrapper
from marketsim.legacy.stock.toto_wrapper import *  # noqa: F403 - for type checkers

sys.modules[__name__] = toto_wrapper
