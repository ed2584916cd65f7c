"""The container that everything else takes: checked OHLCV rows of one symbol that never change."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.bars.clock import FloatArray
from marketsim.bars.columns import COLUMNS
from marketsim.bars.gaps import Gap, find_gaps
from marketsim.bars.market import Market, judge_market
from marketsim.bars.span import describe_period, describe_span
from marketsim.bars.symbol import check_symbol
from marketsim.errors import ArgumentError

Derived = TypeVar("Derived")


class Bars:
    """OHLCV rows of one symbol, ascending in time; use `read_bars` to make one from raw data.

    The rows are copied once and kept read-only, so nothing that happens later to the frame given
    or to a frame handed out can change them.

    Args:
        frame: columns open, high, low, close, volume in that order, all float64; a
            DatetimeIndex with a time zone, strictly ascending.
        symbol: the name of what is traded.
        repairs: what was changed on the way, in words.
        notes: how the source was understood, in words.
        calendar: a calendar that the caller names: "24/7", "24/5" or one of exchange_calendars.

    Raises:
        ArgumentError: the frame has another layout; `read_bars` accepts far more.
        InvalidNameError: `check_symbol` refuses the symbol.

    Example:
        >>> import pandas as pd
        >>> from marketsim.bars import read_bars
        >>> frame = pd.DataFrame(
        ...     {"open": [1, 2], "high": [2, 3], "low": [1, 2], "close": [2, 3], "volume": [5, 6]},
        ...     index=pd.to_datetime(["2020-01-02", "2020-01-03"]),
        ... )
        >>> bars = read_bars(frame, symbol="ABC")
        >>> bars
        Bars('ABC', 2 bars of 1 day, 2020-01-02 to 2020-01-03)
        >>> bars.close
        array([2., 3.])

    """

    __slots__ = (
        "_calendar",
        "_columns",
        "_derived",
        "_fingerprint",
        "_market",
        "_notes",
        "_repairs",
        "_shown",
        "_symbol",
        "_timestamps",
        "_zone",
    )

    def __init__(
        self,
        frame: pd.DataFrame,
        symbol: str,
        repairs: Iterable[str] = (),
        *,
        notes: Iterable[str] = (),
        calendar: str | None = None,
    ) -> None:
        index = _check_layout(frame)
        # [column, row] in C order, so that each column is contiguous.
        block: FloatArray = np.array(frame.to_numpy().T, dtype=np.float64, order="C")
        utc = index.tz_convert("UTC").tz_localize(None).as_unit("ns")
        times: npt.NDArray[np.datetime64] = np.array(utc.to_numpy(), dtype="M8[ns]")
        self._keep(times, tuple(block), index.tz, symbol, repairs, notes, calendar)

    @classmethod
    def of_columns(
        cls,
        times: npt.NDArray[np.datetime64],
        columns: tuple[FloatArray, ...],
        zone: dt.tzinfo | None,
        symbol: str,
        repairs: Iterable[str] = (),
        *,
        notes: Iterable[str] = (),
        calendar: str | None = None,
    ) -> Bars:
        """Make bars of checked arrays that nobody else holds; they are not copied.

        Args:
            times: datetime64[ns] in UTC, strictly ascending [row].
            columns: open, high, low, close, volume, float64 [row] each.
            zone: in which `frame` shows the times.
            symbol: as in the constructor, as are the others.
            repairs: what was changed.
            notes: how the source was understood.
            calendar: the name of a calendar.

        """
        bars = cls.__new__(cls)
        bars._keep(times, columns, zone, symbol, repairs, notes, calendar)
        return bars

    def _keep(
        self,
        times: npt.NDArray[np.datetime64],
        columns: tuple[FloatArray, ...],
        zone: Any,
        symbol: str,
        repairs: Iterable[str],
        notes: Iterable[str],
        calendar: str | None,
    ) -> None:
        self._symbol = check_symbol(symbol)
        self._repairs = tuple(repairs)
        self._notes = tuple(notes)
        self._calendar = calendar
        self._market: Market | None = None
        self._fingerprint: str | None = None
        self._derived: dict[str, Any] = {}
        # Of a view, a caller cannot lift the write protection.
        self._timestamps = _protected(times)
        self._columns = tuple(_protected(column) for column in columns)
        self._zone = zone
        self._shown: pd.DataFrame | None = None

    @property
    def _index(self) -> pd.DatetimeIndex:
        return self._frame.index  # type: ignore[return-value]

    @property
    def _frame(self) -> pd.DataFrame:
        """The frame, built on first access: many runs need the arrays only."""
        if self._shown is None:
            stamps = pd.DatetimeIndex(self._timestamps, name="timestamp")
            index = stamps.tz_localize("UTC").tz_convert(self._zone)
            columns = dict(zip(COLUMNS, self._columns, strict=True))
            self._shown = pd.DataFrame(columns, index, copy=False)
        return self._shown

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame: index "timestamp" (datetime64[ns, zone]), five float64 columns.

        Each access gives a new frame over the same read-only memory; pandas copies it when the
        caller writes to it.
        """
        return self._frame.copy(deep=False)

    @property
    def zone(self) -> dt.tzinfo | None:
        """The time zone of `frame`'s index, without building the frame."""
        last = pd.DatetimeIndex(self._timestamps[-1:]).tz_localize("UTC")
        return last.tz_convert(self._zone).tz

    @property
    def symbol(self) -> str:
        """The name of what is traded."""
        return self._symbol

    @property
    def repairs(self) -> tuple[str, ...]:
        """What `repair=` and `adjusted=True` did to the data, in words; empty if nothing."""
        return self._repairs

    @property
    def notes(self) -> tuple[str, ...]:
        """How the source was understood, in words: layout, clock, what looks odd."""
        return self._notes

    @property
    def calendar(self) -> str | None:
        """The calendar that the caller named; None if the market is judged by the bars."""
        return self._calendar

    @property
    def market(self) -> Market:
        """Asset class, bars a session and a year, each with its evidence or as an assumption.

        Raises:
            NotEnoughBarsError: there are fewer than two bars.
        """
        if self._market is None:
            self._market = judge_market(self)
        return self._market

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Holes in the data, each with the first row after it; see `marketsim.bars.gaps`."""
        if len(self) < 3:
            return ()
        return find_gaps(self, self.market.asset_class == "crypto")

    @property
    def open(self) -> FloatArray:
        """Opening prices, float64 [row], read-only."""
        return self._columns[0]

    @property
    def high(self) -> FloatArray:
        """Highest prices, float64 [row], read-only."""
        return self._columns[1]

    @property
    def low(self) -> FloatArray:
        """Lowest prices, float64 [row], read-only."""
        return self._columns[2]

    @property
    def close(self) -> FloatArray:
        """Closing prices, float64 [row], read-only."""
        return self._columns[3]

    @property
    def volume(self) -> FloatArray:
        """Traded volumes in the source's unit, float64 [row], read-only."""
        return self._columns[4]

    @property
    def timestamps(self) -> npt.NDArray[np.datetime64]:
        """Timestamps in UTC, datetime64[ns] [row], read-only."""
        return self._timestamps

    @property
    def timezone(self) -> str:
        """The name of the time zone of the frame's index."""
        return str(self._zone)

    @property
    def local_times(self) -> npt.NDArray[np.datetime64]:
        """The wall clock in the bars' time zone, datetime64[ns] [row]: dates of sessions."""
        if self._zone is dt.UTC:
            return self._timestamps
        return self._index.tz_localize(None).to_numpy()

    def span(self, start: int = 0, stop: int | None = None) -> str:
        """Say which bars rows `start` to `stop` are: count, spacing, first and last local time.

        Example:
            >>> from marketsim.bars import demo_bars
            >>> demo_bars().span()
            '5,031 bars of 1 day, 1999-01-04 to 2018-12-31'

        """
        return describe_span(self, start, len(self) if stop is None else stop)

    def period(self, start: int = 0, stop: int | None = None) -> str:
        """Say from when to when rows `start` to `stop` are: dates, or local times and their zone.

        Example:
            >>> from marketsim.bars import demo_bars
            >>> demo_bars().period()
            '1999-01-04 to 2018-12-31'

        """
        return describe_period(self, start, len(self) if stop is None else stop)

    def derived(self, name: str, make: Callable[[], Derived]) -> Derived:
        """What is made of these rows once, by name: later calls give the same object."""
        if name not in self._derived:
            self._derived[name] = make()
        return self._derived[name]  # type: ignore[no-any-return]

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of the rows' exact bytes.

        Hashed are the timestamps (int64 nanoseconds since 1970 in UTC), then open, high, low,
        close and volume (float64), each little-endian. Neither the symbol nor the time zone
        changes it.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256(self._timestamps.view(np.int64).astype("<i8").tobytes())
            for column in self._columns:
                digest.update(column.astype("<f8").tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def __len__(self) -> int:
        return len(self._timestamps)

    def __repr__(self) -> str:
        return f"Bars({self.symbol!r}, {self.span()})"

    def _repr_html_(self) -> str:
        """Show the first and last bars in a notebook."""
        rows = self._frame if len(self) <= 8 else pd.concat([self._frame[:4], self._frame[-4:]])
        return f"<p>{escape(repr(self))}</p>{rows.to_html(border=0)}"

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        # Rebuilt through the constructor, so that a copy in another process is read-only too.
        return _rebuild, (self._frame, self._symbol, self._repairs, self._notes, self._calendar)


def _protected(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array[:]


def _rebuild(
    frame: pd.DataFrame,
    symbol: str,
    repairs: tuple[str, ...],
    notes: tuple[str, ...],
    calendar: str | None,
) -> Bars:
    return Bars(frame, symbol, repairs, notes=notes, calendar=calendar)


def _check_layout(frame: pd.DataFrame) -> pd.DatetimeIndex:
    advice = "; read_bars accepts other layouts"
    index = frame.index
    if list(frame.columns) != list(COLUMNS):
        raise ArgumentError(
            f"Bars got columns {list(frame.columns)}: expected {list(COLUMNS)}{advice}"
        )
    if not all(dtype == np.float64 for dtype in frame.dtypes):
        raise ArgumentError(
            f"Bars got dtypes {[str(d) for d in frame.dtypes]}: expected float64{advice}"
        )
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise ArgumentError(
            f"Bars got an index of dtype {index.dtype}: expected a DatetimeIndex with a time zone"
            f"{advice}"
        )
    if index.hasnans or not (index.is_monotonic_increasing and index.is_unique):
        raise ArgumentError(
            "Bars got timestamps that are missing, repeated or not ascending: expected strictly "
            'ascending ones; read_bars(frame, repair=("sort", "drop_duplicates")) makes them so'
        )
    return index
