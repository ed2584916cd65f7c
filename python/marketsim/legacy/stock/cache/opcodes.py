"""The opcodes of the pickle format that a numeric array needs, run on inert values.

This is no unpickler: a name in a file is looked up in a table and never imported, and what a file
calls is a function of that table or an error. Lists nest as deep as a file makes them, so what
comes out must not be walked recursively.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

Values = tuple[Any, ...]

_NUMBERS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"))
_TEXTS = frozenset(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"))
_BYTES = frozenset(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"))
_VALUES = _NUMBERS | _TEXTS | _BYTES
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(frozen=True)
class Name:
    """The dotted name of a class or function."""

    text: str


@dataclass
class Budget:
    """How many opcodes may run, and how many bytes may be copied or read again."""

    opcodes: int
    octets: int

    def spend(self, opcodes: int = 0, octets: int = 0) -> None:
        """Take from the budget.

        Raises:
            ValueError: there is less.
        """
        self.opcodes -= opcodes
        self.octets -= octets
        require(self.opcodes >= 0 and self.octets >= 0, "it is more work than a forecast can be")


@dataclass(frozen=True)
class Vocabulary:
    """All that a file may name.

    Attributes:
        names: names that only stand for themselves.
        calls: what to do where a file calls a name; given the budget and the arguments.
        classes: what makes an empty object of a class; it has `set_state` if it takes a state.
        persistent: what to do with a persistent id; None refuses them.
    """

    names: frozenset[str]
    calls: Mapping[str, Callable[[Budget, Values], object]]
    classes: Mapping[str, Callable[[], object]]
    persistent: Callable[[Any], object] | None = None

    def look_up(self, module: object, name: object) -> Name:
        """Return the name if it is known, or raise ValueError."""
        require(isinstance(module, str) and isinstance(name, str), "it names what is no text")
        text = f"{module}.{name}"
        if not (text in self.names or text in self.calls or text in self.classes):
            raise ValueError(f"it names {text[:100]!r}, which no array needs")
        return Name(text)


def require(condition: bool, problem: str) -> None:
    """Raise ValueError with the problem unless the condition holds."""
    if not condition:
        raise ValueError(problem)


def run_pickle(stream: BinaryIO, vocabulary: Vocabulary, budget: Budget) -> Any:
    """Return what one pickle holds, and leave the stream behind its end.

    Raises:
        ValueError, LookupError: it is malformed, or uses or names anything else.
    """
    return _Machine(vocabulary, budget).run(stream)


def _next_opcode(stream: BinaryIO) -> tuple[str, Any]:
    """Name and argument of the next opcode; those with text in lines are refused but GLOBAL."""
    code = stream.read(1)
    opcode = _OPCODES.get(code.decode("latin-1"))
    if opcode is None:
        raise ValueError(f"it holds no opcode {code!r}" if code else "it has no end")
    if opcode.name == "GLOBAL":
        module, name = stream.readline(), stream.readline()
        require(name.endswith(b"\n"), "it has no end")
        return "GLOBAL", (module[:-1].decode(), name[:-1].decode())
    if opcode.arg is None:
        return opcode.name, None
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        raise ValueError(f"it uses the opcode {opcode.name}, which no array needs")
    return opcode.name, opcode.arg.reader(stream)


class _Machine:
    """A stack and a memo, as the pickle format defines them."""

    def __init__(self, vocabulary: Vocabulary, budget: Budget) -> None:
        self.vocabulary = vocabulary
        self.budget = budget
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: BinaryIO) -> Any:
        while True:
            self.budget.spend(opcodes=1)
            name, argument = _next_opcode(stream)
            if name == "STOP":
                require(len(self.stack) == 1 and not self.marked, "its stack is unbalanced")
                return self.stack.pop()
            self._step(name, argument)

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marked.append(self.stack)
                self.stack = []
            case "EMPTY_LIST":
                self.stack.append([])
            case "EMPTY_DICT":
                self.stack.append({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self._pop(int(name[-1]))))
            case "TUPLE":
                items = self._pop_to_mark()
                self.stack.append(tuple(items))
            case "APPEND" | "APPENDS":
                items = self._pop(1) if name == "APPEND" else self._pop_to_mark()
                require(isinstance(self.stack[-1], list), "it appends to what is no list")
                self.stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                self._set_items(self._pop(2) if name == "SETITEM" else self._pop_to_mark())
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[argument])
            case _ if name in _VALUES:
                self.stack.append(argument)
            case _ if name in _LITERALS:
                self.stack.append(_LITERALS[name])
            case _:
                self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """Run one of the opcodes that import and call in an unpickler."""
        known = self.vocabulary
        match name:
            case "GLOBAL":
                self.stack.append(known.look_up(*argument))
            case "STACK_GLOBAL":
                self.stack.append(known.look_up(*self._pop(2)))
            case "NEWOBJ":
                kind, arguments = self._pop(2)
                made = known.classes.get(kind.text) if isinstance(kind, Name) else None
                require(made is not None and arguments == (), "it makes objects of unknown kind")
                self.stack.append(made() if made else None)
            case "REDUCE":
                function, arguments = self._pop(2)
                call = known.calls.get(function.text) if isinstance(function, Name) else None
                require(call is not None and type(arguments) is tuple, "it calls no function")
                self.stack.append(call(self.budget, arguments) if call else None)
            case "BUILD":
                (state,) = self._pop(1)
                target = self.stack[-1]
                require(hasattr(target, "set_state"), "it gives a state to what has none")
                target.set_state(state)
            case "BINPERSID" if known.persistent is not None:
                (described,) = self._pop(1)
                self.stack.append(known.persistent(described))
            case _:
                raise ValueError(f"it uses the opcode {name}, which no array needs")

    def _pop(self, count: int) -> list[Any]:
        require(len(self.stack) >= count, "its stack runs empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        require(bool(self.marked), "its stack has no mark")
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _set_items(self, items: list[Any]) -> None:
        require(isinstance(self.stack[-1], dict), "it sets items of what is no dict")
        keys = items[::2]
        require(len(items) % 2 == 0, "it sets a key without a value")
        require(all(type(key) is str for key in keys), "it has keys that are no text")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))
