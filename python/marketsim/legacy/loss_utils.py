"""Public import path of `marketsim.legacy.stock.loss_utils`, the same module."""

from __future__ import annotations

import sys

from marketsim.legacy.stock import loss_utils
from marketsim.legacy.stock.loss_utils import *  # noqa: F403 - for type checkers

sys.modules[__name__] = loss_utils
