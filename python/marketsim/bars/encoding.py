"""Bytes of a file of text to text: which encoding it is in, and what is no text at all."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import numpy as np

from marketsim.bars.layouts import GENERIC, fold
from marketsim.errors import FileFormatError

LONGEST_LINE = 1_000_000
"""Bytes; a longer line is no row of bars."""

_HEAD = 5
"""Lines in which the names of columns are looked for."""

_NATIONAL = ("gb18030", "cp932", "cp949", "big5", "cp1251", "cp1254")
"""Tried in this order; the one in which names of columns are known words counts."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(path: Path, data: bytes, expected: str) -> tuple[str, str]:
    """Return the text with line ends of one newline, and its encoding where it is not UTF-8.

    Raises:
        FileFormatError: it is no text, or has a line that no table has.

    """
    _check_lines(path, data, expected)
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path} is not text in UTF-8, UTF-16, Windows-1252 or an encoding such as GBK (byte "
            f"{data[error.start]:#04x} at {error.start}): {expected}; save it as UTF-8"
        ) from None
    if "\0" in text:
        raise FileFormatError(f"{path} holds binary data (a zero byte): {expected}")
    if "\x1a" in text[-4:]:  # the end of a file of DOS
        text = text.rstrip("\x1a\r\n") + "\n"
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise FileFormatError(f"{path} holds only blanks: {expected}")
    return text, "" if encoding.startswith("utf-8") else encoding


def _encoding(data: bytes) -> str:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    head = data[:4096]
    if len(head) > 3 and head[1::2].count(0) > 0.4 * len(head):
        return "utf-16-le"
    if len(head) > 3 and head[0::2].count(0) > 0.4 * len(head):
        return "utf-16-be"
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    for encoding in _NATIONAL:
        try:
            lines = data.decode(encoding).split("\n", _HEAD)[:_HEAD]
        except UnicodeDecodeError:
            continue
        fields = [fold(cell.strip('"')) for line in lines for cell in re.split("[,;\t|]", line)]
        if sum(field in GENERIC and not field.isascii() for field in fields) >= 2:
            return encoding
    return "cp1252"


def _check_lines(path: Path, data: bytes, expected: str) -> None:
    """Refuse a line that no table has, before it is decoded and parsed."""
    if len(data) <= LONGEST_LINE:
        return
    view = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((view == 10) | (view == 13))
    edges = np.concatenate([[-1], ends, [len(data)]])
    lengths = np.diff(edges)
    longest = int(np.argmax(lengths))
    if lengths[longest] > LONGEST_LINE:
        raise FileFormatError(
            f"{path} has {lengths[longest]:,} bytes in line {longest + 1:,}: expected lines of at "
            f"most {LONGEST_LINE:,}; {expected}"
        )
