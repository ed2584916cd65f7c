"""Tables of the figures of several symbols."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from marketsim.text import aligned
from marketsim.walkforward import WalkForwardResult
from marketsim.walkforward.summary import format_value

INDEX = "index.html"
"""The name of the page that lists the symbols."""


def page_names(symbols: Iterable[str]) -> dict[str, str]:
    """Distinct file names for the symbols' pages, none of them the index's.

    Names that differ in case only count as one, as they are on some file systems.

    Example:
        >>> page_names(["AAPL", "INDEX"])
        {'AAPL': 'AAPL.html', 'INDEX': 'INDEX_.html'}
    """
    given = list(symbols)
    taken = {INDEX.removesuffix(".html")}
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


class Combined:
    """Collects the summaries of symbols; `print` gives two tables.

    Attributes:
        symbols: what `WalkForwardResult.to_dict` gave, by symbol.
        errors: why a symbol could not be run, by symbol.
    """

    def __init__(self) -> None:
        self.symbols: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, str] = {}
        self._days: dict[str, int] = {}

    def add(self, result: WalkForwardResult) -> None:
        """Take in the figures of a symbol."""
        self.symbols[result.bars.symbol] = result.to_dict()
        self._days[result.bars.symbol] = len(result.dates)

    def fail(self, symbol: str, message: str) -> None:
        """Note that a symbol could not be run."""
        self.errors[symbol] = message

    def to_dict(self) -> dict[str, Any]:
        """All figures as JSON values."""
        return {"symbols": list(self.symbols.values()), "errors": self.errors}

    def __str__(self) -> str:
        if not self.symbols:
            return "no symbol could be run"
        by_symbol = aligned(*self.symbol_cells())
        return "\n".join([*by_symbol, "", *aligned(*self.strategy_cells()), "", _NOTE])

    def symbol_cells(self) -> tuple[list[str], list[list[str]]]:
        """Heads and text: a row a symbol, the compounded return of each strategy."""
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
        """Heads and text: a row a strategy, over all symbols."""
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

    def write_index(self, path: Path, pages: Mapping[str, str]) -> None:
        """Write a page that lists the symbols and links to their reports, `pages` by symbol."""
        from marketsim.report.data import Table
        from marketsim.report.html import write_index

        head, rows = self.symbol_cells()
        failed = "".join(
            f" {symbol} could not be run: {why}." for symbol, why in self.errors.items()
        )
        table = Table("Compounded returns of the strategies", head, rows, note=_NOTE + failed)
        links = {symbol: pages[symbol] for symbol in self.symbols}
        write_index(path, f"Walk-forward backtests of {len(rows)} symbols", table, links)

    def _strategy_names(self) -> list[str]:
        for found in self.symbols.values():  # the first: all have the same
            return [row["strategy"] for row in found["strategies"]]
        return []


_NOTE = (
    "returns: compounded, out of sample, after costs. MAE: of the forecasts of the close, relative "
    "to no change; below 1 is better. cover: actual closes between the 10 % and 90 % quantiles."
)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _text(value: float | None, kind: str) -> str:
    return format_value(_number(value), kind)
