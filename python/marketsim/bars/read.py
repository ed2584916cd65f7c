"""read_bars: any source of OHLCV rows to checked Bars, or one error that names every defect."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marketsim.bars.bars import Bars
from marketsim.bars.columns import (
    ADJUSTED_CLOSE,
    COLUMNS,
    PRICES,
    SPLIT,
    select_columns,
)
from marketsim.bars.defect import Defect, counted, raise_defects
from marketsim.bars.evidence import find_several
from marketsim.bars.exchange import require_fit
from marketsim.bars.files import (
    FolderListing,
    as_path,
    is_folder,
    read_file,
    split_name,
    symbol_of_stem,
)
from marketsim.bars.gaps import longest_hole
from marketsim.bars.layouts import Layout, choose_headed
from marketsim.bars.options import ReadOptions, check_options
from marketsim.bars.proof import proven_options
from marketsim.bars.repair import apply_repairs
from marketsim.bars.sources import table_of_object
from marketsim.bars.splits import adjust
from marketsim.bars.symbol import check_symbol, symbol_of
from marketsim.bars.symbols import Tables, find_tables
from marketsim.bars.table import Table, TableOptions, build_table
from marketsim.bars.text import RawTable
from marketsim.bars.time_options import TimeOptions
from marketsim.bars.validate import find_defects, is_clean
from marketsim.bars.volumes import traded_layout
from marketsim.bars.whole_prices import (
    check_scale,
    has_fractions,
    not_whole,
    plain_scale,
    whole_layout,
)
from marketsim.bars.zone_names import zone_of_column
from marketsim.bars.zones import NAT, parse_timezone
from marketsim.errors import ArgumentError, InvalidNameError, UnknownSymbolError


def read_bars(
    path_or_frame: str | os.PathLike[str] | Any,
    *,
    symbol: str | None = None,
    timezone: str | None = None,
    adjusted: bool | str | None = None,
    repair: str | Iterable[str] = (),
    min_bars: int = 2,
    calendar: str | None = None,
    layout: str | None = None,
    columns: Mapping[str, str | list[str]] | None = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    decimal: str | None = None,
    splits: str | None = None,
) -> Bars:
    """Read OHLCV rows and check them; all defects of the data are named in one error.

    Args:
        path_or_frame: a file (text, Parquet, Feather or JSON, also in .gz and .zip), a folder of
            such files (with `symbol`, if it holds several), a frame of pandas, polars or
            pyarrow, or candles as a list or a dict. Layouts of some thirty providers are
            recognised, see docs/bars.md; other columns are ignored. `Bars.notes` says how each
            part was read.
        symbol: the name of what is traded. In a folder, and in a table of several symbols, it
            chooses. By default the file's name without its suffix; of a frame, what its column
            of symbols says, or "UNNAMED".
        timezone: an IANA name; by default the one that the source names, else what the layout
            documents, else UTC. Timestamps without a zone are in it, others are converted to it.
            Daily and slower bars keep the date that the source writes, and are stamped at
            midnight UTC; a time of the day that is written in UTC or without a zone stays.
        adjusted: needed if a column "adj close" differs from close: True scales open, high, low
            and close by adj close / close, False ignores the column; "auto" scales where there
            is one, and takes other files as they are.
        repair: names out of `REPAIRS`, applied in this order: "sort" (by timestamp),
            "drop_running" (a last bar of a day, week or month that is not over),
            "drop_duplicates" (keeps the last row of each timestamp), "widen_range" (high and low
            become the highest and lowest of the row's prices), "zero_volume" (a missing volume
            becomes 0), "drop_invalid" (drops rows with an unusable timestamp, with prices that
            are not finite and positive, or with a volume that is not finite and at least 0).
        min_bars: fewer rows than this are a defect.
        calendar: "24/7", "24/5", or an exchange of exchange_calendars such as "XNYS"; by default
            the market is judged by the bars. Bars on dates that are no sessions are an error.
        layout: a layout's name, where the choice by evidence is not the right one.
        columns: role to name in the source, as {"open": "o", "timestamp": "MTS"}; {"nr": "ignored"}
            leaves a column out.
        date_format: of the timestamps, as "%d/%m/%Y %H:%M"; a Unix unit "s", "ms", "us" or "ns";
            "excel" for days of a spreadsheet.
        dayfirst: the order of day and month, where no row proves it.
        decimal: "." or ",", where no cell proves it.
        splits: what to do about splits that are not in the prices: "adjust" or "ignore".

    Returns:
        Bars with float64 columns, ascending unique timestamps, finite prices > 0,
        low <= open, close <= high and volume >= 0. `Bars.repairs` says what was changed, and
        whether prices were scaled.

    Raises:
        BarsError: the data have defects that `repair` did not remove; `.defects` lists them, with
            row numbers of the data as given.
        BarsFileNotFoundError: the path does not exist, or the folder holds no file of bars.
        FileFormatError: the file is not what its suffix says.
        InvalidNameError: the symbol, or the file's name in its place, has other characters than
            `check_symbol` allows.
        UnknownNameError: the folder or the table holds no such symbol, or a repair or a layout
            does not exist.
        ArgumentError: another argument is out of its range.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
        OSError: the system refuses to read the file; it names the file.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({
        ...     "Date": ["2020-01-03", "2020-01-06", "2020-01-02"],
        ...     "Open": [10.0, 10.4, 10.5], "High": [11.0, 10.9, 10.9], "Low": [9.5, 10.1, 10.0],
        ...     "Close": [10.5, 10.3, 10.2], "Volume": [1000, 1500, 2000],
        ... })
        >>> bars = read_bars(frame, symbol="ABC", repair="sort")
        >>> bars.repairs
        ('sorted by timestamp (1 row was earlier than the row before)',)
        >>> bars.close
        array([10.2, 10.5, 10.3])

    """
    options = check_options(
        timezone, adjusted, repair, min_bars, calendar, layout=layout, columns=columns,
        date_format=date_format, dayfirst=dayfirst, decimal=decimal, splits=splits,
    )  # fmt: skip
    if symbol is not None:
        check_symbol(symbol)
    if not isinstance(path_or_frame, str | os.PathLike):
        raw = table_of_object(path_or_frame)
        return bars_of_table(raw, symbol, "UNNAMED", type(path_or_frame).__name__, options)
    path = as_path(path_or_frame)
    if is_folder(path):
        path = _choose(FolderListing(path), symbol)
    return bars_of_file(path, symbol, options)


def bars_of_file(path: Path, symbol: str | None, options: ReadOptions) -> Bars:
    """Read one file; the symbol by default is its name."""
    default = _default_symbol(path) if symbol is None else symbol
    return bars_of_table(read_file(path), symbol, default, str(path), options)


def bars_of_table(
    raw: RawTable, symbol: str | None, default: str, where: str, options: ReadOptions
) -> Bars:
    """The bars of one symbol of a table; an error if it holds several and none is chosen."""
    layout, notes = layout_of(raw, options)
    tables = find_tables(raw, layout, options.columns)
    if len(tables.raw) > 1 and symbol is not None:
        options = proven_options(raw.frame, layout, options)
    return bars_of_tables(raw, tables, layout, notes, symbol, default, where, options)


def bars_of_tables(
    raw: RawTable,
    tables: Tables,
    layout: Layout | None,
    notes: list[str],
    symbol: str | None,
    default: str,
    where: str,
    options: ReadOptions,
) -> Bars:
    """The bars of one symbol out of what `find_tables` found."""
    found = [tables.defect() if symbol is None else None, tables.blank]
    raise_defects(where, len(raw.frame), [defect for defect in found if defect is not None])
    chosen, name, more = _pick(tables, symbol, default, where)
    taken = tables.take(chosen)
    return bars_of_rows(
        taken, name, where, options, layout, [*notes, *tables.notes, *more], raw.owned
    )


def layout_of(raw: RawTable, options: ReadOptions) -> tuple[Layout | None, list[str]]:
    """The layout of a table, stated or by evidence, and what to note."""
    if options.layout is not None:
        if raw.as_written is not None:
            check_scale(raw, options.layout)
        return options.layout, [*raw.notes, f"read as {options.layout.title}, as stated"]
    if raw.layout is not None:
        return whole_layout(raw) if raw.layout.scale != 1 else traded_layout(raw)
    names = raw.frame.columns
    if isinstance(names, pd.MultiIndex):
        return None, raw.notes
    choice = plain_scale(choose_headed(list(names)), raw.frame)
    notes = [*raw.notes, choice.evidence] if choice.evidence else raw.notes
    return choice.layout, notes


def _pick(
    tables: Tables, symbol: str | None, default: str, where: str
) -> tuple[str | None, str, list[str]]:
    """The symbol as given, the name of the bars, and what to note."""
    if not tables.raw:
        return None, default if symbol is None else symbol, []
    names = tables.names
    if len(tables.raw) == 1:
        only = tables.raw[0]
        if symbol is None and default == "UNNAMED":
            return only, symbol_of(only), []
        symbol = default if symbol is None else symbol
        same = symbol in (only, symbol_of(only))
        return only, symbol, [] if same else [f"{tables.where} says {only!r}; named {symbol}"]
    if symbol not in names:
        raise UnknownSymbolError(symbol, names, where)
    return names[symbol], symbol, [f"{symbol} out of {len(names)} symbols in {tables.where}"]


def bars_from_frame(frame: pd.DataFrame, symbol: str, where: str, options: ReadOptions) -> Bars:
    """Check a frame of one symbol; `symbol` names it."""
    return bars_of_table(RawTable(frame), None, symbol, where, options)


def bars_of_rows(
    frame: pd.DataFrame,
    symbol: str,
    where: str,
    options: ReadOptions,
    layout: Layout | None,
    notes: list[str],
    owned: bool,
) -> Bars:
    """Select, convert, repair, check and adjust: the steps after a source is open."""
    zone, zone_note = zone_of_column(frame) if options.timezone is None else ("", "")
    time = _time_options(options, layout, zone)
    selection = select_columns(frame, layout, options.columns, time)
    adjusted = (
        (ADJUSTED_CLOSE in selection.columns) if options.adjusted == "auto" else options.adjusted
    )
    midnight = parse_timezone(layout.midnight) if layout and layout.midnight else None
    how = TableOptions(
        time, options.timezone, midnight,
        None if adjusted is None else bool(adjusted), options.decimal,
        1 if layout is None else layout.scale, layout is not None and layout.always_open,
    )  # fmt: skip
    table = build_table(frame, selection, how, owned)
    if how.scale != 1 and has_fractions(table, how.scale):
        selection = replace(selection, defects=(*selection.defects, not_whole(layout)))
        table = replace(table, selection=selection)
    more = _layout_notes(layout, options, table, zone)
    notes = [*notes, *selection.notes, *filter(None, [zone_note]), *table.notes, *more]
    several = find_several(frame, table)
    if several is None and not selection.defects and is_clean(table, options.min_bars):
        return _bars_of(table, symbol, (), notes, options)
    if several is not None:
        raise_defects(where, len(frame), _beside(several, table, options), notes)
    table, turned = _oldest_first(table) if "sort" not in options.repairs else (table, [])
    table, repairs = apply_repairs(table, options.repairs)
    defects = [*selection.defects, *find_defects(table, options.min_bars, options.splits)]
    raise_defects(where, len(frame), defects, notes)
    for step in (_scale, _split):
        changed, said = step(table, options)
        if said:
            # A factor close to 0 or infinite would give prices that are no longer valid.
            raise_defects(
                where, len(frame), find_defects(changed, options.min_bars, options.splits)
            )
            table, repairs = changed, (*repairs, *said)
    return _bars_of(table, symbol, repairs, [*notes, *turned], options)


def _bars_of(
    table: Table, symbol: str, repairs: tuple[str, ...], notes: list[str], options: ReadOptions
) -> Bars:
    """Bars of a table without defects."""
    own = table.owned
    columns = tuple(
        table.values[name] if own else np.array(table.values[name], np.float64) for name in COLUMNS
    )
    hole = longest_hole(table.times, table.times)
    if hole:
        notes = [*notes, hole]
    times = table.times.view("M8[ns]")
    bars = Bars.of_columns(
        times if own else times.copy(), columns, table.timezone, symbol, repairs,
        notes=notes, calendar=options.calendar,
    )  # fmt: skip
    if options.calendar is not None:
        require_fit(bars, options.calendar)
    return bars


def _beside(several: Defect, table: Table, options: ReadOptions) -> list[Defect]:
    """Several symbols, and the defects that do not follow from them."""
    follows = ("unsorted", "duplicate_timestamp", "different_bars", "unadjusted_split")
    others = find_defects(table, options.min_bars, options.splits)
    return [several, *table.selection.defects, *(d for d in others if d.kind not in follows)]


def _time_options(options: ReadOptions, layout: Layout | None, zone: str) -> TimeOptions:
    documented = "UTC" if layout is None or layout.timezone is None else layout.timezone
    usual = None if layout is None else layout.dayfirst
    clock = options.timezone or parse_timezone(zone or documented)
    return TimeOptions(clock, options.dayfirst, options.date_format, usual)


def _layout_notes(
    layout: Layout | None, options: ReadOptions, table: Table, zone: str
) -> list[str]:
    notes = [f"timestamps {table.read_as}"] if table.read_as else []
    if layout is None:
        return notes
    if layout.timezone and options.timezone is None and not zone and not table.dated:
        notes.append(f"times are in {layout.timezone}, as documented")
    return [*notes, f"{layout.title}: {layout.note}"] if layout.note else notes


def _oldest_first(table: Table) -> tuple[Table, list[str]]:
    """Turn rows around that are strictly newest first, as many sites export them."""
    times = table.times
    if len(times) < 2 or (times == NAT).any() or not (times[1:] < times[:-1]).all():
        return table, []
    return table.take(np.arange(len(table))[::-1]), ["reversed the rows, which were newest first"]


def _scale(table: Table, options: ReadOptions) -> tuple[Table, tuple[str, ...]]:
    """Multiply the four prices of each row by one factor, which keeps their order."""
    if not table.adjusted:
        return table, ()
    with np.errstate(over="ignore", under="ignore"):
        factor = table.values[ADJUSTED_CLOSE] / table.values["close"]
        scaled = table.with_values(**{name: table.values[name] * factor for name in PRICES})
    count = int((factor != 1.0).sum())
    if not count:
        return table, ()
    return scaled, (f"scaled the prices of {counted(count)} by adj close / close",)


def _split(table: Table, options: ReadOptions) -> tuple[Table, tuple[str, ...]]:
    """Take splits out of the prices and volumes before them."""
    if options.splits != "adjust":
        return table, ()
    factors = table.split_factors()
    rows = np.flatnonzero(factors != 1.0)
    if len(rows) == 0:
        return table, ()
    prices = {name: table.values[name] for name in PRICES}
    prices, volume = adjust(factors, prices, table.values["volume"])
    ratio = ", ".join(f"{factors[row]:g}:1 on {table.show_time(row)}" for row in rows[:3].tolist())
    changed = table.with_values(**prices, volume=volume)
    if SPLIT in changed.values:
        changed = changed.with_values(split=np.ones(len(table)))
    return changed, (
        f"divided the prices before {counted(len(rows), 'split')} by the factor: {ratio}",
    )


def _choose(listing: FolderListing, symbol: str | None) -> Path:
    if symbol is not None:
        return listing.path(symbol)
    symbols = listing.symbols
    if len(symbols) > 1:
        shown = f"{', '.join(symbols[:20])}{', ...' if len(symbols) > 20 else ''}"
        raise ArgumentError(
            f"{listing.folder} holds {len(symbols)} symbols ({shown}): expected one; pass symbol= "
            "to read one of them, or use read_folder to read all"
        )
    listing.check_names()
    return listing.path(symbols[0])


def _default_symbol(path: Path) -> str:
    symbol = symbol_of_stem(split_name(path)[0])
    if symbol is None:
        raise InvalidNameError(
            f"the file's name {path.name!r} gives no valid symbol: allowed are letters, digits and "
            "^ . _ = + -; pass symbol=, or rename the file"
        )
    return symbol
