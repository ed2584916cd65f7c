"""The arguments of `read_bars` that do not depend on the source, checked before it is opened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from marketsim.bars.columns import check_columns
from marketsim.bars.exchange import check_calendar
from marketsim.bars.layouts import Layout, find_layout
from marketsim.bars.repair import check_repairs
from marketsim.bars.time_options import check_date_format
from marketsim.bars.zones import parse_timezone
from marketsim.errors import ArgumentError

SPLITS = ("adjust", "ignore")


@dataclass(frozen=True)
class ReadOptions:
    """The checked arguments of `read_bars`; None where the caller states nothing."""

    timezone: dt.tzinfo | None
    adjusted: bool | str | None
    repairs: frozenset[str]
    min_bars: int
    calendar: str | None = None
    layout: Layout | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    date_format: str | None = None
    dayfirst: bool | None = None
    decimal: str | None = None
    splits: str | None = None


def check_options(
    timezone: str | None,
    adjusted: bool | str | None,
    repair: str | Iterable[str],
    min_bars: int = 2,
    calendar: str | None = None,
    *,
    layout: str | None = None,
    columns: Mapping[str, str | list[str]] | None = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    decimal: str | None = None,
    splits: str | None = None,
) -> ReadOptions:
    """Check arguments before any file is opened.

    Raises:
        ArgumentError: an argument is out of range, or the time zone does not exist.
        UnknownNameError: a repair, a layout or a calendar does not exist.

    """
    choice: bool | str | None = None
    if isinstance(adjusted, bool | np.bool_):
        choice = bool(adjusted)
    elif adjusted is not None:
        if adjusted != "auto":
            raise ArgumentError(f'adjusted got {adjusted!r}: expected True, False, "auto" or None')
        choice = "auto"
    if not _is_count(min_bars):
        raise ArgumentError(f"min_bars got {min_bars!r}: expected a whole number of at least 1")
    if dayfirst is not None and not isinstance(dayfirst, bool | np.bool_):
        raise ArgumentError(f"dayfirst got {dayfirst!r}: expected True, False or None")
    if decimal not in (None, ".", ","):
        raise ArgumentError(f'decimal got {decimal!r}: expected ".", "," or None')
    if splits is not None and splits not in SPLITS:
        raise ArgumentError(f'splits got {splits!r}: expected "adjust", "ignore" or None')
    return ReadOptions(
        timezone=None if timezone is None else parse_timezone(timezone),
        adjusted=choice,
        repairs=check_repairs(repair),
        min_bars=int(min_bars),
        calendar=None if calendar is None else check_calendar(calendar),
        layout=None if layout is None else find_layout(layout),
        columns=check_columns(columns),
        date_format=check_date_format(date_format),
        dayfirst=None if dayfirst is None else bool(dayfirst),
        decimal=decimal,
        splits=splits,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)
