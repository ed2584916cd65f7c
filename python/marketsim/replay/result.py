"""What a replay found: curves, trades, fills and orders as frames, and the figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
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
    Evidence,
    Performance,
    Trades,
    TradeStatistics,
    bands_dict,
    bands_frame,
    bands_lines,
    least_bars,
    performance,
    trade_statistics,
)
from marketsim.replay.account import Account
from marketsim.replay.frames import (
    KeptRun,
    fills_frame,
    holding_growth,
    orders_frame,
    round_trips,
    traded_value,
    trades_frame,
)


class ReplayResult:
    """Equity, trades, fills, orders and figures of one replay.

    Every frame is made anew at each access, so that a change to one changes nothing else.

    Attributes:
        bars: what was replayed.
        account: cash, costs and rules.
        evidence: of the search that it was chosen by: `marketsim.search.with_ledger` and
            `best_result` give a result with it.
        features: those that a strategy was handed [bar], by name.
    """

    def __init__(
        self,
        bars: Bars,
        run: _core.ReplayRun,
        account: Account,
        features: Mapping[str, npt.NDArray[np.float64]] | None = None,
        paid: tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None] = (None, None),
    ) -> None:
        self.bars: Bars = bars
        self.account: Account = account
        self.features: dict[str, npt.NDArray[np.float64]] = dict(features or {})
        self.evidence: Evidence | None = None
        self._run: _core.ReplayRun | KeptRun = run
        self._paid = paid  # dividends and splits

    def __getstate__(self) -> dict[str, Any]:
        # The engine's memory becomes arrays; what is computed on demand is computed again.
        names = ("bars", "account", "features", "evidence", "_paid")
        state = {name: getattr(self, name) for name in names}
        run = self._run
        return state | {"_run": run if isinstance(run, KeptRun) else KeptRun(run)}

    @property
    def equity(self) -> pd.Series[float]:
        """Equity at each close, in cash [bar]."""
        return pd.Series(self._run.equity, self._index, name="equity")

    @property
    def position(self) -> pd.Series[float]:
        """Units held at each close [bar]; below 0 is short."""
        return pd.Series(self._run.position, self._index, name="position")

    @property
    def returns(self) -> pd.Series[float]:
        """Return of the equity in each bar, as a fraction of the equity before it."""
        equity = np.concatenate(([self.account.cash], self._run.equity))
        before = equity[:-1]
        change = np.divide(equity[1:], before, out=np.ones(len(before)), where=before > 0.0)
        return pd.Series(change - 1.0, self._index, name="return")

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The figures one looks at first, by name; NaN where one has no meaning.

        total_return, max_drawdown and sharpe are those of `performance`, win_rate (of round trips,
        after costs) and profit_factor (gains over losses of round trips) those of `statistics`;
        then final_equity, exposure (bars with a position at the close or a fill / all bars), cost,
        turnover (traded value over the cash at the start), trades, orders, fills, refused,
        ambiguous_bars and ruined_bar (-1: not ruined).
        """
        return self._run.metrics(self._annual_root)

    @property
    def _annual_root(self) -> float:
        """Root of the periods a year; NaN where the span is too short to annualise."""
        periods, sessions = self._year
        if not periods > 0.0 or len(self.bars) < least_bars(periods, sessions):
            return math.nan
        return math.sqrt(periods)

    @property
    def _year(self) -> tuple[float, float | None]:
        """Periods a year, NaN where unknown, and sessions a year."""
        if self.account.periods_per_year is not None:
            return self.account.periods_per_year, None
        if len(self.bars) < 2:
            return math.nan, None
        market = self.bars.market
        return market.periods_per_year, market.sessions_per_year

    @cached_property
    def settings(self) -> dict[str, Any]:
        """How it was replayed, by name: cash, costs, fill, policy, what was assumed."""
        account = self.account
        found = {name: getattr(account, name) for name in account.__dataclass_fields__}
        found["periods_per_year"], found["sessions_per_year"] = self._year
        if account.periods_per_year is not None:
            found["market"] = f"{account.periods_per_year:g} periods a year"
        elif len(self.bars) < 2:
            found["market"] = "too few bars to annualise"
        else:
            found["market"] = self.bars.market.sentence()
        return found

    @cached_property
    def performance(self) -> Performance:
        """All figures of `marketsim.metrics.performance` of the returns, against buy and hold.

        Position and traded value are multiples of the equity.

        Raises:
            ArgumentError: bars whose periods a year are unknown: state `periods_per_year` in the
                account.
        """
        equity = np.concatenate(([self.account.cash], self._run.equity))
        before = np.where(equity[:-1] > 0.0, equity[:-1], np.inf)
        traded = traded_value(self._run.fills(), len(self.bars))
        last = np.where(equity[1:] > 0.0, equity[1:], np.inf)
        return performance(
            self.returns.to_numpy(),
            periods_per_year=self.settings["periods_per_year"],
            sessions_per_year=self._year[1],
            position=self._run.position * self.bars.close / last,
            traded=traded / before,
            benchmark=self.buy_and_hold,
        )

    @cached_property
    def buy_and_hold(self) -> npt.NDArray[np.float64]:
        """Returns [bar] of the close against the close before, 0 in the first bar, without costs.

        Splits and dividends of the replay count.
        """
        found = np.zeros(len(self.bars))
        found[1:] = holding_growth(self.bars.close, *self._paid) - 1.0
        return found

    @cached_property
    def round_trips(self) -> Trades:
        """Round trips as `marketsim.metrics.Trades`; gross, costs and net are in cash."""
        return round_trips(self._run.trades(), self._run.fills(), len(self.bars))

    @cached_property
    def statistics(self) -> TradeStatistics:
        """`marketsim.metrics.trade_statistics` of the round trips, in cash."""
        return trade_statistics(self.round_trips)

    @property
    def trades(self) -> pd.DataFrame:
        """One row a round trip, from flat to flat.

        Columns: entry_time, exit_time (NaT: still open, valued at the last close), side, quantity
        (the largest held), entry_price and exit_price (weighted by quantity), profit (after costs
        and financing, in cash), return (profit over the value at entry), cost, worst and best
        (lowest and highest profit before costs while it was open: MAE and MFE), bars, exit (what
        closed it), fills, ambiguous (a bar of it left open which order came first).
        """
        return trades_frame(self._run.trades(), self._index)

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill: time, place in the bar, ticket, kind, quantity (signed), price, cost."""
        return fills_frame(self._run.fills(), self._index)

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order: when it was submitted and done, its status, and what it asked for."""
        return orders_frame(self._run.orders(), self._index)

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
        m, s = self.metrics, self.settings
        index = self._index
        ruined = int(m["ruined_bar"])
        lines = [
            f"{self.bars.symbol}  {index[0]} to {index[-1]}, {len(index):,} bars"
            if len(index)
            else f"{self.bars.symbol}  no bars",
            f"fill {s['fill']}, policy {s['policy']}, fee {s['fee_bps']:g} bp, "
            f"slippage {s['slippage_bps']:g} bp (market and stop fills); {s['market']}",
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
        if self.evidence is not None:
            lines.append(self.evidence.sentence())
        if m["ambiguous_bars"]:
            lines.append(
                f"{int(m['ambiguous_bars'])} bars whose order of prices is unknown: taken by the "
                f"policy {s['policy']!r}"
            )
        if m["refused"]:
            lines.append(f"{int(m['refused'])} orders were refused: see result.orders")
        if ruined >= 0:
            lines.append(f"ruined on {index[ruined]}: nothing trades after it")
        return "\n".join(lines)

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        indicators: Mapping[str, npt.ArrayLike] | None = None,
        home: str = "",
    ) -> Path:
        """Write one offline HTML file, whole or not at all; returns its path.

        Args:
            path: ends in .html or .htm.
            indicators: lines [bar] to draw on the candles, by name; None for the features that lie
                in the range of the prices.
            home: file of the page that links this one, such as "index.html"; empty for none.

        Raises:
            ArgumentError: a path that cannot be one, a line of another length.
        """
        from marketsim.replay.reporting import report_data
        from marketsim.report.html import write_report

        return write_report(report_data(self, indicators, home), path)

    def _repr_html_(self) -> str:
        """The figures and notes for a notebook."""
        from html import escape

        from marketsim.replay.reporting import performance_table

        table = performance_table(self)
        heads = "".join(f"<th>{escape(cell)}</th>" for cell in table.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
        )
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes())
        return (
            f"<p>{escape(repr(self))}</p><table><thead><tr>{heads}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{notes}"
        )

    def notes(self) -> list[str]:
        """What a reader of the figures has to know, in sentences."""
        m, s = self.metrics, self.settings
        found = [
            f"Market orders fill at the {'next open' if s['fill'] == 'next_open' else 'same close'}"
            f"; inside a bar the policy is {s['policy']}.",
            f"Fees {s['fee_bps']:g} bp of every fill, slippage {s['slippage_bps']:g} bp of market "
            "and stop fills.",
            f"Market: {s['market']}.",
        ]
        if self.evidence is not None:
            sentence = self.evidence.sentence()
            found.insert(0, f"{sentence[:1].upper()}{sentence[1:]}.")
        if m["ambiguous_bars"]:
            found.append(
                f"{int(m['ambiguous_bars'])} bars do not tell which order came first: taken by the "
                f"policy {s['policy']!r}."
            )
        if m["refused"]:
            found.append(f"{int(m['refused'])} orders were refused: see result.orders.")
        if (ruined := int(m["ruined_bar"])) >= 0:
            found.append(f"Ruined on {self._index[ruined]}: nothing trades after it.")
        return found

    def __repr__(self) -> str:
        m = self.metrics
        return (
            f"ReplayResult({self.bars.symbol!r}, {len(self.bars):,} bars, "
            f"{int(m['trades'])} trades, total return {m['total_return']:.2%})"
        )

    def to_dict(self, *, bands: bool = False) -> dict[str, Any]:
        """Settings and figures as values that JSON knows; NaN becomes None.

        Args:
            bands: add the bootstrap bands of the figures (None: too few bars), see `bands`.
        """
        as_flag("bands", bands)
        known = self._year[0] > 0.0
        return {
            "symbol": self.bars.symbol,
            "bars": len(self.bars),
            "settings": {k: None if v != v else v for k, v in self.settings.items()},
            "metrics": {k: None if np.isnan(v) else v for k, v in self.metrics.items()},
            **({"bands": bands_dict(self.bands()) if known else None} if bands else {}),
            **({} if self.evidence is None else {"search": self.evidence.to_dict()}),
        }

    @property
    def _index(self) -> pd.DatetimeIndex:
        index = self.bars.frame.index
        assert isinstance(index, pd.DatetimeIndex)
        return index
