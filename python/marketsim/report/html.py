"""Reports as single HTML files that need no network and no server."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from marketsim.errors import ArgumentError
from marketsim.report.check import check_data, check_links, check_table
from marketsim.report.data import ReportData, Table
from marketsim.report.detail import LEVELS, LIMIT_BYTES, Detail
from marketsim.report.explore import explore_data
from marketsim.report.figures_candles import candle_figure
from marketsim.report.figures_equity import equity_figure
from marketsim.report.figures_fan import fan_figure
from marketsim.report.figures_heatmap import heatmap_figure
from marketsim.report.figures_histogram import histogram_views
from marketsim.report.files import write_atomically
from marketsim.report.formats import percent, price
from marketsim.report.panel import Figure
from marketsim.report.series import NAME_LENGTH, line_swatch, series_styles
from marketsim.report.tables import TableView, table_view
from marketsim.report.text import clean, clip, embed_json
from marketsim.report.timeaxis import date_text

if TYPE_CHECKING:
    from jinja2 import Environment

_LIBRARY = ("uPlot.iife.min.js",)
_SCRIPTS = ("tables.js", "dates.js", "explore.js", "panels.js", "trades.js", "script.js")
_SHORT_SCRIPTS = ("tables.js", "script.js")
_SHOWN_TRADES = 12  # without the script, which shows all


def write_report(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Write a report to one HTML file below 1 MB that needs no network; return its path.

    Equal data give equal bytes. The file is written atomically.

    Raises:
        ArgumentError: inconsistent data, a path that `marketsim.report.files.check_page_path`
            refuses, or texts that alone exceed the size limit.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> days = np.array(["2024-01-02", "2024-01-03"], dtype="datetime64[D]")
        >>> data = ReportData("ABC", "Two days", [], [], days, {"simple": np.array([1.0, 1.1])},
        ...                   frozenset(), None, [], None, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_report(data, f"{folder}/ABC.html").name
        'ABC.html'

    """
    return write_atomically(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Render the report as HTML text, see `write_report`.

    Example:
        >>> import numpy as np
        >>> days = np.array(["2024-01-02"], dtype="datetime64[D]")
        >>> data = ReportData("ABC", "", [], [], days, {}, frozenset(), None, [], None, {})
        >>> "<h1>ABC</h1>" in render_report(data)
        True

    """
    check_data(data)
    size = 0
    for detail in LEVELS:
        page = _render(data, detail)
        size = len(page.encode())
        if size < LIMIT_BYTES:
            return page
    raise ArgumentError(
        f"the report has {size:,} bytes in its shortest form, expected less than "
        f"{LIMIT_BYTES:,}: give fewer tables, notes or fans, or shorter texts"
    )


def write_index(
    path: str | os.PathLike[str],
    title: str,
    table: Table,
    links: Mapping[str, str],
    *,
    portfolio: ReportData | None = None,
    failures: Mapping[str, str] | None = None,
) -> Path:
    """Write the index page of a run over many symbols; return its path.

    Args:
        path: path of the page, in the folder of the linked pages.
        title: title of the page.
        table: one row per symbol; its first cell links to the symbol's page.
        links: file of a symbol's page, such as "AAPL.html", by the first cell of its row.
        portfolio: data whose equity is drawn below the table; None for none.
        failures: why a symbol could not be run, by symbol.

    Raises:
        ArgumentError: a link that is not a plain file name ending in .html or has no row, or a
            path as in `write_report`.

    Example:
        >>> import tempfile
        >>> table = Table("Symbols", ["symbol", "Sharpe"], [["AAPL", "1.2"], ["MSFT", "0.9"]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_index(f"{folder}/index.html", "Run", table, {"AAPL": "AAPL.html"})
        ...     'href="AAPL.html"' in page.read_text()
        True

    """
    check_table(table)
    check_links(links, table)
    detail = LEVELS[0]
    explored = equity = None
    if portfolio is not None:
        check_data(portfolio)
        equity, explored = equity_figure(portfolio, detail), explore_data(portfolio, detail)
    # Without a colon or a slash, a quoted name can only be read as a file beside this one.
    targets = {name: quote(target, safe="") for name, target in links.items()}
    views = [table_view(table, links=targets)]
    if failures:
        rows = [[symbol, why] for symbol, why in failures.items()]
        views.insert(0, table_view(Table("Symbols that failed", ["symbol", "why"], rows)))
    page = (
        _environment()
        .get_template("index.html")
        .render(
            title=clip(title, NAME_LENGTH),
            tables=views,
            equity=equity,
            explored=None if explored is None else embed_json(explored),
            library_style=_vendored("uPlot.min.css"),
            **_scripts(*(_SHORT_SCRIPTS if explored is None else (*_LIBRARY, *_SCRIPTS))),
        )
    )
    return write_atomically(path, page)


def render_page(template: str, **parts: object) -> str:
    """Render a template of this package, with the style of all pages and the script of tables."""
    return _environment().get_template(template).render(**parts, **_scripts("tables.js"))


@dataclass(frozen=True)
class _Fan:
    """Forecast fan with the label of its button."""

    target: str
    figure: Figure


def _render(data: ReportData, detail: Detail) -> str:
    equity = equity_figure(data, detail)
    candles = candle_figure(data.candles, detail) if data.candles else None
    drawn = [(fan, fan_figure(fan, i, detail)) for i, fan in enumerate(data.fans)]
    fans = [_Fan(clip(fan.target, NAME_LENGTH), figure) for fan, figure in drawn if figure]
    heatmap = heatmap_figure(data.heatmap, detail) if data.heatmap else None
    tables = _tables(data.tables, data, detail)
    chosen = {
        clip(name, NAME_LENGTH): _tables(own, data, detail)
        for name, own in data.by_strategy.items()
    }
    explored = explore_data(data, detail)
    template = _environment().get_template("report.html")
    return template.render(
        title=clip(data.title, detail.text),
        subtitle=clip(data.subtitle, detail.text),
        home=quote(data.home, safe=""),
        summary=tables[:1],
        tables=tables[1:],
        equity=equity,
        candles=candles,
        strategies=[clip(trades.strategy, NAME_LENGTH) for trades in data.trades],
        selected=clip(data.selected, NAME_LENGTH),
        by_strategy=chosen,
        trades=_last_trades(data, detail),
        fans=fans,
        heatmap=heatmap,
        histograms=histogram_views(list(data.histograms), detail.text),
        notes=[clip(note, detail.text) for note in data.notes],
        provenance=[[clip(part, detail.text) for part in pair] for pair in data.provenance.items()],
        explored=None if explored is None else embed_json(explored),
        library_style=_vendored("uPlot.min.css"),
        **_scripts(*(_SHORT_SCRIPTS if explored is None else (*_LIBRARY, *_SCRIPTS))),
    )


def _last_trades(data: ReportData, detail: Detail) -> TableView | None:
    """Lay out the last trades of the selected strategy, for a page without its script."""
    trades = next((t for t in data.trades if t.strategy == data.selected), None)
    if trades is None or not len(trades.entry):
        return None
    dates, count = data.dates, len(trades.entry)
    last = range(max(0, count - min(_SHOWN_TRADES, detail.rows)), count)

    def date(at: int) -> str:
        return date_text(dates[at]) if 0 <= at < len(dates) else "\N{EN DASH}"

    rows = [
        [
            str(i + 1),
            "long" if trades.side[i] > 0 else "short",
            date(int(trades.entry[i])), price(float(trades.entry_price[i])), trades.entry_kind[i],
            date(int(trades.exit[i])), price(float(trades.exit_price[i])), trades.exit_kind[i],
            percent(float(trades.net[i]), 2, signed=True),
        ]
        for i in last
    ]  # fmt: skip
    note = f"The last {len(rows)} of {count:,} trades." if len(rows) < count else ""
    heads = ["trade", "side", "entered", "at", "by", "left", "at", "by", "net"]
    return table_view(Table(f"Trades of {trades.strategy}", heads, rows, note), text=detail.text)


def _tables(tables: Sequence[Table], data: ReportData, detail: Detail) -> list[TableView]:
    """Lay out the tables; a row named like a curve carries the curve's mark."""
    styles = series_styles(data.equity, data.baselines)
    swatches = {name: line_swatch(style) for name, style in styles.items()}
    return [
        table_view(table, most=detail.rows, text=detail.text, swatches=swatches) for table in tables
    ]


@cache
def _environment() -> Environment:
    # Import on use: the rest of marketsim starts faster without it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("marketsim.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
    )


@cache
def _asset(name: str) -> Markup:
    """Read the style or a script of this package."""
    environment = _environment()
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source.strip())  # safe: a file of this package


@cache
def _vendored(name: str) -> Markup:
    """Read a file of the chart library, which is part of this package."""
    folder = resources.files("marketsim.report") / "vendor"
    return Markup((folder / name).read_text().strip())  # safe: a file of this package


@cache
def _scripts(*names: str) -> dict[str, Markup]:
    """Return the page's style, its one script and the hash that its policy allows.

    The chart library comes first, below its licence.
    """
    parts = []
    for name in names:
        if name in _LIBRARY:
            parts += [Markup("/*\n{}\n*/").format(_vendored("uPlot-LICENSE.txt")), _vendored(name)]
        else:
            parts.append(_asset(name))
    script = Markup("\n").join(parts)
    digest = hashlib.sha256(script.encode()).digest()
    return {
        "style": _asset("style.css"),
        "script": script,
        "script_hash": Markup(base64.b64encode(digest).decode()),
    }
