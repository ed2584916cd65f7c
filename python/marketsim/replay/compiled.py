"""A user's `on_bar` compiled into the engine's loop, or called in plain Python."""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dis import get_instructions
from functools import lru_cache
from operator import attrgetter
from struct import Struct
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.replay.code_store import digest_of, load, save
from marketsim.replay.records import BAR, REQUEST, REQUEST_ROOM, STATE

OnBar = Callable[[Any, Any, Any, Any], None]


class Buffers:
    """The memory that a strategy and the engine share: account, bar, requests.

    Args:
        requests: those of other strategies of the same run; None for its own.
    """

    def __init__(self, requests: npt.NDArray[Any] | None = None) -> None:
        self.state = np.zeros(1, STATE)
        self.bar = np.zeros(1, BAR)
        self.requests = np.zeros(REQUEST_ROOM + 1, REQUEST) if requests is None else requests

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """One of them as bytes, which the engine fills."""
        values: npt.NDArray[np.uint8] = getattr(self, name).view(np.uint8)
        return values


class Compiled:
    """The machine code of a strategy, by its address; keeps the code alive.

    Args:
        on_bar: `on_bar(state, bar, features, orders)`, a function or one that Numba has compiled.
        features: dtype of a row of features.
        digest: of all that the code depends on, under which it is kept on disk; None: it is not.
    """

    def __init__(self, on_bar: OnBar, features: np.dtype[Any], digest: str | None = None) -> None:
        self._code: Any = None if digest is None else load(digest)
        if self._code is None:
            self._code = self._compile(on_bar, features)
            if digest is not None:
                save(digest, self._code._library, self._code.native_name)
        self.address = int(self._code.address)

    def _compile(self, on_bar: OnBar, features: np.dtype[Any]) -> Any:
        import numba as nb

        numba: Any = nb  # its stubs lack what is used here
        types = numba.types
        inner = on_bar if hasattr(on_bar, "py_func") else numba.njit(on_bar)
        signature = types.void(
            types.CPointer(numba.from_dtype(STATE)),
            types.CPointer(numba.from_dtype(BAR)),
            types.CPointer(numba.from_dtype(features)),
            types.CPointer(numba.from_dtype(REQUEST)),
            types.CPointer(types.int64),
        )
        room = REQUEST_ROOM + 1

        def called(state: Any, bar: Any, row: Any, requests: Any, failed: Any) -> None:
            try:
                inner(
                    numba.carray(state, 1)[0],
                    numba.carray(bar, 1)[0],
                    numba.carray(row, 1)[0],
                    numba.carray(requests, room),
                )
            except Exception:
                numba.carray(failed, 1)[0] = 1

        return numba.cfunc(signature)(called)


_MOST = 64  # strategies whose code is kept
_kept: OrderedDict[tuple[Any, ...], Compiled] = OrderedDict()


def compiled(on_bar: OnBar, features: np.dtype[Any]) -> Compiled:
    """The strategy's machine code, made once a machine for each content of the function.

    Its content is its code, its defaults, and the values of all globals and closures that it and
    the functions it calls read, as Numba freezes them. Where one of these could change unseen (an
    array, a module of yours), it is compiled anew each time. Code that depends on a class or a
    function that is not jitted is kept in this process alone; `code_store` keeps the rest on disk.
    """
    content = _content(on_bar, set())
    if content is None:
        return Compiled(on_bar, features)
    key = (content, str(features.descr))
    found = _kept.pop(key, None)
    if found is None:
        text = _text(content)
        digest = None if text is None else digest_of(f"{text} {features.descr}")
        found = Compiled(on_bar, features, digest)
    _kept[key] = found
    while len(_kept) > _MOST:
        _kept.popitem(last=False)
    return found


_SETTLED = {"math", "cmath", "numpy", "numba", "marketsim"}


def _content(function: Any, seen: set[int]) -> tuple[Any, ...] | None:
    """What a function's machine code depends on, hashable; None where it cannot be told."""
    inner = plain(function)
    if not isinstance(inner, FunctionType):
        return None
    # A strategy is jitted here. Another function that is neither jitted nor ours may be compiled
    # from what an extension says, not from its own code.
    options = getattr(function, "targetoptions", None if seen else {})
    if id(inner) in seen:
        return ("again", inner.__qualname__)
    seen.add(id(inner))
    ours = (inner.__module__ or "").split(".")[0] == "marketsim"
    jitted = "ours" if ours else _Unwritten() if options is None else repr(sorted(options.items()))
    parts: list[Any] = [inner.__code__, jitted]
    cells = [cell.cell_contents for cell in inner.__closure__ or ()]
    names = sorted(_names_of(inner.__code__) & inner.__globals__.keys())
    read = (inner.__globals__[name] for name in names)
    for value in (inner.__defaults__, inner.__kwdefaults__, *cells, *read):
        part = _part(value, seen)
        if part is None:
            return None
        parts.append(part)
    return (*names, *parts)


class _Unwritten:
    """Marks content that is not kept on disk; all of them are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unwritten)

    def __hash__(self) -> int:
        return 0


def _part(value: Any, seen: set[int]) -> Any:
    """What machine code depends on in a value that it reads, hashable; None if it is not known."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return (type(value), repr(value))
    if isinstance(value, ModuleType):
        return value.__name__ if value.__name__.split(".")[0] in _SETTLED else None
    if isinstance(value, FunctionType) or hasattr(value, "py_func"):
        return _content(value, seen)
    if isinstance(value, (type, BuiltinFunctionType, np.ufunc)):
        return value
    if isinstance(value, (tuple, dict)):
        values = value if isinstance(value, tuple) else [x for item in value.items() for x in item]
        parts = tuple(_part(x, seen) for x in values)
        return None if None in parts else (type(value), *parts)
    return None


