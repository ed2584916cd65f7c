"""Real fills beside those that were assumed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketsim.errors import ArgumentError

_KEY = ["symbol", "strategy", "bar", "leg"]


def compare_fills(assumed: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Say for each fill what it cost more than assumed, in basis points of the assumed price.

    Args:
        assumed: fills as `PaperBroker.fills` gives them.
        real: the same columns from the broker: symbol, strategy, bar, leg, side, quantity, price.

    Returns:
        A row a fill of either: symbol, strategy, bar, leg, side, outcome ("both", "missed" for one
        that was assumed and did not come, "unexpected" for one that came and was not assumed),
        assumed_price, real_price, worse_bps (above 0: the real fill was worse), share (real
        quantity over assumed).

    Raises:
        ArgumentError: a column is missing, or a fill stands twice.

    Example:
        >>> import pandas as pd
        >>> fill = {"symbol": "A", "strategy": "s", "bar": "2024-01-02", "leg": "entry"}
        >>> assumed = pd.DataFrame([fill | {"side": "buy", "quantity": 10.0, "price": 100.0}])
        >>> real = pd.DataFrame([fill | {"side": "buy", "quantity": 5.0, "price": 100.1}])
        >>> row = compare_fills(assumed, real).iloc[0]
        >>> row["outcome"], round(float(row["worse_bps"]), 6), float(row["share"])
        ('both', 10.0, 0.5)
    """
    wanted = [*_KEY, "side", "quantity", "price"]
    for name, frame in (("assumed", assumed), ("real", real)):
        missing = [column for column in wanted if column not in frame]
        if missing:
            raise ArgumentError(f"{name} lacks {', '.join(missing)}: expected {', '.join(wanted)}")
        twice = frame.duplicated(_KEY)
        if twice.any():
            first = frame.loc[twice.to_numpy(), _KEY].iloc[0].tolist()
            raise ArgumentError(f"{name} has the fill {first} twice: add partial fills first")
    both = assumed[wanted].merge(
        real[wanted], on=_KEY, how="outer", suffixes=("_assumed", "_real"), indicator=True
    )
    outcome = (
        both["_merge"]
        .astype(str)
        .map({"both": "both", "left_only": "missed", "right_only": "unexpected"})
    )
    side = both["side_assumed"].fillna(both["side_real"])
    sign = np.where(side == "buy", 1.0, -1.0)
    worse = sign * (both["price_real"] / both["price_assumed"] - 1.0) * 1e4
    return pd.DataFrame(
        {
            **{name: both[name] for name in _KEY},
            "side": side,
            "outcome": outcome,
            "assumed_price": both["price_assumed"],
            "real_price": both["price_real"],
            "worse_bps": worse,
            "share": both["quantity_real"] / both["quantity_assumed"],
        }
    )
