"""Compare runs in one table: several models, or several symbols, with a paired test."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import numpy as np
import pandas as pd

from marketsim.errors import ArgumentError
from marketsim.metrics import diebold_mariano
from marketsim.text import aligned, json_rows, printable, sparkline
from marketsim.walkforward.summary import format_value

_HEADS: tuple[tuple[str, str, str], ...] = (
    ("total_return", "return", "percent"),
    ("sharpe", "Sharpe", "ratio"),
    ("max_drawdown", "max dd", "depth"),
    ("trades", "trades", "count"),
    ("difference_bps", "diff bp", "ratio"),
    ("p_value", "p", "ratio"),
)
COMPARISON_NOTE = (
    "diff bp: mean net return of a day (of a bar, where it is longer) less that of the same "
    "strategy in the first run, in basis points. p: of no difference, paired by day "
    "(Newey-West); – where the days differ."
)


class _Summary(Protocol):
    """Figures of a run that a comparison reads."""

    @property
    def strategies(self) -> pd.DataFrame: ...


class _Run(Protocol):
    """Members of `WalkForwardResult` and `SavedRun` that a comparison reads."""

    @property
    def returns(self) -> pd.DataFrame: ...

    def summary(self) -> _Summary: ...


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Figures of each strategy in each run; `print` shows a table.

    Attributes:
        frame: one row per strategy and run; columns strategy, run, total_return, annual_return,
            sharpe, max_drawdown, trades, difference_bps (mean daily net return less that of the
            first run, basis points) and p_value (of no difference, paired by day; NaN in the first
            run and where the days differ). Fractions, not percent.
        equity: equity of each row at the end of each day, from 1 at the start.
    """

    frame: pd.DataFrame
    equity: tuple[pd.Series[float], ...]

    def __str__(self) -> str:
        head, rows = self.cells()
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        room = min(12, 80 - sum(widths) - 2 * len(widths))
        if room >= 6:
            head.append("equity")
            for row, curve in zip(rows, self.equity, strict=True):
                row.append(sparkline(curve.tolist(), room))
        return "\n".join([*aligned(head, rows), "", *textwrap.wrap(COMPARISON_NOTE, 80)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        head, rows = self.cells()
        cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows)
        return (
            f"<table><tr>{cells}</tr>{body}</table><p><small>{escape(COMPARISON_NOTE)}</small></p>"
        )

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return heads and formatted text of the table."""
        rows = [
            [
                printable(row["strategy"], 17),
                printable(row["run"], 16),
                *(format_value(row[name], kind) for name, _, kind in _HEADS),
            ]
            for row in self.frame.to_dict("records")
        ]
        return ["strategy", "run", *(head for _, head, _ in _HEADS)], rows

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the rows as values that JSON can represent."""
        return json_rows(self.frame.to_dict("records"))


def compare(results: Mapping[str, _Run]) -> Comparison:
    """Compare the strategies of several runs, each with the same strategy of the first run.

    Args:
        results: `WalkForwardResult` by name: several models on one symbol, or several symbols.
            Strategies that not every run has are left out, and the naive baselines.

    Returns:
        `Comparison`; the paired test needs runs of the same days.

    Raises:
        ArgumentError: fewer than two runs, or no strategy in common.

    Example:
        >>> bars = ms.demo_bars()  # doctest: +SKIP
        >>> ms.compare({m: ms.walk_forward(bars, m) for m in ("ewma", "range")})  # doctest: +SKIP

    Source of the test: Diebold and Mariano, Comparing predictive accuracy (1995), with the net
    return as the loss.
    """
    if len(results) < 2:
        raise ArgumentError(f"a comparison needs at least two runs: got {len(results)}")
    tables = {name: result.summary().strategies for name, result in results.items()}
    returns = {name: result.returns for name, result in results.items()}
    first = next(iter(tables))
    chosen = tables[first].index[tables[first]["kind"] == "strategy"]
    shared = [s for s in chosen if all(s in t.index for t in tables.values())]
    if not shared:
        raise ArgumentError("a comparison needs a strategy that every run has: got none")
    rows, curves = [], []
    for strategy in shared:
        base = returns[first][strategy]
        for name, table in tables.items():
            net = returns[name][strategy]
            row: dict[str, Any] = {"strategy": str(strategy), "run": name}
            figures = ("total_return", "annual_return", "sharpe", "max_drawdown", "trades")
            row |= {figure: float(table.loc[strategy, figure]) for figure in figures}
            difference, p_value = math.nan, math.nan
            if name != first and net.index.equals(base.index):
                found = diebold_mariano(-net.to_numpy(), -base.to_numpy())
                difference, p_value = 0.0 - found.difference * 1e4, found.p_value
            rows.append(row | {"difference_bps": difference, "p_value": p_value})
            curve = np.concatenate(([1.0], np.cumprod(1.0 + net.to_numpy())))
            start = net.index[:1] - pd.Timedelta(1, "D")
            curves.append(pd.Series(curve, start.append(net.index), name=f"{strategy} ({name})"))
    return Comparison(pd.DataFrame(rows), tuple(curves))
