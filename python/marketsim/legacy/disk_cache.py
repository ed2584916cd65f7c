"""The decorator `disk_cache`: results of a function on disk, found by exactly what it was given.

    @disk_cache
    def features(prices: np.ndarray, window: int) -> np.ndarray: ...

    features(prices, 20)  # computed
    features(prices, 20)  # read
    features.cache_clear()

Unlike the old decorator, whose key was the bytes of tensors and the text of all else under the
function's bare name: types, dtypes, shapes and all bits are in the key, and so are the function's
module, name and code, and the model that the environment chooses. Arrays are never taken by their
abbreviated text. Files are written in one step and hold no pickles.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from blake3 import blake3

from marketsim.atomic import replace_file
from marketsim.errors import FileFormatError
from marketsim.forecasts import user_cache_folder
from marketsim.legacy.cache_values import from_bytes, to_bytes, update_digest
from marketsim.legacy.settings import setting

__all__ = ["disk_cache"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

_VERSION = b"marketsim.legacy.disk_cache 1"
_SUFFIX = ".npz"


class CachedFunction(Protocol[P, R]):
    """What `disk_cache` makes of a function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, computed or read."""
        ...

    def cache_clear(self) -> None:
        """Remove the results of this function."""
        ...


def disk_cache(func: Callable[P, R]) -> CachedFunction[P, R]:
    """Keep what a function returns, by its arguments, in files that later processes find.

    A call is the same however its arguments are written. With TESTING or MARKETSIM_DISK_CACHE=off
    the function is simply called. A file that cannot be read is computed anew; one that cannot be
    written is logged, and the result returned.

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
    signature = inspect.signature(func)
    name = f"{func.__module__}.{getattr(func, '__qualname__', type(func).__qualname__)}"
    home = blake3(_VERSION)
    for part in (name.encode(), *_code_parts(getattr(func, "__code__", None))):
        home.update(len(part).to_bytes(8, "little") + part)

    def place(args: Any, kwargs: Any) -> Path | None:
        folder = _folder(name)
        if folder is None:
            return None
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        key = home.copy()
        update_digest(key, model_identity(), "the model")
        for argument, value in bound.arguments.items():
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


def _code_parts(code: CodeType | None) -> list[bytes]:
    """What a function does, as far as its own code goes; nothing of what it calls."""
    if code is None:
        return []
    parts = [code.co_code, repr((code.co_names, code.co_varnames)).encode()]
    for constant in code.co_consts:
        parts += _code_parts(constant) if isinstance(constant, CodeType) else [_text(constant)]
    return parts


def _text(constant: object) -> bytes:
    """A constant in words; the order of a set is not the same in each process."""
    if isinstance(constant, frozenset):
        return repr(sorted(map(repr, constant))).encode()
    return repr(constant).encode()
