"""read_bars: any source of OHLCV rows to checked Bars, or one error that names every defect."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from marketsim.bars.bars import Bars
from marketsim.bars.columns import ADJUSTED_CLOSE, COLUMNS, PRICES, select_columns
from marketsim.bars.defect import counted, raise_defects
from marketsim.bars.exchange import check_calendar, require_fit
from marketsim.bars.files import FolderListing, as_path, is_folder, read_file, split_name
from marketsim.bars.repair import apply_repairs, check_repairs
from marketsim.bars.symbol import check_symbol, is_symbol
from marketsim.bars.table import Table, build_table
from marketsim.bars.timestamps import parse_timezone
from marketsim.bars.validate import find_defects
from marketsim.errors import ArgumentError, InvalidNameError


@dataclass(frozen=True)
class ReadOptions:
    """The checked arguments of `read_bars` that do not depend on the source."""

    timezone: dt.tzinfo
    adjusted: bool | None
    repairs: frozenset[str]
    min_bars: int
    calendar: str | None = None


def check_options(
    timezone: str,
    adjusted: bool | None,
    repair: str | Iterable[str],
    min_bars: int = 2,
    calendar: str | None = None,
) -> ReadOptions:
    """Check arguments before any file is opened.

    Raises:
        ArgumentError: the time zone does not exist, or `adjusted` or `min_bars` is out of range.
        UnknownNameError: a repair does not exist.

    """
    if adjusted is not None and not isinstance(adjusted, bool | np.bool_):
        raise ArgumentError(f"adjusted got {adjusted!r}: expected True, False or None")
    if not _is_count(min_bars):
        raise ArgumentError(f"min_bars got {min_bars!r}: expected a whole number of at least 1")
    choice = None if adjusted is None else bool(adjusted)
    named = None if calendar is None else check_calendar(calendar)
    zone = parse_timezone(timezone)
    return ReadOptions(zone, choice, check_repairs(repair), int(min_bars), named)


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def read_bars(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    *,
    symbol: str | None = None,
    timezone: str = "UTC",
    adjusted: bool | None = None,
    repair: str | Iterable[str] = (),
    min_bars: int = 2,
    calendar: str | None = None,
) -> Bars:
    """Read OHLCV rows and check them; all defects of the data are named in one error.

    Args:
        path_or_frame: a file (.csv, .csv.gz, .tsv, .txt, .parquet, .pq), a folder of such files
            (with `symbol`, if it holds several), or a DataFrame. Column names may have any case,
            and blanks, underscores and dots in them do not count; other columns are ignored. The
            timestamps are the DatetimeIndex, else the column timestamp, datetime, date, time or
            open_time, else a first column without a name. They may be text of one format
            (1/4/1999 is January 4th), dates, datetimes, integers YYYYMMDD, or Unix time in
            seconds to nanoseconds.
        symbol: the name of what is traded; in a folder, which file to read. By default the
            file's name without its suffix, and "UNNAMED" for a DataFrame.
        timezone: an IANA name. Timestamps without a zone are in it, others are converted to it.
        adjusted: needed if a column "adj close" differs from close: True scales open, high, low
            and close by adj close / close, False ignores the column.
        repair: names out of `REPAIRS`, applied in this order: "sort" (by timestamp),
            "drop_duplicates" (keeps the last row of each timestamp), "widen_range" (high and low
            become the highest and lowest of the row's prices), "zero_volume" (a missing volume
            becomes 0), "drop_invalid" (drops rows with an unusable timestamp, with prices that
            are not finite and positive, or with a volume that is not finite and at least 0).
        min_bars: fewer rows than this are a defect.
        calendar: "24/7", "24/5", or an exchange of exchange_calendars such as "XNYS"; by default
            the market is judged by the bars. Bars on dates that are no sessions are an error.

    Returns:
        Bars with float64 columns, ascending unique timestamps, finite prices > 0,
        low <= open, close <= high and volume >= 0. `Bars.repairs` says what was mended, and
        whether prices were scaled.

    Raises:
        BarsError: the data have defects that `repair` did not mend; `.defects` lists them, with
            row numbers of the data as given.
        BarsFileNotFoundError: the path does not exist, or the folder holds no file of bars.
        FileFormatError: the file is not what its suffix says.
        InvalidNameError: the symbol, or the file's name in its place, has other characters than
            `check_symbol` allows.
        UnknownNameError: the folder holds no such symbol, or a repair does not exist.
        ArgumentError: another argument is out of its range.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
        OSError: the system refuses to read the file; it names the file.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({
        ...     "Date": ["2020-01-03", "2020-01-02"],
        ...     "Open": [10.0, 10.5], "High": [11.0, 10.9], "Low": [9.5, 10.0],
        ...     "Close": [10.5, 10.2], "Volume": [1000, 2000],
        ... })
        >>> bars = read_bars(frame, symbol="ABC", repair="sort")
        >>> bars.repairs
        ('sorted by timestamp (1 row was earlier than the row before)',)
        >>> bars.close
        array([10.2, 10.5])

    """
    options = check_options(timezone, adjusted, repair, min_bars, calendar)
    if symbol is not None:
        check_symbol(symbol)
    if isinstance(path_or_frame, pd.DataFrame):
        name = "UNNAMED" if symbol is None else symbol
        return bars_from_frame(path_or_frame, name, "DataFrame", options)
    path = as_path(path_or_frame)
    if is_folder(path):
        path = _choose(FolderListing(path), symbol)
    name = _default_symbol(path) if symbol is None else symbol
    return bars_from_frame(read_file(path), name, str(path), options)


def bars_from_frame(frame: pd.DataFrame, symbol: str, where: str, options: ReadOptions) -> Bars:
    """Select, convert, repair, check and adjust: the steps after a source is open."""
    selection = select_columns(frame)
    table = build_table(frame, selection, options.timezone, options.adjusted)
    table, repairs = apply_repairs(table, options.repairs)
    defects = [*selection.defects, *find_defects(table, options.min_bars)]
    raise_defects(where, len(frame), defects)
    if options.adjusted:
        table, scaled = _scale(table)
        repairs += scaled
        # A factor close to 0 or infinite would give prices that are no longer valid.
        raise_defects(where, len(frame), find_defects(table, options.min_bars))
    index = pd.DatetimeIndex(table.times.view("M8[ns]")).tz_localize("UTC")
    columns = {name: table.values[name] for name in COLUMNS}
    checked = pd.DataFrame(columns, index.tz_convert(options.timezone))
    bars = Bars(checked, symbol, repairs, calendar=options.calendar)
    if options.calendar is not None:
        require_fit(bars, options.calendar)
    return bars


def _scale(table: Table) -> tuple[Table, tuple[str, ...]]:
    """Multiply the four prices of each row by one factor, which keeps their order; say so."""
    with np.errstate(over="ignore", under="ignore"):
        factor = table.values[ADJUSTED_CLOSE] / table.values["close"]
        scaled = table.with_values(**{name: table.values[name] * factor for name in PRICES})
    count = int((factor != 1.0).sum())
    said = (f"scaled the prices of {counted(count)} by adj close / close",) if count else ()
    return scaled, said


def _choose(listing: FolderListing, symbol: str | None) -> Path:
    if symbol is not None:
        return listing.path(symbol)
    listing.check_names()
    symbols = listing.symbols
    if len(symbols) > 1:
        shown = f"{', '.join(symbols[:20])}{', ...' if len(symbols) > 20 else ''}"
        raise ArgumentError(
            f"{listing.folder} holds {len(symbols)} symbols ({shown}): expected one; pass symbol= "
            "to read one of them, or use read_folder to read all"
        )
    return listing.path(symbols[0])


def _default_symbol(path: Path) -> str:
    stem = split_name(path)[0]
    if not is_symbol(stem):
        raise InvalidNameError(
            f"the file's name {path.name!r} gives no valid symbol: allowed are letters, digits and "
            "^ . _ = + -; pass symbol= (--symbols on the command line) or rename the file"
        )
    return stem
