"""Numpy arrays and torch tensors out of pickles of the old project, without unpickling or torch.

What numpy and torch would build is only noted, checked against the bytes that are there, and
viewed in place: reading costs no more memory than a few times the file's size.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from marketsim.legacy.stock.cache.opcodes import (
    Budget,
    Name,
    Values,
    Vocabulary,
    require,
    run_pickle,
)

MAX_OPCODES = 10_000  # of one file; a forecast takes about 60

_FLOATS = ("f2", "f4", "f8")
_STORAGES = {
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "bf16",
    "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8",
}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PROTOCOL = 1001
_LARGEST = 2**40  # of a dimension, before it is compared with the bytes that are there


@dataclass(eq=False)
class Array:
    """An array of a file: `values` views the file's bytes; for bfloat16 they are uint16."""

    values: npt.NDArray[Any] = field(default_factory=lambda: np.empty(0, np.float32))
    bfloat16: bool = False

    def floats(self) -> npt.NDArray[Any]:
        """The values as float16, float32 or float64."""
        if self.bfloat16:
            return (self.values.astype(np.uint32) << 16).view(np.float32)
        return self.values

    def set_state(self, state: Any) -> None:
        """Take what numpy writes: version, shape, dtype, whether in Fortran order, bytes."""
        match state:
            case (1, tuple() as shape, _Dtype() as dtype, bool() as fortran, bytes() as data):
                self.values = _shaped(data, dtype, shape, "F" if fortran else "C")
            case _:
                raise ValueError("it has an array with a state that numpy does not write")


@dataclass(eq=False)
class Forecast:
    """The old project's forecast object; `samples` is an `Array` unless the file is hostile."""

    samples: object = None

    def set_state(self, state: Any) -> None:
        """Take the object's attributes, of which there is one."""
        require(type(state) is dict and list(state) == ["samples"], "its forecast has no samples")
        self.samples = state["samples"]


@dataclass(eq=False)
class _Dtype:
    code: str
    order: str = "<"

    def set_state(self, state: Any) -> None:
        match state:
            case (3 | 4, "<" | ">" | "=" | "|" as order, None, None, None, *_):
                self.order = order
            case _:
                raise ValueError("it has a dtype with a state that no float has")


@dataclass(frozen=True, eq=False)
class _Storage:
    """What a stream of torch says of a flat block of values."""

    key: str
    code: str
    count: int


@dataclass(frozen=True, eq=False)
class _Block:
    """The block's values: float16, float32, float64, or uint16 for bfloat16."""

    values: npt.NDArray[Any]
    bfloat16: bool


def load_arrays(data: bytes) -> object:
    """Return what a pickle holds: `Array`, `Forecast`, numbers, text, lists, tuples and dicts.

    Raises:
        ValueError, LookupError: the pickle is malformed, or holds anything else.
    """
    stream = io.BytesIO(data)
    value = run_pickle(stream, _FILE, Budget(MAX_OPCODES, 2 * len(data)))
    require(stream.tell() == len(data), "bytes follow its end")
    return cast(object, value)


def _count(shape: Values) -> int:
    valid = len(shape) <= 8 and all(type(n) is int and 0 <= n < _LARGEST for n in shape)
    require(valid, "it has an array of an impossible shape")
    return math.prod(shape)


