"""Where the old functions get prices and spreads from; there is no network in here.

    from marketsim.legacy.stock.data_source import set_data_source, set_spread_source

    set_data_source("data/daily")        # a folder of CSV or Parquet files, SYMBOL.csv
    set_data_source(my_function)         # symbol -> DataFrame
    set_data_source("alpaca")            # a provider that an installed package offers
    set_spread_source({"AAPL": 1.0002})  # or a number, or symbol -> number

Where a program sets none, MARKETSIM_DATA names a folder or a provider. A provider is an entry point
of the group "marketsim.data": a function symbol -> DataFrame. Where there is neither, the program's
own module `data_curate_daily` is asked, as the old functions did.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias, cast

import pandas as pd

from marketsim.arguments import as_number
from marketsim.bars.columns import COLUMNS, assign_roles
from marketsim.bars.files import FolderListing, read_file
from marketsim.bars.options import check_options
from marketsim.bars.read import bars_of_table
from marketsim.bars.symbol import check_symbol
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.stock.evaluation import SPREAD
from marketsim.legacy.stock.quirks import active_quirks
from marketsim.legacy.stock.settings import setting
from marketsim.text import get_logger

DataFunction: TypeAlias = Callable[[str], pd.DataFrame]
DataSource: TypeAlias = "str | os.PathLike[str] | DataFunction | None"
SpreadSource: TypeAlias = "float | Mapping[str, float] | Callable[[str], float] | None"

PROVIDERS = "marketsim.data"
# What the old code took for the spread of a symbol that it knew none of.
WIDE_SPREAD = 1.05

logger = get_logger(__name__)

_said: set[str] = set()
_data: DataFunction | None = None
_spreads: SpreadSource = None


def set_data_source(source: DataSource) -> None:
    """Say where prices come from.

    Args:
        source: a folder of files that `marketsim.read_folder` lists, one a symbol; a function that
            takes a symbol and returns a frame; the name of a provider; None for none.

    Raises:
        ArgumentError: something else.
        UnknownNameError: neither a folder nor a provider of that name; the message lists them.
    """
    global _data
    if source is None or callable(source):
        _data = source
    elif isinstance(source, (str, os.PathLike)):
        _data = _named(source)
    else:
        raise ArgumentError(
            "source must be a folder, a function of a symbol, a provider's name or None: "
            f"got {source!r}"
        )


def _named(source: str | os.PathLike[str]) -> DataFunction:
    folder = Path(source)
    if folder.is_dir():
        return _FolderSource(folder)
    providers = {point.name: point for point in entry_points(group=PROVIDERS)}
    if str(source) not in providers:
        known = [f"a folder that exists (there is none at {folder})", *sorted(providers)]
        raise UnknownNameError("data source", str(source), known)
    loaded = providers[str(source)].load()
    if not callable(loaded):
        raise ArgumentError(f"the provider {source} must be a function: got {loaded!r}")
    return loaded  # type: ignore[no-any-return]


class _FolderSource:
    """Reads a symbol's file each time it is asked for: checked rows, in the names of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, symbol: str) -> pd.DataFrame:
        path = FolderListing(self._folder).path(check_symbol(symbol))
        written = read_file(path)
        options = check_options("UTC", None, ())
        bars = bars_of_table(written, None, symbol, str(path), options)
        names = [str(label) for label in written.frame.columns]
        roles = assign_roles(names, written.layout, {})
        labels = dict(zip(reversed(roles), reversed(names), strict=True))
        return bars.frame.rename(columns={name: labels[name] for name in COLUMNS})


def set_spread_source(source: SpreadSource) -> None:
    """Say where spreads, ask / bid, come from.

    Args:
        source: one number for all symbols; a mapping or a function of symbols; None for none.

    Raises:
        ArgumentError: something else, or a number below 1.
    """
    global _spreads
    if source is not None and not callable(source) and not isinstance(source, Mapping):
        source = _checked_spread(source)
    _spreads = source


def fetch_spread(symbol: str) -> float:
    """The spread of a symbol, ask / bid: 1.001 means 0.1 percent.

    Of a symbol that the source does not know it is 1.05 with the quirk `wide_fallback_spread`, and
    1.00087 without it.

    Raises:
        ArgumentError: the source gives something else than a number of at least 1.
    """
    found: Any = _spreads
    if found is None and _data is None:
        found = _of_program("fetch_spread")
    if isinstance(found, Mapping):
        found = found.get(symbol)
    elif callable(found):
        found = found(symbol)
    if found is None:
        return WIDE_SPREAD if active_quirks().wide_fallback_spread else SPREAD
    return _checked_spread(found)


def _of_program(name: str) -> Any:
    """A function of the program's own `data_curate_daily`, where the old module took it from."""
    try:
        module = import_module("data_curate_daily")
    except ModuleNotFoundError as error:
        if error.name != "data_curate_daily":
            raise
        return None
    found = getattr(module, name, None)
    if found is not None and name not in _said:
        _said.add(name)
        logger.info("%s of the program's own data_curate_daily is used", name)
    return found


def _checked_spread(value: object) -> float:
    spread = as_number("spread", value, "ask / bid, such as 1.001")
    if not 1.0 <= spread < 2.0:
        raise ArgumentError(f"spread must be ask / bid, from 1 to 2: got {value!r}")
    return spread


def download_daily_stock_data(
    path: str | None = None,
    all_data_force: bool = False,
    symbols: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Daily prices of the last of some symbols, from the source that is set.

    Args:
        path, all_data_force: without effect: nothing is downloaded.
        symbols: which; at least one.

    Returns:
        The rows in the column names of the source; empty if the source has none.

    Raises:
        ArgumentError: no source is set, no symbol is given, or the source gives no frame; else what
            the source raises.
    """
    asked = [] if symbols is None else list(symbols)
    if not asked:
        raise ArgumentError("symbols must name at least one symbol: got none")
    told = setting("data")
    source = _named(told) if _data is None and told is not None else _data
    if source is None:
        own = _of_program("download_daily_stock_data")
        if own is not None:
            return cast(pd.DataFrame, own(path, symbols=asked))
        raise ArgumentError(
            "no source of prices is set: call marketsim.legacy.data_source.set_data_source(...) "
            "with a folder of CSV or Parquet files, a function symbol -> DataFrame, or the name of "
            "an installed provider; or set MARKETSIM_DATA to a folder or a provider's name"
        )
    frame = source(asked[-1])
    if not isinstance(frame, pd.DataFrame):
        raise ArgumentError(
            f"the data source must return a DataFrame for {asked[-1]}: got {type(frame).__name__}"
        )
    return frame
