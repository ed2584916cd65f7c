"""The examples of the docstrings run, and public functions have one."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import marketsim.report as report

MODULES = [f"marketsim.report.{module.name}" for module in pkgutil.iter_modules(report.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["write_report", "render_report", "write_index"])
def test_public_functions_have_an_example(name):
    html = importlib.import_module("marketsim.report.html")
    assert ">>>" in inspect.getdoc(getattr(html, name))


@pytest.mark.parametrize("name", MODULES)
def test_reports_know_nothing_else_of_marketsim(name):
    tree = ast.parse(Path(importlib.import_module(name).__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            below = ("marketsim.atomic", "marketsim.errors")
            known = module.startswith("marketsim.report.") or module in below
            assert known or not module.startswith("marketsim"), module
