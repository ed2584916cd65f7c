"""A folder of bars as a mapping that reads one symbol at a time, and tables of several symbols."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from marketsim.bars.bars import Bars
from marketsim.bars.files import FolderListing, as_path, is_folder, read_file
from marketsim.bars.layouts import GENERIC, fold
from marketsim.bars.options import ReadOptions, check_options
from marketsim.bars.proof import proven_options
from marketsim.bars.read import (
    bars_of_table,
    bars_of_tables,
    layout_of,
    read_bars,
)
from marketsim.bars.sources import table_of_object
from marketsim.bars.symbol import check_symbol
from marketsim.bars.symbols import find_tables
from marketsim.errors import ArgumentError, BarsError, FileFormatError, UnknownSymbolError

_HEAD = 4096  # bytes that are looked at
_ROW = re.compile(rb"(?:\d[^\n,;\t|]*[,;\t|][^\n,;\t|\d]{0,3}){4}\d")
_NUMBER = re.compile(r"(?:^|[,;\t| :\[])\s*[\"']?[-+$€£¥]?\d")


class BarsFolder(Mapping[str, Bars]):
    """Symbol to Bars, in the symbols' order; made by `read_folder`.

    Files are listed once and read on each access; no Bars are held, so
    ``for symbol, bars in folder.items()`` needs memory for one symbol only.
    """

    def __init__(
        self,
        folder: Path,
        paths: Mapping[str, Path],
        options: ReadOptions,
        problems: Mapping[str, str],
        skipped: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._paths = dict(paths)
        self._options = options
        self._problems = dict(problems)
        self._skipped = dict(skipped)

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder

    @property
    def problems(self) -> dict[str, str]:
        """File name to why it gives no bars of a symbol; such files are not in the mapping."""
        return dict(self._problems)

    @property
    def skipped(self) -> dict[str, str]:
        """File name to why it is no file of bars at all, such as a README.txt."""
        return dict(self._skipped)

    def __getitem__(self, symbol: str) -> Bars:
        if symbol not in self._paths:
            raise UnknownSymbolError(symbol, self._paths, str(self._folder))
        path = self._paths[symbol]
        return bars_of_table(read_file(path), None, symbol, str(path), self._options)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._paths  # the inherited test would read the file

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        names = list(self._paths)
        shown = ", ".join(names if len(names) <= 4 else [*names[:2], "...", names[-1]])
        plural = "" if len(names) == 1 else "s"
        return f"BarsFolder({str(self._folder)!r}, {len(names)} symbol{plural}: {shown})"


def read_folder(
    path: str | os.PathLike[str], *, symbols: str | Iterable[str] | None = None, **options: Any
) -> BarsFolder:
    r"""List the files of bars in a folder; each is read and checked on access.

    A file whose name gives no symbol, and a table without prices such as a list of tickers, does
    not stop the others: `BarsFolder.problems` says why.
    Text without a table, such as a README.txt, is left out: `BarsFolder.skipped` says so.

    Args:
        path: the folder; the folders below it, hidden files and other suffixes are ignored.
        symbols: only these; all by default.
        options: as in `read_bars`: timezone, adjusted, repair, calendar, layout, columns,
            date_format, dayfirst, decimal, splits.

    Returns:
        A mapping from symbol to Bars, sorted by symbol. Asking it for a symbol raises what
        `read_bars` raises.

    Raises:
        BarsFileNotFoundError: the folder does not exist, or holds no file of bars.
        ArgumentError: the path is a file, or an option is out of its range.
        InvalidNameError: no file has a name that is a symbol, or one of `symbols` is not valid.
        UnknownNameError: the folder holds no file of one of `symbols`, or a repair does not exist.
        FileFormatError: two files are of one of `symbols`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "ABC.csv").write_text(
        ...     "date,open,high,low,close,volume\n2020-01-02,1,2,1,2,5\n2020-01-03,2,3,2,3,6\n"
        ... )
        >>> [(symbol, len(bars)) for symbol, bars in read_folder(folder).items()]
        [('ABC', 2)]

    """
    checked = _checked(options)
    folder = as_path(path)
    if not is_folder(folder):
        raise ArgumentError(f"{folder} is a file: expected a folder; use read_bars for one file")
    listing = FolderListing(folder)
    if symbols is not None:
        chosen = [symbols] if isinstance(symbols, str) else symbols
        names = sorted({check_symbol(symbol) for symbol in chosen})
        return BarsFolder(folder, {name: listing.path(name) for name in names}, checked, {}, {})
    paths: dict[str, Path] = {}
    problems, skipped = dict(listing.problems), {}
    for name in listing.symbols:
        try:
            file = listing.path(name)
        except FileFormatError as error:  # several files of one symbol
            problems[name] = str(error)
            continue
        reason, problem = _no_table(file), _no_prices(file)
        if reason:
            skipped[file.name] = reason
        elif problem:
            problems[file.name] = problem
        else:
            paths[name] = file
    if not paths and not skipped and not problems.keys() - listing.problems.keys():
        listing.check_names()
    return BarsFolder(folder, paths, checked, problems, skipped)


def _no_prices(path: Path) -> str:
    """Why a file whose name promises data has no row of prices in its first lines; "" if it has."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return ""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return ""  # reported when it is read
    if not head or _ROW.search(head) or head.startswith((b"PAR1", b"\x1f\x8b", b"PK")):
        return ""
    lines = [line for line in head.decode("latin-1").splitlines() if line.strip()]
    if len(head) == _HEAD or not lines or any(len(_NUMBER.findall(line)) >= 4 for line in lines):
        return ""
    names = [{GENERIC.get(fold(n)) for n in re.split(r"[,;\t|]", line)} for line in lines]
    if any(len(found) > 4 for found in names) or b"\0" in head:
        return ""  # a header without rows
    return (
        f"{path} is no table of prices: its first line is {lines[0][:60]!r}; move it to another "
        "folder, or call it .txt if it is not meant to be read"
    )


