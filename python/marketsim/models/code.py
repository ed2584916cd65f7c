"""Digests of Python code, so that different models of one name get different fingerprints."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from blake3 import blake3

# Values whose text is the same in every process and says all that they are.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class _UnknownValue(Exception):
    """A value whose content no digest covers."""


def code_digest(thing: Any) -> str | None:
    """32 hex digits over the code of a function or a class; None where some of it is out of reach.

    Covered are the compiled code with its constants, defaults and closures, the global values and
    functions that it names, and, of a class, all methods and attributes of its own and of its bases
    up to those of installed packages. Modules count by name. A global or captured object of another
    kind (an array counts, a network does not) makes the digest None: it may decide forecasts, and
    nothing says what it is.
    """
    parts: list[bytes] = []
    try:
        for part in _parts(thing, set()):
            parts.append(len(part).to_bytes(8, "little") + part)
    except _UnknownValue:
        return None
    return blake3(b"".join(parts)).hexdigest(length=16)


def _parts(thing: Any, seen: set[int]) -> Iterator[bytes]:
    if isinstance(thing, _PLAIN):
        yield f"{type(thing).__name__} {thing!r}".encode()
        return
    if isinstance(thing, np.ndarray | np.generic) and thing.dtype.kind in "biufcSUmM":
        yield f"{thing.dtype.str} {np.shape(thing)}".encode()
        yield np.ascontiguousarray(thing).tobytes()
        return
    if id(thing) in seen:  # a function that calls itself, a list within itself
        yield b"again"
        return
    seen.add(id(thing))
    if isinstance(thing, (list, tuple, set, frozenset, dict)):
        yield from _container_parts(thing, seen)
    elif isinstance(thing, types.CodeType):
        yield from _code_parts(thing, seen)
    elif isinstance(thing, types.ModuleType):
        yield f"module {thing.__name__}".encode()
    elif isinstance(thing, (staticmethod, classmethod)):
        yield from _parts(thing.__func__, seen)
    elif isinstance(thing, property):
        yield from _parts((thing.fget, thing.fset), seen)
    elif isinstance(thing, cached_property):
        yield from _parts(thing.func, seen)
    elif isinstance(thing, types.FunctionType):
        yield from _function_parts(thing, seen)
    elif isinstance(thing, type):
        yield from _class_parts(thing, seen)
    elif isinstance(thing, (types.BuiltinFunctionType, np.ufunc)):
        yield f"built-in {thing.__name__}".encode()
    else:
        raise _UnknownValue


def _container_parts(thing: Any, seen: set[int]) -> Iterator[bytes]:
    yield f"{type(thing).__name__} of {len(thing)}".encode()
    items: Any = thing
    if isinstance(thing, dict):
        items = [pair for key, value in thing.items() for pair in (key, value)]
    elif isinstance(thing, (set, frozenset)):
        items = sorted(thing, key=repr)
    for item in items:
        yield from _parts(item, seen)


def _code_parts(code: types.CodeType, seen: set[int]) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags)).encode()
    for constant in code.co_consts:
        yield from _parts(None if constant is Ellipsis else constant, seen)


def _function_parts(function: types.FunctionType, seen: set[int]) -> Iterator[bytes]:
    if _is_installed(function.__module__):
        yield f"{function.__module__}.{function.__qualname__}".encode()
        return
    yield from _code_parts(function.__code__, seen)
    yield from _parts((function.__defaults__, function.__kwdefaults__), seen)
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        yield from _parts(content, seen)
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield name.encode()
            yield from _parts(function.__globals__[name], seen)


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _class_parts(kind: type, seen: set[int]) -> Iterator[bytes]:
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if _is_installed(kind.__module__):
        return
    for base in kind.__bases__:
        yield from _parts(base, seen)
    for name, member in sorted(vars(kind).items()):
        if name in ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__"):
            continue
        if isinstance(member, types.MemberDescriptorType):  # a slot: its value is the instance's
            continue
        yield name.encode()
        try:
            yield from _parts(member, seen)
        except _UnknownValue:
            yield f"{type(member).__module__}.{type(member).__qualname__}".encode()


def _is_installed(module: str | None) -> bool:
    """Whether a module is of Python, of an installed package, or of marketsim itself."""
    top = (module or "").partition(".")[0]
    if top in ("marketsim", "builtins", "numpy", "pandas", "scipy", "torch"):
        return True
    import sys
    import sysconfig

    if top in sys.stdlib_module_names and top != "__main__":
        return True
    file = inspect.getsourcefile(sys.modules[top]) if _has_file(sys.modules.get(top)) else None
    folders = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return file is not None and file.startswith(folders)


def _has_file(module: types.ModuleType | None) -> bool:
    return module is not None and getattr(module, "__file__", None) is not None
