"""Parquet and Feather to a frame, and the fixed-point prices of Nautilus."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from marketsim.bars.layouts import find_layout
from marketsim.bars.limits import (
    MOST_FOOTER_BYTES,
    MOST_JSON_VALUES,
    MOST_TABLE_BYTES,
    MOST_UNPACKED_BYTES,
    check_cells,
    check_columns,
    check_packing,
)
from marketsim.bars.sources import frame_of_arrow
from marketsim.bars.text import RawTable
from marketsim.errors import FileFormatError, MissingDependencyError

_EXPECTED = "expected a Parquet or Feather file with the columns of bars"
_PRICES = ("open", "high", "low", "close", "volume")


def read_parquet(path: Path, data: bytes | None) -> RawTable:
    """Read Parquet: the file at `path`, or its content where that was unpacked.

    Raises:
        FileFormatError: it is none, it is damaged, or it holds more than `bars.limits` allow.
        MissingDependencyError: pyarrow is not installed.

    """
    head, tail, size = _ends(path, data)
    if size < 12 or not (head == tail[4:] == b"PAR1"):
        raise FileFormatError(f"{path} does not begin and end with PAR1: {_EXPECTED}")
    footer = int.from_bytes(tail[:4], "little")
    if MOST_FOOTER_BYTES < footer <= size - 12:
        raise FileFormatError(
            f"{path} describes its columns in {footer:,} bytes: expected at most "
            f"{MOST_FOOTER_BYTES:,}, as of tables with up to a few thousand columns"
        )
    pa = _arrow(path)
    import pyarrow.parquet as pq

    def read() -> Any:
        source = str(path) if data is None else pa.BufferReader(data)
        with pq.ParquetFile(source) as file:
            texts = _check_parquet(path, file.metadata)
        # Text stays as its dictionary, if it has one: a few bytes may stand for many gigabytes.
        with pq.ParquetFile(source, read_dictionary=texts) as file:
            return _plain_text(path, file.read())

    return _checked(path, "Parquet", read)


def _ends(path: Path, data: bytes | None) -> tuple[bytes, bytes, int]:
    """The first four and the last eight bytes, and the size."""
    if data is not None:
        return data[:4], data[-8:], len(data)
    with path.open("rb") as stream:
        head = stream.read(4)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 8))
        return head, stream.read(8), size


def _check_parquet(path: Path, metadata: Any) -> list[str]:
    """Refuse what would not fit into memory; returns the columns of text.

    Raises:
        FileFormatError: too many columns or values.

    """
    check_columns(str(path), metadata.num_columns)
    cells = metadata.num_rows * metadata.num_columns
    check_cells(str(path), cells)
    check_packing(path, path.stat().st_size, cells)
    nested = unpacked = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        unpacked += row_group.total_byte_size
        for column in range(row_group.num_columns):
            nested += max(0, row_group.column(column).num_values - row_group.num_rows)
    check_cells(str(path), nested, MOST_JSON_VALUES)
    _check_bytes(path, unpacked)
    columns = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    return [one.path for one in columns if one.physical_type == "BYTE_ARRAY"]


def _check_bytes(path: Path, unpacked: int) -> None:
    if unpacked > MOST_TABLE_BYTES:
        raise FileFormatError(
            f"{path} unpacks to {unpacked:,} bytes: expected at most {MOST_TABLE_BYTES:,}; split "
            "it by symbol or by year"
        )


def _check_feather(path: Path, data: bytes) -> None:
    """Refuse what would not fit into memory, by what the batches say before they are unpacked.

    The messages are FlatBuffers: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format

    Raises:
        FileFormatError: too many columns, values or bytes.

    """
    import pyarrow as pa

    if data[:6] != b"ARROW1":
        return  # the first version of Feather, which packs nothing
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(data)[8:])
    cells = unpacked = 0
    for message in messages:
        if message.type == "schema":
            check_columns(str(path), len(pa.ipc.read_schema(message)))
        elif message.type in ("record batch", "dictionary"):
            lengths, sizes = _batch_sizes(message)
            cells, unpacked = cells + lengths, unpacked + sizes
            check_cells(str(path), cells)
            _check_bytes(path, unpacked)
            check_packing(path, len(data), unpacked // 8)


def _batch_sizes(message: Any) -> tuple[int, int]:
    """(values, bytes once unpacked) that the header of a batch states."""
    header, body = message.metadata.to_pybytes(), message.body

    def read(form: str, place: int) -> int:
        return int(struct.unpack_from(form, header, place)[0])

    def field(table: int, number: int) -> int | None:
        """Where a field of a table lies; None where it is left out."""
        vtable = table - read("<i", table)
        at = 4 + 2 * number
        offset = read("<H", vtable + at) if at < read("<H", vtable) else 0
        return table + offset if offset else None

    def target(place: int | None) -> int:
        if place is None:
            raise ValueError("a batch without its header")
        return place + read("<I", place)

    batch = target(field(target(0), 2))
    if message.type == "dictionary":  # a batch within
        batch = target(field(batch, 1))
    nodes, buffers = target(field(batch, 1)), target(field(batch, 2))
    packed = field(batch, 3) is not None
    lengths = sum(read("<q", nodes + 4 + 16 * i) for i in range(read("<I", nodes)))
    sizes = 0
    for i in range(read("<I", buffers)):
        offset, size = struct.unpack_from("<qq", header, buffers + 4 + 16 * i)
        if packed and size >= 8:  # the size comes first; -1: this one is not packed
            stated = int.from_bytes(memoryview(body)[offset : offset + 8], "little", signed=True)
            size = max(size, stated)
        sizes += size
    return lengths, sizes


def _plain_text(path: Path, table: Any) -> Any:
    """Columns of text with a dictionary as plain ones, if they fit into memory.

    Raises:
        FileFormatError: they do not.

    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column, size = table.column(place), 0
        kind = field.type.value_type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            for chunk in column.chunks:
                lengths = pc.cast(pc.binary_length(chunk.dictionary), pa.int64())
                size += pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0
        if size > MOST_UNPACKED_BYTES:
            raise FileFormatError(
                f"{path} unpacks to {size:,} bytes in column {field.name!r}: expected at most "
                f"{MOST_UNPACKED_BYTES:,}"
            )
        table = table.set_column(place, field.name, pc.cast(column, kind))
    return table


def read_feather(path: Path, data: bytes) -> RawTable:
    """Read Feather, as freqtrade writes it.

    Raises:
        FileFormatError: it is none, it is damaged, or it holds more than `bars.limits` allow.
        MissingDependencyError: pyarrow is not installed.

    """
    pa = _arrow(path)
    import pyarrow.feather as feather

    def read() -> Any:
        _check_feather(path, data)
        return _plain_text(path, feather.read_table(pa.BufferReader(data)))

    return _checked(path, "Feather", read)


def _arrow(path: Path) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError(
            f'{path} needs pyarrow, not installed: pip install ".[parquet]" in the checkout'
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
    except FileFormatError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, struct.error) as error:
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
