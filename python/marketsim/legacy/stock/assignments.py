"""What a program assigns to an old module: used, refused, or named in the log; never ignored.

A module takes part by `watch`. What it reads is looked up in it at each call, as ever; constants
that the environment decides go to the settings; of any other name one line of the log says that
nothing here reads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from marketsim.errors import ArgumentError
from marketsim.text import get_logger

logger = get_logger(__name__)


class _Rules(NamedTuple):
    read: frozenset[str]
    constants: Mapping[str, str]
    assign: Callable[[str, object], None] | None = None
    kept: Mapping[str, Any] = MappingProxyType({})


_rules: dict[str, _Rules] = {}
_said: set[tuple[str, str]] = set()
# Modules that a program has yet to import: what they keep, they take only then.
_awaited: set[str] = set()


class OldModule(ModuleType):
    """A module under an old path, which looks at what is assigned to it."""

    def __setattr__(self, name: str, value: Any) -> None:
        rules = _rules[self.__name__]
        if name in rules.constants and rules.assign:
            last = self.__name__.rpartition(".")[2]
            try:
                rules.assign(rules.constants[name], value)
            except ArgumentError as error:
                text = str(error).partition(" must be ")[2]
                raise ArgumentError(f"{last}.{name} must be {text}") from None
            return
        if name in rules.kept:
            if not _awaited:
                _say(self.__name__, name, _KEPT)
        elif name not in rules.read and not name.startswith("__"):
            _say(self.__name__, name, _UNREAD)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        rules = _rules[self.__name__]
        if name in rules.constants and rules.assign:
            rules.assign(rules.constants[name], None)
        else:
            super().__delattr__(name)


def watch(
    name: str,
    read: Collection[str],
    constants: Mapping[str, str],
    assign: Callable[[str, object], None],
) -> None:
    """Look at what is assigned to a module from here on.

    Args:
        name: the module's.
        read: names that are looked up in it at each call, or refused there.
        constants: those that are settings, and which.
        assign: called with a setting and its value, None where the name is deleted.
    """
    _rules[name] = _Rules(frozenset(read), constants, assign)
    sys.modules[name].__class__ = OldModule


def watch_callee(
    name: str,
    *,
    kept: Collection[str] = (),
    unread: Collection[str] = (),
    more: Collection[str] = (),
) -> None:
    """Look at what is assigned to a module whose functions the backtest calls.

    Args:
        name: the module's; call it at the module's end.
        kept: names that the backtest module imported from it, and keeps.
        unread: names of the module that nothing reads.
        more: names that it looks for, and lacks.
    """
    own = vars(sys.modules[name])
    read = (own.keys() - set(unread)) | set(more)
    _rules[name] = _Rules(frozenset(read), {}, kept={one: own[one] for one in kept})
    sys.modules[name].__class__ = OldModule


def await_import(name: str) -> None:
    """Expect the first import of a module by the program: `take_assigned` follows it."""
    _awaited.add(name)


def take_assigned(name: str, module: ModuleType) -> None:
    """Give a module that is imported what was assigned to those that it imports from.

    Args:
        name: the module's old path.
        module: that module.
    """
    _awaited.discard(name)
    for source, rules in _rules.items():
        now = vars(sys.modules[source])
        for one, ours in rules.kept.items():
            if now[one] is not ours:
                setattr(module, one, now[one])


_UNREAD = (
    "%s.%s was assigned, and nothing in marketsim.legacy reads it; docs/migration.md lists "
    "what can be replaced"
)
_KEPT = (
    "%s.%s was assigned: backtest_test3_inline keeps what it imported; assign the name there "
    "for its backtests"
)


def _say(module: str, name: str, text: str) -> None:
    if (module, name) not in _said:
        _said.add((module, name))
        logger.warning(text, module.rpartition(".")[2], name)
