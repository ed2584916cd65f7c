"""The pages on the old functions say what is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("arch")

from marketsim.legacy.install import MODULES
from marketsim.legacy.stock.quirks import Quirks
from marketsim.legacy.stock.settings import VARIABLES, WITHOUT_EFFECT

ROOT = Path(__file__).parents[2]
MIGRATION = (ROOT / "docs" / "migration.md").read_text()
CLAIMS = (ROOT / "docs" / "old-claims.md").read_text()


def test_every_variable_quirk_and_module_is_named() -> None:
    names = [v.name for v in VARIABLES] + list(MODULES) + list(Quirks.__dataclass_fields__)
    assert [name for name in names if f"`{name}`" not in MIGRATION] == []


def test_no_variable_is_named_that_does_not_exist() -> None:
    known = {variable.name for variable in VARIABLES} | {"MARKETSIM_STORE"} | set(WITHOUT_EFFECT)
    named = set(re.findall(r"\b(?:MARKETSIM|TOTO|KRONOS|FAST|REAL)_[A-Z_]*[A-Z]\b", MIGRATION))
    assert named <= known
    assert all(f"`{name}`" in MIGRATION for name in WITHOUT_EFFECT)


def test_links_lead_somewhere() -> None:
    for page in (MIGRATION, CLAIMS):
        for target in re.findall(r"\]\(([^)#]+)\)", page):
            assert (ROOT / "docs" / target).is_file(), target
    assert "docs/migration.md" in (ROOT / "README.md").read_text()
    assert "docs/old-claims.md" in (ROOT / "README.md").read_text()


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("old_claims", ROOT / "benchmarks/old_claims.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["old_claims"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["old_claims"]
    return module


def test_the_counts_on_the_page_are_those_of_the_code() -> None:
    claims = script()
    for finding in claims.counts(claims.demo_prices()):
        assert str(finding) in CLAIMS
