"""What a file of bars may hold: bounds that are checked before the memory is taken.

A few bytes can unpack to more than any machine holds. Each bound lies far above the largest file of
one symbol that is known (eight years of minute bars: four million rows), and each error names it.
"""

from __future__ import annotations

from pathlib import Path

from marketsim.errors import FileFormatError

MOST_FILE_BYTES = 2 << 30
"""Bytes of a file that is not packed."""

MOST_UNPACKED_BYTES = 256 << 20
"""Bytes that an archive may unpack to."""

MOST_TABLE_BYTES = 1 << 30
"""Bytes that the columns of a Parquet or Feather file may unpack to."""

MOST_RATIO = 100
"""How many times its size an archive may unpack to; text of bars reaches 3 to 30."""

SMALL_BYTES = 32 << 20
"""Bytes up to which the ratio of an archive does not matter."""

MOST_COLUMNS = 10_000
MOST_CELLS = 100_000_000
"""Rows times columns of a table."""

MOST_JSON_VALUES = 8_000_000
"""Values of JSON, and of lists in Parquet: each takes some 50 bytes once it is parsed."""

MOST_FOOTER_BYTES = 16 << 20
"""Bytes of a Parquet file's own description of its columns."""


def check_size(path: Path) -> None:
    """Refuse a file that is larger than memory, or mostly a hole, before it is read.

    Raises:
        FileFormatError: it has more than `MOST_FILE_BYTES`, or the disk holds next to none of it.
        OSError: it cannot be looked at.
    """
    try:
        found = path.stat()
    except ValueError:  # a zero byte in its name: whoever opens it says so
        return
    held = found.st_blocks * 512
    if found.st_size > MOST_FILE_BYTES:
        raise FileFormatError(
            f"{path} has {found.st_size:,} bytes: expected at most {MOST_FILE_BYTES:,}; split it "
            "by symbol or by year"
        )
    if found.st_size > SMALL_BYTES and found.st_size > MOST_RATIO * held:
        raise FileFormatError(
            f"{path} has {found.st_size:,} bytes, of which the disk holds {held:,}: the rest is a "
            "hole; expected a whole file, so copy or download it again"
        )


def check_unpacked(path: Path, packed: int, unpacked: int) -> None:
    """Refuse an archive that unpacks to too much.

    Raises:
        FileFormatError: more than `MOST_UNPACKED_BYTES`, or than `MOST_RATIO` times its size.
    """
    if unpacked > MOST_UNPACKED_BYTES:
        raise FileFormatError(
            f"{path} unpacks to more than {MOST_UNPACKED_BYTES:,} bytes: expected less; unpack it "
            "and read the file, or split it"
        )
    if unpacked > SMALL_BYTES and unpacked > MOST_RATIO * packed:
        raise FileFormatError(
            f"{path} unpacks to {unpacked // max(packed, 1)} times its size ({unpacked:,} bytes): "
            f"expected at most {MOST_RATIO} times; unpack it and read the file"
        )


def check_columns(where: str, columns: int) -> None:
    """Refuse a table that is too wide.

    Raises:
        FileFormatError: it has more than `MOST_COLUMNS` columns.
    """
    if columns > MOST_COLUMNS:
        raise FileFormatError(
            f"{where} has {columns:,} columns: expected at most {MOST_COLUMNS:,}; split it by "
            "symbol"
        )


def check_cells(where: str, cells: int, most: int = MOST_CELLS) -> None:
    """Refuse a table that would not fit into memory.

    Raises:
        FileFormatError: it has more than `most` values.
    """
    if cells > most:
        raise FileFormatError(
            f"{where} holds {cells:,} values: expected at most {most:,}; split it by symbol or by "
            "year"
        )


def check_packing(path: Path, packed: int, cells: int) -> None:
    """Refuse a table that is packed more than bars can be: the same few numbers, over and over.

    Raises:
        FileFormatError: its values take more than `MOST_RATIO` times the bytes of the file.
    """
    unpacked = 8 * cells
    if unpacked > SMALL_BYTES and unpacked > MOST_RATIO * packed:
        raise FileFormatError(
            f"{path} unpacks to {unpacked // max(packed, 1)} times its size ({cells:,} values): "
            f"expected at most {MOST_RATIO} times, as of prices; check where it comes from, or "
            "split it"
        )


def check_json(where: str, data: bytes) -> None:
    """Refuse JSON that would not fit into memory, by what separates its values.

    Raises:
        FileFormatError: it has more than `MOST_JSON_VALUES` values.
    """
    check_cells(where, data.count(b",") + data.count(b"[") + data.count(b"{"), MOST_JSON_VALUES)
