"""The decorator `disk_cache`: results of a function on disk, found by exactly what it was given.

    @disk_cache
    def features(prices: np.ndarray, window: int) -> np.ndarray: ...

    features(prices, 20)  # computed
    features(prices, 20)  # read
    features.cache_clear()

Unlike the old decorator, whose key was the bytes of tensors and the text of all else under the
function's bare name: types, dtypes, shapes and all bits are in the key, and so are the function's
module, name and code, and the model that the environment chooses. Arrays are never taken by their
abbreviated text. Files are written in one step and hold no pickles: arrays, tensors, and what JSON
knows (with tuples) are all there is.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.errors import FileFormatError, UnsupportedTypeError
from marketsim.legacy.stock.assignments import watch_callee

if TYPE_CHECKING:
    import torch

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast, overload

from blake3 import blake3

from marketsim.atomic import replace_file
from marketsim.forecasts import user_cache_folder
from marketsim.legacy.stock.settings import setting
from marketsim.models.code import code_digest
from marketsim.text import get_logger

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
    except Exception as error:  # damage may look like anything to the readers of zip, npy and JSON
        raise FileFormatError(f"no value of a cache: {type(error).__name__}: {error}") from error


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
    if kind is int and abs(value) >= 2**63:  # Python reads and writes no long ones as decimals
        return ["int", hex(value)]
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

    plain = tensor.layout == torch.strided and not tensor.is_quantized
    if tensor.requires_grad or not plain or tensor.device.type == "meta":
        raise UnsupportedTypeError(
            f"{where} is a tensor that requires a gradient, is sparse, quantised or without "
            "values: give a plain one, such as tensor.detach()"
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
        case "int" if isinstance(content, str):
            return int(content, 16)
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


__all__ = ["disk_cache"]

logger = get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

_VERSION = b"marketsim.legacy.stock.disk_cache 2"
_SUFFIX = ".npz"


class CachedFunction(Protocol[P, R]):
    """What `disk_cache` makes of a function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, computed or read."""
        ...

    def cache_clear(self) -> None:
        """Remove the results of this function."""
        ...


@overload
def disk_cache(func: Callable[P, R]) -> CachedFunction[P, R]: ...
@overload
def disk_cache(
    func: None = None, *, ignore_kwargs: Iterable[str] | None = None
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...


def disk_cache(func: Any = None, *, ignore_kwargs: Iterable[str] | None = None) -> Any:
    """Keep what a function returns, by its arguments, in files that later processes find.

    Used as `@disk_cache` or `@disk_cache(ignore_kwargs={"samples_per_batch"})`: arguments of these
    names are not in the key, since no result depends on them.

    A call is the same however its arguments are written. The key holds the function's code, what
    it closes over, its defaults, and the globals that it reads, with the functions among them; one
    that reads a thing of another kind, such as an open file, is called each time. With TESTING or
    MARKETSIM_DISK_CACHE=off the function is simply called. A file that cannot be read is computed
    anew; one that cannot be written is logged, and the result returned.

    Raises:
        UnsupportedTypeError: (when called) an argument or the result is not made of arrays,
            tensors, None, bool, int, float, str, lists, tuples and dicts with text keys.

    Example:
        >>> @disk_cache
        ... def double(x: float) -> float:
        ...     return 2.0 * x
        >>> double(1.5)
        3.0
        >>> double.cache_clear()
    """
    ignored = frozenset(ignore_kwargs or ())
    if func is None:
        return functools.partial(_cached, ignored=ignored)
    return _cached(func, ignored)


def _cached(func: Callable[P, R], ignored: frozenset[str]) -> CachedFunction[P, R]:
    signature = inspect.signature(func)
    name = f"{func.__module__}.{getattr(func, '__qualname__', type(func).__qualname__)}"
    refused: list[bool] = []

    def place(args: Any, kwargs: Any) -> Path | None:
        folder = _folder(name)
        if folder is None:
            return None
        code = code_digest(func)  # at each call: what it reads besides its arguments may change
        if code is None:
            if not refused:
                refused.append(True)
                logger.warning(
                    "%s is not cached: it reads a global or captured object of a kind that no key "
                    "covers; give it as an argument, or as numbers, text or arrays",
                    name,
                )
            return None
        home = blake3(_VERSION)
        for part in (name, code):
            home.update(len(part).to_bytes(8, "little") + part.encode())
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        key = home.copy()
        update_digest(key, model_identity(), "the model")
        for argument, value in bound.arguments.items():
            if argument in ignored:
                continue
            update_digest(key, argument, "a name")
            update_digest(key, value, f"{name}: argument {argument!r}")
        return folder / f"{key.hexdigest(length=20)}{_SUFFIX}"

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        path = None if setting("testing") else place(args, kwargs)
        if path is None:
            return func(*args, **kwargs)
        found, value = _read(path)
        if found:
            return cast(R, value)
        result = func(*args, **kwargs)
        _write(path, to_bytes(result, f"{name}: the result"))
        return result

    def cache_clear() -> None:
        folder = _folder(name)
        if folder is not None and folder.is_dir():
            for path in folder.glob(f"*{_SUFFIX}"):
                path.unlink(missing_ok=True)

    wrapper.cache_clear = cache_clear  # type: ignore[attr-defined]
    return cast(CachedFunction[P, R], wrapper)


def model_identity() -> list[Any]:
    """What is in every key: the models that the environment chooses.

    Of a checkpoint in a folder also when its files were written and how large they are.
    """
    names = [setting("toto_model_id"), setting("kronos_model_id"), setting("kronos_tokenizer_id")]
    return [[name, _files(Path(name).expanduser())] for name in names]


def _files(folder: Path) -> list[Any]:
    if not folder.is_dir():
        return []
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return [[name, stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats]


def _folder(name: str) -> Path | None:
    """Where a function's results are; None where none are kept."""
    told = setting("disk_cache")
    if told is not None and told.lower() == "off":
        return None
    root = user_cache_folder() / "functions" if told is None else Path(told).expanduser()
    # The name is for people; the digest keeps apart what reads the same without odd characters.
    readable = re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip(".")[-80:]
    return root / f"{readable}-{blake3(name.encode()).hexdigest(length=4)}"


def _read(path: Path) -> tuple[bool, Any]:
    try:
        return True, from_bytes(path.read_bytes())
    except FileNotFoundError:
        return False, None
    except (FileFormatError, OSError) as error:
        logger.warning("%s is computed anew: %s", path, error)
        return False, None


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, sync=False)
    except OSError as error:
        logger.warning("%s is not kept: %s", path, os.strerror(error.errno or 0))


watch_callee(__name__)