def _shaped(data: bytes | bytearray, dtype: _Dtype, shape: Values, order: Any) -> npt.NDArray[Any]:
    kind = np.dtype(dtype.order + dtype.code)
    size = _count(shape) * kind.itemsize
    require(0 < size == len(data), f"it has an array of {size} bytes with {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape, order=order)


def _reconstruct(_: Budget, arguments: Values) -> Array:
    match arguments:
        case (Name("numpy.ndarray"), (0,), b"b"):
            return Array()
    raise ValueError("it makes an array in an unknown way")


def _from_buffer(_: Budget, arguments: Values) -> Array:
    match arguments:
        case (bytes() | bytearray() as data, _Dtype() as dtype, tuple() as shape, "C" | "F" as f):
            return Array(_shaped(data, dtype, shape, f))
    raise ValueError("it makes an array in an unknown way")


def _dtype(_: Budget, arguments: Values) -> _Dtype:
    match arguments:
        case (str() as code, False | 0, True | 1) if code in _FLOATS:
            return _Dtype(code)
        case (str() as code, *_):
            raise ValueError(f"it has values of dtype {code[:20]!r}, not f2, f4 or f8")
    raise ValueError("it has values of no dtype")


def _encode(budget: Budget, arguments: Values) -> bytes:
    """How protocol 2 writes bytes."""
    match arguments:
        case (str() as text, "latin1"):
            budget.spend(octets=len(text))
            return text.encode("latin-1")
    raise ValueError("it encodes text in an unknown way")


def _ordered_dict(_: Budget, arguments: Values) -> dict[str, Any]:
    require(arguments == (), "it makes an OrderedDict that is not empty")
    return {}


def _persistent(described: Any) -> _Storage:
    match described:
        case ("storage", Name(text), str() as key, str(), int() as count, None):
            require(text in _STORAGES and 0 < count < _LARGEST, "it has an impossible storage")
            return _Storage(key, _STORAGES[text], count)
    raise ValueError("it refers to what is no storage of a tensor")


def _load_storage(budget: Budget, arguments: Values) -> _Block:
    """A stream of torch: magic, version, system, storage, keys, count of values, the values."""
    match arguments:
        case (bytes() as data,):
            budget.spend(octets=len(data))
        case _:
            raise ValueError("it has a storage without bytes")
    stream = io.BytesIO(data)
    match tuple(run_pickle(stream, _STREAM, budget) for _ in range(5)):
        case (int(magic), int(version), {"little_endian": True}, _Storage() as storage, [str(key)]):
            known = (magic, version) == (_TORCH_MAGIC, _TORCH_PROTOCOL) and key == storage.key
            require(known, "it has a storage of an unknown version of torch")
        case _:
            raise ValueError("it has a storage that torch did not save, or not in little-endian")
    kind = np.dtype("<u2" if storage.code == "bf16" else "<" + storage.code)
    count = int.from_bytes(stream.read(8), "little", signed=True)
    found = len(data) - stream.tell()
    whole = count == storage.count and found == count * kind.itemsize
    require(whole, f"it has a storage of {storage.count} values with {found} bytes")
    return _Block(np.frombuffer(data, kind, offset=stream.tell()), storage.code == "bf16")


def _tensor(_: Budget, arguments: Values) -> Array:
    match arguments:
        case (
            _Block() as block,
            int() as offset,
            tuple() as size,
            tuple() as stride,
            bool(),
            dict() as hooks,
        ) if not hooks:
            count, _valid = _count(size), _count(stride)
            require(len(size) == len(stride) and offset >= 0, "its tensor has no such layout")
            require(0 < count <= len(block.values), "its tensor is larger than its storage")
            steps = [0 if n == 1 else step for n, step in zip(size, stride, strict=True)]
            last = offset + sum((n - 1) * step for n, step in zip(size, steps, strict=True))
            require(last < len(block.values), "its tensor ends after its storage")
            width = block.values.itemsize
            strides = [step * width for step in steps]
            values: npt.NDArray[Any] = np.ndarray(
                size, block.values.dtype, block.values, offset * width, strides
            )
            return Array(values, block.bfloat16)
    raise ValueError("it makes a tensor in an unknown way")


_STREAM = Vocabulary(frozenset(_STORAGES), {}, {}, _persistent)
_FILE = Vocabulary(
    names=frozenset(("numpy.ndarray",)),
    calls={
        "numpy.core.multiarray._reconstruct": _reconstruct,
        "numpy._core.multiarray._reconstruct": _reconstruct,
        "numpy.core.numeric._frombuffer": _from_buffer,
        "numpy._core.numeric._frombuffer": _from_buffer,
        "numpy.dtype": _dtype,
        "_codecs.encode": _encode,
        "collections.OrderedDict": _ordered_dict,
        "torch.storage._load_from_bytes": _load_storage,
        "torch._utils._rebuild_tensor_v2": _tensor,
    },
    classes={"src.models.toto_wrapper.TotoForecast": Forecast},
)
