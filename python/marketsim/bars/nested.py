"""JSON of exchanges, brokers and tools to a frame: lists of candles, and records by symbol."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any

import pandas as pd

from marketsim.bars.layouts import GENERIC, choose_headless, find_layout, fold
from marketsim.bars.limits import check_columns, check_json
from marketsim.bars.text import RawTable
from marketsim.bars.zone_names import STATED, zone_of_content
from marketsim.errors import FileFormatError

_EXPECTED = "expected a list of candles [time, open, high, low, close, volume], or of records"
_KEYS = (
    "bars", "results", "result", "candles", "data", "values", "historical", "prices", "quotes",
    "list", "ohlc", "ohlcv", "klines", "items", "rows", "records", "history", "chart", "payload",
)  # fmt: skip
_DEPTH = 6


def read_json(path: Path, data: bytes) -> RawTable:
    """Read JSON of candles.

    Raises:
        FileFormatError: it is no JSON, holds no candles, or more than `bars.limits` allow.

    """
    check_json(str(path), data)
    notes: list[str] = []
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        content = _json_lines(data)
        if content is None:
            raise FileFormatError(f"{path} is not JSON ({str(error)[:100]}): {_EXPECTED}") from None
        notes = ["read as one JSON value a line"]
    table = table_of(content, str(path))
    table.notes[:0] = notes
    return table


def _json_lines(data: bytes) -> list[Any] | None:
    """The values of lines that are JSON each; None if some line is not."""
    try:
        values = [json.loads(line) for line in data.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None
    return values if len(values) > 1 else None


def table_of(content: Any, where: str) -> RawTable:
    """A table of nested lists and dicts, such as ccxt's.

    Raises:
        FileFormatError: there are no candles in it.

    """
    found = _rows(content, 0)
    if found is None:
        raise FileFormatError(f"{where} holds no candles, but {reprlib.repr(content)}: {_EXPECTED}")
    rows, symbols = found
    said: list[str] = []
    if isinstance(rows[0], dict):
        rows, said = _flat_candles(rows)
    if isinstance(rows[0], dict):
        check_columns(where, len(set().union(*rows)))
        frame = pd.DataFrame.from_records(rows)
        layout = None
        notes: list[str] = said
    else:
        width = max(len(row) for row in rows)
        check_columns(where, width)
        head = [[str(cell) for cell in row] for row in rows[:40]]
        chosen = choose_headless([row for row in head if len(row) == width])
        if chosen is None:
            raise FileFormatError(
                f"{where} holds lists of {width} values, first {rows[0]!r:.80}: {_EXPECTED}, in "
                "which high is the highest and low the lowest price"
            )
        frame = pd.DataFrame(list(rows), columns=pd.Index(chosen.fields, dtype=object))
        layout, notes = chosen.layout, [chosen.evidence]
        if layout is find_layout("kraken8"):
            notes = ["read as Kraken OHLC of the API"]
    if symbols is not None and "symbol" not in frame.columns:
        frame["symbol"] = symbols
    return RawTable(frame, notes, layout)


def _rows(content: Any, depth: int) -> tuple[list[Any], list[str] | None] | None:
    """The list of candles in nested content, and the symbol of each where they are by symbol."""
    if depth > _DEPTH:
        return None
    if isinstance(content, dict) and "indicators" not in content:
        found = _rows_of(content, depth)
        zone = zone_of_content(content)
        if found is not None and zone and all(isinstance(row, dict) for row in found[0]):
            return [{STATED: zone} | row for row in found[0]], found[1]
        return found
    return _rows_of(content, depth)


def _rows_of(content: Any, depth: int) -> tuple[list[Any], list[str] | None] | None:
    """As `_rows`, without the zone that the content names."""
    if isinstance(content, list | tuple):
        rows = list(content)
        if rows and all(isinstance(row, list | tuple) and len(row) >= 5 for row in rows):
            return rows, None
        if rows and all(isinstance(row, dict) for row in rows):
            nested = _rows(rows[0], depth + 1) if len(rows) == 1 else None
            width = len(rows[0]) + sum(len(v) for v in rows[0].values() if isinstance(v, dict))
            return nested or ((rows, None) if width >= 5 else None)
        return None
    if not isinstance(content, dict):
        return None
    series = next((v for k, v in content.items() if "Time Series" in str(k)), None)
    if isinstance(series, dict):  # Alpha Vantage: date -> record
        return [{"timestamp": date, **record} for date, record in series.items()], None
    symbol = content.get("symbol") or content.get("ticker") or content.get("pair")
    if "indicators" in content and "timestamp" in content:
        return _yahoo(content)
    records = _records(content)
    if records is not None:
        return records, None
    for key in _KEYS:
        if key in content:
            found = _rows(content[key], depth + 1)
            if found is not None:
                rows, symbols = found
                named = isinstance(symbol, str) and symbols is None
                return rows, [str(symbol)] * len(rows) if named else symbols
    by_symbol = {key: _rows(value, depth + 1) for key, value in content.items()}
    held = {key: found for key, found in by_symbol.items() if found is not None}
    if not held:
        return _columns(content)
    rows = [row for found, _ in held.values() for row in found]
    symbols = [str(key) for key, (found, _) in held.items() for _ in found]
    if len({type(row) for row in rows}) != 1:
        return None
    return rows, symbols


def _flat_candles(rows: list[Any]) -> tuple[list[Any], list[str]]:
    """Candles within their records, as OANDA has them: {"time": ..., "mid": {"o": ..., ...}}."""
    quotes = [key for key, value in rows[0].items() if isinstance(value, dict) and "bid" in value]
    if len(quotes) > 3:  # IG: {"openPrice": {"bid": ..., "ask": ...}, ...}
        bids = [
            {k: v.get("bid") if isinstance(v, dict) else v for k, v in row.items()} for row in rows
        ]
        return bids, ["prices are bids"]
    kind = next((k for k in ("mid", "bid", "ask") if isinstance(rows[0].get(k), dict)), None)
    if kind is None:
        return rows, []
    flat = []
    for row in rows:
        candle = row.get(kind)
        rest = {key: value for key, value in row.items() if not isinstance(value, dict)}
        flat.append(rest | (candle if isinstance(candle, dict) else {}))
    long = {"o": "open", "h": "high", "l": "low", "c": "close"}
    return [{long.get(key, key): value for key, value in row.items()} for row in flat], [
        f"prices from {kind!r}"
    ]


def _records(content: dict[str, Any]) -> list[Any] | None:
    """What pandas writes: {"columns": ..., "data": ...}, by column, or by time; None if neither."""
    names, data, index = (content.get(key) for key in ("columns", "data", "index"))
    if isinstance(names, list) and isinstance(data, list) and index is None and data:
        named = {GENERIC.get(fold(name)) for name in names if isinstance(name, str)}
        if {"open", "high", "low", "close"} <= named and all(
            isinstance(row, list) and len(row) == len(names) for row in data
        ):
            return [dict(zip(names, row, strict=True)) for row in data]
    if isinstance(names, list) and isinstance(data, list) and isinstance(index, list):
        if len(data) != len(index) or not all(
            isinstance(row, list) and len(row) == len(names) for row in data
        ):
            return None
        return [
            {"timestamp": time} | dict(zip(map(str, names), row, strict=True))
            for time, row in zip(index, data, strict=True)
        ]
    if not content or not all(isinstance(value, dict) for value in content.values()):
        return None
    if _price_names(content) > 3:  # by column
        times = list(dict.fromkeys(time for column in content.values() for time in column))
        return [
            {"timestamp": time} | {name: column.get(time) for name, column in content.items()}
            for time in times
        ]
    first = next(iter(content.values()))
    dated = any(GENERIC.get(fold(name)) == "timestamp" for name in first)
    nested = any(isinstance(value, dict | list) for value in first.values())
    if _price_names(first) > 3 and not dated and not nested:
        return [{"timestamp": time} | record for time, record in content.items()]
    return None


def _price_names(record: dict[str, Any]) -> int:
    return len({GENERIC.get(fold(name)) for name in record} & {"open", "high", "low", "close"})


def _yahoo(content: dict[str, Any]) -> tuple[list[Any], list[str] | None] | None:
    """One result of Yahoo's chart: times beside lists of prices."""
    indicators, meta = content["indicators"], content.get("meta")
    try:
        lists = dict(indicators["quote"][0])
        if indicators.get("adjclose"):
            lists["adj close"] = indicators["adjclose"][0]["adjclose"]
    except (KeyError, IndexError, TypeError):
        return None
    meta = meta if isinstance(meta, dict) else {}
    found = _columns({"timestamp": _in_zone(content["timestamp"], meta), **lists})
    symbol = meta.get("symbol")
    if found is None or symbol is None:
        return found
    return found[0], [str(symbol)] * len(found[0])


def _in_zone(times: Any, meta: dict[str, Any]) -> Any:
    """Unix seconds on the clock of the exchange that Yahoo names, where it names one."""
    zone = meta.get("exchangeTimezoneName")
    try:
        moments = pd.to_datetime(times, unit="s", utc=True)
        return list(moments.tz_convert(zone)) if isinstance(zone, str) else times
    except (ValueError, TypeError, OverflowError, KeyError):
        return times  # reported, as any timestamps that cannot be read


def _columns(content: dict[str, Any]) -> tuple[list[Any], None] | None:
    """Columns of equal length, as pandas and some brokers write them."""
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    if len(lists) < 5 or len({len(value) for value in lists.values()}) != 1:
        return None
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)], None
