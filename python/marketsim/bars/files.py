"""Files of bars: which suffixes are known, what a folder holds, and one file to a raw table."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from marketsim.bars.arrow import read_feather, read_parquet
from marketsim.bars.content import kind_of_archive, kind_of_bytes
from marketsim.bars.limits import MOST_UNPACKED_BYTES, check_size, check_unpacked
from marketsim.bars.nested import read_json
from marketsim.bars.symbol import is_symbol
from marketsim.bars.text import EXPECTED, RawTable, read_text
from marketsim.errors import (
    ArgumentError,
    BarsFileNotFoundError,
    FileFormatError,
    InvalidNameError,
    UnknownSymbolError,
)

_PACKED = (".gz", ".zip")
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods")


def as_path(source: str | os.PathLike[str]) -> Path:
    """Return a Path.

    Raises:
        ArgumentError: the source is neither a str nor a path of text, or it is empty.

    """
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if text == "":
            # Path("") is the current folder, which an empty name does not mean.
            raise ArgumentError("got an empty path: expected a file or a folder; write . for here")
        if isinstance(text, str):
            return Path(text)
    raise ArgumentError(f"got a {type(source).__name__}: expected a path (str or os.PathLike)")


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder.

    Raises:
        BarsFileNotFoundError: there is nothing at this path.
        FileFormatError: there is something that is neither a file nor a folder.

    """
    try:
        mode = path.stat().st_mode
    except PermissionError:
        raise  # its own message says it best
    except (OSError, ValueError):
        raise BarsFileNotFoundError(
            f"{path} does not exist: expected a file of bars ({', '.join(SUFFIXES)}) or a folder "
            "of such files; check the path"
        ) from None
    if stat.S_ISDIR(mode):
        return True
    if stat.S_ISREG(mode):
        return False
    raise FileFormatError(f"{path} is not a regular file: expected a file of bars or a folder")


def split_name(path: Path) -> tuple[str, str]:
    """Split a file's name into its stem and its suffix in lower case; "" if it is not known."""
    name = path.name
    for suffix in _BY_LENGTH:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def symbol_of_stem(stem: str) -> str | None:
    """The symbol that a file's name says: AAPL of TradingView's "NASDAQ_AAPL, 1D"; None if none."""
    if is_symbol(stem):
        return stem
    match = re.fullmatch(r"(?:[A-Z0-9]+_)?([A-Za-z0-9^._=+-]+), [0-9A-Z]+(?:_[0-9a-f]+)?", stem)
    return match[1] if match and is_symbol(match[1]) else None


class FolderListing:
    """The files of bars in a folder, not in the folders below it; hidden files do not count.

    Attributes:
        folder: the folder.
        problems: file name to why it gives no symbol.

    Raises:
        BarsFileNotFoundError: there is no such file in the folder.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            stem, suffix = split_name(path)
            if suffix and not path.name.startswith(".") and path.is_file():
                self._files.setdefault(stem, []).append(path)
        if not self._files:
            raise BarsFileNotFoundError(
                f"{folder} holds no file of bars: looked for names ending in {', '.join(SUFFIXES)}"
            )
        for stem, files in list(self._files.items()):
            if not is_symbol(stem):
                self._rename(stem, files)

    def _rename(self, stem: str, files: list[Path]) -> None:
        """Take the symbol out of TradingView's names; others that are no symbols are problems."""
        del self._files[stem]
        symbol = symbol_of_stem(stem)
        if symbol is not None and symbol not in self._files:
            self._files[symbol] = files
            return
        for path in files:
            self.problems[path.name] = (
                f"the name {path.name!r} gives no symbol: allowed are letters, digits and "
                "^ . _ = + -; rename it (BTC-USD for BTC/USD), or read it by its path with symbol="
            )

    @property
    def symbols(self) -> list[str]:
        """Every symbol, sorted."""
        return sorted(self._files)

    def check_names(self) -> None:
        """Refuse a folder in which no name is a symbol.

        Raises:
            InvalidNameError: there is none; the files are named.

        """
        if not self._files:
            shown = ", ".join(map(repr, list(self.problems)[:20]))
            raise InvalidNameError(
                f"{self.folder} holds only files whose names are not symbols: {shown}; allowed "
                "are letters, digits and ^ . _ = + -; rename them (BTC-USD for BTC/USD)"
            )

    def path(self, symbol: str) -> Path:
        """Return the one file of a symbol.

        Raises:
            UnknownSymbolError: there is none.
            FileFormatError: there are several.

        """
        # Looked up, never joined to the folder: a symbol cannot lead out of it.
        files = self._files.get(symbol, [])
        if not files:
            raise UnknownSymbolError(symbol, self.symbols, str(self.folder))
        if len(files) > 1:
            raise FileFormatError(
                f"{self.folder} holds {len(files)} files of {symbol}: "
                f"{' and '.join(file.name for file in files)}; expected one, so pass the path of "
                "one of them, or remove the others"
            )
        return files[0]


