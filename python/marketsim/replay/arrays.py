"""What the compiled engine reads: bars, their events, and finer bars inside them."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim import _core
from marketsim.arguments import as_numbers
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError
from marketsim.replay.account import Account

BarsLike = Bars | pd.DataFrame | str | os.PathLike[str]
Floats = npt.NDArray[np.float64]


def arrays_of(
    bars: Bars,
    account: Account,
    split: npt.ArrayLike | None,
    dividend: npt.ArrayLike | None,
    trail: npt.ArrayLike | None,
    intraday: BarsLike | None,
) -> _core.ReplayBars:
    """The bars of a replay for the engine; arguments as of `replay`."""
    if not isinstance(account, Account):
        raise ArgumentError(f"account must be an Account: got {type(account).__name__}")
    if split is None and dividend is None and trail is None and intraday is None:
        if account.borrow or account.financing or account.participation > 0.0:
            return _core_bars(bars, account, (None, None, None))
        return bars.derived("replay", lambda: _core_bars(bars, account, (None, None, None)))
    least = float(np.nextafter(0.0, 1.0))
    events = (
        _series(bars, "split", split, least),
        _series(bars, "dividend", dividend, -np.inf),
        _series(bars, "trailing_distance", trail, least, or_nan=True),
    )
    arrays = _core_bars(bars, account, events)
    if intraday is not None:
        _add_finer(arrays, bars, intraday if isinstance(intraday, Bars) else read_bars(intraday))
    return arrays


def _core_bars(
    bars: Bars, account: Account, events: tuple[Floats | None, Floats | None, Floats | None]
) -> _core.ReplayBars:
    # Where no bar has a volume, none is known: such bars may still fill.
    volume = bars.volume if account.participation > 0.0 or bars.volume.any() else None
    times = bars.timestamps.view(np.int64) if account.borrow or account.financing else None
    return _core.ReplayBars(bars.open, bars.high, bars.low, bars.close, volume, times, *events)


def by_bar(bars: Bars, name: str, values: npt.ArrayLike) -> npt.ArrayLike:
    """`values` unchanged; refuses a Series that is labelled with other times than the bars."""
    index = getattr(values, "index", None)
    if not isinstance(index, pd.DatetimeIndex) or len(index) != len(bars):
        return values
    known = bars.local_times if index.tz is None else bars.timestamps
    times = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    given = times.as_unit("ns").to_numpy()
    wrong = given != known
    if index.tz is None and wrong.any():
        wrong = given != bars.timestamps  # the clock of UTC without its name
    if wrong.any():
        row = int(wrong.argmax())
        raise ArgumentError(
            f"{name} has other times than the bars: row {row} is of {index[row]}, the bar of "
            f"{bars.frame.index[row]}; use .reindex(bars.frame.index), or .to_numpy() where the "
            "rows are the bars"
        )
    return values


def _series(
    bars: Bars, name: str, values: npt.ArrayLike | None, least: float, *, or_nan: bool = False
) -> Floats | None:
    if values is None:
        return None
    array = np.ascontiguousarray(as_numbers(name, by_bar(bars, name, values), np.float64))
    if array.shape != (len(bars),):
        raise ArgumentError(
            f"{name} must have one number a bar ({len(bars)}): got shape {array.shape}"
        )
    bad = ~(np.isfinite(array) & (array >= least))
    if or_nan:
        bad &= ~np.isnan(array)
    if bad.any():
        what = "finite" if least < 0.0 else "above 0 and finite"
        raise ArgumentError(
            f"{name} must be {what}{' or NaN' if or_nan else ''}: got {array[bad][0]:g} at bar "
            f"{int(bad.argmax())}"
        )
    return array


def _add_finer(arrays: _core.ReplayBars, bars: Bars, finer: Bars) -> None:
    """Give each bar the finer bars whose time lies from its own up to the next one's.

    The last bar has those within the usual distance of the bars.
    """
    times, inner = bars.timestamps.view(np.int64), finer.timestamps.view(np.int64)
    if len(bars) < 2:
        raise ArgumentError("intraday needs at least two bars, to tell how long one lasts")
    length = int(np.median(np.diff(times)))
    spacing = int(np.diff(inner).min()) if len(finer) > 1 else 0
    if spacing >= length:
        seconds = [f"{ns / 1e9:,.0f} s" for ns in (spacing, length)]
        raise ArgumentError(
            f"intraday must be finer than the bars: got bars of {seconds[0]}, and the bars have "
            f"{seconds[1]}"
        )
    first = np.searchsorted(inner, np.append(times, times[-1] + length)).astype(np.int64)
    at = np.repeat(np.arange(len(bars)), np.diff(first))
    rows = slice(int(first[0]), int(first[-1]))
    outside = (finer.high[rows] > bars.high[at]) | (finer.low[rows] < bars.low[at])
    if outside.any():
        row = int(first[0]) + int(outside.argmax())
        bar = int(at[outside.argmax()])
        raise ArgumentError(
            f"intraday must lie inside the bars: the finer bar of {finer.frame.index[row]} trades "
            f"from {finer.low[row]:g} to {finer.high[row]:g}, its bar of {bars.frame.index[bar]} "
            f"from {bars.low[bar]:g} to {bars.high[bar]:g}; {int(outside.sum())} such finer bars "
            "in all: are both of one source, with one adjustment and one time zone?"
        )
    if not len(at):
        raise ArgumentError(
            f"no finer bar lies inside a bar: intraday has {finer.frame.index[0]} to "
            f"{finer.frame.index[-1]}, the bars {bars.frame.index[0]} to {bars.frame.index[-1]}"
        )
    volume = finer.volume if finer.volume.any() else None
    columns = [finer.open, finer.high, finer.low, finer.close]
    arrays.add_finer(columns, volume, first)
