"""How one cell of text writes a date and a time: the formats that may read it, by their order."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    (rf"\d{{1,2}}(?P<a>[-/. ]?)(?P<mon>{_MONTHS}|{_LONG})(?P<b>[-/., ]*){_YEAR}", "dbY"),
    (rf"(?P<mon>{_MONTHS}|{_LONG})(?P<a>[-/. ]+)\d{{1,2}}(?P<b>[-/, ]+){_YEAR}", "bdY"),
    (rf"(?P<Y>\d{{4}})(?P<a>[-/. ])(?P<mon>{_MONTHS}|{_LONG})(?P<b>[-/. ])\d{{1,2}}", "Ybd"),
    (r"(?P<Y>\d{4})\d{4}", "%Y%m%d"),
    (r"(?P<Y>\d{4})(?P<s>[-/.])\d{1,2}", "Ym"),
    (rf"(?P<mon>{_MONTHS}|{_LONG})(?P<a>[-/. ])(?P<Y>\d{{4}})", "bY"),
    (r"(?:0?[1-9]|1[0-2])(?P<s>[-/.])(?P<Y>\d{4})", "mY"),
)  # fmt: skip
_TIME = (
    r"(?:(?P<gap>[T _,;:]+|[ ,]+at )(?:"
    r"(?P<clock>\d{1,2}:\d{2}(?P<sec>:\d{2}(?P<frac>[.,]\d{1,9})?)?)(?P<ampm> ?[ap]m)?"
    r"|(?P<hour>\d{1,2})(?P<hgap>[- ]?)(?P<hampm>[ap]m)"
    r"|(?P<packed>\d{6}|\d{4})(?P<millis>\d{3})?))?"
)
_ZONE = r"(?P<zone> ?(?:Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|UTC|GMT))?"
_SHAPES = [
    (re.compile(_WEEKDAY + f"(?P<date>{date})" + _TIME + _ZONE, re.IGNORECASE), kind)
    for date, kind in _DATES
]


@dataclass(frozen=True)
class Structure:
    """How one cell is written: candidate formats by order, and whether it names its zone."""

    formats: dict[str, str]
    family: str
    zone: str
    millis: bool


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
        "Ymd": {"ymd": f"%Y{s}%m{s}%d", "ydm": f"%Y{s}%d{s}%m"},
        "dmY": {"dmy": f"%d{s}%m{s}%Y", "mdy": f"%m{s}%d{s}%Y"},
        "dmy": {"dmy": f"%d{s}%m{s}%y", "mdy": f"%m{s}%d{s}%y", "ymd": f"%y{s}%m{s}%d"},
        "zh": {"ymd": "%Y年%m月%d日"},
        "dbY": {"dmy": f"%d{got.get('a')}{month}{got.get('b')}{year}"},
        "bdY": {"mdy": f"{month}{got.get('a')}%d{got.get('b')}{year}"},
        "Ym": {"ymd": f"%Y{s}%m"},
        "mY": {"ymd": f"%m{s}%Y"},
        "bY": {"ymd": f"{month}{got.get('a')}%Y"},
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
