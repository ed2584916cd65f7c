"""A replay of many symbols in one account as the data of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars import Bars
from marketsim.build_info import versions
from marketsim.metrics import Performance, Trades, TradeStatistics
from marketsim.replay.account import Account
from marketsim.replay.reporting import bands_table, figures_table, number, trade_table
from marketsim.report.data import ReportData, Table
from marketsim.report.formats import percent, price
from marketsim.report.timeaxis import date_texts

Floats = npt.NDArray[np.float64]

_SHOWN_TRADES = 200


class _Result(Protocol):
    """What a report shows of a replay of many symbols; `SymbolsResult` describes each."""

    bars: dict[str, Bars]
    symbols: tuple[str, ...]
    account: Account

    @property
    def equity(self) -> pd.Series[float]: ...
    @property
    def buy_and_hold(self) -> Floats: ...
    @property
    def performance(self) -> Performance: ...
    @property
    def holding(self) -> Performance: ...
    @property
    def round_trips(self) -> Trades: ...
    @property
    def statistics(self) -> TradeStatistics: ...
    @property
    def by_symbol(self) -> pd.DataFrame: ...
    @property
    def trades(self) -> pd.DataFrame: ...
    def notes(self) -> list[str]:
        """What a reader of the figures has to know."""
        ...

    def bands(self) -> pd.DataFrame:
        """How sure the headline figures are."""
        ...


def report_data(result: _Result, home: str = "") -> ReportData:
    """Everything that the report of many symbols shows; `home` is the page it belongs to."""
    equity = result.equity
    index: Any = equity.index
    account = result.account
    return ReportData(
        title=f"Replay of {len(result.symbols):,} symbols in one account",
        subtitle=f"{len(index):,} bars from {index[0]} to {index[-1]}",
        notes=result.notes(),
        tables=[
            figures_table(
                {"account": result.performance, "buy_and_hold": result.holding},
                "After costs; buy and hold has equal cash in each symbol from its first close on, "
                "and pays no costs.",
            ),
            bands_table("account", result.bands()),
            trade_table(result.statistics, result.round_trips),
            _symbols_table(result.by_symbol, account.cash),
            _last_trades(result.trades),
        ],
        dates=index.tz_localize(None).to_numpy(),
        equity={
            "account": np.array(equity, dtype=np.float64) / account.cash,
            "buy_and_hold": np.cumprod(1.0 + result.buy_and_hold, dtype=np.float64),
        },
        baselines=frozenset({"buy_and_hold"}),
        candles=None,
        fans=[],
        heatmap=None,
        provenance={**versions(), **_settings(account)},
        home=home,
    )


def _symbols_table(table: pd.DataFrame, cash: float) -> Table:
    """One row a symbol: what it added to the return of the account, and its round trips."""
    rows = [
        [
            str(symbol),
            percent(profit / cash, 2, signed=True),
            number(profit),
            number(cost),
            f"{trades:,}",
            percent(won) if won == won else "\u2013",
            f"{units:,.6g}",
        ]
        for symbol, profit, cost, trades, won, units in table.itertuples()
    ]
    heads = ("symbol", "return added", "profit", "costs", "trades", "won", "units held")
    note = (
        "The profits, after costs and in cash, add up to the change of the equity; return added "
        "is the profit over the cash at the start. Units are those held at the end."
    )
    return Table("Symbols", heads, rows, note=note)


def _last_trades(trades: pd.DataFrame) -> Table:
    """The last round trips of all symbols, by their entries."""
    last = trades.tail(_SHOWN_TRADES)
    gain = last["profit"] / (last["quantity"] * last["entry_price"])
    columns: list[list[str]] = [
        [str(cell) for cell in last["symbol"]],
        [str(cell) for cell in last["side"]],
        _dates(last["entry_time"]),
        [price(float(cell)) for cell in last["entry_price"]],
        _dates(last["exit_time"]),
        [price(float(cell)) for cell in last["exit_price"]],
        [str(cell) for cell in last["exit"]],
        [number(float(cell)) for cell in last["profit"]],
        [percent(float(cell), 2, signed=True) for cell in gain],
    ]
    heads = ("symbol", "side", "entered", "at", "left", "at", "by", "profit", "return")
    note = "Profits after costs, in cash; return is the profit over the value at entry."
    if len(last) < len(trades):
        note = f"The last {len(last)} of {len(trades):,}. {note}"
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table("Last round trips", heads, rows, note=note)


def _dates(times: pd.Series[Any]) -> list[str]:
    return date_texts(times.dt.tz_localize(None).to_numpy("M8[ns]"))


def _settings(account: Account) -> Mapping[str, str]:
    return {name: str(getattr(account, name)) for name in account.__dataclass_fields__}
