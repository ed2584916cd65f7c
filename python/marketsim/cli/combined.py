"""Tables of the results of several symbols."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marketsim.metrics import performance
from marketsim.metrics.portfolio import Weights, portfolio_returns
from marketsim.text import blocks, sparkline
from marketsim.walkforward import WalkForwardResult
from marketsim.walkforward.summary import format_value

INDEX = "index.html"
"""File name of the page that lists the symbols."""
PORTFOLIO = "portfolio.html"
"""File name of the portfolio's page."""


def page_names(symbols: Iterable[str]) -> dict[str, str]:
    """Choose distinct file names for the symbols' pages, apart from index and portfolio.

    Names are compared without case, because some file systems ignore it.

    Example:
        >>> page_names(["AAPL", "INDEX"])
        {'AAPL': 'AAPL.html', 'INDEX': 'INDEX_.html'}
    """
    given = list(symbols)
    taken = {page.removesuffix(".html") for page in (INDEX, PORTFOLIO)}
    stems: dict[str, str] = {}
    for symbol in given:
        if symbol.lower() not in taken:
            stems[symbol] = symbol
            taken.add(symbol.lower())
    for symbol in given:
        if symbol not in stems:
            stem = f"{symbol}_"
            while stem.lower() in taken:
                stem += "_"
            stems[symbol] = stem
            taken.add(stem.lower())
    return {symbol: f"{stems[symbol]}.html" for symbol in given}


@dataclass(frozen=True)
class SymbolSummary:
    """What remains of a symbol's result once the result itself is released.

    Attributes:
        figures: `WalkForwardResult.to_dict`.
        days: number of evaluated bars.
        forecasts: number of forecasts.
        returns: daily returns of each strategy.
        closes: last close of each date.
        sessions: sessions a year.
        risk_free: yearly risk-free rate.
    """

    figures: dict[str, Any]
    days: int
    forecasts: int
    returns: pd.DataFrame
    closes: pd.Series[float]
    sessions: float
    risk_free: float

    @classmethod
    def of(cls, result: WalkForwardResult) -> SymbolSummary:
        """Summarise a result."""
        close = result.bars.frame["close"]
        dates = pd.DatetimeIndex(close.index).tz_localize(None).normalize()
        closes = pd.Series(close.to_numpy(), dates).groupby(level=0).last()
        settings = result.settings
        return cls(
            result.to_dict(), len(result.dates), sum(plan.forecasts for plan in result.plans),
            result.returns, closes,
            settings.market.sessions_per_year, settings.risk_free,
        )  # fmt: skip


