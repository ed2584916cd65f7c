"""Broker interface for orders of `next_orders`, and a paper broker with the backtest's fills."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from marketsim.arguments import as_number
from marketsim.bars import Bars
from marketsim.errors import ArgumentError, FileFormatError, StoreWriteError
from marketsim.strategies import LimitOrders, TakeProfit
from marketsim.text import json_value
from marketsim.walkforward.costs import Costs
from marketsim.walkforward.held import take_profit_fills
from marketsim.walkforward.inputs import MarketDays
from marketsim.walkforward.limits import Fit, Rulebook, side_fills
from marketsim.walkforward.settings import most_value

APPLICATION_ID = 0x6D737062  # "mspb"
VERSION = 1
_WAIT = 30.0  # seconds for another process that writes
_BPS = 1e-4

_SCHEMA = f"""
CREATE TABLE account (cash REAL NOT NULL);
CREATE TABLE orders (
  id TEXT PRIMARY KEY, symbol TEXT NOT NULL, strategy TEXT NOT NULL, bar TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'filled', 'expired')), facts TEXT NOT NULL
);
CREATE TABLE fills (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES orders (id), leg TEXT NOT NULL,
  symbol TEXT NOT NULL, strategy TEXT NOT NULL, bar TEXT NOT NULL, side TEXT NOT NULL,
  quantity REAL NOT NULL, price REAL NOT NULL, kind TEXT NOT NULL, cost REAL NOT NULL,
  UNIQUE (id, leg)
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class Fill(NamedTuple):
    """One fill of an order.

    Attributes:
        id: id of the order.
        leg: "entry" or "exit".
        symbol, strategy, bar: symbol, strategy and bar of the order; the bar as ISO text.
        side: "buy" or "sell".
        quantity: units, above 0.
        price, cost: in the currency of the prices.
        kind: "limit", "stop", "close" or "open"; a limit that the bar opens beyond is a "limit".
    """

    id: str
    leg: str
    symbol: str
    strategy: str
    bar: str
    side: str
    quantity: float
    price: float
    kind: str
    cost: float


@runtime_checkable
class Broker(Protocol):
    """Interface of a broker; symbol, strategy, bar and side identify an order."""

    def submit(self, orders: pd.DataFrame) -> list[str]:
        """Place the orders of `next_orders`, each once; returns the ids of new ones."""
        ...

    def fills(self) -> pd.DataFrame:
        """Return all fills so far, with the columns of `Fill`."""
        ...


class PaperBroker:
    """Paper broker: stores orders in a file and fills them once their bar is known.

    Each call is one transaction, on the disk when it returns; a process killed during a call leaves
    the file unchanged. Submitting the same orders again changes nothing.

    Args:
        path: an SQLite file, created if it does not exist.
        cash: starting cash of a new account, in the currency of the prices.
        fill: fill policy of limit orders, as in `walk_forward`.

    Raises:
        FileFormatError: the file is of another kind or version.
        StoreWriteError: the file cannot be written.
        ArgumentError: cash is not a finite amount above 0.

    Example:
        >>> import marketsim as ms
        >>> from marketsim.live import PaperBroker, next_orders
        >>> bars = ms.demo_bars()
        >>> evening = next_orders(bars, "ewma", "maxdiff", equity=10_000.0, progress=False)
        >>> broker = PaperBroker("paper.sqlite")  # doctest: +SKIP
        >>> broker.submit(evening), broker.settle(bars)  # doctest: +SKIP
    """

    def __init__(
        self, path: str | os.PathLike[str], *, cash: float = 100_000.0, fill: str = "open_aware"
    ) -> None:
        self.path = Path(path)
        self.fill = fill
        cash = as_number("cash", cash)
        if not 0.0 < cash < math.inf:
            raise ArgumentError(f"cash must be a finite amount above 0: got {cash!r}")
        with self._open() as db:
            kind = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if kind == 0 and tables == 0:
                db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
                db.execute("INSERT INTO account SELECT ? WHERE NOT EXISTS (SELECT * FROM account)",
                           (cash,))  # fmt: skip
            elif (kind, version) != (APPLICATION_ID, VERSION):
                raise FileFormatError(
                    f"{self.path} must be a paper broker's ledger of version {VERSION}: got an "
                    f"SQLite file of kind {kind:#x}, version {version}; give another path"
                )

    def __repr__(self) -> str:
        return f"PaperBroker({str(self.path)!r}, fill {self.fill})"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open a connection with one transaction, committed or rolled back as a whole."""
        try:
            db = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreWriteError(f"{self.path}: {error}") from error
        try:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            if db.in_transaction:
                db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise FileFormatError(
                    f"{self.path} is not a paper broker's ledger: {error}; give another path"
                ) from error
            raise StoreWriteError(f"{self.path}: {error}") from error
        finally:
            db.close()  # rolls back an uncommitted transaction

    def submit(self, orders: pd.DataFrame) -> list[str]:
        """Place the orders of `next_orders`; returns the ids of new ones.

        Raises:
            ArgumentError: an order without a quantity; `next_orders(..., equity=)` sets it.
        """
        found = []
        with self._open() as db:
            for row in orders.to_dict("records"):
                if row["order"] == "none":
                    continue
                if row["order"] != "exit" and not row["quantity"] >= 0.0:
                    raise ArgumentError(
                        f"the order of {row['symbol']} by {row['strategy']} has no quantity: "
                        "set it by next_orders(..., equity=10_000)"
                    )
                facts = {key: json_value(value) for key, value in row.items()}
                bar = facts["bar"]
                name = f"{row['symbol']}/{row['strategy']}/{bar}/{row['side']}"
                done = db.execute(
                    "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, 'open', ?)",
                    (name, row["symbol"], row["strategy"], bar, json.dumps(facts)),
                )
                if done.rowcount:
                    found.append(name)
        return found

    def settle(self, bars: Bars | Iterable[Bars]) -> list[Fill]:
        """Fill the open orders whose bar is in `bars`; others stay open.

        A limit order that its bar does not fill expires. Prices come from the bar and the fill
        policy, costs from the order.

        Raises:
            ArgumentError: the bar before an order's bar is not the one that the order was made on:
                the market had a session that the calendar lacks, or history was revised.
        """
        given = {one.symbol: one for one in ([bars] if isinstance(bars, Bars) else bars)}
        made: list[Fill] = []
        with self._open() as db:
            waiting = db.execute(
                "SELECT id, symbol, bar, facts FROM orders WHERE status = 'open' ORDER BY bar, id"
            ).fetchall()
            for name, symbol, bar, text in waiting:
                one = given.get(symbol)
                row = None if one is None else _row_of(one, bar, name)
                if one is None or row is None:
                    continue
                found = self._filled(db, name, one, row, json.loads(text))
                db.executemany(
                    "INSERT INTO fills (id, leg, symbol, strategy, bar, side, quantity, price, "
                    "kind, cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    found,
                )
                db.execute("UPDATE orders SET status = ? WHERE id = ?",
                           ("filled" if found else "expired", name))  # fmt: skip
                made += found
        return made

    def _filled(
        self, db: sqlite3.Connection, name: str, bars: Bars, row: int, order: dict[str, Any]
    ) -> list[Fill]:
        before = pd.Timestamp(bars.timestamps[row - 1], tz="UTC")
        if before != pd.Timestamp(order["last_bar"]) or bars.close[row - 1] != order["last_close"]:
            raise ArgumentError(
                f"order {name} was made on the bar {order['last_bar']} with close "
                f"{order['last_close']!r}, but the bar before {order['bar']} is {before} with "
                f"close {float(bars.close[row - 1])!r}: history was revised, or the calendar lacks "
                "a session; state calendar=, or settle with the bars that the order was made on"
            )
        days = MarketDays.at(bars, np.array([row]))
        if order["order"] == "limit":
            return _limit_fills(name, order, days, self.fill)
        held = db.execute(
            "SELECT total(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) FROM fills "
            "WHERE symbol = ? AND strategy = ?",
            (order["symbol"], order["strategy"]),
        ).fetchone()[0]
        return _market_fills(name, order, days, self.fill, float(held))

    def orders(self) -> pd.DataFrame:
        """Return all orders so far: the columns of `next_orders`, id and status."""
        with self._open() as db:
            rows = db.execute("SELECT id, status, facts FROM orders ORDER BY bar, id").fetchall()
        facts = [{"id": i, "status": s} | json.loads(text) for i, s, text in rows]
        return pd.DataFrame(facts)

    def fills(self) -> pd.DataFrame:
        """Return all fills so far, oldest first, with the columns of `Fill`."""
        with self._open() as db:
            rows = db.execute(
                f"SELECT {', '.join(Fill._fields)} FROM fills ORDER BY number"
            ).fetchall()
        return pd.DataFrame(rows, columns=list(Fill._fields))

    @property
    def cash(self) -> float:
        """Cash after all fills and their costs."""
        with self._open() as db:
            cash = float(db.execute("SELECT cash FROM account").fetchone()[0])
        fills = self.fills()
        signed = np.where(fills["side"] == "buy", -1.0, 1.0) * fills["quantity"] * fills["price"]
        return cash + float(signed.sum()) - float(fills["cost"].sum())

    @property
    def positions(self) -> dict[str, float]:
        """Units held by symbol, negative for short; flat symbols are left out."""
        fills = self.fills()
        signed = np.where(fills["side"] == "buy", 1.0, -1.0) * fills["quantity"]
        held = signed.groupby(fills["symbol"]).sum()
        return {str(name): float(units) for name, units in held.items() if abs(units) > 1e-9}


def _row_of(bars: Bars, bar: str, name: str) -> int | None:
    """Return the row of an order's bar; None if it is later than the last bar."""
    moment = np.datetime64(pd.Timestamp(bar).tz_convert("UTC").tz_localize(None), "ns")
    row = int(np.searchsorted(bars.timestamps, moment))
    if row == len(bars):
        return None
    if row == 0 or bars.timestamps[row] != moment:
        raise ArgumentError(
            f"order {name} is for the bar {bar}, which {bars.symbol} lacks although it has later "
            "ones: state calendar= in next_orders"
        )
    return row


def _limit_fills(name: str, order: dict[str, Any], days: MarketDays, policy: str) -> list[Fill]:
    """Compute entry and exit of a limit order within its bar; empty if it does not fill."""
    close = order["last_close"]
    long = order["side"] == "buy"
    entry = order["entry_limit"] / close - 1.0
    at_close = order["take_profit"] is None
    other = entry if at_close else order["take_profit"] / close - 1.0
    stop = None if order["stop"] is None else np.array([order["stop"] / close - 1.0])
    high, low = (other, entry) if long else (entry, other)
    orders = LimitOrders(
        np.array([order["position"]]), np.array([high]), np.array([low]),
        exit_at_close=at_close, stop=stop,
    )  # fmt: skip
    book = Rulebook(policy, Costs(), False, 1, ((0.0, 0.0), (0.0, 0.0)))
    (fill,) = side_fills(orders, Fit.none(1), days, book, most_value(days.value, None))
    if not fill.direction[0]:
        return []
    leave = str(fill.exit_kind[0])
    opened, closed = (close * (1.0 + float(m[0])) for m in (fill.entry_move, fill.exit_move))
    units = order["quantity"]
    return [
        _fill(name, order, "entry", long, units, opened, "limit"),
        _fill(name, order, "exit", not long, units, closed, leave),
    ]


def _market_fills(
    name: str, order: dict[str, Any], days: MarketDays, policy: str, held: float
) -> list[Fill]:
    """Compute the trade to the target position, and its exit at the limit if the bar reaches it."""
    close, units = order["last_close"], order["quantity"]
    buys = order["side"] == "buy"
    found = []
    at_open = order["enter"] == "open of the bar"
    within = most_value(days.value, None)
    most = within if at_open else most_value(days.value_before, None)
    if order["order"] == "market" and (most is None or most[0] > 0.0):
        price = close * (1.0 + float(days.open[0])) if at_open else close
        found.append(
            _fill(name, order, "entry", buys, units, price, "open" if at_open else "close")
        )
        held += units if buys else -units
    if order["take_profit"] is not None and held:
        move = np.array([order["take_profit"] / close - 1.0])
        side = np.array([np.sign(held)])
        left = take_profit_fills(side, TakeProfit(side, move, move), days, policy, within)
        if left.sold[0] > 0.0:
            price = close * (1.0 + float(left.move[0]))
            found.append(_fill(name, order, "exit", held < 0.0, abs(held), price, "limit"))
    return found


def _fill(
    name: str, order: dict[str, Any], leg: str, buys: bool, units: float, price: float, kind: str
) -> Fill:
    rate = order["limit_cost_bps" if kind == "limit" else "market_cost_bps"]
    return Fill(
        name, leg, order["symbol"], order["strategy"], order["bar"], "buy" if buys else "sell",
        units, price, kind, units * price * rate * _BPS,
    )  # fmt: skip
