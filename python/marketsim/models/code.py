"""Digests of Python code, so that different models of one name get different fingerprints."""

from __future__ import annotations

import dis
import enum
import importlib
import inspect
import sys
import types
from collections import defaultdict, namedtuple
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from blake3 import blake3

from marketsim.models.values import contents_of, enum_contents

# Values whose text is the same in every process and says all that they are.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class _Seen(dict[int, tuple[int, Any]]):
    """Values met so far with their numbers; kept alive, so that addresses stay unique."""

    whole: bool = False  # nothing may be left out: see `whole_digest`
    made: bool = False  # within the class of an object, which was made before
    count: int = 0  # no two values have one number, though containers are forgotten again

    def add(self, thing: Any) -> None:
        """Give a value the next number."""
        self[id(thing)] = (self.count, thing)
        self.count += 1


# What a class holds of itself; its fields and methods say the same.
_OF_CLASSES = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl",
     "__dataclass_fields__", "__dataclass_params__", "__annotations_cache__",
     "__annotate_func__", "__annotate__", "__firstlineno__", "__static_attributes__",
     "__parameters__", "__orig_bases__", "_is_protocol", "__protocol_attrs__"}
)  # fmt: skip
_NumpyFunction: type = type(np.median)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_Field: type = type(namedtuple("_OneField", "a").a)  # type: ignore[attr-defined]
_Cached: type = type(lru_cache(lambda: None))
_BY_TEXT = {"globals", "locals", "eval", "exec", "__import__"}
_ATTRIBUTES_BY_TEXT = {"getattr", "vars", "__dict__"}
# What code names that reads files, the network or the environment: no digest covers these.
_READERS = frozenset(
    {"read_csv", "read_parquet", "read_pickle", "read_feather", "read_hdf", "read_json",
     "read_excel", "read_sql", "read_table", "read_text", "read_bytes", "read_bars", "loadtxt",
     "genfromtxt", "fromfile", "memmap", "urlopen", "getenv", "environ", "read_fwf", "read_xml",
     "read_html", "read_orc", "read_stata", "read_sas", "read_spss", "read_clipboard", "HDFStore",
     "ExcelFile", "open_memmap", "ZipFile", "TarFile", "ConfigParser", "getline", "getlines",
     "urlretrieve", "check_output", "Popen", "popen", "listdir", "scandir", "iterdir", "argv",
     "now", "utcnow", "today"}
)  # fmt: skip
_READING_MODULES = frozenset(
    {"sqlite3", "gzip", "bz2", "lzma", "zipfile", "tarfile", "shelve", "mmap", "subprocess",
     "urllib", "requests", "socket", "linecache", "configparser", "duckdb", "h5py"}
)  # fmt: skip
_DRAWS = frozenset(
    {"normal", "rand", "randn", "randint", "uniform", "choice", "shuffle", "permutation",
     "random_sample", "standard_normal", "gauss", "sample", "lognormal", "standard_t"}
)  # fmt: skip
_LOADERS = frozenset({"numpy", "json", "pickle", "joblib", "yaml", "torch"})  # by `load`


class _UnknownValue(Exception):
    """Raised for a value whose content no digest covers."""


def code_digest(thing: Any) -> str | None:
    """Digest the code of a function or class, 32 hex digits; None if a part is inaccessible.

    Covered are the compiled code with its constants, defaults, closures and attributes, the global
    values and functions that it names, those of the modules that it names or imports, and, of a
    class, all methods and attributes of its own and of its bases. What is in an installed package
    counts by its name. A global or captured object of another kind (an array counts, a network does
    not) makes the digest None: it may decide forecasts, and nothing says what it is. So does a
    function that looks names up by text (`globals`, `eval`, `exec`).
    """
    return _digest(thing, _Seen())


def whole_digest(thing: Any) -> str | None:
    """Digest everything that decides what a value does, 32 hex digits; None if inaccessible.

    As `code_digest`, and also of partial functions, bound methods, objects of one's own classes
    (their class and attributes), bars (their fingerprint) and what marketsim's functions were made
    with. A class with a part that no digest covers has none.

    Example:
        >>> from functools import partial
        >>> whole_digest(partial(pow, 2)) == whole_digest(partial(pow, 3))
        False
    """
    seen = _Seen()
    seen.whole = True
    return _digest(thing, seen)