class Combined:
    """Summaries of several symbols; `print` shows tables of 80 characters.

    Attributes:
        symbols: `WalkForwardResult.to_dict` of each symbol.
        errors: error message of each symbol that failed.
        weights: weights of the symbols in the portfolio, see `marketsim.metrics.portfolio`.
    """

    def __init__(self, weights: Weights = "equal") -> None:
        self.symbols: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, str] = {}
        self.weights: Weights = weights
        self._days: dict[str, int] = {}
        self._returns: dict[str, pd.DataFrame] = {}
        self._closes: dict[str, pd.Series[float]] = {}
        self._sessions = 0.0
        self._risk_free = 0.0
        self._portfolio: pd.DataFrame | None = None

    def add(self, symbol: str, summary: SymbolSummary) -> None:
        """Add the summary of a symbol."""
        self.symbols[symbol] = summary.figures
        self._days[symbol] = summary.days
        self._returns[symbol] = summary.returns
        self._closes[symbol] = summary.closes
        self._sessions = max(self._sessions, summary.sessions)
        self._risk_free = summary.risk_free
        self._portfolio = None

    def fail(self, symbol: str, message: str) -> None:
        """Record the error of a symbol."""
        self.errors[symbol] = message

    @property
    def portfolio(self) -> pd.DataFrame:
        """Net returns of the portfolio of all symbols: one row per day, one column per strategy."""
        if self._portfolio is None:
            found = portfolio_returns(self._returns, weights=self.weights, closes=self._closes)
            names = [name for name in self._strategy_names() if name in found.columns]
            self._portfolio = found[names]
        return self._portfolio

    def portfolio_figures(self) -> list[dict[str, Any]]:
        """Compute the portfolio's figures: one dictionary per strategy; None where undefined."""
        returns = self.portfolio
        found = performance(
            returns.to_numpy().T,
            periods_per_year=self._sessions,
            sessions_per_year=self._sessions,
            risk_free=self._risk_free,
        )._asdict()
        names = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown")
        return [
            {"strategy": str(name)} | {key: _finite(float(found[key][i])) for key in names}
            for i, name in enumerate(returns.columns)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        found: dict[str, Any] = {"symbols": list(self.symbols.values()), "errors": self.errors}
        if self.symbols:
            days = self.portfolio.index
            found["portfolio"] = {
                "weights": self.weights,
                "days": len(days),
                "first_day": days[0].isoformat(),
                "last_day": days[-1].isoformat(),
                "sessions_per_year": self._sessions,
                "strategies": self.portfolio_figures(),
            }
        return found

    def __str__(self) -> str:
        if not self.symbols:
            return "no symbol could be run"
        return "\n".join(
            [
                *blocks(*self.symbol_cells()),
                "",
                *blocks(*self.strategy_cells()),
                "",
                *blocks(*self.portfolio_cells()),
                "",
                *textwrap.wrap(_NOTE, 80),
                *textwrap.wrap(self._portfolio_note(), 80),
            ]
        )

    def portfolio_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells: one row per strategy, for the portfolio of all symbols."""
        rows = []
        for figures in self.portfolio_figures():
            curve = np.cumprod(1.0 + self.portfolio[figures["strategy"]].to_numpy())
            rows.append(
                [
                    figures["strategy"],
                    _text(figures["total_return"], "percent"),
                    _text(figures["annual_return"], "percent"),
                    _text(figures["volatility"], "depth"),
                    _text(figures["sharpe"], "ratio"),
                    _text(figures["max_drawdown"], "depth"),
                    sparkline([1.0, *curve.tolist()], 12),
                ]
            )
        head = ["portfolio", "return", "annual", "volatility", "Sharpe", "max dd", "equity"]
        return head, rows

    def _portfolio_note(self) -> str:
        days = self.portfolio.index
        counts = sum(
            (
                pd.Series(1, frame.index).reindex(days, fill_value=0)
                for frame in self._returns.values()
            ),
            pd.Series(0, days),
        )
        rule = (
            "equal weights"
            if self.weights == "equal"
            else ("weights by the inverse volatility of the 60 days before")
        )
        few, most, total = int(counts.min()), int(counts.max()), len(self._returns)
        held = f"all {total} symbols" if few == total else f"{few} to {most} of {total} symbols"
        return (
            f"portfolio: {rule}, rebalanced daily at no cost over the symbols with a return; "
            f"{held} on each of {len(days):,} days, {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}; "
            f"annualised by {self._sessions:g} sessions a year."
        )

    def symbol_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells: one row per symbol, the compounded return per strategy."""
        names = self._strategy_names()
        head = ["symbol", "days", *names, "MAE", "cover"]
        rows = []
        for symbol, found in self.symbols.items():
            returns = {row["strategy"]: row["total_return"] for row in found["strategies"]}
            close = next(row for row in found["skill"] if row["target"] == "close")
            rows.append(
                [
                    symbol,
                    str(self._days[symbol]),
                    *(_text(returns.get(name), "percent") for name in names),
                    _text(close["mae_ratio"], "factor"),
                    _text(close["coverage"], "share"),
                ]
            )
        return head, rows

    def strategy_cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells: one row per strategy, over all symbols."""
        rows = []
        for name in self._strategy_names():
            found = [
                row
                for symbol in self.symbols.values()
                for row in symbol["strategies"]
                if row["strategy"] == name
            ]
            returns = np.array([_number(row["total_return"]) for row in found])
            sharpes = np.array([_number(row["sharpe"]) for row in found])
            defined = sharpes[~np.isnan(sharpes)]
            rows.append(
                [
                    name,
                    _text(float(returns.mean()), "percent"),
                    _text(float(np.median(returns)), "percent"),
                    _text(float(np.median(defined)) if defined.size else None, "ratio"),
                    _text(float((returns > 0.0).mean()), "share"),
                ]
            )
        return ["over all symbols", "mean return", "median", "median Sharpe", "above 0"], rows

    def write_pages(self, folder: Path, pages: Mapping[str, str]) -> None:
        """Write the portfolio's page, and an index that links it and each symbol's `pages`."""
        from marketsim.report.data import ReportData, Table
        from marketsim.report.html import write_index, write_report

        head, rows = self.symbol_cells()
        data = None
        links = {symbol: pages[symbol] for symbol in self.symbols}
        title = f"Walk-forward backtests of {len(rows)} symbols"
        if self.symbols:
            name = f"portfolio of {len(rows)}, {self.weights} weights"
            portfolio_head, portfolio_rows = self.portfolio_cells()
            figures = Table(
                "Portfolio",
                portfolio_head[:-1],
                [row[:-1] for row in portfolio_rows],
                note=self._portfolio_note(),
                emphasis=self._baselines(),
            )
            returns = self.portfolio
            equity = {
                str(key): np.asarray(np.cumprod(1.0 + returns[key].to_numpy()), dtype=np.float64)
                for key in returns
            }
            data = ReportData(
                name, title, [self._portfolio_note()], [figures], returns.index.to_numpy(), equity,
                self._baselines(), None, [], None,
                {"symbols": ", ".join(self.symbols), "weights": self.weights},
            )  # fmt: skip
            data = replace(data, home=INDEX)
            write_report(data, folder / PORTFOLIO)
            by_strategy = {row[0]: row[1] for row in portfolio_rows}
            cells = [by_strategy.get(column, "–") for column in head[2:]]
            rows = [[name, str(len(returns)), *cells], *rows]
            links = {name: PORTFOLIO} | links
        table = Table("Compounded returns of the strategies", head, rows, note=_NOTE)
        write_index(folder / INDEX, title, table, links, portfolio=data, failures=self.errors)

    def _baselines(self) -> frozenset[str]:
        """Names of the naive baselines."""
        for found in self.symbols.values():
            rows = found["strategies"]
            return frozenset(row["strategy"] for row in rows if row["kind"] == "baseline")
        return frozenset()

    def _strategy_names(self) -> list[str]:
        for found in self.symbols.values():  # the first: all symbols have the same strategies
            return [row["strategy"] for row in found["strategies"]]
        return []


_NOTE = (
    "returns: compounded, out of sample, after costs. MAE: of the forecasts of the close, relative "
    "to no change; below 1 is better. cover: actual closes between the 10 % and 90 % quantiles."
)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _text(value: float | None, kind: str) -> str:
    return format_value(_number(value), kind)
