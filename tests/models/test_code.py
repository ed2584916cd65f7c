"""The digest of code changes with all that a function reads, and with nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marketsim.legacy.disk_cache import disk_cache
from marketsim.models.code import code_digest

SETTINGS = """
K = 2
def scaled(x, *, k=1): return x * k
class Scale:
    a = 3
    @staticmethod
    def of(x): return x * Scale.a
"""
FUNCTIONS = """
import settings_of_test
from settings_of_test import scaled
FIRST, SECOND = [1], [2]
CHOSEN = FIRST
def one(x, k=1): return x * k
def two(x, k=1): return x * k
def by_module(x): return x * settings_of_test.K
def by_import(x):
    import settings_of_test
    return x * settings_of_test.K
def by_name_imported(x):
    from settings_of_test import K
    return x * K
def nested(x):
    def inner(y): return y * settings_of_test.K
    return inner(x)
def generator(x): return sum(i * settings_of_test.K for i in range(x))
def keyword_default(x): return scaled(x)
def default_of_the_second(x): return one(x) + two(x)
def which_of_two_lists(x): return FIRST[0] + SECOND[0] * 0 + CHOSEN[0]
def own_attribute(x): return x * own_attribute.k
own_attribute.k = 1
def by_class(x): return settings_of_test.Scale.of(x)
def by_cached(x): return cached(x)
def by_text(x): return globals()["FIRST"][0]
def by_eval(x): return eval("FIRST[0]")
def imports_nothing_there(x):
    import no_such_module_of_test
"""
Change = Callable[[ModuleType, ModuleType, int], Any]


def set_k(settings: ModuleType, functions: ModuleType, value: int) -> None:
    settings.__dict__["K"] = value


CHANGES: dict[str, Change] = {
    "by_module": set_k,
    "by_import": set_k,
    "by_name_imported": set_k,
    "nested": set_k,
    "generator": set_k,
    "keyword_default": lambda s, f, v: s.scaled.__kwdefaults__.update(k=v),
    "default_of_the_second": lambda s, f, v: setattr(f.two, "__defaults__", (v,)),
    "which_of_two_lists": lambda s, f, v: setattr(f, "CHOSEN", [f.FIRST, f.SECOND][v - 1]),
    "own_attribute": lambda s, f, v: setattr(f.own_attribute, "k", v),
    "by_class": lambda s, f, v: setattr(s.Scale, "a", v),
    "by_cached": lambda s, f, v: setattr(f.one, "__defaults__", (v,)),
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ...]]:
    names = ("settings_of_test", "functions_of_test")
    for name, text in zip(names, (SETTINGS, FUNCTIONS), strict=True):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = tuple(map(importlib.import_module, names))
    found[1].__dict__["cached"] = disk_cache(found[1].one)
    yield found
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_function_reads_is_in_its_digest(modules: tuple[ModuleType, ...], name: str) -> None:
    settings, functions = modules
    function = getattr(functions, name)
    CHANGES[name](settings, functions, 1)
    first = code_digest(function)
    CHANGES[name](settings, functions, 2)
    second = code_digest(function)
    CHANGES[name](settings, functions, 1)
    assert first is not None
    assert second is not None
    assert first != second
    assert code_digest(function) == first


@pytest.mark.parametrize("name", ["by_text", "by_eval", "imports_nothing_there"])
def test_what_no_digest_covers_has_none(modules: tuple[ModuleType, ...], name: str) -> None:
    assert code_digest(getattr(modules[1], name)) is None
