"""Comparison of real fills with assumed ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketsim.errors import ArgumentError

_KEY = ["symbol", "strategy", "bar", "leg"]


def compare_fills(assumed: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Measure the slippage of each fill, in basis points of the assumed price.

    Args:
        assumed: fills of `PaperBroker.fills`.
        real: the same columns from the broker: symbol, strategy, bar, leg, side, quantity, price.

    Returns:
        One row per fill of either: symbol, strategy, bar, leg, side, outcome ("both", "missed" for
        an assumed fill that did not happen, "unexpected" for a real fill that was not assumed),
        assumed_price, real_price, worse_bps (above 0: the real fill was worse), share (real
        quantity over assumed).

    Raises:
        ArgumentError: a missing column, or a duplicate fill.

    Example:
        >>> import pandas as pd
        >>> fill = {"symbol": "A", "strategy": "s", "bar": "2024-01-02", "leg": "entry"}
        >>> assumed = pd.DataFrame([fill | {"side": "buy", "quantity": 10.0, "price": 100.0}])
        >>> real = pd.DataFrame([fill | {"side": "buy", "quantity": 5.0, "price": 100.1}])
        >>> row = compare_fills(assumed, real).iloc[0]
        >>> row["outcome"], round(float(row["worse_bps"]), 6), float(row["share"])
        ('both', 10.0, 0.5)
    """
    columns = [*_KEY, "side", "quantity", "price"]
    for name, frame in (("assumed", assumed), ("real", real)):
        missing = [column for column in columns if column not in frame]
        if missing:
            raise ArgumentError(f"{name} lacks {', '.join(missing)}: expected {', '.join(columns)}")
        twice = frame.duplicated(_KEY)
        if twice.any():
            first = frame.loc[twice.to_numpy(), _KEY].iloc[0].tolist()
            raise ArgumentError(f"{name} has the fill {first} twice: add partial fills first")
    both = assumed[columns].merge(
        real[columns], on=_KEY, how="outer", suffixes=("_assumed", "_real"), indicator=True
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
