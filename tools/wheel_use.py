"""Uses an installed marketsim once, and prints where it is: run by each wheel's test."""

import json

import numpy as np
import pandas as pd

import marketsim as ms
from marketsim import _core

close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 200)))
frame = pd.DataFrame(
    {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1.0},
    index=pd.date_range("2020-01-01", periods=200),
)
result = ms.walk_forward(
    frame, "ewma", simulations=3, asset_class="equity", store=False, progress=False
)
assert len(result.days) > 0
print(json.dumps({"file": ms.__file__, "rows": len(result.days), "isa": _core.isa()}))
