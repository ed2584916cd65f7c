"""Lines of text: their fields, prose below a table, and headers that stand again inside."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from marketsim.bars.date_structure import structure_of
from marketsim.bars.dates import can_be_date
from marketsim.bars.defect import counted
from marketsim.bars.layouts import GENERIC, fold
from marketsim.bars.numbers import GAPS
from marketsim.errors import FileFormatError

_LETTER = re.compile(r"[^\W\d_]")
_MOST = 40  # lines of prose


def fields(line: str, delimiter: str) -> list[str]:
    """Fields of one line; quotes as in CSV."""
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        return [
            cell.strip()
            for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        ]
    except (csv.Error, StopIteration):
        return []


def clean_body(body: str, delimiter: str, header: str, width: int) -> tuple[str, list[str]]:
    """Leave out what is no row of a table: prose below, headers again, dividends and splits."""
    body, sections = cut_sections(body, delimiter, width)
    body, notes = cut_footer(body, delimiter)
    notes = sections + notes
    if header:
        body, more = cut_headers(body, header)
        notes += more
    body, blank = cut_blank(body, delimiter)
    body, events = cut_events(body)
    return body, [*notes, *blank, *events]


_PAGES = re.compile(r"\bcursor\s+INDEX\WTOTAL\WPAGESIZE\s+(\d+)\W(\d+)\W(\d+)\s*$")


def cut_sections(body: str, delimiter: str, width: int) -> tuple[str, list[str]]:
    """Leave out short tables below a blank line, such as the pages that MOEX writes there."""
    kept = body.rstrip()
    start = max(0, len(kept) - 4000)
    cut = -1
    for match in reversed(list(re.finditer(r"\n[ \t]*\n", kept[start:]))):
        end = kept.find("\n\n", start + match.end())
        below = kept[start + match.end() : end if end >= 0 else len(kept)].split("\n")
        if any(_is_row(line, delimiter, width) for line in below if line.strip()):
            break
        cut = start + match.start()
    if cut < 0:
        return body, []
    below = [line.strip() for line in kept[cut:].split("\n") if line.strip()]
    if not any(_in_columns(line, delimiter) for line in below):
        return body, []  # prose, which is left out line by line
    notes = [f"left out {counted(len(below), 'line')} of another table below, from {below[0]!r}"]
    pages = _PAGES.search(kept[cut:])
    if pages:
        first, total, size = map(int, pages.groups())
        if first + size < total or first:
            last = min(first + size, total)
            notes.append(f"rows {first + 1:,} to {last:,} of {total:,}: the others are other pages")
    return kept[:cut] + "\n", notes


def _in_columns(line: str, delimiter: str) -> bool:
    return len([cell for cell in fields(line, delimiter) if cell]) > 1


def _is_row(line: str, delimiter: str, width: int) -> bool:
    """Whether a line has the cells of a table, or begins as a row does."""
    cells = fields(line, delimiter)
    return len(cells) >= min(width, 5) or bool(re.match(r"\d{4,}|\d{1,4}[-/.]\d", cells[0]))


def check_end(path: Path, body: str, delimiter: str, text: str) -> list[str]:
    """What to note of a last row without a line end, which a download that was cut leaves.

    Raises:
        FileFormatError: it has fewer fields than the other rows.

    """
    last = body[body.rfind("\n") + 1 :]
    if not last.strip() or text.endswith("\n"):
        return []
    count = len(fields(last, delimiter)) if last.count('"') % 2 == 0 else 0
    before = body[: max(0, len(body) - len(last) - 1)].rsplit("\n", 20)[1:]
    rows = [fields(line, delimiter) for line in before if line.strip()]
    widths = {len(row) for row in rows}
    if last.endswith(delimiter) and all(row[-1] for row in rows):
        count -= 1  # the last cell is missing there alone
    shown = last if len(last) <= 60 else f"{last[:57]}..."
    if len(widths) == 1 and count < widths.pop():
        raise FileFormatError(
            f"{path} ends within its last row, {shown!r}, as a download does that was cut: "
            "download it again, or remove this row"
        )
    return [f"no line end follows the last row, {shown!r}: if the download was cut, so is this row"]


def are_numbered(rows: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether a column without a name stands first, of row numbers or dates, as R writes it."""
    firsts = [row[0] for row in rows]
    if any(len(row) != len(names) + 1 for row in rows[:-1] or rows):
        return False
    of_time = GENERIC.get(fold(names[0])) == "timestamp"
    if all(first.isdigit() for first in firsts) and of_time:
        numbers = [int(first) for first in firsts]
        return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] < 10**7
    return not of_time and all(re.match(r"\d{4}-\d\d-\d\d|\d{1,2}[/.]\d", one) for one in firsts)


def cut_blank(body: str, delimiter: str) -> tuple[str, list[str]]:
    """Leave out rows without any cell, such as ,,,,, which spreadsheets write below a table."""
    if len(delimiter) != 1 or delimiter.isspace() or not _has_twice(body, delimiter):
        return body, []
    empty = set(delimiter) | {" ", "\t", '"', "\r"}
    lines = body.split("\n")
    kept = [line for line in lines if delimiter not in line or not set(line) <= empty]
    count = len(lines) - len(kept)
    if not count:
        return body, []
    return "\n".join(kept), [f"left out {counted(count, 'row')} without any cell"]


