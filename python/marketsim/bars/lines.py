"""Lines of text: their fields, prose below a table, and headers that stand again inside."""

from __future__ import annotations

import csv
import re

from marketsim.bars.defect import counted

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


def clean_body(body: str, delimiter: str, header: str) -> tuple[str, list[str]]:
    """Leave out what is no row of a table: prose below, headers again, dividends and splits."""
    body, notes = cut_footer(body, delimiter)
    if header:
        body, more = cut_headers(body, header)
        notes += more
    body, blank = cut_blank(body, delimiter)
    body, events = cut_events(body)
    return body, [*notes, *blank, *events]


def cut_blank(body: str, delimiter: str) -> tuple[str, list[str]]:
    """Leave out rows without any cell, such as ,,,,, which spreadsheets write below a table."""
    if len(delimiter) != 1 or delimiter.isspace() or f"{delimiter}{delimiter}" not in body:
        return body, []
    empty = set(delimiter) | {" ", "\t", '"', "\r"}
    lines = body.split("\n")
    kept = [line for line in lines if delimiter not in line or not set(line) <= empty]
    count = len(lines) - len(kept)
    if not count:
        return body, []
    return "\n".join(kept), [f"left out {counted(count, 'row')} without any cell"]


def cut_footer(body: str, delimiter: str) -> tuple[str, list[str]]:
    """Leave out last lines of prose, as some sites append them; a cut row is kept."""
    kept = body.rstrip()
    cut: list[str] = []
    while "\n" in kept and len(cut) < _MOST:
        last = kept[kept.rfind("\n") + 1 :]
        if not _is_prose(last, delimiter):
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


_EVENT = re.compile(r"[^\n]*(?:\bDividend\b|\bStock Splits?\b)[^\n]*\n?", re.IGNORECASE)
_MARKS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹０１２３４５６７８９", "012345678901234567890123456789")


def cut_events(body: str) -> tuple[str, list[str]]:
    """Leave out lines of dividends and splits, which Yahoo's page writes between those of bars."""
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
    if '="' in head:
        text, count = re.subn(r'="([^"\n]*)"', r"\1", text)
        notes += ['formulas such as ="2024-01-02" are read as their text'] if count else []
    if re.search(r"(?:^|\n)'|[,;\t]'\d", head):
        text = re.sub(r"(?m)(^|[,;\t])'([^'\n,;\t]*)'?(?=[,;\t]|$)", r"\1\2", text)
        notes.append("apostrophes around cells are left out")
    return text, notes


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
