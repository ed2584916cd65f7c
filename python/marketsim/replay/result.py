"""What a replay found: curves, trades, fills and orders as frames, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.bars import Bars
from marketsim.metrics import Evidence, bands_frame
from marketsim.replay.records import (
    EXIT_REASONS,
    FILL,
    ORDER,
    ORDER_STATUS,
    PLACES,
    TRADE,
    OrderKind,
)

_KINDS = {int(kind): kind.name.lower() for kind in OrderKind}


class ReplayResult:
    """Equity, trades, fills, orders and figures of one replay.

    Every frame is made anew at each access, so that a change to one changes nothing else.

    Attributes:
        bars: what was replayed.
        settings: how, by name: cash, costs, fill, policy, what was assumed.
        evidence: of the search that it was chosen by; `marketsim.search.best_result` puts it here.
    """

    def __init__(self, bars: Bars, run: _core.ReplayRun, settings: dict[str, Any]) -> None:
        self.bars = bars
        self.settings = dict(settings)
        self.evidence: Evidence | None = None
        self._run = run

    @property
    def equity(self) -> pd.Series[float]:
        """Equity at each close, in cash [bar]."""
        return pd.Series(np.array(self._run.equity), self._index, name="equity")

    @property
    def position(self) -> pd.Series[float]:
        """Units held at each close [bar]; below 0 is short."""
        return pd.Series(np.array(self._run.position), self._index, name="position")

    @property
    def returns(self) -> pd.Series[float]:
        """Return of the equity in each bar, as a fraction of the equity before it."""
        equity = np.concatenate(([self.settings["cash"]], self._run.equity))
        before = equity[:-1]
        change = np.divide(equity[1:], before, out=np.ones(len(before)), where=before > 0.0)
        return pd.Series(change - 1.0, self._index, name="return")

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures by name; NaN where one has no meaning (no trade, no variance).

        total_return, max_drawdown and exposure are fractions; sharpe is the mean return of a bar
        over its standard deviation (ddof 1), times the square root of `periods_per_year`;
        profit_factor is the sum of gains over the sum of losses; win_rate counts round trips with a
        profit after costs; turnover is traded value over the cash at the start.
        """
        found = dict(self._run.summary)
        trades, wins, losses = found["trades"], found.pop("wins"), found.pop("gross_loss")
        gains, mean, deviation = found.pop("gross_win"), found.pop("mean"), found.pop("deviation")
        periods = self.settings["periods_per_year"]
        found["sharpe"] = mean / deviation * np.sqrt(periods) if deviation > 0.0 else np.nan
        found["win_rate"] = wins / trades if trades else np.nan
        found["profit_factor"] = gains / losses if losses > 0.0 else np.nan
        found["turnover"] /= self.settings["cash"]
        return {name: float(value) for name, value in found.items()}

    @property
    def trades(self) -> pd.DataFrame:
        """One row a round trip, from flat to flat.

        Columns: entry_time, exit_time (NaT: still open, valued at the last close), side, quantity
        (the largest held), entry_price and exit_price (weighted by quantity), profit (after costs
        and financing, in cash), return (profit over the value at entry), cost, worst and best
        (lowest and highest profit before costs while it was open: MAE and MFE), bars, exit (what
        closed it), fills.
        """
        rows = self._rows(self._run.trades(), TRADE)
        entry, exits = rows["entry_bar"], rows["exit_bar"]
        last = np.where(exits < 0, len(self.bars) - 1, exits)
        value = np.abs(rows["quantity"]) * rows["entry_price"]
        return pd.DataFrame(
            {
                "entry_time": self._times(entry),
                "exit_time": self._times(exits),
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
            }
        )

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill: time, place in the bar, ticket, kind, quantity (signed), price, cost."""
        rows = self._rows(self._run.fills(), FILL)
        return pd.DataFrame(
            {
                "time": self._times(rows["bar"]),
                "place": _words(PLACES, rows["place"]),
                "ticket": rows["ticket"],
                "kind": _words(EXIT_REASONS, rows["kind"]),
                "trade": rows["trade"],
                "quantity": rows["quantity"],
                "price": rows["price"],
                "cost": rows["cost"],
            }
        )

    @property
    def orders(self) -> pd.DataFrame:
        """One row an order: when it was submitted and done, its status, and what it asked for."""
        rows = self._rows(self._run.orders(), ORDER)
        return pd.DataFrame(
            {
                "ticket": rows["ticket"],
                "submitted": self._times(rows["submitted"]),
                "done": self._times(rows["done"]),
                "status": _words(ORDER_STATUS, rows["status"]),
                "kind": _words(_KINDS, rows["kind"]),
                "quantity": rows["quantity"],
                "filled": rows["filled"],
                "limit": rows["limit"],
                "stop": rows["stop"],
            }
        )

    def bands(
        self, *, confidence: float = 0.9, repetitions: int = 1_000, seed: int = 0
    ) -> pd.DataFrame:
        """How sure the headline figures are: see `marketsim.metrics.bands_frame`."""
        found = bands_frame(
            {"replay": np.asarray(self.returns, dtype=np.float64)},
            periods_per_year=self.settings["periods_per_year"],
            confidence=confidence,
            repetitions=repetitions,
            seed=seed,
        )
        return found.droplevel("strategy")

    def summary(self) -> str:
        """The figures in words, with what they rest on."""
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

    def __repr__(self) -> str:
        m = self.metrics
        return (
            f"ReplayResult({self.bars.symbol!r}, {len(self.bars):,} bars, "
            f"{int(m['trades'])} trades, total return {m['total_return']:.2%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Settings and figures as values that JSON knows; NaN becomes None."""
        return {
            "symbol": self.bars.symbol,
            "bars": len(self.bars),
            "settings": dict(self.settings),
            "metrics": {k: None if np.isnan(v) else v for k, v in self.metrics.items()},
            **({} if self.evidence is None else {"search": self.evidence.to_dict()}),
        }

    @property
    def _index(self) -> pd.DatetimeIndex:
        index = self.bars.frame.index
        assert isinstance(index, pd.DatetimeIndex)
        return index

    def _rows(self, raw: npt.NDArray[np.uint8], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        return np.ascontiguousarray(raw).reshape(-1).view(dtype)

    def _times(self, bars: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
        """The times of these bars; NaT for -1."""
        found = self._index.take(np.maximum(bars, 0))
        return pd.DatetimeIndex(found.where(bars >= 0))


def _words(names: Mapping[int, str] | Sequence[str], codes: npt.NDArray[Any]) -> pd.Series[str]:
    """Names of codes, as text also where there are none."""
    return pd.Series([names[int(code)] for code in codes], dtype="str")