def read_file(path: Path) -> RawTable:
    """Read one file to a table of raw columns; packed files by their content.

    Raises:
        FileFormatError: the suffix is not known, or the content is not what it promises.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
        OSError: the system refuses to read the file; it names the file.

    """
    suffix = split_name(path)[1]
    if not suffix:
        advice = "convert or rename the file, or pass a DataFrame"
        if path.suffix.lower() in _WORKBOOKS:
            advice = "save the sheet as CSV, or pass the DataFrame of pandas.read_excel"
        raise FileFormatError(
            f"{path} has {f'the suffix {path.suffix!r}' if path.suffix else 'no suffix'}: expected "
            f"one of {', '.join(SUFFIXES)}; {advice}"
        )
    check_size(path)
    if suffix in (".parquet", ".pq") and path.stat().st_size:
        return read_parquet(path, None)
    data = _read_bytes(path)
    if not data:
        raise FileFormatError(f"{path} is empty (0 bytes): {_expected(suffix)}")
    return _read_content(path, suffix, data)


def _read_content(path: Path, suffix: str, data: bytes) -> RawTable:
    """Unpack by the first bytes, then read by the suffix within, or by the first bytes again."""
    notes, name = [], path.name
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(path, data)
        notes.append("unpacked gzip")
    elif data.startswith(b"PK\x03\x04"):
        name, data = _unzip(path, data)
        suffix = split_name(Path(name))[1] or ".csv"
        notes.append(f"unpacked {name}")
    elif suffix.endswith(_PACKED):
        kind = suffix.rsplit(".", 1)[1]
        raise FileFormatError(f"{path} is not a whole {kind} file: {_expected(suffix)}")
    for packed in _PACKED:
        suffix = suffix.removesuffix(packed) or ".csv"
    kind, advice = kind_of_bytes(data)
    if kind:
        raise FileFormatError(f"{path} is {kind}, not a table: {advice}")
    if data.startswith(b"PAR1"):
        suffix = ".parquet"
    elif data.startswith((b"ARROW1", b"FEA1")):
        suffix = ".feather"
    elif suffix in _BINARY:
        raise FileFormatError(
            f"{path} does not begin {'and end with PAR1' if 'p' in suffix else 'as Feather does'}: "
            f"{_expected(suffix)}"
        )
    elif suffix not in _JSON and data.lstrip()[:1] in (b"[", b"{"):
        suffix = ".json"
    table = _READERS[suffix](path, data)
    table.notes[:0] = notes
    # Lean keeps equity/usa/daily/aapl.zip, which holds aapl.csv.
    table.proven = "equity" in path.parts or (name != path.name and Path(name).stem == path.stem)
    if table.layout is not None and table.layout.name == "lean-minute":
        _add_date(path, name, table)
    return table


def _add_date(path: Path, name: str, table: RawTable) -> None:
    """Milliseconds of a day to times; the date begins the name of the file or of the archive."""
    date = re.match(r"\d{8}", name) or re.match(r"\d{8}", path.name)
    if date is None:
        raise FileFormatError(
            f"{path} holds milliseconds of a day: expected the date at the start of its name, as "
            "20240131_trade.zip"
        )
    days = pd.to_datetime(pd.Series([date[0]] * len(table.frame)), format="%Y%m%d", errors="coerce")
    of_day = pd.to_numeric(table.frame["milliseconds"], errors="coerce")
    table.frame.insert(0, "timestamp", days + pd.to_timedelta(of_day, "ms"))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.filename is not None:
            raise
        # What fails after opening does not say where; the constructor keeps the kind of error.
        raise OSError(error.errno, error.strerror, str(path)) from None


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(MOST_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path} is not a whole gzip file ({error}): {EXPECTED}") from None
    check_unpacked(path, len(data), len(content))
    return content


def _unzip(path: Path, data: bytes) -> tuple[str, bytes]:
    """The one file of bars in a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [
                entry for entry in archive.infolist()
                if split_name(Path(entry.filename))[1] and "__MACOSX" not in entry.filename
            ]  # fmt: skip
            if len(names) > 1:  # HistData adds a report in .txt
                names = [entry for entry in names if not entry.filename.endswith(".txt")] or names
            if len(names) != 1 or split_name(Path(names[0].filename))[1] in _PACKED:
                kind, advice = kind_of_archive(archive)
                if kind:
                    raise FileFormatError(f"{path} is {kind}, not a table: {advice}")
            if len(names) != 1:
                shown = ", ".join(repr(entry.filename) for entry in names[:5]) or "none"
                raise FileFormatError(
                    f"{path} holds {len(names)} files of bars ({shown}): expected one; unpack it, "
                    "and read the folder"
                )
            check_unpacked(path, len(data), names[0].file_size)
            with archive.open(names[0]) as stream:
                content = stream.read(MOST_UNPACKED_BYTES + 1)
            check_unpacked(path, len(data), len(content))  # the archive may lie about it
            return names[0].filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileFormatError(
            f"{path} is not a whole zip file ({str(error)[:100]}): {EXPECTED}"
        ) from None


_READERS: dict[str, Callable[[Path, bytes], RawTable]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".txt": read_text,
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".feather": read_feather,
    ".json": read_json,
    ".jsonl": read_json,
    ".ndjson": read_json,
}
_JSON = (".json", ".jsonl", ".ndjson")
_BINARY = (".parquet", ".pq", ".feather")

SUFFIXES = (
    ".csv", ".csv.gz", ".csv.zip", ".tsv", ".txt", ".txt.gz", ".parquet", ".pq", ".feather",
    ".json", ".json.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".zip", ".gz",
)  # fmt: skip
"""The suffixes of files that can be read."""

_BY_LENGTH = tuple(sorted(SUFFIXES, key=len, reverse=True))


def _expected(suffix: str) -> str:
    if suffix in _BINARY:
        return "expected a Parquet or Feather file with the columns of bars"
    return EXPECTED
