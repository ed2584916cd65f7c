"""Read tensors from a safetensors file; not mapped, so that a truncation cannot crash us.

The format: the header's length in eight bytes, the header as JSON (name -> dtype, shape and
data_offsets), the data. https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from marketsim.errors import CheckpointError
from marketsim.hashing import hash_threads

if TYPE_CHECKING:
    import torch

MOST_HEADER = 16 << 20  # bytes; 10,000 layers take less, and JSON of more takes gigabytes
_READ_BYTES = 1 << 30  # the system reads no more than 2 GiB at once
_HASHED_BYTES = 1 << 22
_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


class SafetensorsFile:
    """A file of tensors that is open for reading.

    Args:
        path: its name, for errors.
        file: the file; it is not closed here.

    Attributes:
        names: of its tensors, sorted.

    Raises:
        CheckpointError: it is not in the format.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, file: io.FileIO) -> None:
        self._path = path
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._header, self._data = self._read_header()
        self.names = sorted(set(self._header) - {"__metadata__"})

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; reads none of it.

        Raises:
            CheckpointError: its entry states none.
        """
        try:
            return tuple(_whole(size) for size in self._header[name]["shape"])
        except (KeyError, TypeError, ValueError):
            raise self._broken(f"{name} has no known dtype, shape and place") from None

    def tensor(self, name: str) -> torch.Tensor:
        """Read a tensor into memory of its own.

        Raises:
            CheckpointError: its entry does not fit the file.
        """
        import torch

        entry = self._header[name]
        try:
            dtype: Any = getattr(torch, _DTYPES[entry["dtype"]])
            shape = [_whole(size) for size in entry["shape"]]
            begin, end = map(_whole, entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise self._broken(f"{name} has no known dtype, shape and place") from None
        count = math.prod(shape)
        if not begin <= end <= self._size - self._data or end - begin != count * dtype.itemsize:
            raise self._broken(f"{name} does not lie in the file as its shape says")
        tensor = torch.empty(shape, dtype=dtype)
        if count:
            self._read_into(_bytes_of(tensor), self._data + begin)
        return tensor

    def digest(self, name: str, tensor: torch.Tensor | None = None) -> str:
        """Hash a tensor's type, shape and bytes, without torch.

        Args:
            name: the tensor's.
            tensor: it, where it has been read: then its bytes are hashed, not the file's.

        Raises:
            CheckpointError: its entry does not fit the file.
        """
        entry = self._header[name]
        try:
            head = json.dumps([entry["dtype"], entry["shape"]])
            begin, end = map(_whole, entry["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise self._broken(f"{name} has no known dtype, shape and place") from None
        if not begin <= end <= self._size - self._data:
            raise self._broken(f"{name} does not lie in the file as its shape says")
        found = blake3(head.encode(), max_threads=hash_threads())
        if tensor is not None:
            found.update(_bytes_of(tensor))
            return found.hexdigest()
        buffer = memoryview(bytearray(min(_HASHED_BYTES, end - begin)))
        for at in range(begin, end, _HASHED_BYTES):
            part = buffer[: min(_HASHED_BYTES, end - at)]
            self._read_into(part, self._data + at)
            found.update(part)
        return found.hexdigest()

    def _read_header(self) -> tuple[dict[str, Any], int]:
        length = int.from_bytes(os.pread(self._file.fileno(), 8, 0), "little")
        if self._size < 8 or length > min(MOST_HEADER, self._size - 8):
            raise self._broken("its header does not lie in the file")
        text = bytearray(length)
        self._read_into(memoryview(text), 8)
        try:
            header = json.loads(text)
        except (ValueError, RecursionError):
            raise self._broken("its header is no JSON") from None
        if not isinstance(header, dict):
            raise self._broken("its header is no JSON object")
        return header, 8 + length

    def _read_into(self, to: memoryview, offset: int) -> None:
        while to:
            count = os.preadv(self._file.fileno(), [to[:_READ_BYTES]], offset)
            if count == 0:
                raise self._broken("it ends early")
            to, offset = to[count:], offset + count

    def _broken(self, why: str) -> CheckpointError:
        return CheckpointError(f"{self._path} cannot be read as safetensors: {why}")


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    import torch

    if not tensor.numel():
        return memoryview(b"")
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value