def _has_twice(body: str, character: str) -> bool:
    """Whether a character follows itself: as `in` says, which is slow where it is frequent."""
    if not character.isascii():
        return character + character in body
    found = np.frombuffer(body.encode(), np.uint8) == ord(character)
    return bool((found[1:] & found[:-1]).any())


def cut_footer(body: str, delimiter: str) -> tuple[str, list[str]]:
    """Leave out last lines of prose, as some sites append them; a cut row is kept."""
    kept = body.rstrip()
    first = next((fields(line, delimiter) for line in body[:4000].split("\n") if line.strip()), [])
    dated = bool(first and re.match(r"\d", first[0]))
    cut: list[str] = []
    while "\n" in kept and len(cut) < _MOST:
        last = kept[kept.rfind("\n") + 1 :]
        # EODHD writes the number of rows.
        counts = last.strip().isdigit() and last.strip() == str(kept.count("\n"))
        if not (
            counts or _is_prose(last, delimiter) or (dated and _is_summary(last, delimiter, first))
        ):
            break
        cut.append(last.strip().strip('"'))
        kept = kept[: len(kept) - len(last)].rstrip()
    if not cut:
        return body, []
    shown = cut[-1] if len(cut[-1]) <= 60 else f"{cut[-1][:57]}..."
    lines = "the last line:" if len(cut) == 1 else f"the last {len(cut)} lines, from"
    return kept + "\n", [f"left out {lines} {shown!r}"]


def _is_prose(line: str, delimiter: str) -> bool:
    """Whether a line is no row: a few words, or one cell without any digit."""
    filled = [cell for cell in fields(line, delimiter) if cell]
    plain = line.strip().strip('"')
    if not filled or len(filled) > 2 or re.match(r"\d", plain):
        return False
    words = len(re.findall(r"[A-Za-z]{3,}", plain))
    return words >= 3 or (
        len(filled) == 1 and bool(_LETTER.search(plain)) and not re.search(r"\d", plain)
    )


def _is_summary(line: str, delimiter: str, first: Sequence[str]) -> bool:
    """Whether a line below rows that begin with a digit is a total, or words with a date."""
    cells = fields(line, delimiter)
    filled = [cell for cell in cells if cell]
    if not filled or not _LETTER.search(filled[0]) or cells[0] in GAPS:
        return False
    if can_be_date(cells[0]) or structure_of(cells[0]) is not None:
        return False
    if not re.match(r"\d", filled[0]):
        return True
    return len(filled) == 1 and not _LETTER.search(first[0]) and len(first) > 3


_EVENT = re.compile(r"[^\n]*(?:\bDividend\b|\bStock Splits?\b)[^\n]*\n?", re.IGNORECASE)
_MARKS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹０１２３４５６７８９", "012345678901234567890123456789")


def cut_events(body: str) -> tuple[str, list[str]]:
    """Leave out lines of dividends and splits, which Yahoo's page writes between those of bars."""
    data = np.frombuffer(body.encode(), np.uint8)
    if data.size == 0 or data.max() < ord("A"):  # no letter: much faster than a search
        return body, []
    if "ividend" not in body and "tock Split" not in body:
        return body, []
    kept, count = _EVENT.subn("", body)
    if not count or 2 * count > kept.count("\n"):
        return body, []
    return kept, [f"left out {counted(count, 'line')} of dividends and splits among the bars"]


def plain_cells(text: str) -> tuple[str, list[str]]:
    """Text with ASCII digits, and without what keeps a spreadsheet from changing cells."""
    head = text[:4000]
    notes = []
    if head.translate(_MARKS) != head:
        text, notes = text.translate(_MARKS), ["digits of another script"]
    text, said = _whole_rows_unquoted(text)
    notes += said
    if '="' in head:
        text, count = re.subn(r'="([^"\n]*)"', r"\1", text)
        notes += ['formulas such as ="2024-01-02" are read as their text'] if count else []
    if re.search(r"(?:^|\n)'|[,;\t]'\d", head):
        text = re.sub(r"(?m)(^|[,;\t])'([^'\n,;\t]*)'?(?=[,;\t]|$)", r"\1\2", text)
        notes.append("apostrophes around cells are left out")
    return text, notes


_QUOTED_ROW = re.compile(r'"((?:[^"\n]|"")*[,;\t](?:[^"\n]|"")*)"[,;\t ]*')


def _whole_rows_unquoted(text: str) -> tuple[str, list[str]]:
    """Lines without the quotes around each, which make one cell of a whole row."""
    head = [line for line in text[:4000].split("\n")[:-1] if line.strip()]
    if not head or not all(map(_QUOTED_ROW.fullmatch, head)):
        return text, []
    lines = [
        line if (match := _QUOTED_ROW.fullmatch(line)) is None else match[1].replace('""', '"')
        for line in text.split("\n")
    ]
    return "\n".join(lines), ["quotes around whole rows are left out"]


def cut_headers(body: str, header: str) -> tuple[str, list[str]]:
    """Leave out lines that repeat the header, as in files that were appended to each other."""
    if header not in body:
        return body, []
    lines = body.split("\n")
    kept = [line for line in lines if line != header]
    count = len(lines) - len(kept)
    shown = f"{counted(count, 'line')} that {'repeats' if count == 1 else 'repeat'} the header"
    return ("\n".join(kept), [f"left out {shown}"]) if count else (body, [])


def skip_lines(text: str, count: int) -> tuple[str, int]:
    """The text below so many lines, and their number."""
    position = 0
    for _ in range(count):
        end = text.find("\n", position)
        if end < 0:
            return "", count
        position = end + 1
    return text[position:], count