def _digest(thing: Any, seen: _Seen) -> str | None:
    parts: list[bytes] = []
    try:
        for part in _parts(thing, seen):
            parts.append(len(part).to_bytes(8, "little") + part)
    except (_UnknownValue, RecursionError):
        return None
    return blake3(b"".join(parts)).hexdigest(length=16)


def _parts(thing: Any, seen: _Seen) -> Iterator[bytes]:
    if seen.whole and id(thing) not in seen:
        yield from _parts_of_own_kind(thing, seen)
    contents = None if type(thing) in _PLAIN else contents_of(thing)
    if contents is not None:
        if id(thing) in seen:
            yield f"again {seen[id(thing)][0]}".encode()
            return
        seen.add(thing)
        yield from _parts(contents, seen)
        del seen[id(thing)]  # as of containers
        return
    if isinstance(thing, _PLAIN):
        yield f"{type(thing).__name__} {thing!r}".encode()
        return
    if isinstance(thing, np.ndarray | np.generic) and thing.dtype.kind in "biufcSUmM":
        yield f"{thing.dtype.str} {np.shape(thing)}".encode()
        yield np.ascontiguousarray(thing).tobytes()
        return
    if id(thing) in seen:  # a function that calls itself, a list within itself
        yield f"again {seen[id(thing)][0]}".encode()
        return
    seen.add(thing)
    if isinstance(thing, _CONTAINERS):
        yield from _container_parts(thing, seen)
        del seen[id(thing)]  # equal containers are one value, whether they are one object or two
    elif isinstance(thing, types.CodeType):
        yield from _code_parts(thing, seen)
    elif isinstance(thing, types.ModuleType):
        if seen.whole and not _is_installed(thing.__name__):
            raise _UnknownValue  # an attribute or an item, of which any function may be called
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
    elif isinstance(thing, types.BuiltinFunctionType) and seen.whole:
        owner = thing.__self__
        if owner is not None and not isinstance(owner, types.ModuleType):
            yield from _parts(owner, seen)  # a method of an object
        yield f"built-in {thing.__qualname__}".encode()
    elif isinstance(thing, np.ufunc) and not _is_of_a_package(thing):
        raise _UnknownValue  # of a Python function, which it does not show
    elif isinstance(thing, (types.BuiltinFunctionType, np.ufunc)):
        yield f"built-in {thing.__name__}".encode()
    elif seen.whole:
        yield from _object_parts(thing, seen)
    else:
        raise _UnknownValue


def _parts_of_own_kind(thing: Any, seen: _Seen) -> Iterator[bytes]:
    """Return the digest parts of a user-defined class beside its content: its methods."""
    kind = type(thing)
    if kind is defaultdict:
        yield from _parts(thing.default_factory, seen)
    if issubclass(kind, (*_PLAIN, *_CONTAINERS, np.ndarray)) and not _is_installed(kind.__module__):
        yield from _parts(kind, seen)
        yield from _parts(dict(getattr(thing, "__dict__", {})), seen)


def _object_parts(thing: Any, seen: _Seen) -> Iterator[bytes]:
    """Return the parts of an object that consists of its class and attributes only."""
    if isinstance(thing, partial):
        yield b"partial"
        yield from _parts((thing.func, thing.args, thing.keywords), seen)
        return
    if isinstance(thing, types.MethodType):
        yield from _parts((thing.__func__, thing.__self__), seen)
        return
    if isinstance(thing, types.MethodDescriptorType | types.WrapperDescriptorType | _NumpyFunction):
        names = (getattr(thing, name, "") for name in ("__module__", "__qualname__"))
        yield f"built-in {'.'.join(map(str, names))}".encode()
        return
    if isinstance(thing, _Field):
        yield b"field"
        return
    if isinstance(thing, _Cached):
        yield from _parts(getattr(thing, "__wrapped__", None), seen)
        return
    kind = type(thing)
    if kind.__module__.partition(".")[0] == "numba" and hasattr(thing, "py_func"):
        yield from _parts((thing.py_func, dict(thing.targetoptions)), seen)
        return
    ours = kind.__module__.partition(".")[0] == "marketsim"
    if ours and isinstance(getattr(thing, "fingerprint", None), str):  # bars, models
        more = [getattr(thing, name, None) for name in ("calendar", "timezone")]  # of bars
        yield f"{kind.__qualname__} {thing.fingerprint} {more}".encode()
        return
    if ours and isinstance(getattr(thing, "filed", None), dict):  # objectives of a search
        yield from _parts(thing.filed, seen)
        return
    bases = [base for base in kind.__mro__ if base is not object]
    if any(_is_installed(base.__module__) and not _is_transparent(base) for base in bases):
        raise _UnknownValue  # such as a list, a lock, a network: more than its attributes
    before, seen.made = seen.made, True
    yield from _parts(kind, seen)
    seen.made = before
    state = dict(getattr(thing, "__dict__", {}))
    for base in bases:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                state[name] = getattr(thing, name)
    yield from _parts(state, seen)


