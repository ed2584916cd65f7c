"""Dates written as text: the format of a column is decided from all of its cells.

The order of day and month is proved by a cell that only one order can read. Where no cell proves
it, and the two readings differ, the column is unclear: nothing is guessed from the first cell.
Dates with dots are never month first.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.bars.date_structure import Structure, structure_of
from marketsim.bars.eras import ERAS, stated_years, why_unread
from marketsim.bars.iso_dates import read_iso
from marketsim.bars.words_of_time import in_english
from marketsim.bars.zone_names import ABBREVIATED, PLACES, with_offsets, without_zone, zone_of
from marketsim.bars.zones import (
    NAT,
    BoolArray,
    IntArray,
    ObjectArray,
    localize,
    nanoseconds,
    parse_timezone,
)
from marketsim.errors import ArgumentError

_STRUCTURES = 12  # different ways of writing in one column that are tried
_TRIED = 400  # cells that fit no structure, after which the rest is left unread


@dataclass
class DateReading:
    """What a column of text was read as.

    Attributes:
        wall: local clock in ns as written, NAT where not read [row].
        instant: UTC in ns where the cell names its zone, else NAT [row].
        read_as: for messages and notes.
        unclear: why the column as a whole cannot be read; empty if it can.
        zone: that every cell names; None where they name none, or only offsets.

    """

    wall: IntArray
    instant: IntArray
    read_as: str = ""
    unclear: str = ""
    zone: dt.tzinfo | None = None


def read_dates(cells: ObjectArray, dayfirst: bool | None, date_format: str | None) -> DateReading:
    """Read text [row], all cells str; leading and trailing blanks do not count."""
    count = len(cells)
    reading = DateReading(np.full(count, NAT, np.int64), np.full(count, NAT, np.int64))
    texts = pd.Series(cells, dtype=object).str.strip()
    if date_format in ERAS:
        texts = stated_years(texts, date_format)
        found = read_dates(texts.to_numpy(dtype=object), dayfirst, None)
        found.read_as += f", {ERAS[date_format]} as stated"
        return found
    if date_format is not None:
        return _read_stated(texts, date_format, reading)
    zone = zone_of(texts)
    if zone == ABBREVIATED:
        found = read_dates(with_offsets(texts), dayfirst, None)
        found.read_as += ", zones by their abbreviations"
        return found
    if zone:
        return _read_zoned(texts, zone, dayfirst, reading)
    if read_iso(texts, np.ones(count, np.bool_), reading.wall, reading.instant):
        reading.read_as = "read as ISO dates"
        return reading
    texts, foreign = in_english(texts)
    groups = _group(texts, reading)
    if not groups:
        reading.read_as, reading.unclear = _why_none(texts), why_unread(texts)
        return reading
    said = []
    for family in dict.fromkeys(structure.family for structure, _ in groups):
        members = [group for group in groups if group[0].family == family]
        order, unclear = _decide_order(members, texts, dayfirst)
        if unclear:
            reading.unclear = why_unread(texts) or unclear
            return reading
        for structure, chosen in members:
            _read_group(texts, chosen, structure, structure.formats[order], reading)
        said.append(members[0][0].formats[order])
    reading.read_as = "read as " + " and ".join(said[:3]) + (f", {foreign}" if foreign else "")
    if all(said_format.startswith("%Y-%m-%d") for said_format in said):
        left = (reading.wall == NAT) & (reading.instant == NAT)
        read_iso(texts, left, reading.wall, reading.instant)
    unread = (reading.wall == NAT) & (reading.instant == NAT)
    reading.unclear = why_unread(texts[unread]) if unread.any() else ""
    return reading


def can_be_date(cell: str) -> bool:
    """Whether some format reads a cell; its neighbours may contradict it."""
    texts, _ = in_english(pd.Series([cell.strip()], dtype=object))
    structure = structure_of(texts.iloc[0])
    formats = () if structure is None else structure.formats.values()
    return any(_parse(texts, text_format).notna().all() for text_format in formats)


def _read_zoned(
    texts: pd.Series, zone: str, dayfirst: bool | None, reading: DateReading
) -> DateReading:
    """Read cells that end in the name of a zone."""
    try:
        clock = parse_timezone(PLACES.get(zone, zone))
    except ArgumentError as error:
        reading.unclear = str(error)
        return reading
    found = read_dates(without_zone(texts, zone), dayfirst, None)
    rows = np.flatnonzero((found.wall != NAT) & (found.instant == NAT))
    found.instant[rows], _ = localize(found.wall[rows], clock)
    found.wall[rows[found.instant[rows] == NAT]] = NAT
    found.read_as += f" in {zone}"
    found.zone = clock
    return found


def _why_none(texts: pd.Series) -> str:
    if texts.str.fullmatch(r"\d(?:[.,]\d+)?[eE]\+?\d+").any():
        return (
            "numbers such as 1.7E+12 have lost their digits in a spreadsheet; export them as text"
        )
    return "no date format fits"


def _group(texts: pd.Series, reading: DateReading) -> list[tuple[Structure, BoolArray]]:
    """Group cells by their structure; each structure is found from the first cell that has it."""
    cells = texts.to_numpy(dtype=object)
    open_rows = np.ones(len(cells), np.bool_)
    groups: list[tuple[Structure, BoolArray]] = []
    tried = 0
    position = 0
    while position < len(cells) and len(groups) < _STRUCTURES and tried < _TRIED:
        if not open_rows[position]:
            position += 1
            continue
        structure = structure_of(cells[position])
        if structure is None:
            tried += 1
            open_rows[position] = False
            position += 1
            continue
        fits = np.zeros(len(cells), np.bool_)
        rows = np.flatnonzero(open_rows)
        for text_format in structure.formats.values():
            parsed = _parse(texts.iloc[rows], text_format)
            fits[rows[~parsed.isna().to_numpy()]] = True
        if not fits[position]:  # no date, such as 2020-02-30
            tried += 1
            open_rows[position] = False
            position += 1
            continue
        groups.append((structure, fits))
        open_rows &= ~fits
        position += 1
    return groups


def _parse(texts: pd.Series, text_format: str, utc: bool | None = None) -> pd.Series:
    aware = "%z" in text_format or text_format.endswith(("UTC", "GMT")) if utc is None else utc
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed: pd.Series = pd.to_datetime(texts, format=text_format, errors="coerce", utc=aware)
    if "%y" in text_format:  # 62 is 1962 and 49 is 2049, as no bars are of a later year
        parsed = parsed.mask(parsed.dt.year >= 2050, parsed - pd.DateOffset(years=100))
    return parsed


def _decide_order(
    groups: list[tuple[Structure, BoolArray]], texts: pd.Series, dayfirst: bool | None
) -> tuple[str, str]:
    """The order of a family of structures, or why it is unclear."""
    orders = list(groups[0][0].formats)
    if dayfirst is False and "dmy" in orders and "mdy" not in orders:
        return "dmy", _dotted(groups, texts)
    if len(orders) == 1:
        return orders[0], ""
    if dayfirst is not None and "ydm" not in orders:
        stated = "dmy" if dayfirst else "mdy"
        return stated, _against(stated, dayfirst, groups, texts)
    values: dict[str, list[IntArray]] = {order: [] for order in orders}
    cells: list[str] = []
    for structure, chosen in groups:
        part = texts[chosen]
        cells += part.tolist()
        for order in orders:
            parsed = _parse(part, structure.formats[order])
            if parsed.dt.tz is not None:
                parsed = parsed.dt.tz_localize(None)
            values[order].append(nanoseconds(pd.DatetimeIndex(parsed)))
    read = {order: np.concatenate(parts) for order, parts in values.items()}
    able = [order for order in orders if (read[order] != NAT).all()]
    others = [order for order in able if order != "ymd"]
    if "ymd" in able and not _one_way(read["ymd"]) and any(_one_way(read[o]) for o in others):
        able = others  # a year of two digits stands first only where the days follow each other
    elif "ymd" in able and _one_way(read["ymd"]) and not any(_one_way(read[o]) for o in others):
        able = ["ymd"]
    if "ydm" in orders:  # only where the month cannot stand second, and the days follow each other
        turned = able == ["ydm"] and _one_way(read["ydm"])
        return ("ydm" if turned else "ymd"), ""
    if len(able) == 1:
        return able[0], ""
    if not able:
        return "", _contradiction(orders, read, cells)
    first = read[able[0]]
    if all(np.array_equal(first, read[order]) for order in able[1:]):
        return able[0], ""
    return "", (
        f"dates such as {cells[0]!r} can be read {' or '.join(_ORDERS[o] for o in able)}, and no "
        f"row proves which{_formats(groups[0][0], able)}"
    )


def _dotted(groups: list[tuple[Structure, BoolArray]], texts: pd.Series) -> str:
    """Why dates with dots are not read month first; "" where a month has a name."""
    stated = groups[0][0].formats["dmy"]
    if not stated.startswith("%d.%m"):
        return ""
    cell, turned = texts[groups[0][1]].iloc[0], stated.replace("%d.%m", "%m.%d")
    return (
        f"dayfirst=False says month first, and dates with dots such as {cell!r} are day first; "
        f'leave dayfirst= away, or date_format="{turned}" reads them month first'
    )


def _against(
    order: str, dayfirst: bool, groups: list[tuple[Structure, BoolArray]], texts: pd.Series
) -> str:
    """Why a stated order cannot be that of the cells; "" where it reads them all."""
    for structure, chosen in groups:
        part = texts[chosen]
        unread = _parse(part, structure.formats[order]).isna()
        if unread.any():
            other = "mdy" if dayfirst else "dmy"
            cell = part[unread].iloc[0]
            return (
                f"dayfirst={dayfirst} says {_ORDERS[order]}, and {cell!r} is {_ORDERS[other]}; "
                f"leave dayfirst= away, or dayfirst={not dayfirst} states the order that the dates "
                "have"
            )
    return ""


_ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}


def _contradiction(orders: list[str], read: dict[str, IntArray], cells: list[str]) -> str:
    proofs = []
    for order in ("dmy", "mdy"):
        other = next(o for o in orders if o != order)
        only = np.flatnonzero(
            (read[order] != NAT)
            & (read.get("mdy" if order == "dmy" else "dmy", read[other]) == NAT)
        )
        if len(only):
            proofs.append(f"{cells[only[0]]!r} is {_ORDERS[order]}")
    return f"the dates contradict each other: {', '.join(proofs) or cells[0]!r}"


def _formats(structure: Structure, able: list[str]) -> str:
    """How to state an order, where `dayfirst=` cannot."""
    formats = [f'"{structure.formats[order]}"' for order in able]
    return f"; date_format={' or '.join(formats)} states it" if "ymd" in able else ""


def _one_way(times: IntArray) -> bool:
    steps = np.diff(times)
    return bool((steps >= 0).all() or (steps <= 0).all())


def prove_order(cells: ObjectArray) -> bool | None:
    """Whether the dates of a column are day first; None where nothing of it proves an order."""
    texts, _ = in_english(pd.Series(cells, dtype=object).str.strip())
    reading = DateReading(np.empty(0, np.int64), np.empty(0, np.int64))
    groups = _group(texts, reading)
    for family in dict.fromkeys(structure.family for structure, _ in groups):
        members = [group for group in groups if group[0].family == family]
        order, _ = _decide_order(members, texts, None)
        if order in ("dmy", "mdy") and len(members[0][0].formats) > 1:
            return order == "dmy"
    return None


def _read_group(
    texts: pd.Series,
    chosen: BoolArray,
    structure: Structure,
    text_format: str,
    reading: DateReading,
) -> None:
    part = texts[chosen]
    parsed = _parse(part, text_format)
    if not structure.zone:
        reading.wall[chosen] = nanoseconds(pd.DatetimeIndex(parsed))
        return
    if parsed.dt.tz is None:
        parsed = parsed.dt.tz_localize("UTC")
    reading.instant[chosen] = nanoseconds(pd.DatetimeIndex(parsed).tz_convert("UTC"))
    bare = part.str.replace(r"\s*(?:Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|UTC|GMT)$", "", regex=True)
    naive = re.sub(r"\s*(?:UTC|GMT)?(?:%z)?$", "", text_format)
    reading.wall[chosen] = nanoseconds(pd.DatetimeIndex(_parse(bare, naive, utc=False)))


def _misstated(texts: pd.Series, row: int) -> str:
    """Formats of a cell that a stated format does not read, as they are stated; "" if it is none.

    That of the whole column where it has one, else those of the cell alone.
    """
    whole = DateReading(np.full(len(texts), NAT, np.int64), np.full(len(texts), NAT, np.int64))
    groups = _group(in_english(texts)[0], whole)
    cell = in_english(texts.iloc[[row]])[0].iloc[0]
    structure = structure_of(cell)
    if structure is None:
        return ""
    formats = list(structure.formats.values())
    for group, chosen in groups:
        if chosen.all():
            able = [f for f in group.formats.values() if _parse(texts, f).notna().all()]
            formats = able or formats
    return " or ".join(f'"{text_format}"' for text_format in formats)


def _read_stated(texts: pd.Series, text_format: str, reading: DateReading) -> DateReading:
    try:
        parsed = _parse(texts, text_format)
    except ValueError as error:
        reading.unclear = f"date_format={text_format!r} is no format ({error})"
        return reading
    target = reading.wall if parsed.dt.tz is None else reading.instant
    target[:] = nanoseconds(pd.DatetimeIndex(parsed))
    reading.read_as = f"read as {text_format}, as stated"
    unread = np.flatnonzero(parsed.isna().to_numpy())
    if len(unread):
        found = _misstated(texts, int(unread[0]))
        if found:
            reading.unclear = (
                f"date_format={text_format!r} does not read {texts.iloc[unread[0]]!r}; leave "
                f"date_format= away, or state {found}"
            )
    return reading
