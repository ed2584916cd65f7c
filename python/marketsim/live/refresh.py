"""Update a folder of bars: fetch new bars only, and report revised history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from marketsim.atomic import replace_file
from marketsim.bars import read_bars
from marketsim.bars.columns import COLUMNS
from marketsim.bars.symbol import check_symbol
from marketsim.errors import ArgumentError, BarsError, MarketsimError
from marketsim.live.sources import Source

OVERLAP = 5  # stored bars fetched again, to detect revised history
_PRICES = ("open", "high", "low", "close")


class Refreshed(NamedTuple):
    """Result of `refresh` for one symbol.

    Attributes:
        symbol: symbol of the file.
        path: the file.
        added: number of new bars.
        total: number of bars in the file.
        first, last: first and last bar as text.
        revised: sentence about revised history; empty if the source agrees with the file.
    """

    symbol: str
    path: Path
    added: int
    total: int
    first: str
    last: str
    revised: str


def refresh(
    folder: str | os.PathLike[str],
    symbols: Iterable[str],
    source: Source,
    *,
    start: str | pd.Timestamp | None = None,
    accept_revised: bool = False,
    errors: MutableMapping[str, str] | None = None,
    done: Callable[[Refreshed], None] | None = None,
) -> list[Refreshed]:
    """Fetch the new bars of symbols into CSV files, one per symbol.

    Files are replaced atomically. The last 5 stored bars are fetched again: if the source now
    gives other prices for them, its history was revised (a split, a correction).

    Args:
        folder: folder of the files; must exist.
        symbols: symbols as the source names them; "BTC/USDT" is stored in BTC-USDT.csv.
        source: provider of the bars.
        start: first date of new files; None for all bars of the source. Existing files keep their
            first bar.
        accept_revised: fetch the whole history again if it was revised; False raises BarsError and
            does not change the file.
        errors: dict that collects the errors by symbol; None raises the first one.
        done: called after each symbol.

    Raises:
        ArgumentError: the folder does not exist, or two symbols share a file.
        BarsError: revised history, or bars with defects.
        SourceError: the source cannot be reached, or does not know a symbol.

    Example:
        >>> from marketsim.live import load_source, refresh
        >>> refresh("bars", ["AAPL", "MSFT"], load_source("yfinance"))  # doctest: +SKIP
    """
    root = Path(folder)
    if not root.is_dir():
        raise ArgumentError(f"there is no folder {root}: create it first")
    named = list(dict.fromkeys(symbols))
    files = {symbol: _file_of(root, symbol) for symbol in named}
    if len(set(files.values())) < len(files):
        raise ArgumentError(f"two of these symbols share a file: {', '.join(named)}")
    first = None if start is None else _utc(pd.Timestamp(start))
    found: list[Refreshed] = []
    for symbol, path in files.items():
        try:
            one = _refresh_one(symbol, path, source, first, accept_revised)
        except (MarketsimError, OSError) as error:
            if errors is None:
                raise
            errors[symbol] = str(error)
            continue
        found.append(one)
        if done is not None:
            done(one)
    return found


def _file_of(root: Path, symbol: str) -> Path:
    return root / f"{check_symbol(symbol.replace('/', '-').replace(':', '-'))}.csv"


def _utc(time: pd.Timestamp) -> pd.Timestamp:
    return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")


def _refresh_one(
    symbol: str, path: Path, source: Source, start: pd.Timestamp | None, accept_revised: bool
) -> Refreshed:
    daily = source.timeframe == "1d"
    stored = _stored(path, daily)
    revised = ""
    if stored is None:
        whole = _dated(source.fetch(symbol, start), daily)
        added = len(whole)
    else:
        overlap = stored.index[max(0, len(stored) - OVERLAP) :]
        fresh = _since(source, symbol, overlap[0])
        revised = _revision(stored.loc[overlap], fresh)
        if revised and not accept_revised:
            raise BarsError(
                f"{symbol}: {source.name} revised its history: {revised}; the file is unchanged; "
                "accept_revised=True (--accept-revised) fetches the whole history again"
            )
        if revised:
            whole = _since(source, symbol, stored.index[0])
            added = int((whole.index > stored.index[-1]).sum())
        else:
            new = fresh[fresh.index > stored.index[-1]]
            whole, added = pd.concat([stored, new]), len(new)
    bars = read_bars(whole, symbol=path.stem, min_bars=1)  # the error lists every defect
    if stored is None or added or revised:
        replace_file(path, _csv(whole, daily))
    return Refreshed(
        path.stem, path, added, len(bars), _text(whole.index[0], daily),
        _text(whole.index[-1], daily), revised,
    )  # fmt: skip


def _since(source: Source, symbol: str, first: pd.Timestamp) -> pd.DataFrame:
    """Fetch the bars from `first` on; a day in Tokyo begins on the previous day in UTC."""
    daily = source.timeframe == "1d"
    start = _utc(first) - (pd.Timedelta(1, "D") if daily else pd.Timedelta(0))
    frame = _dated(source.fetch(symbol, start), daily)
    return frame[frame.index >= first]


def _stored(path: Path, daily: bool) -> pd.DataFrame | None:
    if not path.exists():
        return None
    return _dated(read_bars(path, symbol=path.stem, min_bars=1).frame, daily)


def _dated(frame: pd.DataFrame, daily: bool) -> pd.DataFrame:
    """Return the five columns; daily bars have the exchange's dates at midnight UTC."""
    index = pd.DatetimeIndex(frame.index)
    index = (
        index.tz_localize(None).normalize().tz_localize("UTC")
        if daily
        else (index.tz_convert("UTC"))
    )
    return frame.loc[:, list(COLUMNS)].astype("float64").set_axis(index.as_unit("ns"))


def _revision(stored: pd.DataFrame, fresh: pd.DataFrame) -> str:
    """Describe the first difference between stored and fetched bars; empty if they agree."""
    missing = stored.index.difference(fresh.index)
    if len(missing):
        return f"the bar of {missing[0]:%Y-%m-%d %H:%M} is gone"
    before = stored[list(_PRICES)].to_numpy()
    after = fresh.loc[stored.index, list(_PRICES)].to_numpy()
    ratios = after / before
    changed = np.abs(ratios - 1.0) > 1e-6
    if not changed.any():
        return ""
    if np.ptp(ratios) < 1e-4:
        return f"all prices are multiplied by {ratios.mean():.6g} (a split?)"
    bar, column = (int(i[0]) for i in np.nonzero(changed))
    return (
        f"{_PRICES[column]} of {stored.index[bar]:%Y-%m-%d %H:%M} was {before[bar, column]:g} and "
        f"is {after[bar, column]:g}"
    )


def _csv(frame: pd.DataFrame, daily: bool) -> bytes:
    form = "%Y-%m-%d" if daily else "%Y-%m-%dT%H:%M:%S%z"
    dates = pd.Index(pd.DatetimeIndex(frame.index).strftime(form), name="date")
    return frame.set_axis(dates).to_csv(lineterminator="\n").encode()


def _text(time: pd.Timestamp, daily: bool) -> str:
    return f"{time:%Y-%m-%d}" if daily else f"{time:%Y-%m-%d %H:%M} UTC"