def _is_transparent(kind: type) -> bool:
    """Whether the attributes of an object hold all of its state."""
    module = kind.__module__
    return module in ("typing", "abc") or (
        module.startswith("marketsim.") and not module.startswith(("marketsim._c", "marketsim._t"))
    )


def _container_parts(thing: Any, seen: _Seen) -> Iterator[bytes]:
    yield f"{type(thing).__name__} of {len(thing)}".encode()
    items: Any = thing
    if isinstance(thing, dict):
        items = [pair for key, value in thing.items() for pair in (key, value)]
    elif isinstance(thing, (set, frozenset)):
        items = sorted(thing, key=repr)
    for item in items:
        yield from _parts(item, seen)


def _code_parts(code: types.CodeType, seen: _Seen) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags)).encode()
    for constant in code.co_consts:
        yield from _parts(None if constant is Ellipsis else constant, seen)


def _function_parts(function: types.FunctionType, seen: _Seen) -> Iterator[bytes]:
    if _is_installed(function.__globals__.get("__name__")):
        yield f"{function.__module__}.{function.__qualname__}".encode()
        wrapped = getattr(function, "__wrapped__", None)
        if seen.whole and wrapped is None and function.__closure__:  # made by a function of it
            for cell in function.__closure__:
                yield from _parts(cell.cell_contents, seen)
            yield from _parts((function.__defaults__, function.__kwdefaults__), seen)
        if wrapped is not None and function.__closure__:  # by a decorator of that package
            yield from _wrapper_parts(function, wrapped, seen)
        return
    yield from _code_parts(function.__code__, seen)
    yield from _parts((function.__defaults__, function.__kwdefaults__, function.__dict__), seen)
    names = _names(function.__code__)
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        yield from _named_parts(content, names, seen)
    if names & _BY_TEXT - function.__globals__.keys() or (seen.whole and "import_module" in names):
        raise _UnknownValue
    made = seen.made and function.__name__ in ("__init__", "__post_init__")  # that was before
    if seen.whole and not made and _reads(function, names):
        raise _UnknownValue
    for name in sorted(names & function.__globals__.keys()):
        yield name.encode()
        yield from _named_parts(function.__globals__[name], names, seen)
    for module in sorted(_imports(function.__code__)):
        yield from _module_parts(_imported(module), names, seen)


def _named_parts(value: Any, names: frozenset[str], seen: _Seen) -> Iterator[bytes]:
    """A global or captured value of code: of a module what the code names of it."""
    if isinstance(value, types.ModuleType):
        yield from _module_parts(value, names, seen)
    else:
        yield from _parts(value, seen)


def _reads(function: types.FunctionType, names: frozenset[str]) -> bool:
    """Whether code names what reads a file, the network or the environment when it runs."""
    if names & _READERS:
        return True
    if "open" in names and "open" not in function.__globals__ and _opens(function.__code__):
        return True
    captured: list[Any] = []
    with suppress(ValueError):  # a cell that is not filled yet
        captured = [cell.cell_contents for cell in function.__closure__ or ()]
    named = (function.__globals__[name] for name in names & function.__globals__.keys())
    modules = {
        value.__name__.partition(".")[0]
        for value in (*captured, *named)
        if isinstance(value, types.ModuleType)
    }
    modules |= {name.partition(".")[0] for name in _imports(function.__code__)}
    if modules & _READING_MODULES:
        return True
    seeded = names & {"seed", "default_rng", "RandomState", "Random", "Generator"}
    if "random" in (names | modules) and names & _DRAWS and not seeded:
        return True
    return "load" in names and bool(_LOADERS & modules)


