"""Check a report's data for consistency before anything is drawn."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from marketsim.errors import ArgumentError
from marketsim.report.data import Candles, Fan, Heatmap, ReportData, Table
from marketsim.report.text import clip

MARKER_KINDS = ("long entry", "long exit", "short entry", "short exit")
# Characters that a path, a URL or a shell would interpret.
_NOT_IN_A_NAME = re.compile(r"[/\\:?#%*\"<>|]")
_LONGEST_NAME = 255  # bytes, of the usual file systems


def check_data(data: ReportData) -> None:
    """Raise ArgumentError if lengths differ or a value is unknown."""
    _check_dates("dates", data.dates)
    for name, values in data.equity.items():
        shown = clip(name, 60)
        _check_shape(f"equity of {shown!r}", values, (len(data.dates),), "the length of dates")
    for table in (*data.tables, *(t for own in data.by_strategy.values() for t in own)):
        check_table(table)
    for name, values in data.rolling.items():
        shown = clip(name, 60)
        _check_shape(f"rolling of {shown!r}", values, (len(data.dates),), "the length of dates")
    for trades in data.trades:
        count = (len(trades.entry),)
        for column in ("side", "exit", "entry_price", "exit_price", "net"):
            name = f"{column} of the trades of {clip(trades.strategy, 60)!r}"
            _check_shape(name, getattr(trades, column), count, "one a trade")
    problem = _link_problem(data.home) if data.home else None
    if problem:
        raise ArgumentError(
            "home must be a plain file name that ends in .html, such as 'index.html': "
            f"got {clip(data.home, 80)!r}, {problem}"
        )
    if data.candles is not None:
        _check_candles(data.candles)
    for fan in data.fans:
        _check_fan(fan)
    if data.heatmap is not None:
        _check_heatmap(data.heatmap)


def check_table(table: Table) -> None:
    """Raise ArgumentError if a row's number of cells differs from the table's columns."""
    title, width = clip(table.title, 60), len(table.columns)
    for i, row in enumerate(table.rows):
        if isinstance(row, str) or len(row) != width:
            got = "a str" if isinstance(row, str) else f"{len(row)} cells"
            raise ArgumentError(
                f"row {i} of table {title!r} must be a list of {width} cells, one a column: "
                f"got {got}"
            )


def check_links(links: Mapping[str, str], table: Table) -> None:
    """Raise ArgumentError for a link that is not a plain .html file name or has no row."""
    names = {str(row[0]) for row in table.rows if row}
    for name, target in links.items():
        shown = clip(name, 60)
        problem = _link_problem(target)
        if problem:
            raise ArgumentError(
                f"the link of {shown!r} must be a plain file name that ends in .html, such as "
                f"'AAPL.html': got {clip(target, 80)!r}, {problem}"
            )
        if name not in names:
            raise ArgumentError(
                f"the link of {shown!r} has no row: expected the first cell of one of the "
                f"{len(table.rows)} rows of the table"
            )


def _link_problem(target: object) -> str | None:
    if not isinstance(target, str):
        return f"a {type(target).__name__}"
    if not target.endswith(".html") or target == ".html":
        return "which does not"
    if target.startswith((".", "-", "~")):
        return f"which begins with {target[0]!r}"
    if target != target.strip():
        return "which begins or ends with a space"
    foreign = _NOT_IN_A_NAME.search(target)
    if foreign:
        return f"which holds {foreign.group()!r}"
    if any(unicodedata.category(character).startswith(("C", "Z")) for character in target):
        return "which holds a space, a control or an invisible character"
    size = len(target.encode())
    return f"which has {size} bytes, more than {_LONGEST_NAME}" if size > _LONGEST_NAME else None


def _check_candles(candles: Candles) -> None:
    _check_dates("dates of the candles", candles.dates)
    days = (len(candles.dates),)
    for column in ("open", "high", "low", "close"):
        _check_shape(f"{column} of the candles", getattr(candles, column), days, "their dates")
    for name, values in candles.lines.items():
        _check_shape(f"line {name!r} of the candles", values, days, "their dates")
    for markers in candles.markers:
        if markers.kind not in MARKER_KINDS:
            raise ArgumentError(
                f"kind of markers must be one of {', '.join(MARKER_KINDS)}: "
                f"got {clip(markers.kind, 60)!r}"
            )
        fills = (len(markers.day),)
        _check_shape(f"price of the {markers.kind} markers", markers.price, fills, "their days")
        if np.asarray(markers.day).dtype.kind not in "iu" and len(markers.day):
            raise ArgumentError(
                f"days of the {markers.kind} markers must be integers, positions on the day axis: "
                f"got {np.asarray(markers.day).dtype}"
            )


def _check_fan(fan: Fan) -> None:
    name = f"of the {clip(fan.target, 60)!r} fan"
    _check_dates(f"dates {name}", fan.dates)
    days, levels = len(fan.dates), list(fan.levels)
    _check_shape(f"quantiles {name}", fan.quantiles, (days, len(levels)), "[day, level]")
    _check_shape(f"actual {name}", fan.actual, (days,), "its dates")
    inside = all(0.0 < level < 1.0 for level in levels)
    if not levels or not inside or any(a >= b for a, b in pairwise(levels)):
        raise ArgumentError(f"levels {name} must ascend between 0 and 1: got {levels[:20]}")


def _check_heatmap(heatmap: Heatmap) -> None:
    rows, columns = len(heatmap.low), len(heatmap.high)
    if not rows or not columns:
        raise ArgumentError(
            f"the heatmap needs offsets: got {columns} of the high and {rows} of the low; "
            "give heatmap=None where there are none"
        )
    _check_shape("profit of the heatmap", heatmap.profit, (rows, columns), "[low, high]")
    for name, offsets in (("high", heatmap.high), ("low", heatmap.low)):
        if not np.isfinite(offsets).all():
            raise ArgumentError(f"the {name} offsets of the heatmap must be finite: got NaN or inf")


def _check_dates(name: str, dates: object) -> None:
    array = np.asarray(dates)
    if array.dtype.kind != "M" or array.ndim != 1:
        raise ArgumentError(
            f"{name} must be one-dimensional datetime64: got {array.dtype} {list(array.shape)}"
        )


def _check_shape(name: str, values: object, expected: Sequence[int], meaning: str) -> None:
    array = np.asarray(values)
    if array.shape != tuple(expected) or array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"{name} must be numbers {list(expected)} ({meaning}): "
            f"got {array.dtype} {list(array.shape)}"
        )
