"""The examples of the docstrings run, and every public name has one where it is a function."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re

import pytest

import marketsim.bars as bars

MODULES = [f"marketsim.bars.{module.name}" for module in pkgutil.iter_modules(bars.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    if name.endswith(".demo") and importlib.util.find_spec("arch") is None:
        pytest.skip("needs arch")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", [n for n in bars.__all__ if inspect.isfunction(getattr(bars, n))])
def test_public_functions_have_an_example(name):
    assert ">>>" in inspect.getdoc(getattr(bars, name))


def test_public_names():
    assert bars.__all__ == sorted(bars.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    assert all(hasattr(bars, name) for name in bars.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_files_and_functions_stay_small(name):
    source, _ = inspect.getsourcelines(importlib.import_module(name))
    assert len(source) <= 400
    for member in vars(importlib.import_module(name)).values():
        if inspect.isfunction(member) and member.__module__ == name:
            body = re.sub(r'r?""".*?"""', "", inspect.getsource(member), flags=re.DOTALL)
            assert body.count("\n") <= 50, member.__name__
