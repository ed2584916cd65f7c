"""Choose a layout by evidence: the header's names, or the shape of lines without one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from marketsim.bars.layouts.layout import Layout, fold
from marketsim.bars.layouts.vendors import LAYOUTS


@dataclass(frozen=True)
class Choice:
    """A layout and why it was chosen.

    Attributes:
        layout: the preset; None for plain columns.
        fields: column names of a file without a header; empty where it has one.
        evidence: in words, for notes.

    """

    layout: Layout | None
    fields: tuple[str, ...]
    evidence: str


def choose_headed(names: Sequence[Hashable]) -> Choice:
    """The layout whose signature the names of a header hold; the longest signature counts."""
    folded = {fold(name) for name in names}
    best: tuple[int, Layout | None] = (0, None)
    for layout in LAYOUTS:
        for signature in layout.signature:
            if signature <= folded and len(signature) > best[0]:
                best = (len(signature), layout)
    if best[1] is None:
        return Choice(None, (), "")
    return Choice(best[1], (), f"read as {best[1].title}")


def choose_headless(lines: Sequence[Sequence[str]]) -> Choice | None:
    """The layout of lines without a header, by what each field looks like.

    Where several fit, the first whose high is the highest and whose low is the lowest price in
    all lines. A time and four or five numbers in that order are plain columns.
    """
    if not lines:
        return None
    found = [layout for layout in LAYOUTS if layout.pattern and _fits(layout, lines)]
    for layout in found:
        if _ordered(layout.fields, lines):
            return Choice(layout, layout.fields, f"read as {layout.title}, which has no header")
    for plain in (_plain_fields(lines), _packed_fields(lines)):
        if plain is not None and _ordered(plain, lines):
            return Choice(None, plain, f"no header: read as {', '.join(plain)} by their order")
    return None


_DATE_DIGITS = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_TIME_DIGITS = re.compile(r"(?:[01]?\d|2[0-4])[0-5]\d(?:[0-5]\d)?|\d{1,2}")


def _packed_fields(lines: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Names of a date and a time such as 20240102,0930 before the prices; None if they are none."""
    if not all(
        len(line) > 5
        and _DATE_DIGITS.fullmatch(line[0].strip())
        and _TIME_DIGITS.fullmatch(line[1].strip())
        for line in lines
    ):
        return None
    names = ("date", "time", "open", "high", "low", "close", "volume")[: len(lines[0])]
    return (*names, *(f"column {i}" for i in range(len(names) + 1, len(lines[0]) + 1)))


def _fits(layout: Layout, lines: Sequence[Sequence[str]]) -> bool:
    patterns = [re.compile(pattern) for pattern in layout.pattern]
    return all(
        len(line) == len(patterns)
        and all(p.fullmatch(cell.strip()) for p, cell in zip(patterns, line, strict=True))
        for line in lines
    )


_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[APap][Mm])?")
_MOMENT = re.compile(r"[\dA-Za-z][\dA-Za-z ,:./+-]*\d[A-Za-z]*")


def _plain_fields(lines: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Names of fields in the usual order, if the lines are a time and numbers."""
    first = [cell.strip() for cell in lines[0]]
    if not first or not _MOMENT.fullmatch(first[0]) or len(re.sub(r"\D", "", first[0])) < 5:
        return None
    split = len(first) > 1 and _TIME.fullmatch(first[1])
    head = ("date", "time") if split else ("timestamp",)
    rest = first[len(head) :]
    if len(rest) < 4 or not all(_is_number(cell) for cell in rest[:4]):
        return None
    names: tuple[str, ...] = ("open", "high", "low", "close", "volume")[: len(rest)]
    unix = re.fullmatch(r"\d{9,}", first[0])
    if len(rest) == 6 and not unix and _is_adjusted([line[len(head) :] for line in lines]):
        names = ("open", "high", "low", "close", "adj close", "volume")
    more = tuple(f"column {i}" for i in range(len(head) + len(names) + 1, len(first) + 1))
    return (*head, *names, *more)


def _is_adjusted(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the fifth number follows the close as Yahoo's adjusted close does, before volumes.

    Its ratio to the close stays the same but for dividends, where volumes go their own way.
    """
    try:
        ratios = [float(row[4]) / float(row[3]) for row in rows]
        volumes = [float(row[5]) for row in rows]
    except (ValueError, IndexError, ZeroDivisionError):
        return False
    steps = [after / before for before, after in itertools.pairwise(ratios) if before > 0]
    even = len(steps) == len(ratios) - 1 and all(0.8 < step < 1.25 for step in steps)
    below = all(0 < ratio <= 1.001 for ratio in ratios)  # dividends only take away
    return even and below and len(rows) > 1 and all(v.is_integer() for v in volumes)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _ordered(fields: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether high is the highest and low the lowest price of all lines."""
    place = {name: fields.index(name) for name in ("open", "high", "low", "close")}
    for line in lines:
        try:
            price = {name: float(line[i]) for name, i in place.items()}
        except (ValueError, IndexError):
            return False
        if price["high"] < max(price.values()) or price["low"] > min(price.values()):
            return False
    return True
