"""The records that a replay shares with its compiled engine, as NumPy dtypes.

The layout is that of `csrc/kernels/replay/records.hpp`; each field has eight bytes.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

USER_SLOTS = 32
REQUEST_ROOM = 64


class OrderKind(IntEnum):
    """What makes an order fill."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4


class SizeUnit(IntEnum):
    """What the quantity of an order means; the two targets are what is to be held after it."""

    UNITS = 0
    EQUITY = 1
    CASH = 2
    TARGET_UNITS = 3
    TARGET_EQUITY = 4


ORDER_STATUS = (
    "working",
    "waiting",
    "filled",
    "cancelled",
    "expired",
    "refused: margin",
    "refused: below one lot",
    "refused: no finite size",
    "refused: limit on positions",
)
EXIT_REASONS = {
    0: "market",
    1: "limit",
    2: "stop",
    3: "stop_limit",
    4: "trailing_stop",
    100: "liquidation",
    101: "end",
    102: "open",
}
PLACES = ("open", "inside", "close")

_i, _f = np.int64, np.float64
REQUEST = np.dtype(
    [
        ("action", _i),
        ("ticket", _i),
        ("kind", _i),
        ("size", _i),
        ("quantity", _f),
        ("limit", _f),
        ("stop", _f),
        ("trail", _f),
        ("trail_part", _f),
        ("bars", _i),
        ("group", _i),
        ("parent", _i),
        ("reduce_only", _i),
        ("at_close", _i),
        ("relative", _i),
    ],
    align=True,
)
BAR = np.dtype(
    [("index", _i), ("time", _i)] + [(n, _f) for n in ("open", "high", "low", "close", "volume")],
    align=True,
)
STATE = np.dtype(
    [(n, _f) for n in ("cash", "position", "average_price", "equity", "open_profit")]
    + [(n, _i) for n in ("entry_bar", "orders", "trades")]
    + [("user", _f, (USER_SLOTS,))],
    align=True,
)
ORDER = np.dtype(
    [(n, _i) for n in ("ticket", "submitted", "done", "status", "kind", "size", "group", "parent")]
    + [(n, _f) for n in ("quantity", "filled", "limit", "stop")],
    align=True,
)
FILL = np.dtype(
    [(n, _i) for n in ("bar", "ticket", "kind", "trade")]
    + [(n, _f) for n in ("quantity", "price", "cost")]
    + [("place", _i)],
    align=True,
)
TRADE = np.dtype(
    [(n, _i) for n in ("entry_bar", "exit_bar")]
    + [
        (n, _f)
        for n in ("quantity", "entry_price", "exit_price", "profit", "cost", "worst", "best")
    ]
    + [(n, _i) for n in ("exit_kind", "fills", "ambiguous")],
    align=True,
)