def _no_table(path: Path) -> str:
    """Why a text file is no table of bars, from its first lines; "" if it may be one."""
    suffix = path.suffix.lower()
    if suffix not in (".txt", ".json"):
        return ""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return ""  # reported when it is read
    if head.startswith((b"PAR1", b"\x1f\x8b", b"PK")):
        return ""
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16" if wide else "latin-1", errors="ignore")
    if suffix == ".json":
        if text.lstrip()[:1] not in ("[", "{"):
            return "no JSON"
        return "" if len(head) == _HEAD or len(_NUMBER.findall(text)) >= 5 else "JSON without bars"
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [len(_NUMBER.findall(line)) >= 4 for line in lines]
    if len(rows) > 1 and len(head) == _HEAD:
        rows = rows[:-1]  # it may be cut
    # Rows of bars fill the file below its header, which may stand alone in a file without rows.
    is_table = bool(rows) and (rows[-1] or 2 * sum(rows) > len(rows))
    is_header = (
        len(lines) == 1 and len({GENERIC.get(fold(n)) for n in re.split(r"[,;\t|]", text)}) > 4
    )
    return "" if is_table or is_header else "text without a table"


def _checked(options: Mapping[str, Any]) -> ReadOptions:
    given = dict(options)
    try:
        return check_options(
            given.pop("timezone", None),
            given.pop("adjusted", None),
            given.pop("repair", ()),
            **given,
        )
    except TypeError as error:
        if "unexpected keyword" in str(error):
            raise ArgumentError(f"an option of read_bars does not exist: {error}") from None
        raise


def read_many(source: Any, **options: Any) -> Mapping[str, Bars]:
    """Read all symbols of a table or of a folder.

    Args:
        source: a folder; or a file, a frame or a list of candles with a column, a level or names
            of several symbols, long or wide.
        options: as in `read_bars`.

    Returns:
        Symbol to Bars: a `BarsFolder` for a folder, else a dict in the order of the table. Rows
        of other symbols are never joined, and none is dropped.

    Raises:
        BarsError: symbols have defects; all are named in one error.
        Exception: else as `read_bars`.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({
        ...     "date": ["2024-01-02", "2024-01-02", "2024-01-03", "2024-01-03"],
        ...     "ticker": ["AAPL", "MSFT"] * 2,
        ...     "open": [1, 5, 1, 5], "high": [2, 6, 2, 6], "low": [1, 5, 1, 5],
        ...     "close": [2, 6, 2, 6], "volume": [9, 9, 9, 9],
        ... })
        >>> {symbol: bars.close.tolist() for symbol, bars in read_many(rows).items()}
        {'AAPL': [2.0, 2.0], 'MSFT': [6.0, 6.0]}

    """
    many = open_many(source, **options)
    if isinstance(many, BarsFolder):
        return many
    found: dict[str, Bars] = {}
    errors: list[BarsError] = []
    for name in many:
        try:
            found[name] = many[name]
        except BarsError as error:
            errors.append(error)
    if errors:
        defects = [defect for error in errors for defect in error.defects]
        raise BarsError("\n".join(str(error) for error in errors), defects)
    return found


class BarsTable(Mapping[str, Bars]):
    """Symbol to Bars of one table; each is checked when it is asked for."""

    def __init__(self, readers: Mapping[str, Callable[[], Bars]]) -> None:
        self._readers = dict(readers)

    def __getitem__(self, symbol: str) -> Bars:
        return self._readers[symbol]()

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def open_many(source: Any, **options: Any) -> BarsFolder | BarsTable:
    """All symbols of a table or of a folder, as `read_many` takes it; a bad one stops no other.

    Raises:
        Exception: as `read_bars` for a source of one symbol; else each symbol's on access.

    """
    if isinstance(source, str | os.PathLike):
        path = as_path(source)
        if is_folder(path):
            return read_folder(path, **options)
        raw, where = read_file(path), str(path)
    else:
        raw, where = table_of_object(source), type(source).__name__
    checked = _checked(options)
    layout, notes = layout_of(raw, checked)
    tables = find_tables(raw, layout, checked.columns)
    names = tables.names
    if len(names) < 2:
        only = read_bars(source, **options)
        return BarsTable({only.symbol: lambda: only})
    proven = proven_options(raw.frame, layout, checked)

    def reader(name: str) -> Callable[[], Bars]:
        where_in = f"{where}, {name}"
        return lambda: bars_of_tables(raw, tables, layout, notes, name, name, where_in, proven)

    return BarsTable({name: reader(name) for name in names})
