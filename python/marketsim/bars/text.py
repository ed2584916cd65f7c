"""Text with rows of bars to a frame of strings: where the table begins, its delimiter and names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marketsim.bars.encoding import decode
from marketsim.bars.headers import header_rows, is_label, level_names
from marketsim.bars.layouts import GENERIC, LAYOUTS, Choice, Layout, choose_headless, fold
from marketsim.bars.limits import check_cells, check_columns
from marketsim.bars.lines import (
    are_numbered,
    check_end,
    clean_body,
    fields,
    plain_cells,
    skip_lines,
)
from marketsim.bars.numbers import GAPS
from marketsim.bars.units import is_unit_row, with_units
from marketsim.bars.zone_names import STATED, zone_of_lines
from marketsim.errors import FileFormatError

HEADER_EXAMPLE = "timestamp,open,high,low,close,volume"
EXPECTED = f"expected a header such as {HEADER_EXAMPLE} and one line a bar"

_DELIMITERS = (",", ";", "\t", "|")
_LETTER = re.compile(r"[^\W\d_]")
_NUMERIC = re.compile(r"[-+]?\d[\d.:/-]*(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_WEB_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_LOOKED_AT = 40  # lines above the table
_KNOWN = GENERIC.keys() | {name for layout in LAYOUTS for name in layout.columns}
_MISSING = sorted(GAPS)


@dataclass
class RawTable:
    """Rows of one source before any judgement.

    Attributes:
        frame: columns as given; text of files as strings.
        notes: how the source was understood.
        layout: chosen by the shape of the lines, where they have no header.
        owned: nobody else holds the memory of the frame.
        proven: more than the shape of the lines shows the layout.
        line: number of the first data line in the file, counted from 1; 0 if it is no text.
        as_written: reads columns of text again, at these positions, with words such as NA kept;
            None where the source is no text.

    """

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    layout: Layout | None = None
    line: int = 0
    owned: bool = False
    as_written: Callable[[list[int]], pd.DataFrame] | None = None
    proven: bool = False


@dataclass
class _Start:
    """Where a table begins.

    Attributes:
        delimiter: between fields.
        names: of the columns; a tuple for each where there are several header lines.
        line: index of the first data line.
        notes: what was left out above, and how lines without a header were read.
        header: the one header line as it stands; "" where there is none or several.
        zone: that a line above names; "" if none does.

    """

    delimiter: str
    names: list[Any]
    line: int
    notes: list[str]
    layout: Layout | None = None
    header: str = ""
    zone: str = ""


def read_text(path: Path, data: bytes) -> RawTable:
    """Read text in any usual encoding, with or without a header line.

    Raises:
        FileFormatError: there is no table in it.

    """
    text, encoding = decode(path, data, EXPECTED)
    if _WEB_PAGE.match(text):
        raise FileFormatError(
            f"{path} is a page of the web (HTML), not a table, as sites answer in place of the "
            f"file: download it again; {EXPECTED}"
        )
    text, plain = plain_cells(text)
    text, blanks = _split_blanks(text)
    start = _find_start(path, text)
    body, above = skip_lines(text, start.line)
    body, below = clean_body(body, start.delimiter, start.header, len(start.names))
    below += check_end(path, body, start.delimiter, text)
    said = [*([f"the text is in {encoding}"] if encoding else []), *plain]
    notes = [*said, *blanks, *start.notes, *below]
    frame, as_written = _parse(path, body, start, above)
    if start.zone and not isinstance(frame.columns, pd.MultiIndex):
        frame[STATED] = start.zone
    return RawTable(frame, notes, start.layout, start.line + 1, True, as_written)


def _split_blanks(text: str) -> tuple[str, list[str]]:
    """Tabs for runs of blanks, where names of columns or numbers stand between blanks."""
    first = text.lstrip("\n").split("\n", 1)[0]
    names = first.split()
    if any(mark in first for mark in _DELIMITERS) or len(names) < 5:
        return text, []
    plain = [name.strip('"') for name in names]  # R writes SPY.Open
    known = sum(fold(name) in _KNOWN or fold(name.rpartition(".")[2]) in _KNOWN for name in plain)
    if known < 5 and not all(map(_NUMERIC.fullmatch, names)):
        return text, []
    lines = ["\t".join(line.split()) for line in text.split("\n")]
    return "\n".join(lines), ["fields are separated by blanks"]


def _find_start(path: Path, text: str) -> _Start:
    """The header line is the one with the most known names; without one, lines must be numbers."""
    lines = text[:400_000].split("\n", _LOOKED_AT)[:_LOOKED_AT]
    first = next(i for i, line in enumerate(lines) if line.strip())
    stated = re.fullmatch(r"sep=(.)", lines[first].strip(), re.IGNORECASE)
    delimiters = (stated[1],) if stated else _DELIMITERS
    if lines[first].strip().casefold() == "sep=":
        delimiters = ("\t",)
    best: tuple[int, int, int] | None = None  # known names, minus the line, minus the delimiter
    for place, delimiter in enumerate(delimiters):
        for i, line in enumerate(lines):
            if delimiter not in line or not _LETTER.search(line):
                continue  # a row of numbers, as most are
            roles = [GENERIC.get(n, n) for n in map(fold, fields(line, delimiter)) if n in _KNOWN]
            prices = len({"open", "high", "low", "close"} & set(roles)) or len(
                {"o", "h", "l", "c"} & set(roles)
            )
            if prices >= 2 and (best is None or (len(set(roles)), -i, -place) > best):
                best = (len(set(roles)), -i, -place)
    if best is not None:
        return _headed(lines, -best[1], delimiters[-best[2]])
    found = _headless(lines, first, delimiters)
    if found is not None:
        return found
    return _unknown_header(path, lines, first, delimiters)


def _headed(lines: list[str], line: int, delimiter: str) -> _Start:
    """A header, what stands above it, and further header lines of tickers and labels."""
    names = fields(lines[line], delimiter)
    levels = [names]
    first = line
    above = fields(lines[line - 1], delimiter) if line else []
    labels = len(above) == len(names) > 2 and all(map(is_label, above[1:]))
    if labels and above[1:] != names[1:] and not is_unit_row(above, names):
        levels.insert(0, above)
        first = line - 1
    below = [fields(text, delimiter) for text in lines[line + 1 : line + 4]]
    units = below[0] if below and is_unit_row(below[0], names) else []
    more, label, count = header_rows(names, below[1:] if units else below)
    levels += more
    after = line + 1 + count + bool(units)
    if after < len(lines) and re.fullmatch(r"[-|:+= \t]*-[-|:+= \t]*", lines[after]):
        after += 1  # the rule below the header of a table in Markdown
    left_out = [text.strip() for text in lines[:first] if text.strip()]
    left_out = [text for text in left_out if not text.casefold().startswith("sep=")]
    notes = []
    if left_out:
        shown = left_out[0] if len(left_out[0]) <= 60 else f"{left_out[0][:57]}..."
        count = len(left_out)
        notes = [f"left out {count} line{'s' if count > 1 else ''} above the header: {shown!r}"]
    if units:
        notes.append(f"left out the line of units below the header: {delimiter.join(units)!r}")
    if len(levels) == 1:
        if after > line + 1 + bool(units):
            names = [label, *names[1:]]
        zone = zone_of_lines(lines[:first])
        if units:
            names, clock = with_units(names, units)
            zone = zone or clock
        return _Start(delimiter, list(names), after, notes, header=lines[line], zone=zone)
    columns = level_names(levels, label)
    return _Start(delimiter, columns, after, [*notes, f"read {len(levels)} header lines"])


def _headless(lines: list[str], first: int, delimiters: tuple[str, ...]) -> _Start | None:
    for delimiter in delimiters:
        rows = [fields(line, delimiter) for line in lines[first:] if line.strip()]
        if len(rows) == _LOOKED_AT - first:
            rows = rows[:-1]  # it may be cut
        if rows and len(rows[0]) >= 5:
            same = [row for row in rows if len(row) == len(rows[0])]
            if delimiter != ",":  # a decimal comma
                same = [[_COMMA.sub(r"\1.\2", cell) for cell in row] for row in same]
            chosen = name_fields(same)
            if chosen is not None:
                return _Start(
                    delimiter, list(chosen.fields), first, [chosen.evidence], chosen.layout
                )
    return None


def name_fields(rows: Sequence[Sequence[str]]) -> Choice | None:
    """Names of the fields of rows without a header; None if they are no bars.

    A symbol, or a symbol and a period, may stand before the time: AAPL,D,20240102,...
    """
    for labels in range(3):
        if labels and not all(re.match(r"[A-Za-z^]", row[labels - 1]) for row in rows):
            return None
        chosen = choose_headless([row[labels:] for row in rows])
        if chosen is not None:
            return replace(chosen, fields=(*("symbol", "period")[:labels], *chosen.fields))
    return None


def _unknown_header(
    path: Path, lines: list[str], first: int, delimiters: tuple[str, ...]
) -> _Start:
    """A header whose names are not known: `columns=` can still map them."""
    header = lines[first]
    counts = {d: len(fields(header, d)) for d in delimiters}
    delimiter = max(delimiters, key=lambda d: counts[d])
    shown = header.strip()[:60]
    if counts[delimiter] < 2:
        raise FileFormatError(
            f"{path} has no comma, semicolon or tab in its first line {shown!r}, and no header "
            f"below it: {EXPECTED}"
        )
    names = fields(header, delimiter)
    numbers = sum(not is_label(name) for name in names)
    if numbers > len(names) / 2:
        raise FileFormatError(
            f"{path} has no header: its first line {shown!r} holds numbers, and they are neither "
            "a time with open, high, low and close in this order nor a layout that is known; add a "
            f"line such as {HEADER_EXAMPLE}"
        )
    return _Start(delimiter, names, first + 1, [])


def _parse(
    path: Path, body: str, start: _Start, above: int
) -> tuple[pd.DataFrame, Callable[[list[int]], pd.DataFrame]]:
    """All fields as strings, so that neither digits nor formats are lost before judgement."""
    names = start.names
    width = len(names)
    rows = [fields(line, start.delimiter) for line in body.split("\n", 20)[:20] if line.strip()]
    cells = rows[0] if rows else []
    if len(cells) == width + 1 and cells[-1] == "":
        width += 1  # each line ends in a delimiter
    elif len(cells) == width + 1 and are_numbered(rows, names):
        names = ["", *names]  # R leaves out the name of its row names
        width += 1
    elif len(cells) > width:
        advice = ""
        if start.delimiter == "," and len(cells) >= width + 4:
            advice = (
                "; with a decimal comma as in 10,5, write numbers in quotes, or separate fields "
                "by semicolons"
            )
        raise FileFormatError(
            f"{path} is not a table ({len(cells)} fields in the first row, {width} in the "
            f"header): expected rows with as many fields as the header{advice}"
        )
    raw = body.encode()
    check_columns(str(path), width)
    check_cells(str(path), _count(raw, start.delimiter) + _count(raw, "\n"))
    frame = _parse_arrow(raw, width, start.delimiter)
    if frame is None:
        frame = _parse_pandas(path, raw, width, start.delimiter, above)
    if width > len(names):
        frame = frame.iloc[:, : len(names)]
    if any(isinstance(name, tuple) for name in names):
        frame.columns = pd.MultiIndex.from_tuples(names)
    else:
        # Set afterwards, as pandas would rename a repeated column, and it must be seen.
        frame.columns = pd.Index(names, dtype=object)

    def as_written(positions: list[int]) -> pd.DataFrame:
        again = _parse_arrow(raw, width, start.delimiter, positions)
        if again is None:
            again = _parse_pandas(path, raw, width, start.delimiter, above, positions)
        return again

    return frame, as_written


def _count(raw: bytes, text: str) -> int:
    """How often text occurs: as `bytes.count`, which is slow where a character is frequent."""
    if len(text) == 1 and text.isascii():
        return int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord(text)))
    return raw.count(text.encode())


def arrow_text() -> Any:
    """The dtype of text in Arrow's memory whose missing values are NaN."""
    try:
        return pd.StringDtype("pyarrow", na_value=float("nan"))
    except TypeError:  # pandas 2.2 calls it so
        return pd.StringDtype("pyarrow_numpy")


