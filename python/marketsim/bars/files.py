"""Files of bars: which suffixes are known, what a folder holds, and one file to a raw frame."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from marketsim.bars.columns import time_positions
from marketsim.bars.symbol import is_symbol
from marketsim.errors import (
    ArgumentError,
    BarsFileNotFoundError,
    FileFormatError,
    InvalidNameError,
    MissingDependencyError,
    UnknownSymbolError,
)

# Bytes that a packed file may unpack to: four million bars as text.
MAX_UNPACKED = 256 << 20
_DELIMITERS = ",;\t"
_HEADER_EXAMPLE = "timestamp,open,high,low,close,volume"


def as_path(source: str | os.PathLike[str]) -> Path:
    """Return a Path.

    Raises:
        ArgumentError: the source is neither a str nor a path of text, or it is empty.

    """
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if text == "":
            # Path("") is the current folder, which nobody means by naming nothing.
            raise ArgumentError("got an empty path: expected a file or a folder; write . for here")
        if isinstance(text, str):
            return Path(text)
    raise ArgumentError(
        f"got a {type(source).__name__}: expected a path (str or os.PathLike) or a pandas DataFrame"
    )


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
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


class FolderListing:
    """The files of bars in a folder, not in the folders below it; hidden files do not count.

    Raises:
        BarsFileNotFoundError: there is no such file in the folder.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            stem, suffix = split_name(path)
            if suffix and not path.name.startswith(".") and path.is_file():
                self._files.setdefault(stem, []).append(path)
        if not self._files:
            raise BarsFileNotFoundError(
                f"{folder} holds no file of bars: looked for names ending in {', '.join(SUFFIXES)}"
            )

    @property
    def symbols(self) -> list[str]:
        """Every stem that is a valid symbol, sorted."""
        return sorted(filter(is_symbol, self._files))

    def check_names(self) -> None:
        """Refuse stems that are not symbols.

        Raises:
            InvalidNameError: there are such files; all are named.

        """
        invalid = [files[0].name for stem, files in self._files.items() if not is_symbol(stem)]
        if invalid:
            shown = ", ".join(map(repr, invalid[:20]))
            more = f" and {len(invalid) - 20} more" if len(invalid) > 20 else ""
            raise InvalidNameError(
                f"{self.folder} holds files whose names are not symbols: {shown}{more}; allowed "
                "are letters, digits and ^ . _ = + -; rename them (BTC-USD for BTC/USD), or "
                "select others with symbols="
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


def read_file(path: Path) -> pd.DataFrame:
    """Read one file to a frame of raw columns.

    Raises:
        FileFormatError: the suffix is not known, or the content is not what it promises.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
        OSError: the system refuses to read the file; it names the file.

    """
    suffix = split_name(path)[1]
    if not suffix:
        raise FileFormatError(
            f"{path} has {f'the suffix {path.suffix!r}' if path.suffix else 'no suffix'}: expected "
            f"one of {', '.join(SUFFIXES)}; convert or rename the file, or pass a DataFrame"
        )
    data = _read_bytes(path)
    if not data:
        raise FileFormatError(f"{path} is empty (0 bytes): expected {_EXPECTED[suffix]}")
    return _READERS[suffix](path, data)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.filename is not None:
            raise
        # What fails after opening does not say where; the constructor keeps the kind of error.
        raise OSError(error.errno, error.strerror, str(path)) from None


def _read_gzip(path: Path, data: bytes) -> pd.DataFrame:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            text = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(
            f"{path} is not a whole gzip file ({error}): expected {_EXPECTED['.csv.gz']}"
        ) from None
    if len(text) > MAX_UNPACKED:
        raise FileFormatError(
            f"{path} unpacks to more than {MAX_UNPACKED:,} bytes: expected bars of one symbol; "
            "split it, or unpack it and read the .csv"
        )
    return _read_text(path, text)


def _read_text(path: Path, data: bytes) -> pd.DataFrame:
    """Text with a header line; its delimiter is the one that the header holds most often."""
    text = _decode(path, data)
    header_line = next((line for line in io.StringIO(text) if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header_line.count)
    if delimiter not in header_line:
        raise FileFormatError(
            f"{path} has no comma, semicolon or tab in its first line "
            f"{header_line.strip()[:60]!r}: expected a header such as {_HEADER_EXAMPLE}; remove "
            "lines above it"
        )
    try:
        names = _header(text, delimiter)
        frame: pd.DataFrame = pd.read_csv(
            # Bytes, which the parser reads without running any Python: it turns a Ctrl-C that is
            # noticed while it reads text into a ParserError.
            io.BytesIO(text.encode()),
            sep=delimiter,
            header=0,
            names=list(range(len(names))),
            # As text, so that neither digits nor formats are lost before they are understood.
            dtype=dict.fromkeys(time_positions(names), str),
            skipinitialspace=True,
            low_memory=False,  # in chunks, one column could get several types
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, OverflowError) as error:
        if "on source failed" in str(error):  # memory does not fail: it was interrupted
            raise KeyboardInterrupt from None
        reason = re.sub(r"^.*C error: ", "", str(error)).strip()
        raise FileFormatError(
            f"{path} is not a table ({reason}): expected rows with as many fields as the header"
        ) from None
    # Set afterwards, as pandas would rename a repeated column, and it must be seen.
    frame.columns = pd.Index(names, dtype=object)
    return frame


def _decode(path: Path, data: bytes) -> str:
    expected = f"expected text in UTF-8 with a header such as {_HEADER_EXAMPLE}"
    for magic, name in ((b"\x1f\x8b", "gzip"), (b"PAR1", "Parquet"), (b"PK\x03\x04", "zip")):
        if data.startswith(magic):
            raise FileFormatError(f"{path} holds {name} data: {expected}; give it its own suffix")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path} is not UTF-8 text (byte {data[error.start]:#04x} at {error.start}): "
            f"{expected}; save it as UTF-8"
        ) from None
    if "\0" in text:
        raise FileFormatError(f"{path} holds binary data (a zero byte): {expected}")
    if not text.strip():
        raise FileFormatError(f"{path} holds only blanks: {expected}")
    return text


def _header(text: str, delimiter: str) -> list[str]:
    """Return the header's fields; refuse a first row that is longer.

    pandas would take the first field of such rows for an index and shift all others.
    """
    lines = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    filled = (fields for fields in lines if len(fields) > 1 or "".join(fields).strip())
    names = next(filled, [])
    first = next(filled, [])
    if len(first) > len(names):
        raise csv.Error(f"{len(first)} fields in the first row, {len(names)} in the header")
    return [name.strip() for name in names]


def _read_parquet(path: Path, data: bytes) -> pd.DataFrame:
    expected = f"expected {_EXPECTED['.parquet']}"
    if len(data) < 12 or not (data.startswith(b"PAR1") and data.endswith(b"PAR1")):
        raise FileFormatError(f"{path} does not begin and end with PAR1: {expected}")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError(
            f'{path} needs pyarrow, which is not installed: pip install "marketsim[parquet]"'
        ) from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        cells = file.metadata.num_rows * file.metadata.num_columns
        if cells * 8 > MAX_UNPACKED:
            raise FileFormatError(
                f"{path} holds {file.metadata.num_rows:,} rows of {file.metadata.num_columns:,} "
                f"columns, which is more than {MAX_UNPACKED:,} bytes: expected bars of one symbol"
            )
        frame: pd.DataFrame = file.read().to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} cannot be read as Parquet ({reason}): {expected}") from None
    return frame


_READERS: dict[str, Callable[[Path, bytes], pd.DataFrame]] = {
    ".csv": _read_text,
    ".csv.gz": _read_gzip,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
}
_TEXT = f"a header such as {_HEADER_EXAMPLE} and one line a bar"
_PARQUET = "a Parquet file with the columns of bars"
_EXPECTED = {suffix: _PARQUET if suffix in (".parquet", ".pq") else _TEXT for suffix in _READERS}

SUFFIXES = tuple(_READERS)
"""The suffixes of files that can be read."""
