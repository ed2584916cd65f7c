"""A user's `on_bar` compiled into the engine's loop, or called in plain Python."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from operator import attrgetter
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.replay.records import BAR, REQUEST, REQUEST_ROOM, STATE

OnBar = Callable[[Any, Any, Any, Any], None]


class Buffers:
    """The memory that a strategy and the engine share: account, bar, requests."""

    def __init__(self) -> None:
        self.state = np.zeros(1, STATE)
        self.bar = np.zeros(1, BAR)
        self.requests = np.zeros(REQUEST_ROOM + 1, REQUEST)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """One of them as bytes, which the engine fills."""
        values: npt.NDArray[np.uint8] = getattr(self, name).view(np.uint8)
        return values


class Compiled:
    """The machine code of a strategy, by its address; keeps the code alive.

    Args:
        on_bar: `on_bar(state, bar, features, orders)`, a function or one that Numba has compiled.
        features: dtype of a row of features.
    """

    def __init__(self, on_bar: OnBar, features: np.dtype[Any]) -> None:
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

        self._code = numba.cfunc(signature)(called)
        self.address = int(self._code.address)


_MOST = 64  # strategies whose code is kept
_kept: OrderedDict[tuple[Any, ...], Compiled] = OrderedDict()


def compiled(on_bar: OnBar, features: np.dtype[Any]) -> Compiled:
    """The strategy's machine code, made once a process for each content of the function.

    Its content is its code, its defaults, and the values of all globals and closures that it and
    the functions it calls read, as Numba freezes them. Where one of these could change unseen (an
    array, a module of yours), it is compiled anew each time.
    """
    content = _content(on_bar, set())
    if content is None:
        return Compiled(on_bar, features)
    key = (content, str(features.descr))
    found = _kept.pop(key, None) or Compiled(on_bar, features)
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
    if id(inner) in seen:
        return ("again", inner.__qualname__)
    seen.add(id(inner))
    parts: list[Any] = [inner.__code__, repr(inner.__defaults__), repr(inner.__kwdefaults__)]
    cells = [cell.cell_contents for cell in inner.__closure__ or ()]
    names = sorted(_names_of(inner.__code__) & inner.__globals__.keys())
    for value in (*cells, *(inner.__globals__[name] for name in names)):
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            parts.append((type(value), repr(value)))
        elif isinstance(value, ModuleType):
            if value.__name__.split(".")[0] not in _SETTLED:
                return None
            parts.append(value.__name__)
        elif isinstance(value, FunctionType) or hasattr(value, "py_func"):
            found = _content(value, seen)
            if found is None:
                return None
            parts.append(found)
        elif isinstance(value, (type, BuiltinFunctionType, np.ufunc)):
            parts.append(value)
        else:
            return None
    return (*names, *parts)


def _names_of(code: CodeType) -> set[str]:
    """Global names that code reads, nested code included."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names_of(constant)
    return found


def plain(on_bar: OnBar) -> OnBar:
    """The strategy as Python, whether Numba has compiled it or not."""
    return getattr(on_bar, "py_func", on_bar)


def callback(on_bar: OnBar, features: npt.NDArray[Any], buffers: Buffers) -> Callable[[int], None]:
    """What the engine calls after each bar: shows the strategy plain numbers of shared memory."""
    numbers, counts = _numbers(buffers.state), _counts(buffers.state)
    stamps, prices = _counts(buffers.bar)[:2], _numbers(buffers.bar)[2:]
    names = STATE.names or ()
    state = _view(names[:-1])()
    state.user = buffers.state["user"][0]  # memory of the strategy's own, which it writes
    bar, row = _view(BAR.names or ())(), _view(features.dtype.names or ())()
    matrix = features.view(np.float64).reshape(len(features), len(features.dtype.names or ()))
    requests = _Requests(buffers.requests)
    function = plain(on_bar)

    def called(t: int) -> None:
        state._values = numbers[:5].tolist() + counts[5:8].tolist()
        bar._values = stamps.tolist() + prices.tolist()
        row._values = matrix[t].tolist()
        requests.begin()
        function(state, bar, row, requests)
        requests.end()

    return called


class _Request:
    """One request in Python; fields are attributes, and items by name."""

    __slots__ = tuple(REQUEST.names or ())

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)


class _Requests:
    """The requests of a bar in Python, copied to the engine's memory when they are complete."""

    def __init__(self, memory: npt.NDArray[Any]) -> None:
        self._memory, self._ticket = memory, _counts(memory)[1:2]
        self._rows = [_Request() for _ in range(len(memory))]
        for i in range(len(memory)):
            self[i] = memory[i].item()

    def begin(self) -> None:
        head = self._rows[0]
        head["action"], head["ticket"] = 0, int(self._ticket[0])

    def end(self) -> None:
        count = self._rows[0]["action"]
        if count:
            self._memory[0]["action"] = count
            for i in range(1, count + 1):
                self._memory[i] = _values_of(self._rows[i])

    def __getitem__(self, i: int) -> _Request:
        return self._rows[i]

    def __setitem__(self, i: int, values: tuple[Any, ...]) -> None:
        for name, value in zip(_Request.__slots__, values, strict=True):
            self._rows[i][name] = value


_values_of = attrgetter(*(REQUEST.names or ()))


def _numbers(memory: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return memory.view(np.float64)


def _counts(memory: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return memory.view(np.int64)


def _view(names: Iterable[str]) -> Callable[[], Any]:
    """A class whose attributes read the list `_values`: numpy's records take 20 times as long."""

    def reader(i: int) -> property:
        return property(lambda self: self._values[i])

    fields: dict[str, Any] = {name: reader(i) for i, name in enumerate(names)}
    return type("Values", (), fields | {"__slots__": ("_values", "user")})
