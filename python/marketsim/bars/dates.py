"""Dates written as text: the format of a column is decided from all of its cells.

The order of day and month is proved by a cell that only one order can read. Where no cell proves
it, and the two readings differ, the column is unclear: nothing is guessed from the first cell.
Dates with dots are never month first.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketsim.bars.zones import NAT, BoolArray, IntArray, ObjectArray, nanoseconds

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_LONG = "january|february|march|april|june|july|august|september|october|november|december"
_YEAR = r"(?:(?P<Y>\d{4})|(?P<y>\d{2}))"
_WEEKDAY = r"(?P<weekday>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"

# Date parts with the orders that they may have.
_DATES: tuple[tuple[str, str], ...] = (
    (r"(?P<Y>\d{4})(?P<s>[-/.])\d{1,2}(?P=s)\d{1,2}", "Ymd"),
    (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)(?P<Y>\d{4})", "dmY"),
    (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)(?P<y>\d{2})", "dmy"),
    (r"\d{4}年\d{1,2}月\d{1,2}日", "zh"),
    (rf"\d{{1,2}}(?P<a>[-/. ])(?P<mon>{_MONTHS}|{_LONG})(?P<b>[-/., ]+){_YEAR}", "dbY"),
    (rf"(?P<mon>{_MONTHS}|{_LONG})(?P<a>[-/. ]+)\d{{1,2}}(?P<b>[-/, ]+){_YEAR}", "bdY"),
    (rf"(?P<Y>\d{{4}})(?P<a>[-/. ])(?P<mon>{_MONTHS}|{_LONG})(?P<b>[-/. ])\d{{1,2}}", "Ybd"),
    (r"(?P<Y>\d{4})\d{4}", "%Y%m%d"),
)  # fmt: skip
_TIME = (
    r"(?:(?P<gap>[T _,;]+|[ ,]+at )(?:"
    r"(?P<clock>\d{1,2}:\d{2}(?P<sec>:\d{2}(?P<frac>[.,]\d{1,9})?)?)(?P<ampm> ?[ap]m)?"
    r"|(?P<hour>\d{1,2})(?P<hgap>[- ]?)(?P<hampm>[ap]m)"
    r"|(?P<packed>\d{6}|\d{4})(?P<millis>\d{3})?))?"
)
_ZONE = r"(?P<zone> ?(?:Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|UTC|GMT))?"
_SHAPES = [
    (re.compile(_WEEKDAY + f"(?P<date>{date})" + _TIME + _ZONE, re.IGNORECASE), kind)
    for date, kind in _DATES
]
_STRUCTURES = 12  # different ways of writing in one column that are tried
_TRIED = 400  # cells that fit no structure, after which the rest is left unread


@dataclass(frozen=True)
class Structure:
    """How one cell is written: candidate formats by order, and whether it names its zone."""

    formats: dict[str, str]
    family: str
    zone: str
    millis: bool


@dataclass
class DateReading:
    """What a column of text was read as.

    Attributes:
        wall: local clock in ns as written, NAT where not read [row].
        instant: UTC in ns where the cell names its zone, else NAT [row].
        read_as: for messages and notes.
        unclear: why the column as a whole cannot be read; empty if it can.

    """

    wall: IntArray
    instant: IntArray
    read_as: str = ""
    unclear: str = ""


def structure_of(cell: str) -> Structure | None:
    """The ways in which one cell can be read; None if it is no date."""
    for pattern, kind in _SHAPES:
        match = pattern.fullmatch(cell)
        if match:
            return _structure(match, kind)
    return None


def _structure(match: re.Match[str], kind: str) -> Structure:
    got = match.groupdict()
    year = "%Y" if got.get("Y") else "%y"
    month = "%b" if len(got.get("mon") or "") == 3 else "%B"
    s = got.get("s") or ""
    orders = {
        "Ymd": {"ymd": f"%Y{s}%m{s}%d"},
        "dmY": {"dmy": f"%d{s}%m{s}%Y", "mdy": f"%m{s}%d{s}%Y"},
        "dmy": {"dmy": f"%d{s}%m{s}%y", "mdy": f"%m{s}%d{s}%y", "ymd": f"%y{s}%m{s}%d"},
        "zh": {"ymd": "%Y年%m月%d日"},
        "dbY": {"dmy": f"%d{got.get('a')}{month}{got.get('b')}{year}"},
        "bdY": {"mdy": f"{month}{got.get('a')}%d{got.get('b')}{year}"},
        "Ybd": {"ymd": f"%Y{got.get('a')}{month}{got.get('b')}%d"},
    }.get(kind, {"ymd": kind})
    if s == ".":
        orders.pop("mdy", None)
    weekday = got["weekday"] or ""
    if weekday:
        name = weekday.rstrip(", ")
        weekday = ("%a" if len(name) == 3 else "%A") + weekday[len(name) :]
    tail, zone = _time_format(got), (got["zone"] or "")
    literal = zone[: len(zone) - len(zone.lstrip())] + re.sub(r"[+-].*", "", zone.strip())
    suffix = "" if not zone else literal + ("%z" if re.search("[+-]", zone) else "")
    if zone.strip().upper() == "Z":
        suffix = zone[:-1] + "%z"
    formats = {order: weekday + date + tail + suffix for order, date in orders.items()}
    return Structure(formats, f"{kind}{s}", zone, bool(got["millis"]))


def _time_format(got: dict[str, str | None]) -> str:
    gap = got["gap"]
    if gap is None:
        return ""
    if got["packed"]:
        clock = "%H%M%S" if len(got["packed"]) == 6 else "%H%M"
        return gap + clock + ("%f" if got["millis"] else "")
    if got["hour"]:
        return f"{gap}%I{got['hgap']}%p"
    hours = "%I" if got["ampm"] else "%H"
    seconds = ":%S" if got["sec"] else ""
    fraction = f"{got['frac'][0]}%f" if got["frac"] else ""
    half = got["ampm"] or ""
    return f"{gap}{hours}:%M{seconds}{fraction}" + (
        " %p" if half[:1] == " " else "%p" if half else ""
    )


def read_dates(cells: ObjectArray, dayfirst: bool | None, date_format: str | None) -> DateReading:
    """Read text [row], all cells str; leading and trailing blanks do not count."""
    count = len(cells)
    reading = DateReading(np.full(count, NAT, np.int64), np.full(count, NAT, np.int64))
    texts = pd.Series(cells, dtype=object).str.strip()
    if date_format is not None:
        return _read_stated(texts, date_format, reading)
    if _read_iso(texts, np.ones(count, np.bool_), reading):
        reading.read_as = "read as ISO dates"
        return reading
    groups = _group(texts, reading)
    if not groups:
        reading.read_as = _why_none(texts)
        return reading
    said = []
    for family in dict.fromkeys(structure.family for structure, _ in groups):
        members = [group for group in groups if group[0].family == family]
        order, unclear = _decide_order(members, texts, dayfirst)
        if unclear:
            reading.unclear = unclear
            return reading
        for structure, chosen in members:
            _read_group(texts, chosen, structure, structure.formats[order], reading)
        said.append(members[0][0].formats[order])
    reading.read_as = "read as " + " and ".join(said[:3])
    if all(said_format.startswith("%Y-%m-%d") for said_format in said):
        left = (reading.wall == NAT) & (reading.instant == NAT)
        _read_iso(texts, left, reading)
    return reading


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
    return parsed


def _decide_order(
    groups: list[tuple[Structure, BoolArray]], texts: pd.Series, dayfirst: bool | None
) -> tuple[str, str]:
    """The order of a family of structures, or why it is unclear."""
    orders = list(groups[0][0].formats)
    if len(orders) == 1:
        return orders[0], ""
    if dayfirst is not None:
        return ("dmy" if dayfirst else "mdy" if "mdy" in orders else "dmy"), ""
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
    names = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
    if len(able) == 1:
        return able[0], ""
    if not able:
        proofs = []
        for order in ("dmy", "mdy"):
            other = next(o for o in orders if o != order)
            only = np.flatnonzero(
                (read[order] != NAT)
                & (read.get("mdy" if order == "dmy" else "dmy", read[other]) == NAT)
            )
            if len(only):
                proofs.append(f"{cells[only[0]]!r} is {names[order]}")
        return "", f"the dates contradict each other: {', '.join(proofs) or cells[0]!r}"
    first = read[able[0]]
    if all(np.array_equal(first, read[order]) for order in able[1:]):
        return able[0], ""
    return "", (
        f"dates such as {cells[0]!r} can be read {' or '.join(names[o] for o in able)}, and no "
        f"row proves which"
    )


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


_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?(?P<z>Z|[+-]\d{2}(?::?\d{2})?)?"
)


def _read_iso(texts: pd.Series, where: BoolArray, reading: DateReading) -> bool:
    """Read ISO dates of any precision and offset; True if all of `where` are such."""
    rows = np.flatnonzero(where)
    if len(rows) == 0:
        return True
    part = texts.iloc[rows]
    if len(rows) == len(texts) and not _ISO.fullmatch(part.iloc[0]):
        return False
    matches = part.str.fullmatch(_ISO).to_numpy(np.bool_)
    if len(rows) == len(texts) and not matches.all():
        return False
    if not matches.any():
        return False
    aware = part.str.slice(10).str.contains(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$").to_numpy(np.bool_)
    plain = matches & ~aware
    if plain.any():
        reading.wall[rows[plain]] = _iso(part[plain], utc=False)
    zoned = matches & aware
    if zoned.any():
        reading.instant[rows[zoned]] = _iso(part[zoned], utc=True)
        bare = part[zoned].str.replace(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$", "", regex=True)
        reading.wall[rows[zoned]] = _iso(bare, utc=False)
    found = (reading.wall[rows] != NAT) | (reading.instant[rows] != NAT)
    return bool(found.all())


def _iso(texts: pd.Series, utc: bool) -> IntArray:
    parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=utc)
    return nanoseconds(pd.DatetimeIndex(parsed))


def _read_stated(texts: pd.Series, text_format: str, reading: DateReading) -> DateReading:
    try:
        parsed = _parse(texts, text_format)
    except ValueError as error:
        reading.unclear = f"date_format={text_format!r} is no format ({error})"
        return reading
    target = reading.wall if parsed.dt.tz is None else reading.instant
    target[:] = nanoseconds(pd.DatetimeIndex(parsed))
    reading.read_as = f"read as {text_format}, as stated"
    return reading


_TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p")


def read_times(column: pd.Series) -> IntArray | None:
    """Nanoseconds since midnight of a column of times of the day, NAT where a cell is none.

    None if no cell is one. Digits are HHMM or HHMMSS, with or without leading zeros.
    """
    kinds = pd.api.types
    missing = column.isna().to_numpy(np.bool_)
    if kinds.is_float_dtype(column.dtype) or kinds.is_integer_dtype(column.dtype):
        texts = column.fillna(-1).astype("int64").astype(str).where(~missing, "")
    else:
        texts = column.astype(object).where(~missing, "").astype(str).str.strip()
    digits = texts.str.fullmatch(r"\d{1,6}").to_numpy(np.bool_)
    if digits.any():
        longest = int(texts[digits].str.len().max())
        padded = texts.where(digits, "").str.zfill(4 if longest <= 4 else 6)
        parsed = _parse(padded, "%H%M" if longest <= 4 else "%H%M%S")
    else:
        parsed = pd.Series(pd.NaT, texts.index, dtype="M8[ns]")
        for text_format in _TIME_FORMATS:
            found = _parse(texts, text_format)
            parsed = parsed.where(parsed.notna(), found)
    if parsed.isna().all():
        return None
    times = nanoseconds(pd.DatetimeIndex(parsed))
    return np.where(times == NAT, NAT, times % 86_400_000_000_000)
