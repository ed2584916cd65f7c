"""A folder of bars as a mapping that reads one symbol at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from marketsim.bars.bars import Bars
from marketsim.bars.files import FolderListing, as_path, is_folder, read_file
from marketsim.bars.read import ReadOptions, bars_from_frame, check_options
from marketsim.bars.symbol import check_symbol
from marketsim.errors import ArgumentError, UnknownSymbolError


class BarsFolder(Mapping[str, Bars]):
    """Symbol to Bars, in the symbols' order; made by `read_folder`.

    Files are listed once and read each time a symbol is asked for; no Bars are held, so
    ``for symbol, bars in folder.items()`` needs memory for one symbol only.
    """

    def __init__(self, folder: Path, paths: Mapping[str, Path], options: ReadOptions) -> None:
        self._folder = folder
        self._paths = dict(paths)
        self._options = options

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder

    def __getitem__(self, symbol: str) -> Bars:
        if symbol not in self._paths:
            raise UnknownSymbolError(symbol, self._paths, str(self._folder))
        path = self._paths[symbol]
        return bars_from_frame(read_file(path), symbol, str(path), self._options)

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
    path: str | os.PathLike[str],
    *,
    symbols: str | Iterable[str] | None = None,
    timezone: str = "UTC",
    adjusted: bool | None = None,
    repair: str | Iterable[str] = (),
    calendar: str | None = None,
) -> BarsFolder:
    r"""List the files of bars in a folder; each is read and checked when its symbol is asked for.

    Args:
        path: the folder; the folders below it, hidden files and other suffixes are ignored.
        symbols: only these; all by default.
        timezone: as in `read_bars`, as are `adjusted` and `repair`.
        adjusted: see `read_bars`.
        repair: see `read_bars`.
        calendar: see `read_bars`.

    Returns:
        A mapping from symbol to Bars, sorted by symbol. Asking it for a symbol raises what
        `read_bars` raises.

    Raises:
        BarsFileNotFoundError: the folder does not exist, or holds no file of bars.
        ArgumentError: the path is a file, or the time zone does not exist.
        InvalidNameError: files have names that are not symbols (without `symbols`), or one of
            `symbols` is not valid.
        UnknownNameError: the folder holds no file of one of `symbols`, or a repair does not exist.
        FileFormatError: two files are of the same symbol.

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
    options = check_options(timezone, adjusted, repair, calendar=calendar)
    folder = as_path(path)
    if not is_folder(folder):
        raise ArgumentError(f"{folder} is a file: expected a folder; use read_bars for one file")
    listing = FolderListing(folder)
    if symbols is None:
        listing.check_names()
        names = listing.symbols
    else:
        chosen = [symbols] if isinstance(symbols, str) else symbols
        names = sorted({check_symbol(symbol) for symbol in chosen})
    return BarsFolder(folder, {name: listing.path(name) for name in names}, options)