def _text(content: Any) -> str | None:
    """The same in every process, for what is as fixed as the versions that it comes with."""
    if isinstance(content, tuple):
        parts = [_text(part) for part in content]
        return None if None in parts else f"({', '.join(map(str, parts))})"
    if isinstance(content, str):
        return repr(content)
    if isinstance(content, CodeType):
        return _code_text(content)
    if isinstance(content, (type, BuiltinFunctionType)):
        module = (content.__module__ or "").split(".")[0]
        return f"{module}.{content.__qualname__}" if module in _SETTLED | {"builtins"} else None
    if isinstance(content, np.ufunc):
        named = getattr(np, content.__name__, None) is content
        return f"ufunc {content.__name__}" if named else None
    return None


def _code_text(code: CodeType) -> str:
    """Code without the places of its source."""
    constants = [
        _code_text(c) if isinstance(c, CodeType) else f"{type(c).__name__} {_constant(c)}"
        for c in code.co_consts
    ]
    return repr(
        (
            code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars,
            code.co_cellvars, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
            code.co_flags, code.co_name, getattr(code, "co_exceptiontable", b""),
        )
    )  # fmt: skip


def _constant(value: Any) -> str:
    # The order of a set differs between processes.
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


@lru_cache(maxsize=256)
def _names_of(code: CodeType) -> frozenset[str]:
    """Global names that code reads, nested code included; not those of attributes."""
    found = {i.argval for i in get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names_of(constant)
    return frozenset(found)


def plain(on_bar: OnBar) -> OnBar:
    """The strategy as Python, whether Numba has compiled it or not."""
    return getattr(on_bar, "py_func", on_bar)


def row_type(columns: Mapping[str, npt.NDArray[np.float64]]) -> np.dtype[Any]:
    """The record of one bar's features; without any it has a field that is never named."""
    return np.dtype([(name, np.float64) for name in columns or ("unused",)])


def callback(
    on_bar: OnBar, columns: Mapping[str, npt.NDArray[np.float64]], buffers: Buffers
) -> Callable[[int], None]:
    """What the engine calls after each bar: shows the strategy plain numbers of shared memory."""
    state = _record(STATE, buffers.state)
    state.user = buffers.state["user"][0]  # memory of the strategy's own, which it writes
    bar = _record(BAR, buffers.bar)
    row = _features(columns)()
    requests = _Requests(buffers.requests)
    head, hand_over = requests[0], requests.hand_over
    function = plain(on_bar)

    def called(t: int) -> None:
        row._row = t
        function(state, bar, row, requests)
        if head.action:
            hand_over()

    return called


def _is_float(record: np.dtype[Any], name: str) -> bool:
    return bool(record[name] == np.float64)


class _Request:
    """One request in Python; fields are attributes, and items by name."""

    __slots__ = tuple(REQUEST.names or ())
    action: int
    ticket: int

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)


_values_of = attrgetter(*(REQUEST.names or ()))
_CODES = "".join("d" if _is_float(REQUEST, name) else "q" for name in REQUEST.names or ())
_pack_request = Struct(f"={_CODES}").pack_into
_pack_count = Struct("=q").pack_into  # its first field is the count
_SIZE = REQUEST.itemsize


class _Requests(list[_Request]):
    """The requests of a bar in Python; the engine's memory gets them when they are complete.

    The first counts them and has the next ticket, which each new order has moved on by one.
    """

    def __init__(self, memory: npt.NDArray[Any]) -> None:
        super().__init__(_Request() for _ in range(len(memory)))
        self._memory = memory.view(np.uint8).data
        for i in range(len(memory)):
            self[i] = memory[i].item()
        self[0].action, self[0].ticket = 0, 1

    def hand_over(self) -> None:
        """Write the requests to the engine's memory, and begin anew."""
        count = self[0].action
        _pack_count(self._memory, 0, count)
        for i in range(1, count + 1):
            _pack_request(self._memory, i * _SIZE, *_values_of(self[i]))
        self[0].action = 0

    def __setitem__(self, i: Any, values: Any) -> None:
        for name, value in zip(_Request.__slots__, values, strict=True):
            setattr(self[i], name, value)


def _record(record: np.dtype[Any], memory: npt.NDArray[Any]) -> Any:
    """An object whose attributes are the numbers of one record's memory, as they are then.

    A record of NumPy takes 20 times as long to read.
    """
    fields = [
        (name, ctypes.c_double if _is_float(record, name) else ctypes.c_int64)
        for name in record.names or ()
        if record[name].shape == ()
    ]
    kind: Any = type("Record", (ctypes.Structure,), {"_fields_": fields})
    return kind.from_buffer(memory)


def _features(columns: Mapping[str, npt.NDArray[np.float64]]) -> Callable[[], Any]:
    """A class whose attributes are the features by name of the row `_row`."""

    def reader(column: memoryview) -> property:
        return property(lambda self: column[self._row])

    fields: dict[str, Any] = {name: reader(values.data) for name, values in columns.items()}
    return type("Features", (), fields | {"__slots__": ("_row",)})
