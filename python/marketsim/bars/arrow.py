"""Parquet and Feather to a frame, and the fixed-point prices of Nautilus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from marketsim.bars.layouts import find_layout
from marketsim.bars.sources import frame_of_arrow
from marketsim.bars.text import RawTable
from marketsim.errors import FileFormatError, MissingDependencyError

_EXPECTED = "expected a Parquet or Feather file with the columns of bars"
_PRICES = ("open", "high", "low", "close", "volume")


def read_parquet(path: Path, data: bytes | None) -> RawTable:
    """Read Parquet: the file at `path`, or its content where that was unpacked.

    Raises:
        FileFormatError: it is none, or it is damaged.
        MissingDependencyError: pyarrow is not installed.

    """
    head, tail, size = _ends(path, data)
    if size < 12 or not (head == tail == b"PAR1"):
        raise FileFormatError(f"{path} does not begin and end with PAR1: {_EXPECTED}")
    pa = _arrow(path)
    import pyarrow.parquet as pq

    def read() -> Any:
        source = str(path) if data is None else pa.BufferReader(data)
        with pq.ParquetFile(source) as file:
            return file.read()

    return _checked(path, "Parquet", read)


def _ends(path: Path, data: bytes | None) -> tuple[bytes, bytes, int]:
    """The first and the last four bytes, and the size."""
    if data is not None:
        return data[:4], data[-4:], len(data)
    with path.open("rb") as stream:
        head = stream.read(4)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 4))
        return head, stream.read(4), size


def read_feather(path: Path, data: bytes) -> RawTable:
    """Read Feather, as freqtrade writes it.

    Raises:
        FileFormatError: it is none, or it is damaged.
        MissingDependencyError: pyarrow is not installed.

    """
    pa = _arrow(path)
    import pyarrow.feather as feather

    def read() -> Any:
        return feather.read_table(pa.BufferReader(data))

    return _checked(path, "Feather", read)


def _arrow(path: Path) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError(
            f'{path} needs pyarrow, which is not installed: pip install "marketsim[parquet]"'
        ) from None
    return pa


def _checked(path: Path, kind: str, read: Any) -> RawTable:
    import pyarrow as pa

    try:
        table = read()
        nautilus = _is_nautilus(table)
        if nautilus:
            table = _unscale(table)
        frame = frame_of_arrow(table, destroy=True)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path} cannot be read as {kind} ({reason}): {_EXPECTED}") from None
    if nautilus:
        layout = find_layout("nautilus")
        return RawTable(frame, ["read as Nautilus bars"], layout, owned=True)
    return RawTable(frame, owned=True)


def _is_nautilus(table: Any) -> bool:
    import pyarrow as pa

    names = set(table.column_names)
    if not {"ts_event", "ts_init", *_PRICES} <= names:
        return False
    kind = table.schema.field("close").type
    return bool(pa.types.is_fixed_size_binary(kind) or pa.types.is_integer(kind))


def _unscale(table: Any) -> Any:
    """Fixed point to numbers: int64 of 1e-9, or 128 bits of 1e-16."""
    import pyarrow as pa

    for name in _PRICES:
        position = table.schema.get_field_index(name)
        column = table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_integer(column.type):
            values = column.to_numpy(zero_copy_only=False) / 1e9
        else:
            width = column.type.byte_width
            raw = b"".join(column.to_pylist())
            if width == 8:
                values = np.frombuffer(raw, "<i8") / 1e9
            else:
                halves = np.frombuffer(raw, [("low", "<u8"), ("high", "<i8")])
                whole = halves["high"].astype(object) * 2**64 + halves["low"].astype(object)
                values = np.array([number / 10**16 for number in whole], np.float64)
        table = table.set_column(position, name, pa.array(values))
    return table
