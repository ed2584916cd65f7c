"""What a replay of many symbols found: curves of the account, trades, fills and orders."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_flag
from marketsim.bars import Bars
from marketsim.metrics import (
    Performance,
    Trades,
    TradeStatistics,
    bands_frame,
    bands_lines,
    least_bars,
    performance,
    trade_statistics,
)
from marketsim.replay.account import Account
from marketsim.replay.frames import (
    fills_frame,
    holding_growth,
    orders_frame,
    round_trips,
    rows_of,
    traded_value,
    trades_frame,
)
from marketsim.replay.records import TRADE

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


class _Kept:
    """A run of many symbols in plain arrays, which pickle."""

    def __init__(self, run: _core.SharedRun, count: int) -> None:
        self.equity, self.cash, self.gross = run.equity, run.cash, run.gross
        self._legs = [
            (run.position(i), run.fills(i), run.trades(i), run.orders(i)) for i in range(count)
        ]
        self._figures = run.metrics(1.0)

    def metrics(self, annual_root: float) -> dict[str, float]:
        return self._figures | {"sharpe": self._figures["sharpe"] * annual_root}

    def position(self, leg: int) -> Floats:
        return self._legs[leg][0].copy()

    def fills(self, leg: int) -> Bytes:
        return self._legs[leg][1]

    def trades(self, leg: int) -> Bytes:
        return self._legs[leg][2]

    def orders(self, leg: int) -> Bytes:
        return self._legs[leg][3]


class SymbolsResult:
    """Equity, positions, trades, fills, orders and figures of many symbols in one account.

    Every frame is made anew at each access, so that a change to one changes nothing else. A bar of
    the account is a time at which at least one symbol has a bar.

    Attributes:
        symbols: in the order of the plans.
        bars: of each symbol.
        account: cash, costs and rules.
    """

    def __init__(
        self,
        bars: Mapping[str, Bars],
        run: _core.SharedRun,
        account: Account,
        index: pd.DatetimeIndex,
        paid: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        self.bars: dict[str, Bars] = dict(bars)
        self.symbols: tuple[str, ...] = tuple(bars)
        self.account: Account = account
        self._run: _core.SharedRun | _Kept = run
        self._index = index
        self._paid = dict(paid or {})  # dividends and splits, by symbol

    def __getstate__(self) -> dict[str, Any]:
        # The engine's memory becomes arrays; what is computed on demand is computed again.
        names = ("bars", "symbols", "account", "_index", "_paid")
        state = {name: getattr(self, name) for name in names}
        run = self._run
        return state | {"_run": run if isinstance(run, _Kept) else _Kept(run, len(self.symbols))}

    @property
    def equity(self) -> pd.Series[float]:
        """Equity of the account at each close, in cash [bar]."""
        return pd.Series(self._run.equity.copy(), self._index, name="equity")

    @property
    def cash(self) -> pd.Series[float]:
        """Cash of the account at each close [bar]; below 0 is borrowed."""
        return pd.Series(self._run.cash.copy(), self._index, name="cash")

    @property
    def gross(self) -> pd.Series[float]:
        """Sum of the sizes of all positions at each close, in cash [bar]."""
        return pd.Series(self._run.gross.copy(), self._index, name="gross")

    @property
    def position(self) -> pd.DataFrame:
        """Units held at each close [bar, symbol]; below 0 is short."""
        found = np.zeros((len(self._index), len(self.symbols)))
        for i, symbol in enumerate(self.symbols):
            own = self.bars[symbol].frame.index
            held = self._run.position(i)
            if len(own) == len(self._index):
                found[:, i] = held
            elif len(own):
                at = np.searchsorted(own, self._index, side="right") - 1
                found[:, i] = np.where(at < 0, 0.0, held[np.maximum(at, 0)])
        return pd.DataFrame(found, self._index, list(self.symbols))

    @property
    def returns(self) -> pd.Series[float]:
        """Return of the equity in each bar, as a fraction of the equity before it."""
        path = self._path
        before = path[:-1]
        change = np.divide(path[1:], before, out=np.ones(len(before)), where=before > 0.0)
        return pd.Series(change - 1.0, self._index, name="return")

    @property
    def _path(self) -> Floats:
        return np.concatenate(([self.account.cash], self._run.equity))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The figures of `ReplayResult.metrics`, of the whole account.

        exposure counts the bars in which a symbol that is held has a price; ambiguous_bars those of
        each symbol.
        """
        return self._run.metrics(self._annual_root)

    @property
    def _year(self) -> tuple[float, float | None]:
        """Periods a year, NaN where unknown, and sessions a year."""
        if self.account.periods_per_year is not None:
            return self.account.periods_per_year, None
        if len(self._index) < 2:
            return math.nan, None
        longest = max(self.bars.values(), key=len)
        if len(longest) < 2:
            return math.nan, None
        return longest.market.periods_per_year, longest.market.sessions_per_year

    @property
    def _annual_root(self) -> float:
        periods, sessions = self._year
        if not periods > 0.0 or len(self._index) < least_bars(periods, sessions):
            return math.nan
        return math.sqrt(periods)

    @cached_property
    def performance(self) -> Performance:
        """All figures of `marketsim.metrics.performance` of the returns.

        Position (of all symbols, by size) and traded value are multiples of the equity. Periods a
        year are those of the symbol with the most bars, or those that the account states.
        """
        periods, sessions = self._year
        path, equity = self._path, self._run.equity
        traded = np.zeros(len(self._index))
        for i, symbol in enumerate(self.symbols):
            own = self.bars[symbol].frame.index
            at = np.searchsorted(self._index, own)
            traded[at] += traded_value(self._run.fills(i), len(own))
        return performance(
            self.returns.to_numpy(),
            periods_per_year=periods,
            sessions_per_year=sessions,
            position=self._run.gross / np.where(equity > 0.0, equity, np.inf),
            traded=traded / np.where(path[:-1] > 0.0, path[:-1], np.inf),
        )

    @cached_property
    def buy_and_hold(self) -> Floats:
        """Returns [bar] of equal cash in each symbol from its first close on, without costs.

        Splits and dividends of the replay count.
        """
        total = np.zeros(len(self._index))
        for symbol, bars in self.bars.items():
            # A bar without a price keeps the last one.
            close = np.asarray(pd.Series(bars.close).ffill(), dtype=np.float64)
            change = holding_growth(close, *self._paid.get(symbol, (None, None)))
            growth = np.ones(len(bars) + 1)  # 1 before the first bar
            growth[2:] = np.cumprod(np.where(np.isnan(change), 1.0, change))
            total += growth[np.searchsorted(bars.frame.index, self._index, side="right")]
        path = np.concatenate(([float(len(self.bars))], total))
        return path[1:] / path[:-1] - 1.0

    @cached_property
    def holding(self) -> Performance:
        """All figures of `marketsim.metrics.performance` of `buy_and_hold`."""
        periods, sessions = self._year
        return performance(
            self.buy_and_hold,
            periods_per_year=periods,
            sessions_per_year=sessions,
            position=np.ones(len(self._index)),
        )

    @cached_property
    def round_trips(self) -> Trades:
        """Round trips of all symbols as `marketsim.metrics.Trades`, by their entries.

        Bars are those of the account; gross, costs and net are in cash.
        """
        parts = []
        for i, symbol in enumerate(self.symbols):
            own = self.bars[symbol].frame.index
            found = round_trips(self._run.trades(i), self._run.fills(i), len(own))
            at = np.searchsorted(self._index, own)
            parts.append(
                dataclasses.replace(
                    found, entry_bar=at[found.entry_bar], exit_bar=at[found.exit_bar]
                )
            )
        order = np.argsort(np.concatenate([part.entry_bar for part in parts]), kind="stable")
        columns = (field.name for field in dataclasses.fields(Trades))
        return Trades(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])[order]
                for name in columns
            }
        )

    @cached_property
    def statistics(self) -> TradeStatistics:
        """`marketsim.metrics.trade_statistics` of the round trips, in cash."""
        return trade_statistics(self.round_trips)

    @property
    def trades(self) -> pd.DataFrame:
        """One row a round trip: its symbol, and the columns of `ReplayResult.trades`."""
        return self._frame(self._run.trades, trades_frame, "entry_time")

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill: its symbol, and the columns of `ReplayResult.fills`.

        Rows of one time and place are in the order of the symbols; those of one symbol are in the
        order in which they filled.
        """
        return self._frame(self._run.fills, fills_frame, "time")

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order: its symbol, and the columns of `ReplayResult.orders`."""
        return self._frame(self._run.orders, orders_frame, "submitted")

    def _frame(
        self,
        rows: Callable[[int], Bytes],
        frame: Callable[[Bytes, pd.DatetimeIndex], pd.DataFrame],
        by: str,
    ) -> pd.DataFrame:
        parts = []
        for i, symbol in enumerate(self.symbols):
            index: Any = self.bars[symbol].frame.index
            part = frame(rows(i), index)
            part.insert(0, "symbol", pd.Series([symbol] * len(part), part.index, dtype="str"))
            parts.append(part)
        filled = [part for part in parts if len(part)] or parts[:1]
        return pd.concat(filled, ignore_index=True).sort_values(
            by, kind="stable", ignore_index=True
        )

    @property
    def by_symbol(self) -> pd.DataFrame:
        """One row a symbol: profit (after costs, in cash), cost, trades, win_rate, units held.

        The profits add up to the change of the equity.
        """
        rows = []
        for i in range(len(self.symbols)):
            trades = rows_of(self._run.trades(i), TRADE)
            held = self._run.position(i)
            rows.append(
                {
                    "profit": float(trades["profit"].sum()),
                    "cost": float(trades["cost"].sum()),
                    "trades": len(trades),
                    "win_rate": float((trades["profit"] > 0.0).mean()) if len(trades) else math.nan,
                    "units": float(held[-1]) if len(held) else 0.0,
                }
            )
        return pd.DataFrame(rows, pd.Index(self.symbols, name="symbol"))

    def report(self, path: str | os.PathLike[str], *, home: str = "") -> Path:
        """Write one offline HTML file, whole or not at all; returns its path.

        It shows the equity of the account against buy and hold, the figures of each symbol, and
        the round trips.

        Args:
            path: ends in .html or .htm.
            home: file of the page that links this one, such as "index.html"; empty for none.

        Raises:
            ArgumentError: a path that cannot be one.
        """
        from marketsim.replay.symbols_reporting import report_data
        from marketsim.report.html import write_report

        return write_report(report_data(self, home), path)

    def notes(self) -> list[str]:
        """What a reader of the figures has to know, in sentences."""
        m, account = self.metrics, self.account
        found = [
            f"Market orders fill at the {account.fill.replace('_', ' ')}; inside a bar the policy "
            f"is {account.policy}.",
            f"Fees {account.fee_bps:g} bp of every fill, slippage {account.slippage_bps:g} bp of "
            "market and stop fills.",
        ]
        if m["ambiguous_bars"]:
            found.append(
                f"{int(m['ambiguous_bars'])} bars do not tell which order came first: taken by the "
                f"policy {account.policy!r}."
            )
        if m["refused"]:
            found.append(f"{int(m['refused'])} orders were refused: see result.orders.")
        ended = [
            symbol
            for i, symbol in enumerate(self.symbols)
            if len(bars := self.bars[symbol])
            and self._run.position(i)[-1] != 0.0
            and bars.frame.index[-1] < self._index[-1]
        ]
        if ended:
            found.append(
                f"{len(ended)} symbols are held after their last bar, at its close: "
                f"{', '.join(ended[:5])}{', ...' if len(ended) > 5 else ''}."
            )
        if (ruined := int(m["ruined_bar"])) >= 0:
            found.append(f"Ruined on {self._index[ruined]}: nothing trades after it.")
        return found

    def bands(
        self, *, confidence: float = 0.9, repetitions: int | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """How sure the headline figures are: see `marketsim.metrics.bands_frame`."""
        periods, sessions = self._year
        return bands_frame(
            {"replay": np.asarray(self.returns, dtype=np.float64)},
            periods_per_year=periods,
            sessions_per_year=sessions,
            confidence=confidence,
            repetitions=repetitions,
            seed=seed,
        ).droplevel("strategy")

    def summary(self, *, bands: bool = False) -> str:
        """The figures in words, with what they rest on.

        Args:
            bands: add the bootstrap bands of the figures, see `bands`: some 0.1 s more.
        """
        as_flag("bands", bands)
        m, index = self.metrics, self._index
        span = f"{index[0]} to {index[-1]}, {len(index):,} bars" if len(index) else "no bars"
        lines = [
            f"{len(self.symbols):,} symbols in one account  {span}",
            "",
            f"total return   {m['total_return']:>12.4%}    final equity {m['final_equity']:,.2f}",
            f"max drawdown   {m['max_drawdown']:>12.2%}    Sharpe {m['sharpe']:.2f}",
            f"trades         {int(m['trades']):>12,}    win rate {m['win_rate']:.1%}, "
            f"profit factor {m['profit_factor']:.2f}",
            f"exposure       {m['exposure']:>12.1%}    costs {m['cost']:,.2f}, "
            f"turnover {m['turnover']:.1f} times the cash",
        ]
        if bands:
            lines += bands_lines(self.bands() if self._year[0] > 0.0 else None)
        lines += ["", *self.notes()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Figures, and those of each symbol, as values that JSON knows; NaN becomes None."""

        def plain(values: Mapping[str, Any]) -> dict[str, Any]:
            return {
                k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()
            }

        table = self.by_symbol
        return {
            "bars": len(self._index),
            "metrics": plain(self.metrics),
            "symbols": {
                symbol: plain(dict(zip(table.columns, row, strict=True)))
                for symbol, row in zip(self.symbols, table.itertuples(index=False), strict=True)
            },
        }

    def __repr__(self) -> str:
        m = self.metrics
        return (
            f"SymbolsResult({len(self.symbols)} symbols, {len(self._index):,} bars, "
            f"{int(m['trades'])} trades, total return {m['total_return']:.2%})"
        )
