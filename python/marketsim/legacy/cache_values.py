"""Values of a cache of functions: their digests, and their bytes in a file.

Arrays, tensors, and what JSON knows (with tuples) are all there is. Nothing is ever unpickled, and
two values have one digest only if they are of the same types, shapes and bits.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.errors import FileFormatError, UnsupportedTypeError

if TYPE_CHECKING:
    import torch

AnyArray: TypeAlias = "npt.NDArray[Any]"

_STRUCTURE = "structure"
_KINDS = "biufcmMSU"  # of arrays: all that is not objects or records
_DEEPEST = 100
_EXPECTED = (
    "expected numpy arrays, torch tensors without gradient, None, bool, int, float, str, and "
    "lists, tuples and dicts (of text keys) of them"
)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> Any: ...


def update_digest(digest: _Hash, value: Any, where: str) -> None:
    """Feed a value to a digest, so that values of other types, shapes or bits differ.

    Raises:
        UnsupportedTypeError: it holds something that is not one of the above; `where` names it.
    """
    structure, arrays = pack(value, where)
    _feed(digest, json.dumps(structure, sort_keys=True).encode())
    for array in arrays:
        _feed(digest, f"{array.dtype.str}{array.shape}".encode())
        _feed(digest, array.tobytes())


def to_bytes(value: Any, where: str) -> bytes:
    """A value as the content of a file.

    Raises:
        UnsupportedTypeError: as `update_digest`.
    """
    structure, arrays = pack(value, where)
    text = np.frombuffer(json.dumps(structure).encode(), dtype=np.uint8)
    file = io.BytesIO()
    members = {f"a{i}": array for i, array in enumerate(arrays)}
    np.savez(file, allow_pickle=False, **{_STRUCTURE: text}, **members)
    return file.getvalue()


def from_bytes(content: bytes) -> Any:
    """What `to_bytes` made a file's content of.

    Raises:
        FileFormatError: the content is no such thing, or is damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as members:
            structure = json.loads(members[_STRUCTURE].tobytes())
            arrays = [members[f"a{i}"] for i in range(len(members.files) - 1)]
        return _unpacked(structure, arrays)
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        RuntimeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise FileFormatError(f"no value of a cache: {error}") from error


def pack(value: Any, where: str) -> tuple[Any, list[AnyArray]]:
    """A value as JSON that refers to arrays by number, and the arrays.

    Raises:
        UnsupportedTypeError: as `update_digest`.
    """
    arrays: list[AnyArray] = []
    return _packed(value, where, arrays, 0), arrays


def _packed(value: Any, where: str, arrays: list[AnyArray], depth: int) -> Any:
    """[tag, content]; floats as hexadecimal text, so that every bit and NaN survive."""
    kind = type(value)
    if depth > _DEEPEST:
        raise UnsupportedTypeError(f"{where} is nested more than {_DEEPEST} deep, or in itself")
    if value is None or kind in (bool, int, str):
        return [kind.__name__, value]
    if kind is float:
        return ["float", value.hex()]
    if kind in (list, tuple):
        parts = [_packed(v, f"{where}[{i}]", arrays, depth + 1) for i, v in enumerate(value)]
        return [kind.__name__, parts]
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise UnsupportedTypeError(f"{where} has keys that are not text: {_EXPECTED}")
        pairs = [[k, _packed(v, f"{where}[{k!r}]", arrays, depth + 1)] for k, v in value.items()]
        return ["dict", pairs]
    if isinstance(value, np.generic) or kind is np.ndarray:
        tag = "array" if kind is np.ndarray else "scalar"
        return [tag, _kept(np.asarray(value), where, arrays)]
    if _is_tensor(value):
        return _packed_tensor(value, where, arrays)
    raise UnsupportedTypeError(f"{where} is a {kind.__module__}.{kind.__qualname__}: {_EXPECTED}")


def _packed_tensor(tensor: torch.Tensor, where: str, arrays: list[AnyArray]) -> Any:
    import torch

    if tensor.requires_grad or tensor.layout != torch.strided or tensor.is_quantized:
        raise UnsupportedTypeError(
            f"{where} is a tensor that requires a gradient, is sparse or is quantised: give a "
            "plain one, such as tensor.detach()"
        )
    dtype = str(tensor.dtype).removeprefix("torch.")
    values = tensor.resolve_conj().resolve_neg().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:  # numpy has no such numbers: their bits
        values = values.view(torch.int16)
    try:
        array = values.numpy()
    except TypeError:
        raise UnsupportedTypeError(f"{where} is a tensor of {dtype}: {_EXPECTED}") from None
    return ["tensor", [_kept(array, where, arrays), dtype, str(tensor.device)]]


def _kept(array: AnyArray, where: str, arrays: list[AnyArray]) -> int:
    if array.dtype.kind not in _KINDS:
        raise UnsupportedTypeError(f"{where} is an array of {array.dtype}: {_EXPECTED}")
    arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    return len(arrays) - 1


def _unpacked(structure: Any, arrays: list[AnyArray]) -> Any:
    tag, content = structure
    match tag:
        case "NoneType" | "bool" | "int" | "str":
            return content
        case "float":
            return float.fromhex(content)
        case "list" | "tuple":
            parts = [_unpacked(part, arrays) for part in content]
            return parts if tag == "list" else tuple(parts)
        case "dict":
            return {key: _unpacked(part, arrays) for key, part in content}
        case "array":
            return arrays[content]
        case "scalar":
            return arrays[content][()]
        case "tensor":
            return _unpacked_tensor(arrays[content[0]], content[1], content[2])
    raise ValueError(f"unknown kind of value {tag!r}")


def _unpacked_tensor(array: AnyArray, dtype: str, device: str) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(array)
    if dtype == "bfloat16":
        tensor = tensor.view(torch.bfloat16)
    return tensor.to(device)


def _is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor; torch is not imported for it."""
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and type(value) is torch.Tensor


def _feed(digest: _Hash, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "little"))
    digest.update(part)
