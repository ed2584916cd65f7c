"""Pages of the replays of a folder: one a symbol, one of all accounts, and an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from marketsim.cli.combined import INDEX, PORTFOLIO

if TYPE_CHECKING:
    from marketsim.replay import ReplayResult


@dataclass(frozen=True)
class SymbolFigures:
    """What remains of a symbol's replay once the result itself is released.

    Attributes:
        figures: `ReplayResult.to_dict`.
        curves: value of the account and of buying and holding at the last bar of each date, in
            cash; columns "strategy" and "buy_and_hold".
        cash: of the account at the start.
        sessions: sessions a year; NaN where unknown.
    """

    figures: dict[str, Any]
    curves: pd.DataFrame
    cash: float
    sessions: float

    @classmethod
    def of(cls, result: ReplayResult) -> SymbolFigures:
        """Summarise a result."""
        cash, sessions = result.account.cash, result.settings["sessions_per_year"]
        curves = pd.DataFrame(
            {
                "strategy": result.equity,
                "buy_and_hold": cash * np.cumprod(1.0 + result.buy_and_hold),
            }
        )
        dates = pd.DatetimeIndex(curves.index).tz_localize(None).normalize()
        daily = curves.set_axis(dates).groupby(level=0).last()
        return cls(result.to_dict(), daily, cash, float("nan") if sessions is None else sessions)


def write_pages(
    folder: Path,
    pages: Mapping[str, str],
    found: Mapping[str, SymbolFigures],
    cells: tuple[list[str], list[list[str]]],
    errors: Mapping[str, str],
    name: str,
) -> None:
    """Write the page of all accounts, and an index that links it and each symbol's page.

    Args:
        folder: of the pages.
        pages: file of each symbol's page.
        found: what each symbol's replay left.
        cells: headings and rows of the table of the symbols: symbol, bars, return, Sharpe ratio,
            drawdown and others.
        errors: why a symbol could not be replayed.
        name: name of the strategy.
    """
    from marketsim.metrics import performance
    from marketsim.replay.reporting import figures_table
    from marketsim.report.data import ReportData, Table
    from marketsim.report.html import write_index, write_report
    from marketsim.walkforward.summary import format_value

    head, rows = cells
    title = f"Replays of {name} on {len(found):,} symbols"
    links = {symbol: pages[symbol] for symbol in found}
    data, note = None, ""
    if found:
        total, start = _together(found)
        paths = {str(key): total[key].to_numpy() / start for key in total}
        sessions = max(one.sessions for one in found.values())
        note = (
            f"All accounts together: the sum of {len(found):,} accounts that share nothing, at the "
            "last bar of each date; one without a bar keeps its value."
        )
        figures = {
            key: performance(
                np.diff(path, prepend=1.0) / np.concatenate(([1.0], path[:-1])),
                periods_per_year=sessions,
                sessions_per_year=sessions,
            )
            for key, path in paths.items()
        }
        data = ReportData(
            "All accounts together",
            f"{title}, {len(total):,} days from {total.index[0]:%Y-%m-%d} to "
            f"{total.index[-1]:%Y-%m-%d}",
            [note],
            [figures_table(figures, "After costs; buy and hold pays none.")],
            total.index.to_numpy(),
            paths,
            frozenset({"buy_and_hold"}),
            None,
            [],
            None,
            {"strategy": name, "symbols": ", ".join(found)},
            home=INDEX,
        )
        write_report(data, folder / PORTFOLIO)
        links[_TOGETHER] = PORTFOLIO
        of_all = figures["strategy"]
        shown = [
            format_value(float(value), kind)
            for value, kind in (
                (of_all.total_return, "percent"),
                (of_all.sharpe, "ratio"),
                (of_all.max_drawdown, "depth"),
            )
        ]
        blank = [""] * (len(head) - 2 - len(shown))
        rows = [[_TOGETHER, f"{len(total):,}", *shown, *blank], *rows]
    table = Table("Symbols, each in an account of its own", head, rows, note=note)
    write_index(folder / INDEX, title, table, links, portfolio=data, failures=errors)


_TOGETHER = "all accounts"


def _together(found: Mapping[str, SymbolFigures]) -> tuple[pd.DataFrame, float]:
    """The value of all accounts on each date, in cash, and at the start."""
    dates = pd.DatetimeIndex(np.unique(np.concatenate([f.curves.index for f in found.values()])))
    total = pd.DataFrame(0.0, dates, ["strategy", "buy_and_hold"])
    for one in found.values():
        total += one.curves.reindex(dates).ffill().fillna(one.cash)
    return total, sum(one.cash for one in found.values())