@lru_cache(maxsize=1024)
def _opens(code: types.CodeType) -> bool:
    """Whether code calls `open`, also as a method: not the column of that name, an attribute."""
    return any(
        step.argval == "open"
        and (
            step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_METHOD")
            or (step.opname == "LOAD_ATTR" and sys.version_info >= (3, 12) and (step.arg or 0) & 1)
        )
        for part in _all_code(code)
        for step in dis.get_instructions(part)
    )


def _wrapper_parts(wrapper: types.FunctionType, wrapped: Any, seen: _Seen) -> Iterator[bytes]:
    """Return the parts of the wrapped function; the decorator's own state decides no result."""
    if (wrapper.__globals__.get("__name__") or "").partition(".")[0] != "marketsim":
        for cell in wrapper.__closure__ or ():
            yield from _parts(cell.cell_contents, seen)
    yield from _parts(wrapped, seen)


def _module_parts(module: types.ModuleType, names: frozenset[str], seen: _Seen) -> Iterator[bytes]:
    """Return the values of a module that code names; for an installed module only its name."""
    yield f"module {module.__name__}".encode()
    if _is_installed(module.__name__):
        return
    if seen.whole and names & _ATTRIBUTES_BY_TEXT:
        raise _UnknownValue
    for name in sorted(names & vars(module).keys()):
        value = vars(module)[name]
        yield name.encode()
        yield from _named_parts(value, names - {name}, seen)


@lru_cache(maxsize=1024)
def _names(code: types.CodeType) -> frozenset[str]:
    """List all names of globals and attributes in code, nested definitions included."""
    return frozenset(name for part in _all_code(code) for name in part.co_names)


@lru_cache(maxsize=1024)
def _imports(code: types.CodeType) -> frozenset[str]:
    """List the modules that code imports when it runs.

    Raises:
        _UnknownValue: by a relative name.
    """
    found = set()
    for part in _all_code(code):
        before: Any = None
        level: Any = None
        for step in dis.get_instructions(part):
            if step.opname == "IMPORT_NAME":
                if level != 0:
                    raise _UnknownValue
                found.add(str(step.argval))
            level, before = before, step.argval  # an import follows its level and its names
    return frozenset(found)


def _imported(name: str) -> types.ModuleType:
    """Import a module that the code imports itself.

    Raises:
        _UnknownValue: it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _UnknownValue from error


def _all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_code(constant)


def _class_parts(kind: type, seen: _Seen) -> Iterator[bytes]:
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if _is_installed(kind.__module__):
        return
    for base in kind.__bases__:
        yield from _parts(base, seen)
    if issubclass(kind, enum.Enum):
        yield from _parts(enum_contents(kind), seen)
        return
    for name, member in sorted(vars(kind).items()):
        if name in _OF_CLASSES:
            continue
        if isinstance(member, types.MemberDescriptorType):  # a slot: its value is the instance's
            continue
        yield name.encode()
        try:
            yield from _parts(member, seen)
        except _UnknownValue:
            if seen.whole:
                raise
            yield f"{type(member).__module__}.{type(member).__qualname__}".encode()


def _is_of_a_package(function: np.ufunc) -> bool:
    """Whether a universal function is one that NumPy or SciPy defines."""
    modules = (np, sys.modules.get("scipy.special"))
    return any(getattr(module, function.__name__, None) is function for module in modules)


def _is_installed(module: str | None) -> bool:
    """Whether a module is of Python, of an installed package, or of marketsim itself."""
    top = (module or "").partition(".")[0]
    if top in ("marketsim", "builtins", "numpy", "pandas", "scipy", "torch"):
        return True
    import sysconfig

    if top in sys.stdlib_module_names and top != "__main__":
        return True
    file = inspect.getsourcefile(sys.modules[top]) if _has_file(sys.modules.get(top)) else None
    folders = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return file is not None and file.startswith(folders)


def _has_file(module: types.ModuleType | None) -> bool:
    return module is not None and getattr(module, "__file__", None) is not None
