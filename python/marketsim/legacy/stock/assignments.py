"""What a program assigns to an old module: used, refused, or named in the log; never ignored.

A module takes part by `watch`. What it reads is looked up in it at each call, as ever; constants
that the environment decides go to the settings; of any other name one line of the log says that
nothing here reads it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from marketsim.errors import ArgumentError
from marketsim.legacy.stock import settings
from marketsim.text import get_logger

logger = get_logger(__name__)


class _Rules(NamedTuple):
    read: frozenset[str]
    constants: Mapping[str, str]


_rules: dict[str, _Rules] = {}
_said: set[tuple[str, str]] = set()


class OldModule(ModuleType):
    """A module under an old path, which looks at what is assigned to it."""

    def __setattr__(self, name: str, value: Any) -> None:
        rules = _rules[self.__name__]
        if name in rules.constants:
            last = self.__name__.rpartition(".")[2]
            try:
                settings.assign(rules.constants[name], value)
            except ArgumentError as error:
                text = str(error).partition(" must be ")[2]
                raise ArgumentError(f"{last}.{name} must be {text}") from None
            return
        if name not in rules.read and not name.startswith("__"):
            _say(self.__name__, name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        constants = _rules[self.__name__].constants
        if name in constants:
            settings.assign(constants[name], None)
        else:
            super().__delattr__(name)


def watch(name: str, read: Collection[str], constants: Mapping[str, str] | None = None) -> None:
    """Look at what is assigned to a module from here on.

    Args:
        name: the module's.
        read: names that are looked up in it at each call, or refused there.
        constants: those that are settings, and which.
    """
    _rules[name] = _Rules(frozenset(read), constants or {})
    sys.modules[name].__class__ = OldModule


def _say(module: str, name: str) -> None:
    if (module, name) not in _said:
        _said.add((module, name))
        logger.warning(
            "%s.%s was assigned, and nothing in marketsim.legacy reads it; docs/migration.md lists "
            "what can be replaced",
            module.rpartition(".")[2],
            name,
        )