def _parse_arrow(
    raw: bytes, width: int, delimiter: str, words: list[int] | None = None
) -> pd.DataFrame | None:
    """Rows through Arrow; None where it is not installed or the lines differ in length.

    With `words`, only these columns, in which nothing but an empty cell is missing.
    """
    try:
        import pyarrow as pa
        import pyarrow.csv as pc
    except ImportError:
        return None
    names = [str(i) for i in range(width)]
    # Its handler can lose a Ctrl-C between two reads; Python's own notices it after this one.
    pa.enable_signal_handlers(False)
    try:
        table = pc.read_csv(
            pa.py_buffer(raw),
            read_options=pc.ReadOptions(
                column_names=names, use_threads=len(raw) > 4_000_000, block_size=1 << 22
            ),
            parse_options=pc.ParseOptions(delimiter=delimiter),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[] if words is None else [str(i) for i in words],
                null_values=_MISSING if words is None else [""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, ValueError):
        return None
    dtype = arrow_text()
    arrays = {
        int(name): pd.array(column, dtype=dtype)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pd.DataFrame(arrays, copy=False)


def _parse_pandas(
    path: Path,
    raw: bytes,
    width: int,
    delimiter: str,
    above: int,
    words: list[int] | None = None,
) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pd.read_csv(
            # Bytes, which the parser reads without running any Python: it turns a Ctrl-C that is
            # noticed while it reads text into a ParserError.
            io.BytesIO(raw),
            sep=delimiter,
            header=None,
            names=list(range(width)),
            dtype=str,
            skipinitialspace=True,
            low_memory=False,
            keep_default_na=False,
            na_values=_MISSING if words is None else [""],
            usecols=words,
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame({i: pd.Series(dtype=str) for i in range(width)})
    except (pd.errors.ParserError, csv.Error, OverflowError) as error:
        if "on source failed" in str(error):  # memory does not fail: it was interrupted
            raise KeyboardInterrupt from None
        reason = re.sub(r"^.*C error: ", "", str(error)).strip()
        reason = re.sub(r"line (\d+)", lambda m: f"line {int(m[1]) + above}", reason)
        raise FileFormatError(
            f"{path} is not a table ({reason}): expected rows with as many fields as the header"
        ) from None
    return frame
