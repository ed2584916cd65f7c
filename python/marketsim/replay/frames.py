"""What an engine left, as frames: orders, fills and trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.metrics import Trades
from marketsim.replay.records import (
    EXIT_REASONS,
    FILL,
    ORDER,
    ORDER_STATUS,
    PLACES,
    TRADE,
    OrderKind,
)

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
_KINDS = {int(kind): kind.name.lower() for kind in OrderKind}


class KeptRun:
    """A run in plain arrays, which pickle: what a result reads after it has been pickled."""

    def __init__(self, run: _core.ReplayRun) -> None:
        self._curves = (run.equity, run.position)
        self._records = (run.fills(), run.trades(), run.orders())
        self._figures = run.metrics(1.0)

    @property
    def equity(self) -> Floats:
        """Equity at each close [bar]."""
        return self._curves[0].copy()

    @property
    def position(self) -> Floats:
        """Units held at each close [bar]."""
        return self._curves[1].copy()

    def metrics(self, annual_root: float) -> dict[str, float]:
        """Figures by name."""
        return self._figures | {"sharpe": self._figures["sharpe"] * annual_root}

    def fills(self) -> Bytes:
        """Fills as bytes [row, size]."""
        return self._records[0]

    def trades(self) -> Bytes:
        """Trades as bytes [row, size]."""
        return self._records[1]

    def orders(self) -> Bytes:
        """Orders as bytes [row, size]."""
        return self._records[2]


def rows_of(raw: Bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The records that these bytes are."""
    return np.ascontiguousarray(raw).reshape(-1).view(dtype)


def trades_frame(raw: Bytes, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Trades as `ReplayResult.trades` describes them."""
    rows = rows_of(raw, TRADE)
    entry, exits = rows["entry_bar"], rows["exit_bar"]
    last = np.where(exits < 0, len(index) - 1, exits)
    value = np.abs(rows["quantity"]) * rows["entry_price"]
    return pd.DataFrame(
        {
            "entry_time": _times(index, entry),
            "exit_time": _times(index, exits),
            "side": _words(("short", "long"), rows["quantity"] > 0.0),
            "quantity": np.abs(rows["quantity"]),
            "entry_price": rows["entry_price"],
            "exit_price": rows["exit_price"],
            "profit": rows["profit"],
            "return": rows["profit"] / value,
            "cost": rows["cost"],
            "worst": rows["worst"],
            "best": rows["best"],
            "bars": last - entry,
            "exit": _words(EXIT_REASONS, rows["exit_kind"]),
            "fills": rows["fills"],
            "ambiguous": rows["ambiguous"] != 0,
        }
    )


def fills_frame(raw: Bytes, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Fills as `ReplayResult.fills` describes them."""
    rows = rows_of(raw, FILL)
    return pd.DataFrame(
        {
            "time": _times(index, rows["bar"]),
            "place": _words(PLACES, rows["place"]),
            "ticket": rows["ticket"],
            "kind": _words(EXIT_REASONS, rows["kind"]),
            "trade": rows["trade"],
            "quantity": rows["quantity"],
            "price": rows["price"],
            "cost": rows["cost"],
        }
    )


def orders_frame(raw: Bytes, index: pd.DatetimeIndex) -> pd.DataFrame:
    """Orders as `ReplayResult.orders` describes them."""
    rows = rows_of(raw, ORDER)
    return pd.DataFrame(
        {
            "ticket": rows["ticket"],
            "submitted": _times(index, rows["submitted"]),
            "done": _times(index, rows["done"]),
            "status": _words(ORDER_STATUS, rows["status"]),
            "kind": _words(_KINDS, rows["kind"]),
            "quantity": rows["quantity"],
            "filled": rows["filled"],
            "limit": rows["limit"],
            "stop": rows["stop"],
        }
    )


def round_trips(trades: Bytes, filled: Bytes, count: int) -> Trades:
    """Trades over `count` bars as `marketsim.metrics.Trades`; gross, costs and net are in cash."""
    rows, fills = rows_of(trades, TRADE), rows_of(filled, FILL)
    first = np.searchsorted(fills["trade"], np.arange(len(rows)))
    size = np.abs(rows["quantity"])
    value = size * rows["entry_price"]
    exits = np.where(rows["exit_bar"] < 0, count - 1, rows["exit_bar"])
    return Trades(
        side=np.sign(rows["quantity"]).astype(np.int64),
        size=size,
        entry_bar=rows["entry_bar"],
        exit_bar=exits,
        entry_price=rows["entry_price"],
        exit_price=rows["exit_price"],
        entry_kind=np.array(_names(EXIT_REASONS, fills["kind"][first]), dtype=np.str_),
        exit_kind=np.array(_names(EXIT_REASONS, rows["exit_kind"]), dtype=np.str_),
        gross=rows["profit"] + rows["cost"],
        costs=rows["cost"],
        net=rows["profit"],
        net_return=rows["profit"] / value,
        mae=np.minimum(rows["worst"] / value, 0.0),
        mfe=np.maximum(rows["best"] / value, 0.0),
        ambiguous=rows["ambiguous"] != 0,
    )


def holding_growth(
    close: Floats, dividend: npt.ArrayLike | None, split: npt.ArrayLike | None
) -> Floats:
    """What a share held at the close before is worth at each close but the first, relative to it.

    Args:
        close: prices [bar].
        dividend, split: [bar], or None where none is paid or made.
    """
    held = close[1:]
    if dividend is not None:
        held = held + np.asarray(dividend, dtype=np.float64)[1:]
    if split is not None:
        held = held * np.asarray(split, dtype=np.float64)[1:]
    return held / close[:-1]


def traded_value(raw: Bytes, count: int) -> Floats:
    """Value bought and sold in each of `count` bars."""
    rows = rows_of(raw, FILL)
    found = np.zeros(count)
    np.add.at(found, rows["bar"], np.abs(rows["quantity"]) * rows["price"])
    return found


def _times(index: pd.DatetimeIndex, bars: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    """The times of these bars; NaT for -1."""
    found = index.take(np.maximum(bars, 0))
    return pd.DatetimeIndex(found.where(bars >= 0))


def _names(names: Mapping[int, str] | Sequence[str], codes: npt.NDArray[Any]) -> list[str]:
    return [names[code] for code in codes.tolist()]


def _words(names: Mapping[int, str] | Sequence[str], codes: npt.NDArray[Any]) -> pd.Series[str]:
    """Names of codes, as text also where there are none."""
    return pd.Series(_names(names, codes), dtype="str")
